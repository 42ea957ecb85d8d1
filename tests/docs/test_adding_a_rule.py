"""docs/adding_a_rule.md, followed word for word in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from gofau.report.types import Frame
from tests.command_line import ROOT

PAGE = (ROOT / "docs" / "adding_a_rule.md").read_text(encoding="utf-8")
STEP = re.compile(r"<!-- (append|write|run) ?(\S*) -->\n```\w+\n(.*?)```", re.DOTALL)


def test_every_block_of_the_page_is_followed():
    assert len(STEP.findall(PAGE)) == PAGE.count("```") / 2


@pytest.mark.slow
def test_the_page_word_for_word(tmp_path):
    for name in ("gofau", "configs", "tests", "scripts"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skip)
    for name in ("train.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    for what, path, text in STEP.findall(PAGE):
        if what == "run":
            for line in text.splitlines():
                run(line, tmp_path)
        else:
            file = tmp_path / path
            assert file.exists() == (what == "append")
            file.parent.mkdir(exist_ok=True)
            with open(file, "a", encoding="utf-8") as f:
                f.write(text)
    said = (tmp_path / "configs" / "rule" / "softsign.yaml").read_text(encoding="utf-8")
    values = {"name": "softsign", "eta_out": None, "kappa": 1.0, "zero_init": "additive"}
    assert yaml.safe_load(said) == values
    row = r"| `kappa` | κ | `1.0` | the \|d\| of half the largest step | `softsign` |"
    assert row in (tmp_path / "README.md").read_text(encoding="utf-8")
    results = tmp_path / "results" / "softsign"
    made = {path.name for path in results.iterdir()}
    assert {"accuracy.md", "comparison.md", "curves.png", "runs.csv"} <= made
    runs: Frame = pd.read_csv(results / "runs.csv")
    assert runs["state"].eq("done").all()
    counts = runs.groupby(["optimizer.name", "rule.name"]).size()
    assert counts[("adam", "softsign")] == 5
    learnt = runs.loc[runs["rule.name"] == "softsign", "test/acc"]
    assert (learnt > 0.5).all(), "ten classes: chance is 0.1"
    heading = (results / "accuracy.md").read_text(encoding="utf-8").splitlines()[2]
    assert heading == "| optimizer | additive | multiplicative | softsign |"


def run(line: str, folder: Path) -> None:
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
