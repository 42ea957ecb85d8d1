"""The harness that follows the guides: what it refuses, and what it does to a file."""

import pytest

from tests.docs.guides import BLOCK, Step, do, edited, undo


def test_an_edit_changes_the_lines_it_names():
    step = Step("edit", "x.py", " a\n-b\n+c\n+d\n e\n")
    assert edited("a\na\nb\ne\n", step) == "a\na\nc\nd\ne\n"


@pytest.mark.parametrize("before", ["aa\nb\ne\n", "a\nb\ne\na\nb\ne\n", ""])
def test_an_edit_that_does_not_fit_just_once_fails(before):
    with pytest.raises(AssertionError, match="times, not once"):
        edited(before, Step("edit", "x.py", " a\n-b\n e\n"))


def test_an_edit_is_a_diff():
    with pytest.raises(AssertionError, match="not a diff"):
        edited("a\n", Step("edit", "x.py", "a\n+b\n"))


def test_a_file_is_written_once_and_appended_to(tmp_path):
    do(Step("write", "new/x.py", "a\n"), tmp_path)
    do(Step("append", "new/x.py", "b\n"), tmp_path)
    assert (tmp_path / "new" / "x.py").read_text(encoding="utf-8") == "a\nb\n"
    with pytest.raises(AssertionError, match="there already"):
        do(Step("write", "new/x.py", "a\n"), tmp_path)


def test_a_command_that_fails_fails(tmp_path):
    do(Step("run", "", "test -d .\n"), tmp_path)
    with pytest.raises(AssertionError, match="no_such_file"):
        do(Step("run", "", "true\ncat no_such_file\n"), tmp_path)


def test_a_block_says_what_is_done_with_it():
    page = (
        "<!-- write a/b.py -->\n```python\nx = 1\n```\n<!-- run -->\n```sh\nls\n```\n```sh\nno\n```"
    )
    assert BLOCK.findall(page) == [("write", "a/b.py", "x = 1\n"), ("run", "", "ls\n")]


def test_what_is_done_can_be_undone(tmp_path):
    (tmp_path / "x.py").write_text("a\nb\n", encoding="utf-8")
    steps = [
        Step("edit", "x.py", " a\n+c\n"),
        Step("append", "x.py", "d\n"),
        Step("write", "new/y.py", "e\n"),
    ]
    for step in steps:
        do(step, tmp_path)
    assert (tmp_path / "x.py").read_text(encoding="utf-8") == "a\nc\nb\nd\n"
    for step in reversed(steps):
        undo(step, tmp_path)
    assert (tmp_path / "x.py").read_text(encoding="utf-8") == "a\nb\n"
    assert not (tmp_path / "new" / "y.py").exists()


@pytest.mark.parametrize("what", ["write", "append"])
def test_what_is_there_otherwise_is_not_undone(tmp_path, what):
    (tmp_path / "x.py").write_text("a\nb\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="page"):
        undo(Step(what, "x.py", "a\n"), tmp_path)
