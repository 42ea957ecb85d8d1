"""Follow a guide of docs/ word for word, in a copy of the project.

A guide is a page whose code blocks are each announced by a comment that says what the reader does
with it; the reader does not see the comment, so the sentence before the block says it too::

    <!-- write PATH -->    the block is a new file
    <!-- append PATH -->   the block is added to the end of a file
    <!-- edit PATH -->     the block is a diff: lines with "-" become lines with "+"; lines with a
                           space stay, and say where. The old lines must be in the file just once
    <!-- run -->           each line is a command, and must succeed

A test of a guide is short::

    GUIDE = Guide("adding_a_rule.md")

    def test_every_block_of_the_page_is_followed():
        GUIDE.check()

    def test_the_page_word_for_word(tmp_path):
        GUIDE.follow(tmp_path)
        …  # what is there now
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.command_line import ROOT

FOLDERS = ("gofau", "configs", "tests", "scripts", "docs", "experiments")
FILES = ("train.py", "pyproject.toml", "README.md", "Makefile")
BLOCK = re.compile(r"<!-- (append|write|edit|run) ?(\S*) -->\n```\w+\n(.*?)```", re.DOTALL)


class Step(NamedTuple):
    """One block of a guide: what is done, to which file, with which text."""

    what: str
    path: str
    text: str


class Guide:
    """A page of docs/ as steps."""

    def __init__(self, name: str) -> None:
        self.page = (ROOT / "docs" / name).read_text(encoding="utf-8")
        self.steps = [Step(*found) for found in BLOCK.findall(self.page)]

    @property
    def places(self) -> list[str]:
        """The files that the reader writes or changes by hand, each once."""
        return list(dict.fromkeys(step.path for step in self.steps if step.what != "run"))

    def check(self) -> None:
        """Every code block is a step, and every step but a command names a file."""
        assert self.steps
        assert len(self.steps) == self.page.count("```") / 2
        assert all((step.path == "") == (step.what == "run") for step in self.steps)

    def undo(self, folder: Path) -> None:
        """Take out of a copy of the project what the page puts in, which must be there word for
        word: for a page that tells how something came in that gofau has."""
        for step in reversed(self.steps):
            if step.what != "run":
                undo(step, folder)

    def follow(self, folder: Path) -> None:
        """Copy the project to ``folder`` and do there what the page says, from top to bottom."""
        copy_project(folder)
        self.go(folder)

    def go(self, folder: Path) -> None:
        """Do what the page says in a folder that is a copy of the project already."""
        for step in self.steps:
            do(step, folder)


def copy_project(folder: Path) -> None:
    """What a guide needs of the project: no records, no results, no caches."""
    skip = shutil.ignore_patterns("__pycache__")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    for name in FILES:
        shutil.copy(ROOT / name, folder)


def do(step: Step, folder: Path) -> None:
    """One step of a guide."""
    if step.what == "run":
        for line in step.text.splitlines():
            run(line, folder)
        return
    file = folder / step.path
    if step.what == "write":
        assert not file.exists(), f"{step.path} is there already"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(step.text, encoding="utf-8")
        return
    before = file.read_text(encoding="utf-8")
    after = before + step.text if step.what == "append" else edited(before, step)
    file.write_text(after, encoding="utf-8")


def undo(step: Step, folder: Path) -> None:
    """The opposite of one step that is no command."""
    file = folder / step.path
    there = file.read_text(encoding="utf-8")
    if step.what == "write":
        assert there == step.text, f"{step.path} is not what the page writes"
        file.unlink()
    elif step.what == "append":
        assert there.endswith(step.text), f"{step.path} does not end as the page says"
        file.write_text(there.removesuffix(step.text), encoding="utf-8")
    else:
        swap = str.maketrans("+-", "-+")
        lines = [x[0].translate(swap) + x[1:] for x in step.text.splitlines(keepends=True)]
        file.write_text(edited(there, step._replace(text="".join(lines))), encoding="utf-8")


def edited(before: str, step: Step) -> str:
    """The text of a file after the diff of an "edit" block."""
    lines = step.text.splitlines(keepends=True)
    assert all(line[0] in " +-\n" for line in lines), f"{step.path}: not a diff"
    old = "".join(line[1:] or "\n" for line in lines if line[0] != "+")
    new = "".join(line[1:] or "\n" for line in lines if line[0] != "-")
    found = list(re.finditer(f"^{re.escape(old)}", before, re.MULTILINE))
    assert len(found) == 1, f"{step.path} has these lines {len(found)} times, not once:\n{old}"
    return before[: found[0].start()] + new + before[found[0].end() :]


def run(line: str, folder: Path) -> None:
    """One command, as typed in ``folder`` with the environment active; it must succeed."""
    scripts = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        line, cwd=folder, shell=True, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
