"""A campaign goes on from records that are committed, on a machine that has nothing else."""

import csv
import shutil

import pytest

from gofau.config.grid import grid
from gofau.report.collecting import update
from gofau.report.frames import gather, load
from gofau.runs import Run
from gofau.runs.fingerprint import fingerprint
from gofau.runs.outcome import finished
from tests.command_line import ROOT

SWEEP = ["debug=fast", "model=mlp", "model.hidden=[16]", "trainer.threads=1"]
SWEEP += ["rule=additive,hybrid", "seed=0,1,2,3"]
LATER = ("provenance.", "started", "updated", "seconds")
"""Columns that say when and where a run was made, not what it came to."""


def collect(results):
    update(results, gather(grid(ROOT / "configs", SWEEP)))


def rows(results):
    with open(results / "runs.csv", newline="") as f:
        found = [*csv.DictReader(f)]
    header = [column for column in found[0] if not column.startswith(LATER)]
    return [{column: row[column] for column in header} for row in found]


@pytest.fixture
def killed(train, monkeypatch):
    """A sweep of 8 runs that was killed in its fourth, and its records, committed."""
    from gofau.engine.trainer import Trainer

    whole, runs = Trainer.run_epoch, []

    def run_epoch(self, on_batch):
        runs.append(self)
        if len(runs) == 4:
            raise KeyboardInterrupt
        return whole(self, on_batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", run_epoch)
        assert train("-m", *SWEEP)[0] == 130
    collect(train.folder / "results" / "mine")
    shutil.rmtree(train.folder / "runs")
    return train.folder / "results" / "mine"


def test_only_what_is_missing_is_run_and_the_records_are_those_of_one_sweep(train, killed):
    states = [row["state"] for row in rows(killed)]
    assert states == ["done"] * 3 + ["interrupted"] + ["pending"] * 4
    code, out, err = train("-m", *SWEEP, "reuse=results")
    assert (code, err) == (0, "")
    assert "3 done already in results/mine/runs.csv\n" in out
    assert len(train.runs()) == 5
    collect(killed)

    shutil.rmtree(train.folder / "runs")
    assert train("-m", *SWEEP)[1].count("done already") == 0
    undisturbed = train.folder / "undisturbed"
    collect(undisturbed)
    assert rows(killed) == rows(undisturbed)
    one, other = (load(folder).drop(columns="seconds") for folder in (killed, undisturbed))
    one, other = (frame.filter(regex="^(?!.*per_second)") for frame in (one, other))
    assert one.equals(other)


def test_a_record_of_other_code_or_threads_or_without_diagnostics_is_none(killed, capsys):
    (_, config), *_ = grid(ROOT / "configs", [*SWEEP, "reuse=results"])
    today = fingerprint(config)
    value = finished(Run(config), today)
    assert value == pytest.approx(float(rows(killed)[0]["val/acc"]))
    assert finished(Run(config), today | {"rule": "other"}) is None
    out = capsys.readouterr().out
    assert "results/mine/runs.csv: done already, but with different code or data" in out
    assert finished(Run(config | {"stale": "keep"}), today | {"rule": "other"}) == value
    for key, wanted in (("threads", 2), ("diagnostics_every", 10)):
        other = config | {"trainer": config["trainer"] | {key: wanted}}
        assert finished(Run(other), today) is None
    assert finished(Run(config | {"reuse": None}), today) is None
