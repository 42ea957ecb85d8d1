"""A sweep that is submitted and left, without a Slurm: what is sent to it, and what is not. With a
real one: tests/slurm."""

from dataclasses import fields

import pytest
import yaml

from gofau.cli.slurm import SlurmLauncher
from gofau.runs import queue
from gofau.runs.__main__ import main as runs
from tests.command_line import ROOT

QUICK = ["debug=fast", "model=mlp", "model.hidden=[16]"]
LEFT = ["-m", *QUICK, "hydra/launcher=slurm", "hydra.launcher.wait=false"]


@pytest.fixture
def slurm(monkeypatch):
    """Numbers of the runs of each submission; all jobs stay in the queue until `over` is set."""

    class Slurm:
        def __init__(self):
            self.sent: list[list[int]] = []
            self.over = False

        def submit(self, missing):
            numbers = [number for number, _ in missing]
            self.sent.append(numbers)
            return [f"{len(self.sent)}_{i}" for i in range(len(numbers))]

        def squeue(self):
            known = [f"{k}_{i}" for k, sent in enumerate(self.sent, 1) for i in range(len(sent))]
            return set() if self.over else set(known)

    one = Slurm()
    monkeypatch.setattr(SlurmLauncher, "_submit", lambda self, missing: one.submit(missing))
    monkeypatch.setattr(queue, "_squeue", lambda: one.squeue())
    monkeypatch.setattr("gofau.cli.preflight.shutil.which", lambda name: f"/usr/bin/{name}")
    return one


def test_only_what_is_missing_and_not_queued_is_submitted(train, slurm, capsys):
    train(*QUICK, "seed=1")
    code, out, err = train(*LEFT, "seed=0,1,2")
    assert (code, err) == (0, "")
    head, told = out.splitlines()
    assert head == "Sweep: 3 runs (seed 3); launcher slurm; records in runs"
    assert told == (
        "job 1: 2 of 3 runs submitted, 1 done already; python -m gofau.runs status follows them"
    )
    assert (
        train(*LEFT, "seed=0,1,2,3")[1]
        .splitlines()[-1]
        .startswith("job 2: 1 of 4 runs submitted, 1 done already, 2 queued already;")
    )
    assert slurm.sent == [[0, 2], [3]]
    assert "no job: nothing is missing, 3 queued already" in train(*LEFT, "seed=0,2,3")[1]

    runs(["status"])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "done 1",
        "queued 3",
        "all 4",
        "job 1 2 runs: 2 queued",
        "job 2 1 run: 1 queued",
    ]
    train(*QUICK, "seed=0")  # as its job would
    runs(["status"])
    assert "job 1             2 runs: 1 done, 1 queued" in capsys.readouterr().out

    slurm.over = True  # the other job has ended, without a record
    runs(["status"])
    out = capsys.readouterr().out
    assert "queued" not in out
    assert "job 1             2 runs: 1 done, 1 ended without a record" in out
    train(*LEFT, "seed=0,1,2,3")
    assert slurm.sent == [[0, 2], [3], [2, 3]]


def test_records_of_submissions_that_are_done_are_removed(train, slurm):
    train(*LEFT, "seed=0")
    train(*QUICK, "seed=0")
    slurm.over = True
    assert [*queue.submissions(train.folder / "runs")] == ["1"]  # still shown
    train(*LEFT, "seed=1")
    assert [*queue.submissions(train.folder / "runs")] == ["2"]


def test_runs_that_are_one_and_the_same_are_submitted_once(train, slurm):
    train(*LEFT, "optimizer=madam", "rule=additive,hybrid")
    assert slurm.sent == [[0]]


def test_slurm_that_does_not_answer(train, slurm, monkeypatch, capsys):
    train(*LEFT, "seed=0")
    monkeypatch.setattr(queue, "_squeue", lambda: None)
    code, _, err = train(*LEFT, "seed=0,1")
    assert (code, len(slurm.sent)) == (2, 1)
    assert err == "error: Slurm does not answer (squeue): nothing was submitted.\n"
    runs(["status"])
    assert "Slurm does not answer (squeue): which runs are queued" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hydra.launcher.wait=maybe"], "hydra.launcher.wait must be true or false, got 'maybe'."),
        (["hydra/sweeper=optuna", "optimizer.lr=interval(0,1)"], "hydra/sweeper=optuna needs the"),
    ],
)
def test_what_cannot_be_left(train, slurm, words, message):
    code, _, err = train(*LEFT, *words)
    assert (code, slurm.sent) == (2, [])
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1


def test_the_package_of_the_launcher_is_named_where_it_is_missing(train, slurm, monkeypatch):
    monkeypatch.setattr("gofau.cli.sweeper.find_spec", lambda name: None)
    code, _, err = train(*LEFT, "seed=0")
    assert code == 2
    assert err.startswith("error: hydra/launcher=slurm needs hydra-submitit-launcher: pip install ")


def test_squeue_is_read_as_it_prints(monkeypatch, tmp_path):
    fake = tmp_path / "squeue"
    fake.write_text("#!/bin/sh\nprintf '12_0\\n12_3\\n15\\n'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    queue.submitted(tmp_path, {"a": "12_0", "b": "12_1", "c": "12_3"})
    queue.submitted(tmp_path, {"d": "15"})
    assert queue.alive(tmp_path) == {"a": "12_0", "c": "12_3", "d": "15"}
    fake.write_text("#!/bin/sh\nexit 1\n")
    assert queue.alive(tmp_path) is None


def test_without_a_submission_slurm_is_not_asked(monkeypatch, tmp_path):
    def asked():
        raise AssertionError("squeue is called")

    monkeypatch.setattr(queue, "_squeue", asked)
    assert queue.alive(tmp_path) == {}


def test_the_keys_are_those_of_the_launcher():
    """Written out in the yaml, since Hydra's own for it allows no further key."""
    from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf

    text = (ROOT / "configs" / "hydra" / "launcher" / "slurm.yaml").read_text()
    given = yaml.safe_load(text)
    theirs = {field.name for field in fields(SlurmQueueConf)}
    assert given.keys() == theirs | {"wait"}
