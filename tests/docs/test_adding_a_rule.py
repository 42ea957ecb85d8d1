"""docs/adding_a_rule.md, followed word for word in a copy of the project."""

import pandas as pd
import pytest
import yaml

from gofau.report.types import Frame
from tests.docs.guides import Guide

GUIDE = Guide("adding_a_rule.md")


def test_every_block_of_the_page_is_followed():
    GUIDE.check()


def test_a_rule_touches_three_places():
    """The function, its test, and the words of configs/ and docs/library.md, which a script
    writes. What else the page writes is an experiment with the rule, and a value chosen for one
    optimizer."""
    experiment = ("configs/experiment/", "configs/tuned/", "experiments/")
    written = [path for path in GUIDE.places if not path.startswith(experiment)]
    assert written == ["gofau/optim/rules.py", "tests/optim/test_softsign.py"]


@pytest.mark.long
def test_the_page_word_for_word(tmp_path):
    GUIDE.follow(tmp_path)
    said = (tmp_path / "configs" / "rule" / "softsign.yaml").read_text(encoding="utf-8")
    values = {"name": "softsign", "eta_out": None, "kappa": 1.0, "zero_init": "additive"}
    assert yaml.safe_load(said) == values
    row = r"| `kappa` | κ | `1.0` | the \|d\| of half the largest step | `softsign` |"
    assert row in (tmp_path / "docs" / "library.md").read_text(encoding="utf-8")
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
