"""What a run came to: for a sweep's optimiser, and in one line for people."""

import math
from typing import Any

from gofau.runs.record import FINISHED, Run


def finished(run: Run, quiet: bool = False) -> float | None:
    """The objective of a run that need not be done again; None for one that is to be carried out.

    Args:
        run: asked for by a configuration, whose ``rerun`` and ``retry_failed`` have a say.
        quiet: without a line for the user.
    """
    status, config = run.status(), run.config
    if config["rerun"]:
        return None
    if status["state"] in FINISHED:
        if not quiet:
            say(run, f"{status['state']} already ({summary(status)}); rerun=true repeats it")
        return objective(status)
    if status["state"] == "failed" and not config["retry_failed"]:
        say(run, f"failed before ({status.get('error')}); retry_failed=true tries it again")
        return math.nan
    return None


def objective(status: dict[str, Any]) -> float:
    """Validation accuracy of the last epoch; chance level for a run that diverged."""
    accuracy = status["result"].get("val/acc")
    if status["state"] == "diverged" or accuracy is None:
        return 1 / status["classes"]
    return accuracy


def summary(status: dict[str, Any]) -> str:
    """Such as ``test accuracy 98.33%, 1.2 s of training``."""
    accuracy = status["result"].get("test/acc")
    parts = [] if accuracy is None else [f"test accuracy {accuracy:.2%}"]
    if "divergence" in status:
        lost = status["divergence"]
        parts.append(f"step {lost['step']}: {lost['reason']}")
    return ", ".join([*parts, f"{status['result']['seconds']:.1f} s of training"])


def say(run: Run, text: str) -> None:
    """A line for the user, from the process that keeps the record."""
    if run.writes:
        print(f"{run.folder}: {text}", flush=True)
