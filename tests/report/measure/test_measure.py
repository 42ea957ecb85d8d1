"""What is drawn of measured trainings, against records made up with known numbers."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from gofau.report.measure import __main__ as report
from gofau.report.measure import descent, weights
from gofau.report.measure.common import conditions, moment, spread
from gofau.report.measure.descent import compared, load, reach
from gofau.report.measure.weights import reference
from gofau.report.render import save_table
from gofau.report.types import Frame
from gofau.runs.rows import write_rows
from tests.command_line import ROOT
from tests.toy_command_line import outcome

RESULTS = ROOT / "results"
SIZES = [1e-3, 1e-2, 0.1, 1.0]
SEEDS = range(5)
TABLE = {f"table.{kind}" for kind in ("csv", "md", "tex")}


def trainings(folder, rules):
    facts = {"dataset": "digits", "model": "small_cnn", "epochs": 2, "steps": 42}
    facts |= {"diverged": False, "provenance.cpu": "CPU", "provenance.commit": "0123456789ab"}
    keys = [{"optimizer": "adam", "rule": rule, "seed": seed} for rule in rules for seed in SEEDS]
    write_rows(folder / "trainings.csv", [key | facts for key in keys])
    return keys


def write_steps(folder, bend):
    """Records in which the measured decrease is predicted·(1 − size/(2·bend)), so that the
    prediction holds exactly to size = bend[direction], times a factor of the seed."""
    rows = []
    for key in trainings(folder, ("additive", "multiplicative")):
        for epoch in (0, 2):
            for loss in ("batch", "training set"):
                for scaling in ("network", "layer"):
                    for direction, limit in bend.items():
                        end = limit * 1.1 ** key["seed"]
                        for size in sorted({*SIZES, end}):
                            about = {"epoch": epoch, "loss": loss, "value": 2.0}
                            about |= {"direction": direction, "scaling": scaling, "size": size}
                            about |= {"cosine": 0.5, "predicted": size}
                            found = size * (1 - size / (2 * end))
                            rows.append(key | about | {"measured": found})
    write_rows(folder / "steps.csv.gz", rows, digits=8)


def write_weights(folder):
    make = np.random.default_rng(0)
    moments, histogram = [], []
    edges = np.linspace(-6, 2, 65)
    for key in trainings(folder, ("additive", "multiplicative")):
        for epoch in (0, 2):
            skew = -2.0 + epoch * (key["rule"] == "multiplicative") + 0.01 * key["seed"]
            values = {"n": 100, "zeros": 0.0, "near_zero": 1e-3, "mean": -0.5, "sd": 1.0}
            moments += [
                key | {"epoch": epoch, "layer": layer} | values | {"skew": skew, "kurtosis": 6.0}
                for layer in ("all", "0.weight")
            ]
            x = np.log10(np.abs(make.normal(size=1000)))
            share = np.histogram(x, edges)[0] / 1000
            bins = zip(edges, edges[1:], share, strict=False)
            histogram += [
                key | {"epoch": epoch, "low": low, "high": high, "share": s}
                for low, high, s in bins
            ]
    write_rows(folder / "moments.csv", moments)
    write_rows(folder / "histogram.csv.gz", histogram)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([1.0, 0.9, 0.8, 0.6], 1.0),  # never leaves
        ([1.0, 0.5, 0.4, 0.3], 1e-2),  # at the edge, and out
        ([1.0, 1.0, 0.0, 0.9], 10**-1.5),  # half way in log(size); what comes later does not count
        ([1.0, 1.0, 2.0, 2.0], 10**-1.5),  # more than was predicted is as wrong
        ([0.4, 1.0, 1.0, 1.0], 1e-3),  # not even at the smallest
        ([1.0, 1.0, -math.inf, 1.0], 1e-2),
        ([1.0, 1.0, math.nan, 1.0], 1e-2),
        ([math.nan, 1.0, 1.0, 1.0], 1e-3),
    ],
)
def test_a_prediction_holds_up_to_the_first_size_that_is_off(ratios, expected):
    assert reach(SIZES, ratios) == pytest.approx(expected)


def test_directions_are_compared_at_the_same_weights(tmp_path):
    write_steps(tmp_path, {"additive": 0.02, "multiplicative": 0.03})
    found = compared(load(tmp_path))
    # Two losses and two scalings, at the start once, and at the end of the trainings with 2 rules.
    assert len(found) == 4 * (1 + 2)
    for row in found.to_dict("records"):
        assert row["n"] == 5
        assert row["additive"] == pytest.approx(0.02 * 1.1**2, rel=1e-5)  # geometric mean of seeds
        assert row["multiplicative"] == pytest.approx(0.03 * 1.1**2, rel=1e-5)
        # The seeds differ, but by the same factor in both directions: paired, nothing is left.
        for name in ("ratio", "low", "high"):
            assert row[name] == pytest.approx(1.5, rel=1e-5)
        # Of s·(1 − s/2e)/2 at the sizes measured, with e as in `write_steps`.
        sizes = [[*SIZES, 0.02 * 1.1**seed] for seed in SEEDS]
        best = [max(s * (1 - s / (2 * ends[-1])) / 2 for s in ends) for ends in sizes]
        assert row["best_additive"] == pytest.approx(best, rel=1e-5)
    shown = descent.table(found, "Data.")
    assert shown.rows[0].cells[7].text == "1.50 [1.50, 1.50]"
    assert all(row.cells[7].bold for row in shown.rows)
    assert [row.cells[1].text for row in shown.rows[::4]] == ["any", "additive", "multiplicative"]


def test_without_a_difference_nothing_is_bold(tmp_path):
    write_steps(tmp_path, {"additive": 0.02, "multiplicative": 0.02})
    assert not any(row.cells[7].bold for row in descent.table(compared(load(tmp_path)), "").rows)


@pytest.mark.parametrize(
    ("make", "figures", "times"),
    [
        (partial(write_steps, bend={"additive": 0.02, "multiplicative": 0.03}),
         ["holds_to", "ratio_layer", "ratio_network"], 1),  # slow to draw
        (write_weights, ["distribution"], 2),
    ],
)  # fmt: skip
def test_what_is_drawn_is_the_same_bytes_each_time(
    tmp_path, monkeypatch, capsys, make, figures, times
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results/some"
    folder.mkdir(parents=True)
    make(folder)
    drawn = []
    for _ in range(times):
        code, out, err = outcome(partial(report.main, []), capsys)
        assert (code, err) == (0, "")
        drawn.append({p.name: p.read_bytes() for p in map(tmp_path.joinpath, out.split())})
    assert drawn[0] == drawn[-1]
    assert set(drawn[0]) == TABLE | {
        f"{f}.{kind}" for f in figures for kind in ("svg", "png", "pdf")
    }
    assert "digits, small_cnn, 2 epochs (42 steps), 5 seeds" in drawn[0]["table.md"].decode()


def test_the_shape_of_a_rule_stands_beside_that_of_the_additive_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_weights(tmp_path / "results/w")
    outcome(partial(report.main, ["w"]), capsys)
    page = (tmp_path / "results/w/table.md").read_text(encoding="utf-8")
    start, additive, multiplicative = page.splitlines()[-5:-2]
    assert start.startswith("| any | any | start | 1.000 ± 0.000 | −1.98 ± 0.02 |")
    assert additive.startswith("| Adam | additive | end, after 2 epochs | 1.000 ± 0.000 | −1.98")
    assert multiplicative.endswith("| 0.02 ± 0.02 | 6.00 ± 0.00 | 0.100 ± 0.000 | +2.00 ± 0.00 |")


def test_the_reference_is_that_of_large_samples():
    draws = np.random.default_rng(0).standard_normal(1_000_000)
    x = np.log(np.abs(draws))
    z = (x - x.mean()) / x.std()
    known = reference("normal")
    assert known["sd"] == pytest.approx(x.std(), rel=0.005)
    assert known["skew"] == pytest.approx((z**3).mean(), rel=0.02)
    assert known["kurtosis"] == pytest.approx((z**4).mean() - 3, rel=0.05)
    assert known["near_zero"] == pytest.approx((np.abs(draws) < 1e-3).mean(), rel=0.1)


def test_words_and_numbers():
    assert moment(4, 8) == "after 4 epochs"
    assert spread([-1.0, -1.0, -1.0, -1.0, -1.0], "+.1f") == "−1.0 ± 0.0"
    assert spread([1.0, 2.0], ".1f") == "1.5"  # too few for an interval


def test_figures_of_what_was_not_measured_end_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    code, _, err = outcome(partial(report.main, ["descent"]), capsys)
    assert code == 2
    assert err.startswith(
        "error: results/descent holds no trainings.csv: run python -m gofau.measure"
    )


@pytest.mark.parametrize("name", ["descent", "weight_distribution"])
def test_committed_tables_are_those_of_the_committed_records(name, tmp_path):
    """From the csv files alone; figures are left out, since their bytes depend on the fonts."""
    folder = RESULTS / name
    records: Frame = pd.read_csv(folder / "trainings.csv")
    assert not records["provenance.dirty"].any()
    assert records["seed"].nunique() >= 5
    command = f"python -m gofau.measure experiment={name}"
    assert set(records["provenance.command"]) == {command}
    if name == "descent":
        made = descent.table(compared(load(folder)), conditions(folder))
    else:
        made = weights.table(pd.read_csv(folder / "moments.csv"), conditions(folder))
    save_table(made, tmp_path)
    for kind in TABLE:
        assert (tmp_path / kind).read_bytes() == (folder / kind).read_bytes()
