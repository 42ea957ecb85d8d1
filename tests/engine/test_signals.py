"""Signals that a job scheduler sends to a run, and what its handlers do."""

import signal

import pytest

from gofau.engine.signals import Signals
from gofau.engine.trainer import Trainer

LONG = ["model=mlp", "model.hidden=[16]", "trainer.epochs=4"]


@pytest.mark.parametrize("order", [("SIGTERM", "SIGUSR2"), ("SIGUSR2", "SIGTERM")])
def test_sigterm_beside_the_schedulers_own_signal_does_not_hide_it(order):
    with Signals() as signals:
        for name in order:
            signal.raise_signal(getattr(signal, name))
        assert signals.received == signal.SIGUSR2


def test_a_scheduler_that_cannot_requeue_leaves_an_interrupted_run(train, monkeypatch):
    """As when a job has reached its time limit too often: the run is saved, not failed."""

    def refuse(number, frame):
        raise RuntimeError("not requeued")

    whole = Trainer.run_epoch

    def signalled(self, on_batch):
        if self.epoch == 2:
            signal.raise_signal(signal.SIGUSR2)
        return whole(self, on_batch)

    before = signal.signal(signal.SIGUSR2, refuse)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "run_epoch", signalled)
            with pytest.raises(RuntimeError, match="not requeued"):
                train(*LONG)
    finally:
        signal.signal(signal.SIGUSR2, before)
    (folder,) = train.runs()
    assert train.status(folder)["state"] == "interrupted"
    assert train(*LONG, "retry_failed=false")[0] == 0
    assert train.status(folder)["state"] == "done"
    assert train.status(folder)["starts"] == 2


def test_a_killed_worker_is_one_sentence(capsys):
    from gofau.cli.entry import one_sentence

    class UncompletedJobError(Exception):
        """As submitit's."""

    with pytest.raises(SystemExit) as exit_, one_sentence():
        raise UncompletedJobError("Job 17 has not produced any output (state: FAILED)")
    assert exit_.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "error: a process of this sweep was killed (FAILED); finished work is kept."
        " Type the command again to resume."
    )
