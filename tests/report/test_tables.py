"""Tables of made-up records, against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from gofau.report.cells import prepare
from gofau.report.control import budget, control, retuned
from gofau.report.render import Cell, Table, TableRow, latex, markdown, save_table
from gofau.report.tables import accuracy, comparison
from tests.report.records import runs, with_metric

POINTS = {"additive": 0.80, "hybrid": 0.85}


def texts(table):
    return [[cell.text for cell in row.cells] for row in table.rows]


def test_accuracy_shows_n_the_diverged_and_the_missing():
    def outcome(w):
        if w["optimizer"] == "adam":
            return None if w["rule"] == "hybrid" else math.nan
        return None if w["rule"] == "additive" and w["seed"] == 0 else POINTS[w["rule"]]

    table = accuracy(prepare(runs(outcome)))
    assert table.columns == ("optimizer", "additive", "hybrid")
    # (0.1 + 4 · 0.8) / 5; sd √(0.56² + 4 · 0.14²)/2 = 0.3130; half = 2.7764 · sd / √5.
    assert texts(table) == [
        ["sgd", "66.00 ± 38.87 (31.30; 5, 1✕)", "85.00 ± 0.00 (0.00; 5)"],
        ["adam", "missing", "diverged (5, 5✕)"],
    ]
    assert [[cell.bold for cell in row.cells] for row in table.rows] == [
        [False, False, True],
        [False, False, False],
    ]
    assert table.data[["n", "diverged", "missing"]].sum().tolist() == [15, 6, 5]


def test_a_new_rule_and_a_new_optimizer_appear_by_themselves():
    table = accuracy(prepare(runs(lambda w: 0.5, rule=("additive", "mine"), optimizer=("lion",))))
    assert table.columns == ("optimizer", "additive", "mine")
    assert texts(table)[0][0] == "lion"


def test_equal_bests_are_both_bold():
    (row,) = accuracy(prepare(runs(lambda w: 0.5, optimizer=("sgd",)))).rows
    assert [cell.bold for cell in row.cells] == [False, True, True]


def test_comparison_is_paired_and_corrected():
    def outcome(w):
        noise = [0.0, 0.03, -0.03, 0.01, 0.02][w["seed"]]
        gain = {"additive": 0.0, "hybrid": 0.02 + noise / 10, "exponential": -0.1}[w["rule"]]
        return 0.7 + noise + gain

    table = comparison(prepare(runs(outcome, rule=("additive", "hybrid", "exponential"))))
    first = table.data.iloc[0]
    assert (first["over"], first["rule"]) == ("all", "hybrid")
    differences = np.array([0.02, 0.023, 0.017, 0.021, 0.022])
    # t(0.975, 4) = 2.7764.
    half = 2.7764 * differences.std(ddof=1) / math.sqrt(5)
    ends = [differences.mean(), differences.mean() - half, differences.mean() + half]
    assert first[["mean", "low", "high"]].tolist() == pytest.approx(ends, rel=1e-4)
    assert first["low_holm"] < first["low"], "six rows are asked"
    assert len(table.rows) == 2 + 2 * 2
    assert [row.cells[5].text for row in table.rows] == ["better", "worse"] * 3
    assert table.columns[2] == "better by"


def test_rivals_with_one_rule_are_no_missing_pairs():
    """They are rows of results, but no rule of theirs is compared with anything."""
    bases = runs(lambda w: 0.9 + 0.01 * (w["rule"] == "hybrid") + w["seed"] / 1000)
    rivals = [
        runs(lambda w: 0.5, optimizer=(name,), rule=(rule,))
        for name, rule in (("nero", "own"), ("signsgd", "additive"))
    ]
    both = pd.concat([bases, *rivals], ignore_index=True)
    alone, made = (comparison(prepare(frame)) for frame in (bases, both))
    assert [row.cells for row in made.rows] == [row.cells for row in alone.rows]
    assert list(made.data["rule"]) == ["hybrid"] * 3
    assert (made.data["pairs"] == made.data["expected"]).all()
    table = accuracy(prepare(both))
    assert table.columns == ("optimizer", "additive", "hybrid", "own")
    assert [row.cells[0].text for row in table.rows] == ["sgd", "adam", "nero", "signsgd"]


def test_tables_of_a_metric_where_lower_is_better():
    def outcome(w):
        return None if w["rule"] == "power" else {"additive": 0.6, "hybrid": 0.7}[w["rule"]]

    made = runs(outcome, optimizer=("sgd",), rule=("additive", "hybrid", "power"))
    frame = prepare(with_metric(made, "mse", lambda acc: 1 - acc + 0.001 * made["seed"]))
    table = accuracy(frame)
    assert table.title == "Test mse"
    assert "lower is better" in table.note
    assert texts(table)[0][1].startswith("0.4020 ± 0.0020 (0.0016; 5)")
    assert [cell.bold for cell in table.rows[0].cells] == [False, False, True, False]
    assert texts(table)[0][3] == "diverged (5, 5✕)"
    rows = comparison(frame)
    assert texts(rows)[0][2] == "+0.1000", "better by so much, and lower"
    assert texts(rows)[0][5] == "better"
    # Power has no finished run: it counts as the worst finished one, 0.404 of additive, which is a
    # bound, and so no reason to call them alike.
    assert texts(rows)[1][2] == "≤−0.0020"
    assert texts(rows)[1][5].startswith("undecided")
    assert "in points" not in rows.note
    assert texts(rows)[0][4] == "–", "no images are counted"


def test_several_metrics_are_not_averaged():
    made = runs(lambda w: 0.6 + 0.1 * (w["rule"] == "hybrid"), optimizer=("sgd",))
    lower = with_metric(made, "mse", lambda acc: 1 - acc).assign(**{"dataset.name": "other"})
    frame = prepare(pd.concat([made, lower], ignore_index=True))
    table = accuracy(frame)
    assert table.title == "Test result"
    assert sorted(row[2:] for row in texts(table)) == sorted(
        [["60.00 ± 0.00 (0.00; 5)", "70.00 ± 0.00 (0.00; 5)"],
         ["0.4000 ± 0.0000 (0.0000; 5)", "0.3000 ± 0.0000 (0.0000; 5)"]]
    )  # fmt: skip
    rows = comparison(frame)
    assert {row[0]: row[2] for row in texts(rows)} == {
        "metric acc": "+10.00",
        "metric mse": "+0.1000",
    }
    assert "accuracies in points" in rows.note


def tuned(w):
    """Additive is best at 0.2 and hybrid at 0.4, where it is a point better."""
    best = {"additive": 0.2, "hybrid": 0.4}[w["rule"]]
    top = {"additive": 0.90, "hybrid": 0.91}[w["rule"]]
    return top - 0.1 * abs(math.log2(w["lr"] / best)) + 0.001 * w["seed"]


def test_the_control_tunes_both_rules_over_the_same_rates():
    frame = prepare(runs(tuned, lr=(0.1, 0.2, 0.4, 0.8), optimizer=("sgd",)))
    found = retuned(frame, "hybrid")
    assert (found["theirs"].lr, found["ours"].lr, found["tried"]) == (0.2, 0.4, 4)
    assert not found["ours"].at_edge
    assert found["tuned"].mean == pytest.approx(0.01)
    assert found["matched"].pairs == 0, "nobody measured the size of the steps"
    assert "not just the learning rate" in control(frame).note


def test_steps_are_matched_by_their_measured_size():
    frame = runs(tuned, lr=(0.1, 0.2, 0.4, 0.8), optimizer=("sgd",))
    # Hybrid's steps are half as long as additive's at the same rate, so its curve is that of
    # additive plus 0.01; its shortest are shorter than any of additive's.
    half = np.where(frame["rule.name"] == "hybrid", 0.5, 1.0)
    found = retuned(prepare(frame.assign(update_rms=0.01 * frame["optimizer.lr"] * half)), "hybrid")
    assert found["matched"].mean == pytest.approx(0.01)
    assert (found["matched"].pairs, found["asked"]) == (5 * 3, 5 * 4)
    # And between two of additive's sizes its accuracy is read in between.
    sizes = frame["optimizer.lr"] * np.where(half == 1, 1, math.sqrt(0.5))
    found = retuned(prepare(frame.assign(update_rms=sizes)), "hybrid")
    assert found["matched"].mean == pytest.approx(np.mean([-0.04, 0.06, 0.06]))


def test_a_rate_that_one_rule_misses_is_in_nobodys_budget():
    def outcome(w):
        return math.nan if w["rule"] == "additive" and w["lr"] == 0.2 and w["seed"] else tuned(w)

    frame = prepare(runs(outcome, lr=(0.1, 0.2, 0.4), optimizer=("sgd",)))
    assert budget(frame, ["additive", "hybrid"]) == [0.1, 0.4]
    found = retuned(frame, "hybrid")
    assert found["theirs"].at_edge
    assert any(text.endswith("*") for text in texts(control(frame))[0])


def test_a_control_without_runs_says_missing():
    table = control(prepare(runs(lambda w: math.nan, lr=(0.1, 0.2), optimizer=("sgd",))))
    assert texts(table)[0][5:7] == ["missing", "missing"]
    assert "hybrid: missing" in table.note


def test_the_choice_is_made_on_validation_not_on_test():
    frame = prepare(runs(tuned, lr=(0.2, 0.4), optimizer=("sgd",)))
    frame["choice"] = frame["choice"].where(frame["lr"] == 0.2, 0.99)
    assert retuned(frame, "hybrid")["theirs"].lr == 0.4


TABLE = Table(
    "t",
    "A_title",
    "A note.\nOf two lines.",
    ("rule", "a|b"),
    (TableRow((Cell("x_y"), Cell("1.0 ± 0.5 (3, 1✕) 5%", bold=True))),),
    pd.DataFrame({"rule": ["x_y"], "value": [1 / 3]}),
)


def test_the_three_formats(tmp_path):
    assert "| x_y | **1.0 ± 0.5 (3, 1✕) 5%** |" in markdown(TABLE)
    text = latex(TABLE)
    assert r"x\_y & \textbf{1.0 $\pm$ 0.5 (3, 1$\dagger$) 5\%} \\" in text
    rules = [line for line in text.splitlines() if line.endswith("rule")]
    assert rules == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert all(line.startswith("%") for line in text.split(r"\begin")[0].splitlines())
    paths = save_table(TABLE, tmp_path)
    assert [p.name for p in paths] == ["t.md", "t.tex", "t.csv"]
    assert paths[2].read_text() == "rule,value\nx_y,0.333333\n"
