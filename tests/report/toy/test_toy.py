"""What is drawn of the experiments in two variables, and what the benchmark of them writes."""

import csv
import importlib
import sys
from functools import partial

import pandas as pd
import pytest
import torch

# Here, where the user's font cache is still in reach, which saves seconds.
from gofau.report.toy import __main__ as report
from gofau.report.toy import drawn as distribution
from gofau.report.toy import paths as _paths  # noqa: F401
from gofau.report.toy import tuned
from tests.command_line import ROOT
from tests.toy_command_line import outcome

SMALL = ["toy.cases=[bowl/sgd]", "toy.lrs=[0.1]", "toy.steps=20", "~toy.rules.exponential"]
SMALL += ["~toy.rules.multiplicative", "~toy.rules.power"]
DRAWS = ["toy.cases=[bowl/sgd,rosenbrock/adam]", "toy.steps=5"]
TABLE = {f"table.{kind}" for kind in ("csv", "md", "tex")}


def drawn_twice(tmp_path, capsys):
    """What the command writes: the same bytes when it is typed again, and nothing else."""
    (folder,) = (tmp_path / "results").iterdir()
    read = {path.name for path in folder.iterdir()}
    drawn = []
    for _ in range(2):
        code, out, err = outcome(partial(report.main, []), capsys)
        assert (code, err) == (0, "")
        paths = [tmp_path / line for line in out.splitlines() if "results" in line]
        drawn.append({path.name: path.read_bytes() for path in paths})
    assert drawn[0] == drawn[1]
    assert {path.name for path in folder.iterdir()} == set(drawn[0]) | read
    return drawn[0]


def images(*stems):
    return {f"{stem}.{kind}" for stem in stems for kind in ("svg", "png", "pdf")}


@pytest.mark.parametrize(
    ("words", "figures"),
    [
        (["experiment=fig1_toy_paths", *SMALL], ["paths"]),
        pytest.param(
            ["experiment=fig2_toy_starts", *SMALL, "toy.starts=6"],
            ["starts_bowl_all", "starts_bowl_same_signs"],
            marks=pytest.mark.long,
        ),
        (["experiment=tab1_toy", *SMALL, "toy.starts=6"], []),
    ],
)
def test_what_is_drawn_twice_is_the_same_bytes(toy, tmp_path, capsys, words, figures):
    toy(*words)
    drawn = drawn_twice(tmp_path, capsys)
    assert set(drawn) == images(*figures) | TABLE
    table = drawn["table.md"].decode()
    regions = ["(2.6, 0.2)", "(-2, 2.4)"] if figures == ["paths"] else ["all", "same signs"]
    for region in regions:
        assert f"| bowl | SGD | {region} | hybrid |" in table
    assert drawn["table.tex"].decode().count("\\\\") == 1 + 2 * 2


@pytest.mark.long
def test_the_best_of_drawn_configurations_stands_beside_what_was_published(toy, tmp_path, capsys):
    toy("experiment=toy_tuned", *DRAWS, "toy.draws.repeats=3", "toy.draws.looks=[1,5,100,200]")
    drawn = drawn_twice(tmp_path, capsys)
    assert set(drawn) == images("bests") | TABLE | {"order.csv"}
    page = drawn["table.md"].decode()
    assert "best of 100" in page
    assert "best of 200" in page
    assert "authors' slides of 2026" in page
    rows = list(csv.DictReader(drawn["table.csv"].decode().splitlines()))
    theirs = {(row["problem"], row["optimizer"], row["arm"]): row["published"] for row in rows}
    assert float(theirs["bowl", "sgd", "additive"]) == 0.861
    assert float(theirs["rosenbrock", "adam", "hybrid_free"]) == 0.0573
    assert theirs["bowl", "sgd", "power"] == ""
    assert all(float(row["low"]) <= float(row["median"]) <= float(row["high"]) for row in rows)
    assert "lr 0.0001 to 1000 (log)" in page


def test_the_order_is_that_of_the_distances():
    """In one draw of two it holds: additive 3 > multiplicative 2 > hybrid 1, and 3 > 1 < 2."""
    ours = {0: {"additive": 3.0, "multiplicative": 2.0, "hybrid": 1.0, "hybrid_free": 2.5}}
    ours[1] = {"additive": 3.0, "multiplicative": 1.0, "hybrid": 2.0, "hybrid_free": 0.5}
    what = {"problem": "bowl", "start": "(67, 22)", "optimizer": "adam", "tried": 100}
    bests = [
        what | {"repeat": repeat, "arm": arm, "distance": distance}
        for repeat, arms in ours.items()
        for arm, distance in arms.items()
    ]
    found = tuned.orders(pd.DataFrame(bests)).set_index("hybrid")
    assert found["order"].to_dict() == {"hybrid": 0.5, "hybrid_free": 0.5}
    assert found["published"].tolist() == [True, True]
    assert found["all_arrive"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("means", "words"),
    [((0.9, 0.5, 0.1), "found"), ((0.9, 0.95, 0.1), "not found"), ((0.9, 0.899, 0.1), "undecided")],
)
def test_the_order_of_means_is_judged_by_their_errors(means, words):
    arms = [{"mean": mean, "std": 0.1, "configurations": 100} for mean in means]
    assert distribution.verdict(arms) == words


@pytest.mark.long
def test_the_distribution_stands_beside_what_was_published(toy, tmp_path, capsys):
    toy("experiment=toy_random", *DRAWS, "toy.draws.looks=[10,50]")
    drawn = drawn_twice(tmp_path, capsys)
    assert set(drawn) == images("distribution") | TABLE
    page = drawn["table.md"].decode()
    assert "| mean of 10 | mean of 50 | published mean of 100 |" in page
    assert "0.0148 ± 8.10e-3" in page
    assert "authors' slides of 2026" in page


def test_figures_of_what_was_not_run_end_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    code, _, err = outcome(partial(report.main, ["tab1_toy"]), capsys)
    assert code == 2
    assert err.startswith("error: results/tab1_toy holds no cells.csv: run python -m gofau.toy")


def test_the_benchmark_writes_a_table_and_a_page(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    bench = importlib.import_module("bench_toy")
    size = [
        "--side",
        "3",
        "--steps",
        "5",
        "--sample",
        "2",
        "--threads",
        str(torch.get_num_threads()),
    ]
    monkeypatch.setattr(sys, "argv", ["bench_toy.py", *size, "--out", str(tmp_path)])
    bench.main()
    rows = list(csv.DictReader((tmp_path / "bench.csv").read_text().splitlines()))
    assert len(rows) == 5
    for row in rows:
        assert float(row["difference, autograd"]) <= 1e-5
        assert float(row["ratio, autograd"]) > 0
    assert (tmp_path / "bench.md").read_text() in capsys.readouterr().out
