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


ACCURACY = {"name": "acc", "title": "accuracy", "higher_is_better": True, "format": ".2%"}


def metric(status: dict[str, Any]) -> dict[str, Any]:
    """The metric of a run: name, title, format, whether higher is better, and the level of chance
    (None where there is none). Records from before problems had metrics are of accuracies."""
    return status.get("metric") or ACCURACY | {"chance": 1 / status["classes"]}


def objective(status: dict[str, Any]) -> float:
    """The metric on the validation part after the last epoch, in its own direction: a sweep is to
    maximise an accuracy and to minimise a reconstruction loss. A run that diverged, or that has no
    validation part, counts as chance level; where there is none, as the worst value, ∞ or −∞."""
    judged = metric(status)
    value = status["result"].get(f"val/{judged['name']}")
    if status["state"] != "diverged" and value is not None:
        return value
    worst = -math.inf if judged["higher_is_better"] else math.inf
    return worst if judged["chance"] is None else judged["chance"]


def summary(status: dict[str, Any]) -> str:
    """Such as ``test accuracy 98.33%, 1.2 s of training``."""
    judged = metric(status)
    value = status["result"].get(f"test/{judged['name']}")
    parts = [] if value is None else [f"test {judged['title']} {value:{judged['format']}}"]
    if "divergence" in status:
        found = status["divergence"]
        parts.append(f"step {found['step']}: {found['reason']}")
    return ", ".join([*parts, f"{status['result']['seconds']:.1f} s of training"])


def say(run: Run, text: str) -> None:
    """A line for the user, from the process that keeps the record."""
    if run.writes:
        print(f"{run.folder}: {text}", flush=True)
