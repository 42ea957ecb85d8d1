"""docs/faq.md quotes messages that gofau has, word for word but for the parts written as "…"."""

import ast
import re
import shlex
from collections.abc import Iterator

import pytest

from tests.command_line import ROOT
from tests.docs.pages import blocks, pages

BLOCKS = [b.text.splitlines() for b in blocks("faq.md", pages()["faq.md"])]
RUN = [block for block in BLOCKS if block[0].startswith("$")]
QUOTED = [line for block in BLOCKS if not block[0].startswith("$") for line in block]
ANY = "…"


def pattern(quoted: str) -> re.Pattern[str]:
    """What a quoted message stands for."""
    return re.compile(".+?".join(map(re.escape, quoted.split(ANY))), re.DOTALL)


def test_the_page_has_both_kinds_of_messages():
    assert len(RUN) >= 8
    assert len(QUOTED) >= 8
    assert all(len(block) == 2 for block in RUN)


@pytest.mark.parametrize("block", RUN, ids=lambda block: block[0])
def test_a_command_says_what_is_quoted(block, train, monkeypatch, capsys):
    (train.folder / "results").mkdir()
    words = shlex.split(block[0].removeprefix("$ "))
    if words[:2] == ["python", "train.py"]:
        code, _, err = train(*words[2:])
    else:
        code, err = report(words, capsys)
    assert code == 2
    last = err.strip().splitlines()[-1]  # matplotlib may log something when it is first imported
    assert pattern(block[1]).fullmatch(last), err


def report(words: list[str], capsys) -> tuple[int, str]:
    from gofau.cli.entry import one_sentence
    from gofau.report.__main__ import main

    assert words[:3] == ["python", "-m", "gofau.report"]
    with pytest.raises(SystemExit) as ended, one_sentence():
        main(words[3:])
    return int(ended.value.code or 0), capsys.readouterr().err


def messages() -> Iterator[tuple[str, str]]:
    """The class and the text of each error that the code raises, with "…" for what it fills in."""
    for path in sorted((ROOT / "gofau").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                yield ast.unparse(node.exc.func), text(node.exc.args[0])


def text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(words)):
            return words
        case ast.JoinedStr(values=values):
            return "".join(text(value) for value in values)
        case _:
            return ANY


KNOWN = list(messages())


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_one_of_the_code(quoted):
    kind, _, words = quoted.partition(": ")
    kind = {"error": "UserError"}.get(kind, kind)
    assert len(words.replace(ANY, "")) > 10
    found = [known for name, known in KNOWN if name == kind and agree(words, known)]
    assert found, f"no {kind} says {words!r}"


def agree(quoted: str, known: str) -> bool:
    """Whether they are one text. A "…" of either stands for any text of the other: the page names
    a rule where the code fills one in, and leaves out what the code says."""
    return bool(pattern(quoted).fullmatch(known) or pattern(known).fullmatch(quoted))


def test_other_words_do_not_agree():
    assert agree("there is no … in …", "there is no … in …")
    assert agree("rule 'hybrid' has no …", "… has no …")
    assert not agree("there was no … in …", "there is no … in …")
    assert len(KNOWN) > 150
