"""What is drawn of the experiments in two variables, and what the benchmark of them writes."""

import csv
import importlib
import sys
from functools import partial

import pytest
import torch

# Here, where the user's font cache is still in reach, which saves seconds.
from gofau.report.toy import __main__ as report
from gofau.report.toy import paths as _paths  # noqa: F401
from tests.cli import ROOT
from tests.toy import outcome

SMALL = ["toy.cases=[bowl/sgd]", "toy.lrs=[0.1]", "toy.steps=20", "~toy.rules.exponential"]
SMALL += ["~toy.rules.multiplicative"]


@pytest.mark.parametrize(
    ("words", "figures"),
    [
        (["experiment=fig1_toy_paths", *SMALL], ["paths"]),
        (["experiment=fig2_toy_starts", *SMALL, "toy.starts=5"], ["starts_bowl"]),
        (["experiment=tab1_toy", *SMALL, "toy.starts=5"], []),
    ],
)
def test_what_is_drawn_twice_is_the_same_bytes(toy, tmp_path, capsys, words, figures):
    toy(*words)
    (folder,) = (tmp_path / "results").iterdir()
    read = {path.name for path in folder.iterdir()}
    drawn = []
    for _ in range(2):
        code, out, err = outcome(partial(report.main, []), capsys)
        assert (code, err) == (0, "")
        paths = [tmp_path / line for line in out.splitlines() if "results" in line]
        drawn.append({path.name: path.read_bytes() for path in paths})
    assert drawn[0] == drawn[1]
    stems = [f"{figure}_{setting}" for figure in figures for setting in ("best", "default")]
    expected = {f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")}
    expected |= {f"table.{kind}" for kind in ("csv", "md", "tex")}
    assert set(drawn[0]) == expected
    assert {path.name for path in folder.iterdir()} == expected | read
    table = drawn[0]["table.md"].decode()
    assert "| bowl | SGD | hybrid |" in table
    assert drawn[0]["table.tex"].decode().count("\\\\") == 1 + 2


def test_figures_of_what_was_not_run_end_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, _, err = outcome(partial(report.main, ["tab1_toy"]), capsys)
    assert code == 2
    assert err.startswith("error: results/tab1_toy holds no cells.csv: type python -m gofau.toy")


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
