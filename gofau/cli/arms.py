"""The table at the end of a sweep: one row per arm, with the mean of its seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence

from gofau.runs.events import Event

ROWS = 30
"""Largest number of rows that are shown."""
Row = tuple[tuple[str, ...], list[Event], int]
"""The values of an arm, the results of its finished runs, and how many runs it has."""


def axes(runs: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """The keys that take several values in the runs of a sweep, with their values.

    >>> axes([["rule=hybrid", "lr=1", "seed=0"], ["rule=hybrid", "lr=2", "seed=0"]])
    {'lr': ['1', '2']}
    """
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for key, value in values(run).items():
            found.setdefault(key, {})[value] = None
    return {key: [*each] for key, each in found.items() if len(each) > 1}


def values(overrides: Sequence[str]) -> dict[str, str]:
    """Key → value of overrides such as ``rule=hybrid``."""
    return {key: value for key, _, value in (word.partition("=") for word in overrides)}


def table(runs: Sequence[Sequence[str]], results: Mapping[int, Event], part: str) -> list[str]:
    """The lines of the table; none without a result.

    Args:
        runs: the overrides of each run.
        results: number of a run → its result, as `gofau.runs.outcome.measured` gives it.
        part: ``test`` or ``val``; runs that were not tested are shown by ``val``. With ``val``, or
            if there are too many rows, the best are first.
    """
    finished = {n: run for n, run in results.items() if "metric" in run}
    if not finished:
        return []
    if all(run["test"] is None for run in finished.values()):
        part = "val"
    keys = [key for key in axes(runs) if key != "seed"]
    arms: dict[tuple[str, ...], list[int]] = {}
    for number, overrides in enumerate(runs):
        arms.setdefault(tuple(values(overrides).get(key, "") for key in keys), []).append(number)
    rows = [
        (name, [finished[n] for n in mine if n in finished], len(mine))
        for name, mine in arms.items()
    ]
    left = len(rows) - ROWS
    if left > 0 or part == "val":
        rows = _best(rows, part)[:ROWS]
    lines = _columns(
        [(*keys, "runs", _heading(finished.values(), part))]
        + [(*name, _count(mine, asked), _mean(mine, part)) for name, mine, asked in rows]
    )
    return [*lines, f"and {left} more: python -m gofau.runs status --all"] if left > 0 else lines


def _best(rows: list[Row], part: str) -> list[Row]:
    """The best arms first, if all have one metric."""
    from statistics import mean  # not when a command starts

    metrics = {run["metric"]["name"]: run["metric"] for _, mine, _ in rows for run in mine}
    if len(metrics) > 1:
        return rows
    (metric,) = metrics.values()
    sign = -1 if metric["higher_is_better"] else 1

    def key(row: Row) -> float:
        known = _known(row[1], part)
        return sign * mean(known) if known else math.inf

    return sorted(rows, key=key)


def _heading(results: Iterable[Event], part: str) -> str:
    titles = {run["metric"]["title"] for run in results}
    what = titles.pop() if len(titles) == 1 else "result"
    return f"{'test' if part == 'test' else 'validation'} {what}, mean ± standard deviation"


def _known(runs: Sequence[Event], part: str) -> list[float]:
    return [run[part] for run in runs if run[part] is not None]


def _count(runs: Sequence[Event], asked: int) -> str:
    """Such as ``3``, or ``2 of 3, 1 diverged`` where a run is missing."""
    diverged = sum(run["state"] == "diverged" for run in runs)
    finished = str(asked) if len(runs) == asked else f"{len(runs)} of {asked}"
    return f"{finished}, {diverged} diverged" if diverged else finished


def _mean(runs: Sequence[Event], part: str) -> str:
    """Diverged runs count at chance level; where there is none, they are left out."""
    from statistics import mean, stdev

    known = _known(runs, part)
    if not known:
        return "—"
    form = runs[0]["metric"]["format"]
    spread = f" ± {stdev(known):{form}}" if len(known) > 1 else ""
    return f"{mean(known):{form}}{spread}"


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Align the cells of each column on the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    pairs = ((cell.ljust(n) for cell, n in zip(row, widths, strict=True)) for row in rows)
    return ["  ".join(cells).rstrip() for cells in pairs]
