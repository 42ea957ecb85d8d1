"""docs/adding_an_experiment.md, followed word for word in a copy of the project."""

import pandas as pd
import pytest

from gofau.report.types import Frame
from tests.docs.guides import Guide

GUIDE = Guide("adding_an_experiment.md")


def test_every_block_of_the_page_is_followed():
    GUIDE.check()


def test_an_experiment_touches_two_places():
    assert GUIDE.places == [
        "experiments/hybrid_momentum/README.md",
        "configs/experiment/hybrid_momentum.yaml",
    ]


@pytest.mark.long
def test_the_page_word_for_word(tmp_path):
    GUIDE.follow(tmp_path)
    results = tmp_path / "results" / "hybrid_momentum"
    made = {path.name for path in results.iterdir()}
    assert {"accuracy.md", "comparison.md", "runs.csv", "curves.csv.gz"} <= made
    runs: Frame = pd.read_csv(results / "runs.csv")
    assert runs["state"].eq("done").all()
    sizes = runs.groupby(["optimizer.momentum", "rule.name"]).size()
    assert sizes.to_dict() == {(m, r): 5 for m in (0.0, 0.9) for r in ("additive", "hybrid")}
