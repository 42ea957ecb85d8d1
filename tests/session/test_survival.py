"""A sweep that is killed at random moments, and typed again until it is done, loses nothing."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from tests.command_line import ROOT

SWEEP = [
    *("-m", "seed=0,1", "rule=hybrid,multiplicative", "model=mlp", "model.hidden=[64]"),
    *("trainer.threads=1", "dataset.train_size=320"),
    *("trainer.checkpoint.seconds=0.05", "scheduler=cosine", "optimizer=adam"),
]
RUNS = 4
SHORT, LONG = 150, 1200  # epochs; the long form is to outlast a hundred interruptions


def start(folder, epochs, *words, jobs=1):
    last = [f"trainer.epochs={epochs}", f"paths.runs_dir={folder}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GOFAU_JOBS": str(jobs)}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *SWEEP, *words, *last],
        cwd=folder.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def results(folder, epochs):
    """Of every run: what was measured but the seconds."""
    found = {}
    for run in sorted(folder.glob("*-*")):
        status = json.loads((run / "status.json").read_text(encoding="utf-8"))
        assert status["state"] == "done", status
        kept = {k: v for k, v in status["result"].items() if "second" not in k}
        with open(run / "metrics.csv", newline="", encoding="utf-8") as f:
            rows = [
                tuple(v for k, v in row.items() if "second" not in k) for row in csv.DictReader(f)
            ]
        assert [row[0] for row in rows] == [str(i) for i in range(1, epochs + 1)]
        found[run.name] = (kept, rows)
        leftovers = {path.name for path in run.iterdir()}
        assert leftovers == {"config.yaml", "metrics.csv", "status.json"}
    return found


def saved_since(folder, then):
    """Whether a run has been saved since then: it trains, and was not only started."""
    for path in folder.glob("*/checkpoints/*.pt"):
        with suppress(FileNotFoundError):  # removed by the run
            if path.stat().st_mtime_ns > then:
                return True
    return False


def tear(folder, chance):
    """Spoil the newest checkpoint of a run; returns how many were spoilt."""
    newest = sorted(folder.glob("*/checkpoints/*.pt"))[-1:]
    for path in newest:
        data = path.read_bytes()
        path.write_bytes(data[: chance.randrange(len(data))])
    return len(newest)


def survive(folder, epochs, kills, terms, tears, seed=0):
    """Stop the sweep so often while it trains, in a random order, and type it again each time.

    Returns:
        How often it was really stopped, and how many checkpoints were spoilt.
    """
    chance = random.Random(seed)
    plan = [signal.SIGKILL] * kills + [signal.SIGTERM] * terms
    chance.shuffle(plan)
    stopped = spoilt = 0
    for number in plan:
        then = time.time_ns()
        process = start(folder, epochs)
        deadline = time.monotonic() + 60
        while process.poll() is None and not saved_since(folder, then):
            assert time.monotonic() < deadline, "the sweep does not begin"
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        if process.poll() is None:
            os.killpg(process.pid, number)
            stopped += 1
        out, _ = process.communicate(timeout=60)
        # A SIGTERM between two runs, where there is nothing to save, ends the process by itself.
        assert process.returncode in (0, -number, 128 + number), out
        if spoilt < tears:
            spoilt += tear(folder, chance)
    process = start(folder, epochs)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    return stopped, spoilt


def undisturbed(folder, epochs):
    """The same runs in a process per core, as `-m` does them unless told otherwise."""
    process = start(folder, epochs, jobs=2)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    return results(folder, epochs)


@pytest.mark.long
def test_a_few_kills_terms_and_torn_checkpoints(tmp_path):
    expected = undisturbed(tmp_path / "undisturbed", SHORT)
    stopped, spoilt = survive(tmp_path / "runs", SHORT, kills=2, terms=1, tears=1)
    assert (stopped, spoilt) == (3, 1)
    assert results(tmp_path / "runs", SHORT) == expected


@pytest.mark.crash
def test_a_hundred_kills(tmp_path):
    expected = undisturbed(tmp_path / "undisturbed", LONG)
    kills, terms, tears = 100, 20, 10
    stopped, spoilt = survive(tmp_path / "runs", LONG, kills, terms, tears)
    assert results(tmp_path / "runs", LONG) == expected
    starts = [
        json.loads(path.read_text(encoding="utf-8"))["starts"]
        for path in (tmp_path / "runs").glob("*/status.json")
    ]
    print(
        f"\n{kills} SIGKILLs and {terms} SIGTERMs, {stopped} of them in the middle of training,"
        f" {spoilt} torn checkpoints: {len(expected)} runs done after {starts} starts, every"
        f" metric of every one of their {LONG} epochs equal to the bit"
    )
    assert stopped == kills + terms
    assert spoilt == tears


@pytest.mark.long
def test_processes_on_one_sweep_share_its_runs(tmp_path):
    """Typed four times at once (eight in `make crash`): each run is carried out exactly once."""
    share(tmp_path / "runs", 4)


@pytest.mark.crash
def test_eight_processes_on_a_sweep_of_eight(tmp_path):
    share(tmp_path / "runs", 8, "seed=0,1,2,3")


def share(folder, processes, *words):
    begun = [start(folder, 40, *words) for _ in range(processes)]
    outs = [process.communicate(timeout=300)[0] for process in begun]
    assert [process.returncode for process in begun] == [0] * processes, outs
    runs = [path for path in folder.glob("*-*") if path.is_dir()]
    assert len(runs) == (2 * 4 if words else RUNS)
    for run in runs:
        status = json.loads((run / "status.json").read_text(encoding="utf-8"))
        assert (status["state"], status["starts"]) == ("done", 1)
