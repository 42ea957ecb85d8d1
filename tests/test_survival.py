"""A sweep that is killed at random moments, and typed again until it is done, loses nothing."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.cli import ROOT

SWEEP = [
    *("-m", "seed=0,1", "rule=hybrid,multiplicative", "model=mlp", "model.hidden=[64]"),
    *("trainer.epochs=150", "trainer.threads=1", "dataset.train_size=320"),
    *("trainer.checkpoint.seconds=0.05", "scheduler=cosine", "optimizer=adam"),
]
RUNS = 4


def start(folder, *words, jobs=1):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GOFAU_JOBS": str(jobs)}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *SWEEP, *words, f"paths.runs_dir={folder}"],
        cwd=folder.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def results(folder):
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
        assert [row[0] for row in rows] == [str(i) for i in range(1, 151)]
        found[run.name] = (kept, rows)
        leftovers = {path.name for path in run.iterdir()}
        assert leftovers == {"config.yaml", "metrics.csv", "status.json"}
    return found


def a_run_goes_on(folder):
    """Whether some run has begun and has a checkpoint by now."""
    return any(folder.glob("*/checkpoints/*.pt"))


def tear(folder, chance):
    """Spoil the newest checkpoint of a run; returns how many were spoilt."""
    newest = sorted(folder.glob("*/checkpoints/*.pt"))[-1:]
    for path in newest:
        data = path.read_bytes()
        path.write_bytes(data[: chance.randrange(len(data))])
    return len(newest)


def survive(folder, kills, terms, tears, seed=0):
    """Stop the sweep so often, in a random order, and type it again each time."""
    chance = random.Random(seed)
    plan = [signal.SIGKILL] * kills + [signal.SIGTERM] * terms
    chance.shuffle(plan)
    spoilt = done_before_the_end = 0
    for number in plan:
        process = start(folder)
        deadline = time.monotonic() + 60
        while not a_run_goes_on(folder) and process.poll() is None:
            assert time.monotonic() < deadline, "the sweep does not begin"
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.6))
        if process.poll() is None:
            os.killpg(process.pid, number)
        out, _ = process.communicate(timeout=60)
        done_before_the_end += process.returncode == 0
        # A SIGTERM between two runs, where there is nothing to save, ends the process by itself.
        assert process.returncode in (0, -number, 128 + number), out
        if spoilt < tears:
            spoilt += tear(folder, chance)
        if done_before_the_end:
            for run in folder.glob("*-*"):  # all is done already: once more from the start
                for path in run.iterdir():
                    path.unlink()
                run.rmdir()
            done_before_the_end = 0
    process = start(folder)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return spoilt


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "runs"
    process = start(folder)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return results(folder)


@pytest.mark.slow
def test_a_few_kills_terms_and_torn_checkpoints(undisturbed, tmp_path):
    assert survive(tmp_path / "runs", kills=2, terms=1, tears=1) == 1
    assert results(tmp_path / "runs") == undisturbed


@pytest.mark.crash
def test_a_hundred_kills(undisturbed, tmp_path):
    kills, terms, tears = 100, 20, 10
    spoilt = survive(tmp_path / "runs", kills, terms, tears)
    assert results(tmp_path / "runs") == undisturbed
    print(
        f"\n{kills} SIGKILLs, {terms} SIGTERMs, {spoilt} torn checkpoints:"
        f" {len(undisturbed)} runs done, every metric of every epoch equal to the bit"
    )
    assert spoilt == tears


@pytest.mark.slow
def test_processes_on_one_sweep_share_its_runs(tmp_path):
    """Typed four times at once (eight in `make crash`): each run is carried out exactly once."""
    share(tmp_path / "runs", 4)


@pytest.mark.crash
def test_eight_processes_on_a_sweep_of_eight(tmp_path):
    share(tmp_path / "runs", 8, "seed=0,1,2,3")


def share(folder, processes, *words):
    begun = [start(folder, "trainer.epochs=40", *words) for _ in range(processes)]
    outs = [process.communicate(timeout=300)[0] for process in begun]
    assert [process.returncode for process in begun] == [0] * processes, outs
    said = "\n".join(outs)
    runs = [path for path in folder.glob("*-*") if path.is_dir()]
    assert len(runs) == (2 * 4 if words else RUNS)
    for run in runs:
        status = json.loads((run / "status.json").read_text(encoding="utf-8"))
        assert (status["state"], status["starts"]) == ("done", 1)
        assert said.count(f"{run.name}: done (test accuracy") == 1
