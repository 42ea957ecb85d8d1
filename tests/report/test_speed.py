"""Epochs to a target that the additive rule sets."""

import math

import numpy as np
import pandas as pd
import pytest
from gofau.report.speed import SHARE, log_speedups, reaches

from gofau.report.acceleration import acceleration, speedups
from gofau.report.cells import prepare
from gofau.report.frames import save
from tests.report.records import runs, write

RULES = ("additive", "hybrid", "exponential")
# Epochs at which each rule and seed first sees 0.9; None: never.
REACH = {("additive", 0): 4, ("additive", 1): 8, ("hybrid", 0): 2, ("hybrid", 1): 2}
REACH |= {("exponential", 0): None, ("exponential", 1): 4}


@pytest.fixture
def folder(tmp_path):
    frame = runs(lambda w: 0.9, optimizer=("sgd",), rule=RULES, seed=(0, 1))
    rows = []
    for record in frame.to_dict("records"):
        at = REACH[record["rule.name"], record["seed"]]
        for epoch in range(1, 9):
            accuracy = 0.9 if at is not None and epoch >= at else 0.3
            row = {"identity": record["identity"], "epoch": epoch, "seconds": 2.0 * epoch}
            rows.append(row | {"val/acc": accuracy, "train/loss": 1.0})
    save(frame, pd.DataFrame(rows), tmp_path)
    return tmp_path


def test_epochs_seconds_and_censoring(folder):
    frame = reaches(prepare(pd.read_csv(folder / "runs.csv")), folder)
    found = {(r.rule, r.seed): (r.epochs, r.seconds, r.censored) for r in frame.itertuples()}
    assert found["additive", 1] == (8, 16, False)
    assert found["hybrid", 0] == (2, 4, False)
    assert found["exponential", 0] == (8, 16, True)
    assert set(frame["target"]) == {SHARE * 0.9}


def test_the_target_is_set_by_the_additive_runs_that_did_not_diverge(tmp_path):
    def outcome(w):
        if w["rule"] == "hybrid":
            return 0.99
        return None if w["seed"] == 0 else 0.5 + 0.1 * w["seed"]

    frame = prepare(runs(outcome))
    found = reaches(frame, write(tmp_path, frame))
    assert np.allclose(found["target"], SHARE * 0.65)
    assert found[found["state"] == "diverged"]["censored"].all()


def test_speed_ups_by_hand(folder):
    runs_ = prepare(pd.read_csv(folder / "runs.csv"))
    logs = log_speedups(reaches(runs_, folder), "hybrid")
    assert np.allclose(np.exp(logs), [[2, 4]])
    row = speedups(runs_, folder).set_index("rule").loc["hybrid"]
    assert row["speedup/epochs"] == pytest.approx(math.sqrt(8))
    # Student's t of two logarithms: half = 12.7062 · (log 4 − log 2) / 2.
    assert math.log(row["high/epochs"] / row["low/epochs"]) == pytest.approx(12.7062 * math.log(2))
    assert (row["n"], row["censored"], row["bound"]) == (2, 0, "")


def test_a_censored_rule_is_marked(folder):
    table = acceleration(prepare(pd.read_csv(folder / "runs.csv")), folder)
    text = {row.tags["rule"]: [cell.text for cell in row.cells] for row in table.rows}
    assert text["exponential"][4].startswith("≤1.00")
    assert text["exponential"][-1] == "2, 1"
    assert text["additive"][4] == "1"


def test_where_both_are_censored_nothing_is_known(folder):
    frame = reaches(prepare(pd.read_csv(folder / "runs.csv")), folder)
    frame["censored"] = True
    assert log_speedups(frame, "hybrid").isna().to_numpy().all()


def test_without_additive_runs_or_curves_there_is_no_target(tmp_path):
    frame = prepare(runs(lambda w: 0.9, rule=("hybrid",)))
    table = acceleration(frame, write(tmp_path, frame))
    assert {cell.text for row in table.rows for cell in row.cells} >= {"hybrid", "–"}
    (tmp_path / "curves.csv.gz").unlink()
    assert "missing" in {c.text for row in acceleration(frame, tmp_path).rows for c in row.cells}
