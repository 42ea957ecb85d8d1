"""Runs → cells: what was varied, what a run's outcome is, and which runs belong together."""

from pathlib import Path

import numpy as np
import pandas as pd

from gofau.report.types import Column, Frame
from gofau.runs import SECTIONS

AXES = (*SECTIONS, "lr")
"""A run's labels. With the seed they say what it is."""
CONTEXT = tuple(axis for axis in AXES if axis != "rule")
"""Rules are compared where these agree."""
DEFAULT = "default"
"""The learning rate of runs that each have the default one of their optimizer and rule."""
FINISHED = ("done", "diverged")
BASELINE = "additive"


def read(folder: Path) -> Frame:
    """The runs of a results folder, one row each, with what the report asks of them added.

    Returns:
        the columns of runs.csv, and

        - one label for each of `AXES`: a section's name, followed by those of its numbers that vary
          here where its name does not, such as ``kaiming_normal ×5`` or ``hybrid gamma=0.2`` (a
          rule's: where the optimizer does not either, as each has defaults of its own); ``lr`` is
          the learning rate, which has an axis of its own, or `DEFAULT` where nothing has two;
        - ``outcome``: accuracy on the test set at the last epoch, a fraction; chance level for a
          run that diverged; NaN where there is no result;
        - ``choice``: the same on the validation part, for choosing, never for reporting.
    """
    return prepare(pd.read_csv(folder / "runs.csv"))


def prepare(runs: Frame) -> Frame:
    """What `read` adds, for a frame of runs."""
    added = {section: _label(runs, section) for section in SECTIONS}
    added["lr"] = _rates(runs)
    lost = runs["state"] == "diverged"
    chance = 1 / _numbers(runs, "classes")
    for name, column in (("outcome", "test/acc"), ("choice", "val/acc")):
        added[name] = _numbers(runs, column).where(runs["state"] == "done").mask(lost, chance)
    return runs.assign(**added)


def _numbers(runs: Frame, column: str) -> Column:
    return pd.to_numeric(runs[column]) if column in runs else pd.Series(np.nan, runs.index)


def _rates(runs: Frame) -> Column:
    rates = _numbers(runs, "optimizer.lr")
    whose = [_text(runs, "optimizer.name"), _text(runs, "rule.name")]
    varied = rates.groupby(whose).nunique().max() > 1
    return rates if varied else pd.Series(DEFAULT, runs.index)


def _text(runs: Frame, column: str) -> Column:
    return runs[column].astype(str) if column in runs else pd.Series("", runs.index)


def _label(runs: Frame, section: str) -> Column:
    name = f"{section}.name"
    label = start = _text(runs, name)
    whose = [start, _text(runs, "optimizer.name")] if section == "rule" else [start]
    for column in (c for c in runs if c.startswith(f"{section}.")):
        # A missing value is a value too: init.scale is one for some schemes only.
        varies = runs[column].astype(str).groupby(whose).transform("nunique") > 1
        if column in (name, "optimizer.lr") or not varies.any():
            continue
        text = runs[column].map(lambda v: f"{v:g}" if isinstance(v, float) else str(v))
        key = column.removeprefix(f"{section}.")
        text = " ×" + text if key == "scale" else f" {key}=" + text
        label = label.where(~varies, label + text)
    return label.str.strip()


def varying(runs: Frame) -> list[str]:
    """The axes of `CONTEXT` that these runs vary, in the order of a table's first columns."""
    return [axis for axis in CONTEXT if runs[axis].nunique() > 1]


def in_order(values: Column) -> list:
    """Distinct values as they first appear, which is the sweep's order; numbers by size."""
    found = list(dict.fromkeys(values.dropna()))
    return sorted(found) if pd.api.types.is_numeric_dtype(values) else found


def rules(runs: Frame) -> list[str]:
    """The rules, the baseline first."""
    found = in_order(runs["rule"])
    return sorted(found, key=lambda rule: rule != BASELINE)


def counts(runs: Frame) -> tuple[int, int, int]:
    """How many runs finished (diverged ones among them), how many of those diverged, how many are
    missing."""
    state = runs["state"]
    finished = int(state.isin(FINISHED).sum())
    return finished, int((state == "diverged").sum()), len(runs) - finished


LOSSY = {"cifar10_jpeg": "lossy JPEG, not comparable with published CIFAR-10"}
"""What has to be said wherever an accuracy on such data is shown."""


def describe(runs: Frame) -> str:
    """On which data these runs were trained: ``cifar10_jpeg (lossy JPEG, not comparable with
    published CIFAR-10; 5,000 training images; 3 epochs)``."""
    found = []
    for name, part in runs.groupby("dataset", sort=False):
        sizes = in_order(_numbers(part, "dataset.train_size"))
        epochs = in_order(_numbers(part, "trainer.epochs"))
        notes = [LOSSY[str(name)]] if name in LOSSY else []
        notes += [f"{', '.join(f'{n:,.0f}' for n in sizes)} training images"] if sizes else []
        notes += [f"{', '.join(f'{n:g}' for n in epochs)} epochs"] if epochs else []
        found.append(f"{name} ({'; '.join(notes)})" if notes else str(name))
    return ", ".join(found)


MADE_WITH = {
    "provenance.device": "device",
    "provenance.cpu": "processor",
    "compute.threads": "threads",
    "compute.precision": "precision",
}
"""What a run's result depends on besides what it measures, by its column in runs.csv."""


def unlike(runs: Frame) -> str:
    """A sentence where these runs were not all made on one kind of machine, with one number of
    threads and in one precision, such as ``Not all runs were made alike (threads: 1, 2).``; else
    nothing. A run whose record does not say it is left out of this."""
    found = []
    for column, word in MADE_WITH.items():
        values = in_order(runs[column]) if column in runs else []
        if len(values) > 1:
            texts = (f"{v:g}" if isinstance(v, float) else str(v) for v in values)
            found.append(f"{word}: {', '.join(texts)}")
    return f"Not all runs were made alike ({'; '.join(found)})." if found else ""


def differences(runs: Frame, rule: str, baseline: str = BASELINE, value: str = "outcome") -> Frame:
    """``value`` of one rule minus that of another over the same cells and seeds.

    Returns:
        one row a cell (a `CONTEXT` that both rules, or one, were asked for in), one column a seed;
        NaN where one of the two has no result.
    """
    one, other = (
        runs[runs["rule"] == name].set_index([*CONTEXT, "seed"])[value].unstack("seed")
        for name in (rule, baseline)
    )
    return one.sub(other) if len(one) and len(other) else (one if len(one) else other) * np.nan
