"""What the machine can do to a run, and what is said and kept then. Bad input: test_cli.py and the
tests of data, checkpoints and archives."""

import itertools
import os
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import torch

import gofau.session.lifecycle as session
from tests.command_line import ROOT

QUICK = ["model=mlp", "model.hidden=[16]", "dataset.train_size=100", "trainer.epochs=2"]


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_runs_folder_that_cannot_be_written(train, folder):
    (train.folder / "file").write_text("x")
    code, _, err = train(*QUICK, f"paths.runs_dir={folder}")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert folder in err
    assert "cannot be written" in err


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 80 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(path):
    """Leave no byte on the file system."""
    with suppress(OSError), open(path, "ab", buffering=0) as f:
        while f.write(b"x" * 4096):
            pass


def test_a_full_disk_keeps_what_was_written_and_space_brings_the_rest(train, small_disk):
    """Checkpoints do not fit, which is no reason to stop; once metrics do not either, it is."""
    words = [
        *QUICK,
        "model.hidden=[128]",
        "trainer.checkpoint.seconds=0",
        f"paths.runs_dir={small_disk}",
    ]
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 20_000)
    code, out, _ = train(*words)
    assert code == 0
    assert "no checkpoint was written" in out
    (folder,) = small_disk.glob("digits-*")
    before = (folder / "metrics.csv").read_text()
    fill(filler)
    code, _, err = train(*words, "rerun=true")
    assert code == 2
    assert err.splitlines()[-1].endswith("cannot be written: No space left on device.")
    filler.unlink()
    code, out, _ = train(*words, "rerun=true")
    assert code == 0
    assert train.rows(folder)[-1]["val/acc"] == before.splitlines()[-1].split(",")[6]


def test_a_clock_that_goes_backwards(train, monkeypatch):
    """No length of time, and no decision, hangs on the time of day."""
    now = itertools.count(2_000_000_000, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    code, _, err = train(*QUICK, "trainer.checkpoint.seconds=0")
    assert (code, err) == (0, "")
    (folder,) = train.runs()
    assert 0 < float(train.rows(folder)[-1]["seconds"]) < 60


def test_nan_from_the_first_step_is_a_result(train):
    code, out, _ = train(*QUICK, "optimizer.lr=1e38")
    assert code == 0
    assert "diverged (step 2: the training loss is not finite" in out
    (folder,) = train.runs()
    status = train.status(folder)
    assert (status["state"], status["divergence"]["epoch"]) == ("diverged", 1)
    assert status["result"]["test/acc"] is None


@pytest.mark.parametrize(
    "error", [MemoryError("no memory"), torch.OutOfMemoryError("CUDA out of memory")]
)
def test_out_of_memory_is_a_failure_that_is_tried_again(train, monkeypatch, error):
    def full(*args):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(session, "_train", full)
        code, _, err = train(*QUICK)
    assert code == 2
    assert err.startswith("error: there is not enough memory for model=mlp with trainer.batch_size")
    assert err.count("\n") == 1
    (folder,) = train.runs()
    status = train.status(folder)
    assert status["state"] == "failed"
    assert "memory" in status["error"]
    assert "Traceback" in status["traceback"]
    assert train(*QUICK)[0] == 0
    assert train.status(folder)["state"] == "done"


@pytest.mark.slow
def test_a_path_that_is_no_utf_8(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    command = [sys.executable, str(ROOT / "train.py"), *QUICK]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"done (test accuracy" in done.stdout
    (run,) = [name for name in os.listdir(folder + b"/runs") if name.startswith(b"digits")]
    assert b"status.json" in os.listdir(folder + b"/runs/" + run)


@pytest.mark.long
def test_the_time_of_a_sweep_is_kept_and_the_rest_left_for_the_next_time(train):
    words = ["-m", *QUICK[:-1], "trainer.epochs=100000", "seed=0,1", "sweep.minutes=0.05"]
    began = time.monotonic()
    code, out, _ = train(*words)
    assert code == 0
    assert time.monotonic() - began < 60
    assert "the sweep's time is over: left for the next time" in out
    (folder,) = train.runs()
    status = train.status(folder)
    assert status["state"] == "interrupted"
    assert any((folder / "checkpoints").iterdir())
    code, out, _ = train(*words)
    assert train.status(folder)["starts"] == 2
