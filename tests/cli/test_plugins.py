"""What gofau adds to Hydra, and who sees tracebacks."""

import os

import pytest

from gofau.cli import entry
from gofau.cli.plugins import jobs
from gofau.errors import UserError


def test_runs_at_the_same_time(monkeypatch):
    monkeypatch.setattr("gofau.cli.plugins.has_gpu", lambda: False)
    monkeypatch.delenv("GOFAU_JOBS")
    assert jobs() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert jobs() == 1
    monkeypatch.setenv("GOFAU_JOBS", "3")
    assert jobs() == 3


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5"])
def test_what_is_no_number_of_jobs(monkeypatch, given):
    monkeypatch.setenv("GOFAU_JOBS", given)
    with pytest.raises(UserError, match="GOFAU_JOBS must be a whole number ≥ 1"):
        jobs()


def test_tracebacks_are_for_users_who_ask_for_them(monkeypatch):
    """Hydra is always asked for them, to get at its errors; a worker process inherits that."""
    monkeypatch.delenv(entry.FULL, raising=False)
    with entry.one_sentence():
        assert os.environ[entry.FULL] == "1"
        assert not entry._tracebacks()
        inherited = dict(os.environ)
    assert entry.FULL not in os.environ
    with monkeypatch.context() as worker:
        for name in (entry.FULL, entry.OURS):
            worker.setenv(name, inherited[name])
        assert not entry._tracebacks()
    monkeypatch.setenv(entry.FULL, "1")
    with entry.one_sentence():
        assert entry._tracebacks()
    with pytest.raises(UserError), entry.one_sentence():
        raise UserError("shown with its traceback")
    assert os.environ[entry.FULL] == "1"


@pytest.mark.long
def test_in_a_sweep_of_processes_a_failed_run_is_written_down(train, monkeypatch):
    monkeypatch.setenv("GOFAU_JOBS", "2")
    quick = ["debug=fast", "model=mlp", "model.hidden=[8]"]
    sweep = ["optimizer.nesterov=false,true", "optimizer.momentum=0.9,0"]
    code, _, err = train("-m", *quick, *sweep)  # a combination: each value alone is right
    assert code == 2
    assert "optimizer.nesterov=True optimizer.momentum=0: " in err.splitlines()[-1]
    assert "nesterov needs a momentum above 0" in err.splitlines()[-1]
    assert [train.status(folder)["state"] for folder in train.runs()] == ["done"] * 3
