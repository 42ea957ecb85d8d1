"""What README says to type, works."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gofau import optim
from gofau.cli.space import space
from gofau.config.grid import grid
from gofau.report.experiments import report_of
from tests.command_line import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
PAGE = (ROOT / "docs" / "training_loop.md").read_text(encoding="utf-8")
CLUSTER = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT + CLUSTER, re.DOTALL)).splitlines()
TRAIN = [line for line in SHELL if "train.py" in line]
SEARCH = [line for line in TRAIN if "hydra/sweeper=optuna" in line]


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_its_python_runs(code, monkeypatch):
    monkeypatch.setattr("gofau.optim.registry.RULES", dict(optim.RULES))
    exec(compile(code, "README.md", "exec"), {})


def test_the_page_on_training_loops_runs_from_top_to_bottom():
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    exec(compile(code, "training_loop.md", "exec"), {})


def typed(line):
    return shlex.split(line.split("train.py", 1)[1], comments=True)


@pytest.mark.parametrize("line", SEARCH)
def test_its_searches_compose(line):
    words = [word for word in typed(line) if word != "-m" and not word.startswith("hydra")]
    found = space(OverridesParser.create().parse_overrides(words))
    ends = {k: getattr(d, "high", None) or d.choices[-1] for k, d in found.distributions.items()}
    for overrides in found.runs(ends):
        assert [*grid(ROOT / "configs", overrides)]


@pytest.mark.parametrize("line", [line for line in TRAIN if line not in SEARCH])
def test_its_command_lines_compose(line):
    words = typed(line)
    # The first run stands for the sweep: composing all of a table's 1,000 takes half a minute.
    _, config = next(grid(ROOT / "configs", [w for w in words if w != "-m"]))
    assert config


def test_its_make_targets_exist():
    named = set(re.findall(r"^make ([a-z-]+)", "\n".join(SHELL), re.MULTILINE))
    named |= set(re.findall(r"`make ([a-z-]+)", TEXT))
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert named <= set(re.findall(r"^  make ([a-z-]+)", listed.stdout, re.MULTILINE))


def test_its_links_lead_somewhere():
    lost = []
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        if not link.startswith("https://") and not (ROOT / link).exists():
            lost.append(link)
    unmade = {link for link in lost if _is_not_made_yet(link)}
    assert set(lost) == unmade
    if unmade:
        pytest.skip(f"`make smoke` has not been run: there is no {', '.join(sorted(unmade))}")


def _is_not_made_yet(link):
    """Whether it is a result of an experiment of which no result is here."""
    what, _, name = Path(link).parent.as_posix().partition("/")
    known = (ROOT / "configs" / "experiment" / f"{name}.yaml").exists()
    return what == "results" and known and not (ROOT / what / name).exists()


def test_its_figures_are_drawn_by_the_report():
    """The comment above a picture names the folder whose records it is drawn from."""
    figures = re.findall(r"<!-- figure: (\S+) -->\n!\[[^]]+\]\((\S+)/(\w+)\.png\)", TEXT)
    assert len(figures) == TEXT.count("<!-- figure") == TEXT.count("![")
    for folder, path, kind in figures:
        assert path == folder
        assert kind in report_of(Path(folder).name).figures
