"""Every code block of every page is executed or checked, by the test that its kind belongs to."""

import importlib.util
import re
import subprocess

import pytest

from gofau.config.grid import grid
from gofau.optim import RULES, rules
from tests.command_line import ROOT
from tests.docs.guides import Guide, copy_project, run
from tests.docs.pages import Block, blocks, commands, every_block, pages

PAGES = pages()
BLOCKS = every_block()
GUIDES = [page for page in PAGES if page.startswith("adding_")]
FREE = [block for block in BLOCKS if block.page not in GUIDES]
BUILT = ("{toctree}", "{eval-rst}", "{code-cell}")
"""What the build of the site executes: test_site.py."""
TEXTS = {"faq.md": "test_faq.py", "architecture.md": "a picture of how a run flows"}
"""The pages with blocks of text, and what holds them."""
TYPED = re.compile(r"^\$ (.+)", re.MULTILINE)
"""A command in a transcript, between what it printed."""
LINES = [block.text for block in FREE if block.kind == "sh"]
LINES += [line for block in FREE if block.kind == "console" for line in TYPED.findall(block.text)]
SHELL = [words for lines in LINES for words in commands(lines)]
PYTHON = sorted({block.page for block in FREE if block.kind == "python"})
OTHERS = ("git", "cd", "pip", ".", "cat", "echo", "nvidia-cuda-mps-control")
"""Commands that are not ours."""
NAMES = {"transcripts.md": vars(rules)}
"""The names that the blocks of a page find: those of the module that they are added to."""


def of(kind: str) -> set[str]:
    return {block.page for block in FREE if block.kind == kind}


def test_every_kind_of_block_has_a_test():
    known = {"sh", "python", "text", "console", "mermaid", *BUILT}
    assert {block.kind for block in FREE} <= known
    assert of("text") == set(TEXTS)
    assert of("console") == {"transcripts.md"}
    assert of("mermaid") == {"architecture.md"}  # test_architecture_page.py


def test_no_fence_is_left_open():
    for page, text in PAGES.items():
        assert len(re.findall(r"^`{3,}", text, re.MULTILINE)) == 2 * len(blocks(page, text)), page


@pytest.mark.parametrize("page", GUIDES)
def test_every_block_of_a_guide_is_a_step(page):
    Guide(page).check()


@pytest.mark.parametrize("page", PYTHON)
def test_its_python_runs_from_top_to_bottom(page, monkeypatch):
    monkeypatch.setattr("gofau.optim.registry.RULES", dict(RULES))
    code = "\n".join(b.text for b in FREE if (b.page, b.kind) == (page, "python"))
    exec(compile(code, page, "exec"), dict(NAMES.get(page, {})))


# A search draws its values one after another, and has no grid.
TRAIN = {
    " ".join(words): words
    for words in SHELL
    if words[:2] == ["python", "train.py"] and "hydra/sweeper=optuna" not in words
}


@pytest.mark.parametrize("line", TRAIN)
def test_its_runs_and_sweeps_compose(line):
    words = [word for word in TRAIN[line][2:] if word != "-m"]
    # The first run stands for the sweep: composing all of a table's 1,000 takes half a minute.
    _, config = next(grid(ROOT / "configs", words))
    assert config


def test_every_other_command_exists():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = set(re.findall(r"^  make ([a-z-]+)", listed.stdout, re.MULTILINE))
    others = [words for words in SHELL if words[:2] != ["python", "train.py"]]
    assert len(others) > 10
    assert [words for words in others if not exists(words, targets)] == []


def exists(words: list[str], targets: set[str]) -> bool:
    """Whether a command can be typed."""
    match words:
        case ["make", target, *_]:
            return target in targets
        case ["python", "-m", "gofau.report", _, experiment, *_]:
            return (ROOT / "configs" / "experiment" / f"{experiment}.yaml").exists()
        case ["python3" | "python", "-m", module, *_]:
            return importlib.util.find_spec(module) is not None
        case ["python", script] if f"`{script}`" in PAGES["transcripts.md"]:
            return True  # the page says what is in it: its block of Python is executed
        case ["python", script, *_] | [script, *_] if script.startswith("scripts/"):
            return (ROOT / script).exists()
        case [program, *_]:
            return program in OTHERS
        case _:
            return False


def test_what_does_not_exist_is_found():
    wrong = ["make maek", "python -m gofau.reprot x", "python scripts/no.py", "gofau train", "ls"]
    assert not any(exists(line.split(), {"docs"}) for line in wrong)
    assert not exists(["python", "-m", "gofau.report", "collect", "no_such_experiment"], set())


def test_a_block_ends_where_its_fence_does():
    text = "````md\n```sh\nls\n```\n````\n```sh\na && b  # c\n```\n"
    assert blocks("x", text) == [
        Block("x", "md", "```sh\nls\n```\n"),
        Block("x", "sh", "a && b  # c\n"),
    ]
    assert commands("a && X=1 b y=2  # c\n# d\n") == [["a"], ["b", "y=2"]]


@pytest.mark.long
def test_the_quickstart_word_for_word(tmp_path):
    """All but `make train`, which installs."""
    copy_project(tmp_path)
    for block in blocks("quickstart.md", PAGES["quickstart.md"]):
        if block.kind == "sh" and "make" not in block.text:
            for line in block.text.splitlines():
                run(line, tmp_path)
    results = tmp_path / "results" / "smoke_fig4_tiny_imagenet_curves"
    assert {"accuracy.md", "comparison.md", "curves.png"} <= {p.name for p in results.iterdir()}
