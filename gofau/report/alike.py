"""Whether runs were made alike: on one kind of machine, with the same threads, precision and
code."""

import pandas as pd

from gofau.report.types import Column, Frame

MADE_WITH = {
    "provenance.device": "device",
    "provenance.cpu": "processor",
    "compute.threads": "threads",
    "compute.precision": "precision",
}
"""What a run's result depends on besides what it measures, by its column in runs.csv."""
FINGERPRINT = "fingerprint."
OF = {"data": "dataset", "direction": "optimizer"}
"""The section of the configuration that a fingerprint is of, where it has another name."""


def unlike(runs: Frame) -> str:
    """A sentence where these runs were not all made on one kind of machine, with one number of
    threads and in one precision, such as ``Not all runs were made alike (threads: 1, 2).``; else
    nothing. A run whose record does not say it is left out of this."""
    found = []
    for column, word in MADE_WITH.items():
        values = _different(runs[column]) if column in runs else []
        if len(values) > 1:
            found.append(f"{word}: {', '.join(values)}")
    return f"Not all runs were made alike ({'; '.join(found)})." if found else ""


def mixed(runs: Frame) -> str:
    """A sentence where runs of one name were made by different code or on different data, such as
    ``Mixed fingerprints (rule hybrid: 2).``; else nothing."""
    found = []
    for column in (c for c in runs if str(c).startswith(FINGERPRINT)):
        word = str(column).removeprefix(FINGERPRINT)
        section = OF.get(word, word.partition(".")[0])
        named = f"{section}.name"
        names = runs[named] if named in runs else pd.Series("", runs.index)
        for name, count in runs[column].groupby(names, sort=False).nunique().items():
            if count > 1:
                found.append(f"{word} {name}".strip() + f": {count}")
    return (
        f"Mixed fingerprints ({'; '.join(found)}): not all runs are of one code and data."
        if found
        else ""
    )


def differing(ours: Frame, theirs: Frame) -> Frame:
    """For each pair of runs (rows of two frames of one index) and each of `MADE_WITH`'s words,
    whether both say it and differ in it."""
    return pd.DataFrame(
        {
            word: (ours[column] != theirs[column]) & ours[column].notna() & theirs[column].notna()
            for column, word in MADE_WITH.items()
            if column in ours
        },
        index=ours.index,
    )


def _different(values: Column) -> list[str]:
    found = sorted(values.dropna().unique())
    return [f"{v:g}" if isinstance(v, float) else str(v) for v in found]
