"""Whether runs were made under the same conditions: kind of machine, arithmetic, code."""

import pandas as pd

from gofau.report.types import Column, Frame

MADE_WITH = {
    "provenance.device": "device",
    "provenance.cpu": "processor",
    "compute.threads": "threads",
    "compute.precision": "precision",
    "compute.memory_format": "memory format",
}
"""The conditions that a result depends on besides its configuration: column in runs.csv → word."""
FINGERPRINT = "fingerprint."
OF = {"data": "dataset", "direction": "optimizer"}
"""Fingerprint → section of the configuration that it belongs to, where the names differ."""


def unlike(runs: Frame) -> str:
    """A sentence if the runs differ in one of `MADE_WITH`, such as ``Not all runs were made under
    the same conditions (threads: 1, 2).``; else an empty string. Runs whose record does not hold a
    value are not considered for it."""
    found = []
    for column, word in MADE_WITH.items():
        values = _different(runs[column]) if column in runs else []
        if len(values) > 1:
            found.append(f"{word}: {', '.join(values)}")
    differences = "; ".join(found)
    return f"Not all runs were made under the same conditions ({differences})." if found else ""


def mixed(runs: Frame) -> str:
    """A sentence if runs with the same configuration names were made by different code or on
    different data, such as ``Mixed fingerprints (rule hybrid: 2) …``; else an empty string."""
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
        f"Mixed fingerprints ({'; '.join(found)}): not all runs used the same code and data."
        if found
        else ""
    )


def differing(ours: Frame, theirs: Frame) -> Frame:
    """For each pair of runs (rows of two frames with the same index) and each word of `MADE_WITH`:
    whether both records hold a value and the values differ."""
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
