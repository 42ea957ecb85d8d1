"""Finished records survive everything that is collected over them."""

import gzip
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from gofau.errors import UserError
from gofau.report.claims import judged, write_claims
from gofau.report.collecting import lines, update
from gofau.report.frames import gather, load
from gofau.report.records import Records, merge, read
from gofau.runs import SECTIONS, Run, State
from gofau.runs.lock import lock
from tests.report.records import runs as made_up
from tests.report.records import write as write_made_up


def config(runs_dir, rule="hybrid", seed=0):
    made = {section: {"name": section} for section in SECTIONS}
    made |= {"rule": {"name": rule}, "optimizer": {"name": "sgd", "lr": 0.1}}
    return made | {"seed": seed, "paths": {"runs_dir": str(runs_dir)}}


SEEDS: Sequence[int] = range(4)


def grid(runs_dir, seeds: Sequence[int] = SEEDS):
    return [({}, config(runs_dir, rule, s)) for rule in ("additive", "hybrid") for s in seeds]


def finish(
    runs_dir, seeds: Sequence[int] = SEEDS, accuracy=0.9, commit="abc", state: State = "done"
):
    for i, (_, one) in enumerate(grid(runs_dir, seeds)):
        run = Run(one)
        run.start(provenance={"commit": commit}, parameters=10, classes=10)
        run.append({"epoch": 1, "val/acc": accuracy + i / 1000})
        run.end(state, result={"test/acc": accuracy + i / 1000, "epochs": 1})


def collect(results, runs_dir, seeds: Sequence[int] = SEEDS, **more):
    merged = update(results, gather(grid(runs_dir, seeds)), **more)
    return "\n".join(lines(results, merged, drop=more.get("drop", False)))


def states(results):
    return [row["state"] for row in read(results).runs]


@pytest.fixture
def results(tmp_path):
    """Eight finished runs, collected."""
    finish(tmp_path / "runs")
    collect(tmp_path / "results", tmp_path / "runs")
    return tmp_path / "results"


def both(results):
    return [(results / name).read_bytes() for name in ("runs.csv", "curves.csv.gz")]


@pytest.mark.parametrize("what", ["none", "running", "failed"])
def test_an_empty_or_another_runs_folder_changes_nothing(results, tmp_path, what):
    before = both(results)
    if what != "none":
        finish(tmp_path / "other", state=what)
    told = collect(results, tmp_path / "other")
    assert both(results) == before
    assert "8 runs (8 done)" in told
    assert "8 finished before, not in this runs folder: kept" in told


def test_a_narrowed_sweep_keeps_the_rest_and_drop_leaves_it_out(results, tmp_path):
    before = both(results)
    told = collect(results, tmp_path / "runs", seeds=[1])
    assert both(results) == before
    assert "6 not in this grid (6 done), kept (--drop leaves them out)" in told
    outside = read(results).runs[0]["identity"]
    assert outside in told
    told = collect(results, tmp_path / "runs", seeds=[1], drop=True)
    assert states(results) == ["done"] * 2
    assert "6 not in this grid (6 done), dropped" in told
    assert len(load(results)) == 2


def test_an_experiment_that_never_ran_leaves_its_twin_in_the_claims(tmp_path):
    results = tmp_path / "results"
    frame = made_up(lambda what: 0.9, init=("a", "b"))
    write_made_up(results / "reduced_tab2_cifar10_init", frame)
    before = write_claims(results, judged(results)).read_text()
    assert "reduced_tab2_cifar10_init" in before
    told = collect(results / "tab2_cifar10_init", tmp_path / "nothing")
    assert "none of 8 runs is finished: nothing was written" in told
    assert not (results / "tab2_cifar10_init").exists()
    assert write_claims(results, judged(results)).read_text() == before


def test_the_missing_are_added_and_the_file_is_that_of_one_collecting(results, tmp_path):
    part = tmp_path / "part"
    for run in sorted((tmp_path / "runs").iterdir())[:3]:
        (tmp_path / "some").mkdir(exist_ok=True)
        run.rename(tmp_path / "some" / run.name)
    assert "3 done, 5 pending" in collect(part, tmp_path / "some").replace(
        "5 pending, 3 done", "3 done, 5 pending"
    )
    assert "8 runs (8 done)" in collect(part, tmp_path / "runs")
    assert both(part) == both(results)


def test_of_two_results_the_later_is_taken_whole_in_whatever_order(results, tmp_path, monkeypatch):
    monkeypatch.setattr("gofau.runs.record._now", lambda: "2999-01-01T00:00:00Z")
    finish(tmp_path / "later", accuracy=0.5, commit="def")
    told = collect(results, tmp_path / "later")
    assert "8 finished twice with different results, the later one is used" in told
    after = both(results)
    row = read(results).runs[0]
    assert (row["test/acc"], row["provenance.commit"]) == ("0.5", "def")
    assert all(value < 0.6 for value in load(results)["val/acc"])
    collect(results, tmp_path / "runs")  # the earlier ones, collected last
    assert both(results) == after


def test_the_same_result_made_twice_is_nothing_to_speak_of(results, tmp_path):
    finish(tmp_path / "again", commit="def")
    assert "finished twice" not in collect(results, tmp_path / "again")


TORN = {
    "half a line": lambda b: b[:-20],
    "a line less of a cell": lambda b: b + b"x,done\n",
    "a merge conflict": lambda b: b"<<<<<<< HEAD\n" + b,
    "a run twice": lambda b: b + b.splitlines(keepends=True)[-1],
    "empty": lambda b: b"",
    "not text": lambda b: b.replace(b"hybrid", b"\xff"),
}


@pytest.mark.parametrize("spoil", TORN.values(), ids=TORN)
def test_a_torn_old_file_is_refused_and_left(results, tmp_path, spoil):
    path = results / "runs.csv"
    path.write_bytes(spoil(path.read_bytes()))
    before = both(results)
    with pytest.raises(UserError, match=r"runs\.csv is damaged .*nothing was written"):
        collect(results, tmp_path / "runs")
    assert both(results) == before
    assert sorted(p.name for p in results.iterdir()) == ["curves.csv.gz", "runs.csv"]


def test_torn_curves_are_refused_and_left(results, tmp_path):
    path = results / "curves.csv.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(UserError, match=r"curves\.csv\.gz is damaged"):
        collect(results, tmp_path / "runs")


def test_a_crash_between_the_two_files_leaves_a_pair_that_can_be_read(tmp_path, monkeypatch):
    results = tmp_path / "results"
    finish(tmp_path / "runs", seeds=[0])
    collect(results, tmp_path / "runs", seeds=[0])
    finish(tmp_path / "runs", seeds=[1])
    calls = []
    whole = os.replace

    def crash(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        whole(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", crash)
        with pytest.raises(KeyboardInterrupt):
            collect(results, tmp_path / "runs", seeds=[0, 1])
    assert len(calls) == 2
    assert len(read(results).runs) == 2
    assert set(load(results)["identity"]) == {row["identity"] for row in read(results).runs}
    collect(results, tmp_path / "runs", seeds=[0, 1])
    assert states(results) == ["done"] * 4
    assert len(load(results)) == 4


def test_who_collects_at_the_same_time_is_told(results, tmp_path):
    before = both(results)
    with lock(results / ".collecting"), pytest.raises(UserError, match="is collecting into"):
        collect(results, tmp_path / "runs")
    assert both(results) == before


def test_collecting_from_several_processes_loses_nothing(tmp_path):
    """Each has one part of the runs; those that are turned away try again."""
    code = """
import sys
from tests.report.test_collecting import collect
from gofau.errors import UserError
from pathlib import Path
while True:
    try:
        collect(Path(sys.argv[1]), sys.argv[2])
        break
    except UserError as e:
        assert "collecting into" in str(e), e
"""
    for i in range(3):
        finish(tmp_path / f"runs{i}", seeds=[i])
    results = str(tmp_path / "results")
    at_work = [
        subprocess.Popen([sys.executable, "-c", code, results, str(tmp_path / f"runs{i}")])
        for i in range(3)
    ]
    assert [process.wait(60) for process in at_work] == [0, 0, 0]
    assert sorted(states(tmp_path / "results")) == ["done"] * 6 + ["pending"] * 2
    with gzip.open(tmp_path / "results" / "curves.csv.gz", "rt") as f:
        assert len(f.readlines()) == 1 + 6


def test_a_key_may_be_more_than_the_identity():
    key = ("identity", "threads")
    old = [{"identity": "a", "threads": t, "state": "done"} for t in "12"]
    new = Records([{"identity": "a", "threads": "2", "state": "pending"}])
    assert merge(Records(old), new, key=key).records.runs == old
