"""The committed tables and verdicts against a second, short implementation (see `second`)."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gofau.report.claims import claims
from gofau.report.experiments import folders, report_of
from gofau.report.make import tables
from gofau.report.types import Frame
from tests.command_line import ROOT
from tests.report import second
from tests.report.records import runs, with_metric, write

RESULTS = ROOT / "results"
REPORTED = [
    f
    for f in folders(RESULTS)
    if "accuracy" in report_of(f.name).tables
    # Tables of accuracies; records.py has tables where lower is better.
    and "test/acc" in (f / "runs.csv").read_text(encoding="utf-8").partition("\n")[0]
]


def test_cells_of_the_committed_tables():
    """Mean, standard deviation and interval of every cell, several in each table."""
    for folder in REPORTED:
        records = second.load(folder)
        shown: Frame = pd.read_csv(folder / "accuracy.csv")
        shown = shown[shown["metric"] == "acc"]
        shown = shown[shown["n"] + shown["missing"] > 0]  # a rival has one rule, not all columns
        cells = {
            key: part["test"].to_numpy()
            for key, part in records.groupby(
                [c for c in second.GRID if c in records] + ["rule.name"], sort=False
            )
        }
        whole = [x for x in cells.values() if np.isfinite(x).all()]
        assert len(shown) == len(cells) >= 2
        for x in whole:
            row = shown[np.isclose(shown["mean"], x.mean(), rtol=1e-5)]
            assert len(row)
            if len(x) > 1:
                assert np.isclose(row["sd"], x.std(ddof=1), rtol=1e-4, atol=1e-7).any()
            if len(x) >= 5:
                low = high = x.mean()
                if np.ptp(x):  # scipy has no interval for a spread of 0
                    low, high = stats.t.interval(0.95, len(x) - 1, x.mean(), stats.sem(x))
                close = np.isclose(row["low"], low, rtol=1e-4, atol=1e-6)
                assert (close & np.isclose(row["high"], high, rtol=1e-4, atol=1e-6)).any()


def test_every_row_and_verdict_of_the_committed_comparisons():
    asked = 0
    for folder in REPORTED:
        if not (folder / "comparison.csv").exists():
            continue
        shown: Frame = pd.read_csv(folder / "comparison.csv")
        records = {metric: second.load(folder, metric) for metric in shown["metric"].unique()}
        effects, margins = [], []
        for row in shown.itertuples():
            axis, _, value = row.over.partition(" ")
            part = records[row.metric]
            if axis not in ("all", "metric"):
                part = part[part[f"{axis}.name"] == value]
            effects.append(second.result(part, row.rule))
            margins.append(second.margin(part, row.metric))
        if any(np.isnan(d).any() for d in effects):
            continue
        found = second.judge(effects, margins)
        for row, (mean, low, high, word) in zip(shown.itertuples(), found, strict=True):
            assert (row.mean, row.low_holm, row.high_holm) == pytest.approx(
                (mean, low, high), rel=1e-3, abs=1e-6
            )
            assert row.verdict == word
            asked += 1
    assert asked >= 10


def the_same(results, prefix, made=None):
    """Compares the page of claims with the second implementation; the number of verdicts. ``made``:
    the page's table, if it is there."""
    ours: Frame = (made or claims(results, smoke=bool(prefix))).data
    theirs = second.verdicts(results, prefix)
    judged = ours[
        ours["verdict"].isin(["supported", "not supported", "no difference", "undecided"])
    ]
    judged = judged[judged["low_holm"].notna()]
    for row in judged.itertuples():
        mean, low, high, word = theirs[row.experiment, row.rule, row.metric]
        assert (row.mean, row.low_holm, row.high_holm) == pytest.approx((mean, low, high))
        if not isinstance(row.bound, str) or not row.bound:
            assert row.verdict == word
    return len(judged)


def test_every_verdict_of_the_committed_page():
    text = (RESULTS / "claims.md").read_text(encoding="utf-8")
    asked = 0
    for smoke in (False, True):
        table = claims(RESULTS, smoke)
        for row in table.rows:
            assert (
                "| "
                + " | ".join(row.cells[i].text for i in (0, 1))
                + f" | **{row.cells[2].text}** |"
                in text
            )
        asked += the_same(RESULTS, "smoke_" * smoke, table)
    assert asked >= 1


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """Records of all experiments of the claims, with noise and different effects, two runs of which
    diverged."""
    folder = tmp_path_factory.mktemp("results")
    rng = np.random.default_rng(11)

    def accuracy(w):
        rule = w["rule"]
        gain = {"additive": 0.0, "hybrid": 0.01, "power": -0.05}[rule]
        flat = {"additive": 0.1, "hybrid": 0.03, "power": 0.1}[rule]
        loss = flat * abs(math.log10(w["lr"] / 0.01)) + 0.1 * (w["scale"] == 5.0) * (flat + 0.5)
        late = 0.5 * (w["epochs"] * {"additive": 1, "hybrid": 1.5, "power": 1}[rule]) ** -0.5
        if rule == "power" and w["seed"] == 1 and w["lr"] == 1.0:
            return None
        return float(0.9 + gain - loss - late + 0.002 * w["seed"] + rng.normal(0, 0.01))

    rules = {"rule": ("additive", "hybrid", "power"), "lr": (0.01,)}
    lrs = (0.0001, 0.001, 0.01, 0.1, 1.0)
    write(folder / "tab6_acceleration", runs(accuracy, **rules, epochs=(2, 4, 8, 16)))
    write(folder / "tab2_cifar10_init", runs(accuracy, **rules, init=("a", "b"), scale=(1.0, 5.0)))
    write(folder / "tab3_cifar10_lr", runs(accuracy, **(rules | {"lr": lrs}), init=("a", "b")))
    write(folder / "reduced_tab4_cifar100", runs(accuracy, **rules, model=("mlp", "cnn")))
    write(folder / "is_it_just_lr", runs(accuracy, **(rules | {"lr": lrs})))
    wide = rules | {"lr": (0.01, 1.0)}  # one run of the power rule diverges
    error = with_metric(runs(accuracy, **wide), "mse", lambda acc: 0.1 + 0.05 * (1 - acc))
    error = error.assign(**{"dataset.name": "faces"})
    error["identity"] += "-faces"
    both = [runs(accuracy, **rules), error]
    write(folder / "problems", pd.concat(both, ignore_index=True))
    return folder


def test_every_kind_of_verdict_of_records_made_up(made_up):
    assert the_same(made_up, "") == 14
    words = set(claims(made_up, smoke=False).data["verdict"])
    assert {"supported", "not supported", "undecided"} <= words
    tables(made_up, [])
    shown: Frame = pd.read_csv(made_up / "tab3_cifar10_lr" / "robustness.csv")
    assert (shown["rule"] == "hybrid").sum() == 2
