"""The finding in README: counts of the records, and the verdicts of the page of claims."""

import pandas as pd
import pytest

from gofau.report.claims import claims
from gofau.report.finding import finding
from tests.report.records import runs, with_metric, write


def hybrid_is_better(what):
    if what["optimizer"] == "nero" and what["seed"] == 4:
        return None
    return 0.8 + 0.1 * (what["rule"] == "hybrid") + 0.001 * what["seed"]


def problem(name, accuracy):
    """Its runs: two rules with two optimizers, and a rival."""
    some = [
        runs(accuracy, model=(name,)),
        runs(accuracy, model=(name,), optimizer=("nero",), rule=("own",)),
    ]
    return pd.concat(some, ignore_index=True)


def tables(text):
    """The tables of a page, each as rows of cells."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    return [[row.strip("| ").split(" | ") for row in block] for block in blocks]


@pytest.fixture
def found(tmp_path):
    """Two problems with accuracies, of which one run diverged, and one with an error."""
    error = problem("net", lambda w: 0.9 - 0.01 * (w["rule"] == "hybrid") + 0.0001 * w["seed"])
    error = with_metric(error, "mse", lambda acc: 1 - acc)
    error = error.assign(**{"dataset.name": "faces", "metric.title": "squared error"})
    error["identity"] += "-faces"
    parts = [
        problem("mlp", hybrid_is_better),
        problem("cnn", lambda w: 0.8 + 0.001 * w["seed"]),
        error,
    ]
    write(tmp_path / "problems", pd.concat(parts, ignore_index=True))
    return finding(tmp_path, planned=7), claims(tmp_path, smoke=False)


def test_it_counts_problems_runs_and_what_diverged(found):
    text, _ = found
    assert " ".join(text.split()).startswith(
        "Recorded so far: 3 of 7 problems (mlp on digits, cnn on digits, net on faces), 75 runs"
        " with 5 fresh seeds per optimizer and rule. 1 of the runs diverged."
    )


def test_effect_interval_and_verdict_are_those_of_the_claims(found):
    """A column per metric: a fraction in points, another metric in its unit."""
    text, table = found
    heads, _, hybrid = tables(text)[0]
    assert heads[1:] == [
        "test accuracy, in points (2 problems)",
        "test squared error (1 problem)",
    ]
    asked = [[c.text for c in row.cells] for row in table.rows if row.cells[10].text == "problems"]
    assert len(asked) == 2
    for cell, (_, rule, verdict, effect, interval, *_) in zip(hybrid[1:], asked, strict=True):
        assert rule == "hybrid"
        assert cell == f"{effect} ({interval}): **{verdict}**"
    # Better by 10 points on one of two problems; the error is larger.
    assert [row[2:4] for row in asked] == [["supported", "+5.00"], ["not supported", "−0.0100"]]


def test_each_problem_has_a_row_of_its_own(found):
    """Without the rivals, which have no additive rule to be compared with."""
    heads, _, *rows = tables(found[0])[1]
    assert heads == ["problem", "hybrid"]
    assert [row[0] for row in rows] == [
        "mlp on digits", "cnn on digits", "net on faces, squared error",
    ]  # fmt: skip
    assert [row[1].split(" (")[0] for row in rows] == ["+10.00", "+0.00", "−0.0100"]
    assert rows[0][1] == "+10.00 (+10.00 … +10.00)"


def test_a_single_problem_needs_no_second_table(tmp_path):
    write(tmp_path / "problems", problem("mlp", hybrid_is_better))
    assert len(tables(finding(tmp_path, planned=1))) == 1


def test_what_is_incomplete_has_no_interval(tmp_path):
    write(tmp_path / "problems", runs(lambda w: float("nan") if w["seed"] == 1 else 0.5))
    text = finding(tmp_path, planned=1)
    assert "| hybrid | +0.00: **undecided: 2 of 10 pairs are missing** |" in text
    assert "16 runs with 4 fresh seeds" in " ".join(text.split())


def test_the_confirmation_stands_below_the_problems(tmp_path):
    for name in ("problems", "problems_full"):
        some = [problem("mlp", hybrid_is_better), problem("cnn", lambda w: 0.8 + 0.001 * w["seed"])]
        write(tmp_path / name, pd.concat(some[: 2 - (name == "problems_full")], ignore_index=True))
    text = finding(tmp_path, planned=7)
    assert tables(text)[1][-1] == [
        "mlp on digits, trained longer", "+10.00 (+10.00 … +10.00)",
    ]  # fmt: skip
    assert "*Trained longer* is the confirmation" in text
    assert "Shakespeare" not in text
    write(tmp_path / "problems_longer", problem("mlp", hybrid_is_better))
    text = finding(tmp_path, planned=7)
    assert [row[0] for row in tables(text)[1][-2:]] == ["mlp on digits, trained longer"] * 2
    assert "Shakespeare" in text
