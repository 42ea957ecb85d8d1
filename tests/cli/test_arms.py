"""The table at the end of a sweep."""

from statistics import stdev

from gofau.cli.arms import ROWS, axes, table

ACCURACY = {"name": "acc", "title": "accuracy", "higher_is_better": True, "format": ".1%"}
LOSS = {"name": "loss", "title": "loss", "higher_is_better": False, "format": ".3f"}
RUNS = [[f"rule={rule}", f"seed={s}", "x=1"] for rule in ("hybrid", "power") for s in range(3)]


def result(test, val: float | None = 0.5, metric=ACCURACY, state="done"):
    return {"state": state, "metric": metric, "val": val, "test": test}


def cells(lines):
    return [line.split("  ") for line in lines]


def test_the_axes_are_what_varies():
    assert axes(RUNS) == {"rule": ["hybrid", "power"], "seed": ["0", "1", "2"]}


def test_one_row_per_arm_with_the_mean_of_its_seeds():
    tests = [0.9, 0.92, 0.97, 0.8, 0.82]
    results = {n: result(value) for n, value in enumerate(tests)} | {5: {"state": "failed"}}
    head, hybrid, power = table(RUNS, results, "test")
    assert head.split("  ")[-1] == "test accuracy, mean ± standard deviation"
    assert hybrid.split() == ["hybrid", "3", "93.0%", "±", f"{stdev(tests[:3]):.1%}"]
    assert power.split() == ["power", "2", "of", "3", "81.0%", "±", f"{stdev(tests[3:]):.1%}"]


def test_a_diverged_run_is_told_and_counts_at_chance_level():
    results = {0: result(0.9), 1: result(0.1, state="diverged"), 2: result(None, None)}
    _, hybrid, power = table(RUNS, results, "test")
    assert "3, 1 diverged" in hybrid
    assert f"{0.5:.1%} ± {stdev([0.9, 0.1]):.1%}" in hybrid
    assert power.split() == ["power", "0", "of", "3", "—"]


def test_without_a_result_there_is_no_table():
    assert table(RUNS, {0: {"state": "failed"}, 1: {"state": "running"}}, "test") == []


def test_runs_without_a_test_are_shown_by_their_validation():
    head, row, _ = table(RUNS, {0: result(None, 0.75)}, "test")
    assert "validation accuracy" in head
    assert "75.0%" in row


def test_of_a_search_the_best_are_first_in_the_metric_s_direction():
    results = {0: result(None, 0.2), 3: result(None, 0.4)}
    assert [line.split()[0] for line in table(RUNS, results, "val")[1:]] == ["power", "hybrid"]
    results = {0: result(None, 0.2, LOSS), 3: result(None, 0.4, LOSS)}
    assert [line.split()[0] for line in table(RUNS, results, "val")[1:]] == ["hybrid", "power"]


def test_of_many_rows_the_best_are_shown():
    runs = [[f"lr={i}"] for i in range(ROWS + 5)]
    lines = table(runs, {i: result(i / 100) for i in range(ROWS + 5)}, "test")
    assert len(lines) == ROWS + 2
    assert lines[1].split()[0] == str(ROWS + 4)
    assert lines[-1].startswith("and 5 more: ")


def test_several_metrics_keep_their_own_form():
    results = {0: result(0.9), 3: result(0.25, metric=LOSS)}
    head, hybrid, power = table(RUNS, results, "test")
    assert "test result" in head
    assert "90.0%" in hybrid
    assert "0.250" in power
