"""What README says to type, works."""

import re
import shlex
import subprocess

import pytest

from gofau import optim
from gofau.sweeps import grid
from tests.cli import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
PAGE = (ROOT / "docs" / "training_loop.md").read_text(encoding="utf-8")
CLUSTER = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT + CLUSTER, re.DOTALL)).splitlines()
TRAIN = [line for line in SHELL if "train.py" in line]


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_its_python_runs(code, monkeypatch):
    monkeypatch.setattr("gofau.optim.rules.RULES", dict(optim.RULES))
    exec(compile(code, "README.md", "exec"), {})


def test_the_page_on_training_loops_runs_from_top_to_bottom():
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "training_loop.md", "exec"), {})


@pytest.mark.parametrize("line", TRAIN)
def test_its_command_lines_compose(line):
    words = shlex.split(line.split("train.py", 1)[1], comments=True)
    assert len(list(grid(ROOT / "configs", [w for w in words if w != "-m"]))) >= 1


def test_its_make_targets_exist():
    named = set(re.findall(r"^make ([a-z-]+)", "\n".join(SHELL), re.MULTILINE))
    named |= set(re.findall(r"`make ([a-z-]+)", TEXT))
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert named <= set(re.findall(r"^  make ([a-z-]+)", listed.stdout, re.MULTILINE))


def test_its_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert link.startswith("https://") or (ROOT / link).exists(), link
