"""The outcome of a run: a number for an optimizing sweeper, and one line for the user."""

import csv
import math
from pathlib import Path
from typing import Any

from gofau.runs.committed import committed
from gofau.runs.events import muted, note
from gofau.runs.fingerprint import changed
from gofau.runs.record import FINISHED, Run


def finished(run: Run, today: dict[str, str], again: bool = True) -> float | None:
    """The objective of a run that is already done; None for one that has to be carried out.

    A run is done if it finished with today's code and data, and has the diagnostics that are asked
    for now. Older records without fingerprints do not say which code made them: they count as done,
    and the line that is printed says so.

    Args:
        run: the run. ``rerun``, ``stale``, ``reuse`` and ``retry_failed`` of its configuration
            change the decision.
        today: the fingerprints of its code and data (`gofau.runs.fingerprint`).
        again: whether to print why a finished run is run again.
    """
    status, config = run.status(), run.config
    if config["rerun"]:
        return None
    if status["state"] in FINISHED:
        found = _judge(run, status, today, str(run.folder), again)
        if found is not None:
            return found
    # Committed records come second: the runs folder may hold a newer record.
    if config.get("reuse"):
        where, row = committed(run, Path(config["reuse"]))
        if row:
            return _judge(run, row, today, where, again and status["state"] not in FINISHED)
    if status["state"] == "failed" and not config["retry_failed"]:
        text = f"failed before ({status.get('error')}); retry_failed=true tries it again"
        say(run, text, state="failed", before=str(run.folder))
        return math.nan
    return None


def _judge(
    run: Run, status: dict[str, Any], today: dict[str, str], where: str, again: bool
) -> float | None:
    """The objective of a finished record; None if the run has to be repeated today."""
    other = changed(status.get("fingerprint", {}), today)
    lacking = _lacks_diagnostics(run, status)
    if lacking or (other and run.config.get("stale") != "keep"):
        if again:
            why = lacking or f"with different code or data ({', '.join(other)})"
            kept = "" if lacking else "; stale=keep accepts it"
            say(run, f"{status['state']} already, but {why}: run again{kept}", where, warning=why)
        return None
    notes = _notes(run, status, other)
    text = ", ".join([summary(status), *notes])
    facts = measured(status) | {"before": where, "warning": ", ".join(notes)}
    say(run, f"{status['state']} already ({text}); rerun=true repeats it", where, **facts)
    return objective(status)


def _notes(run: Run, status: dict[str, Any], other: list[str]) -> list[str]:
    """Warnings about a record that is used as it is."""
    trainer, compute = run.config["trainer"], status.get("compute", {})
    asked, had = trainer.get("threads"), compute.get("threads")
    notes = [f"with different code or data: {', '.join(other)}"] if other else []
    if "fingerprint" not in status:
        notes.append("the record does not say with which code and data")
    if asked and had and asked != had:
        notes.append(f"with {had} thread{'s' * (had > 1)}, not {asked}")
    asked, had = trainer.get("memory_format", "auto"), compute.get("memory_format")
    if asked != "auto" and had and asked != had:
        notes.append(f"with {had}, not {asked}")
    return notes


def _lacks_diagnostics(run: Run, status: dict[str, Any]) -> str:
    asked = run.config["trainer"].get("diagnostics_every")
    had = status.get("diagnostics_every")
    if asked is None or had == asked:
        return ""
    # Older records do not hold the interval; committed ones only whether there were diagnostics.
    if had is None and (status.get("update_rms") or _first_step(run.folder) == asked):
        return ""
    return f"{f'with diagnostics_every={had}' if had else 'without diagnostics'}, not {asked}"


def _first_step(folder: Path) -> int | None:
    """The first step in diagnostics.csv, which equals the interval between rows."""
    try:
        with open(folder / "diagnostics.csv", newline="", encoding="utf-8") as f:
            return int(next(csv.DictReader(f))["step"])
    except (OSError, StopIteration, KeyError, ValueError):
        return None


ACCURACY = {"name": "acc", "title": "accuracy", "higher_is_better": True, "format": ".2%"}


def metric(status: dict[str, Any]) -> dict[str, Any]:
    """The metric of a run: name, title, format, whether higher is better, and the chance level
    (None if it has none). Older records without a metric are of accuracy."""
    given = status.get("metric")
    if not given:
        return ACCURACY | {"chance": 1 / status["classes"]}
    return {"title": given["name"], "format": ".4g"} | given


def objective(status: dict[str, Any]) -> float:
    """The metric on the validation split after the last epoch, in its own direction: a sweep should
    maximise an accuracy and minimise a reconstruction loss. A run that diverged, or has no
    validation split, counts as chance level, or without one as the worst value, ∞ or −∞."""
    judged = metric(status)
    value = status["result"].get(f"val/{judged['name']}")
    if status["state"] != "diverged" and value is not None:
        return value
    worst = -math.inf if judged["higher_is_better"] else math.inf
    return worst if judged["chance"] is None else judged["chance"]


def summary(status: dict[str, Any]) -> str:
    """The result in words, such as ``test accuracy 98.33%, 1.2 s of training``."""
    judged = metric(status)
    value = status["result"].get(f"test/{judged['name']}")
    parts = [] if value is None else [f"test {judged['title']} {value:{judged['format']}}"]
    if "divergence" in status:
        found = status["divergence"]
        parts.append(f"step {found['step']}: {found['reason']}")
    return ", ".join([*parts, f"{status['result']['seconds']:.1f} s of training"])


def measured(status: dict[str, Any]) -> dict[str, Any]:
    """The part of a finished record that a table of a sweep shows: state, metric, and the metric's
    values on the validation split and the test set. Those of a run that diverged are `objective`'s:
    chance level; None if the metric has none."""
    judged = metric(status)
    found = {part: status["result"].get(f"{part}/{judged['name']}") for part in ("val", "test")}
    if status["state"] == "diverged":
        found = dict.fromkeys(found, judged["chance"])
    return {"state": status["state"], "metric": judged, **found}


def say(run: Run, text: str, where: str = "", **facts: Any) -> None:
    """Tell the user something about a run, from the one process that writes the record: as a line,
    or in a sweep that is shown as a whole by its ``facts`` (`gofau.runs.events`)."""
    if not run.writes:
        return
    line = f"{where or run.folder}: {text}"
    note(**facts, line=line)
    if not muted():
        print(line, flush=True)
