"""Reads runs and sorts them into cells: what was varied, each run's outcome, which runs belong
together."""

from pathlib import Path

import numpy as np
import pandas as pd

from gofau.errors import UserError
from gofau.report.metric import Counts
from gofau.report.population import images
from gofau.report.reading import read_csv
from gofau.report.types import Column, Frame
from gofau.runs import LATER, SECTIONS

AXES = (*SECTIONS, "lr", "horizon")
"""A run's labels. Together with the seed they identify it."""
CONTEXT = tuple(axis for axis in AXES if axis != "rule")
"""Rules are compared between runs that agree in all of these."""
DEFAULT = "default"
"""The label for the learning rate or the horizon where it does not vary."""
FINISHED = ("done", "diverged")
BASELINE = "additive"
NEEDED = (
    *("identity", "state", "seed"),
    *("dataset.name", "model.name", "optimizer.name", "rule.name"),
)
"""Columns that every record has."""
UNUSED = (
    *("provenance.versions.", "provenance.python", "provenance.platform", "provenance.command"),
    *("divergence/", "train/", "started", "updated", "seconds_total", "science"),
)
"""Prefixes of columns that the report does not need; "steps", which it does not need either, would
be a prefix of "stepsize.name", which it does."""
CLIPPING = "trainer.clip_norm"
OF_PROBLEM = ["dataset.name", "model.name"]
"""The columns that tell one problem from another."""
PROBLEM = ["problem", "dataset", "model"]
"""Diverged runs are ranked among the runs that have these in common."""


def read(folder: Path) -> Frame:
    """Read the runs of a results folder, one row per run, and add the columns of the report.

    Returns:
        the columns of runs.csv, and

        - one label for each of `AXES`: the section's name, followed by its hyperparameters that
          vary among runs of that name on the same problem, such as ``kaiming_normal ×5`` or
          ``hybrid gamma=0.2`` (for a rule: also of the same optimizer); a rule with clipped
          gradients is another one: ``additive, clipped at 1``. What differs only between
          problems or optimizers, such as defaults or tuned values, makes no axis.
          ``lr``, the learning rate, and ``horizon``, the number of epochs of the schedule, are
          separate axes, or `DEFAULT` where they do not vary;
        - ``metric``, ``higher``, ``title``: the metric's name, whether higher is better, and its
          display name; a record without them is one of accuracy;
        - ``outcome``: the metric on the test set at the last epoch; NaN where there is no result. A
          run that diverged counts at chance level; if the metric has no chance level, as the worst
          finished run of its problem, so that it ranks last;
        - ``choice``: the same on the validation split; for choosing only, never reported;
        - ``capped``: the run diverged and its metric has no chance level, so that its outcome may
          be better than it deserves;
        - ``images``: the number of test images behind an accuracy, NaN where unknown;
        - ``cell``: a number for each combination of the labels of `CONTEXT`;
        - ``dead``: finished, but at the end no better than guessing: within two standard errors of
          chance level on that many images.
    """
    path = folder / "runs.csv"
    return prepare(read_csv(path, NEEDED, low_memory=False, usecols=_is_used))


def _is_used(column: str) -> bool:
    """Whether to read a column. Unused ones cost time: each selection of rows copies them."""
    return column != "steps" and not column.startswith(UNUSED)  # stepsize.… is used


def prepare(runs: Frame) -> Frame:
    """Add the columns that `read` describes to a frame of runs."""
    added: Frame = {section: _label(runs, section) for section in SECTIONS}
    added["rule"] += _clipping(runs)
    parts = ("optimizer.name", "rule.name", "stepsize.name", "post_step.name")
    added["lr"] = _varied(runs, "optimizer.lr", [*OF_PROBLEM, *parts])
    added["horizon"] = _varied(runs, "trainer.epochs", OF_PROBLEM)
    runs = runs.assign(**added)
    named = _text(runs, "metric.name").replace({"": "acc"})
    higher = _text(runs, "metric.higher_is_better").str.lower() != "false"
    title = _text(runs, "metric.title")
    title = title.where(title != "", named.replace({"acc": "accuracy"}))
    runs = runs.assign(metric=named, higher=higher, title=title)
    chance = _chance(runs)
    runs = runs.assign(outcome=_result(runs, "test", chance), choice=_result(runs, "val", chance))
    runs = runs.assign(images=_images(runs))
    # Where the number of images is unknown, the standard error counts as 0.
    guess = chance + 2 * (chance * (1 - chance) / runs["images"].fillna(np.inf)) ** 0.5
    dead = (runs["state"] == "done") & runs["higher"] & (runs["outcome"] <= guess)
    capped = (runs["state"] == "diverged") & chance.isna()
    cell = runs.groupby(list(CONTEXT), sort=False, dropna=False).ngroup()
    runs = runs.assign(dead=dead, capped=capped, cell=cell)
    texts = runs.select_dtypes("str").columns
    return runs.astype(dict.fromkeys(texts, object)).copy()  # all texts in one block


def _chance(runs: Frame) -> Column:
    """The chance level: the metric's value for guessing; NaN where it has none."""
    told = _numbers(runs, "metric.chance")
    guess = 1 / _numbers(runs, "classes")
    return told.fillna(guess.where(_text(runs, "metric.name").isin(["", "acc"])))


def _result(runs: Frame, part: str, chance: Column) -> Column:
    """The metric on one split, with the value that a diverged run counts as."""
    found = pd.Series(np.nan, runs.index)
    for name in runs["metric"].unique():
        found = found.where(runs["metric"] != name, _numbers(runs, f"{part}/{name}"))
    # What a diverged run measured before it ended is not its result.
    found = found.where(runs["state"] == "done")
    groups = found.groupby([runs[key] for key in [*PROBLEM, "metric"]], dropna=False)
    worst = groups.transform("min").where(runs["higher"], groups.transform("max"))
    return found.mask(runs["state"] == "diverged", chance.fillna(worst))


def _images(runs: Frame) -> Column:
    of_images = (runs["state"] == "done") & (runs["metric"] == "acc")
    found = runs["outcome"].where(of_images).groupby(runs["dataset"]).transform(images)
    return pd.to_numeric(found)


def _numbers(runs: Frame, column: str) -> Column:
    if column not in runs:
        return pd.Series(np.nan, runs.index)
    try:
        return pd.to_numeric(runs[column])
    except (ValueError, TypeError) as e:
        raise UserError(f"the column {column} of runs.csv must hold numbers: {e}") from e


def _varied(runs: Frame, column: str, within: list[str]) -> Column:
    """The numbers of a column as an axis, if they vary while the columns ``within`` are fixed."""
    values = _numbers(runs, column)
    varied = values.groupby([_text(runs, name) for name in within]).nunique().max() > 1
    return values if varied else pd.Series(DEFAULT, runs.index)


def _text(runs: Frame, column: str) -> Column:
    if column not in runs:
        return pd.Series("", runs.index)
    return runs[column].astype(str).fillna("").replace({"nan": "", "None": ""})


def _label(runs: Frame, section: str) -> Column:
    name = f"{section}.name"
    label = start = _text(runs, name).replace({"": LATER.get(section, "")})
    whose = [start] + [_text(runs, column) for column in _around(section)]
    elsewhere = (name, "optimizer.lr", "trainer.epochs", *[CLIPPING] * _clips(runs))
    for column in (c for c in runs if c.startswith(f"{section}.")):
        if column in elsewhere or runs[column].nunique(dropna=False) <= 1:
            continue  # most columns are constant, and grouping is slow
        # As text, so that a missing value counts as a value: only some schemes have init.scale.
        varies = runs[column].astype(str).fillna("").groupby(whose).transform("nunique") > 1
        if not varies.any():
            continue
        text = runs[column].map(lambda v: f"{v:g}" if isinstance(v, float) else str(v))
        key = column.removeprefix(f"{section}.")
        text = " ×" + text if key == "scale" else f" {key}=" + text
        label = label.where(~varies, label + text)
    return label.str.strip()


def _clipping(runs: Frame) -> Column:
    """What is added to the rule's label: with clipped gradients it is another rule, since it bounds
    the step, and it is compared with the others in the same cell."""
    if not _clips(runs):
        return pd.Series("", runs.index)
    return _numbers(runs, CLIPPING).map(
        lambda norm: "" if norm != norm else f", clipped at {norm:g}"
    )


def _clips(runs: Frame) -> bool:
    """Whether clipping is a choice here, and not a setting of all runs of an optimizer."""
    if CLIPPING not in runs:
        return False
    return bool(_text(runs, CLIPPING).groupby(runs["optimizer.name"]).nunique().max() > 1)


def _around(section: str) -> list[str]:
    """The columns that say for which runs the defaults of a section are the same."""
    if section in ("dataset", "model"):
        return []
    per_optimizer = section in ("rule", "stepsize", "post_step")
    return [*OF_PROBLEM, "optimizer.name"] if per_optimizer else OF_PROBLEM


def varying(runs: Frame) -> list[str]:
    """The axes of `CONTEXT` that vary in these runs, in the order of a table's first columns."""
    return [axis for axis in CONTEXT if runs[axis].nunique() > 1]


def in_order(values: Column) -> list:
    """The distinct values: numbers sorted, others in order of appearance (the sweep's order)."""
    found = list(dict.fromkeys(values.dropna()))
    return sorted(found) if pd.api.types.is_numeric_dtype(values) else found


def describe_place(value: object) -> str:
    """Format a value of an axis."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def rules(runs: Frame) -> list[str]:
    """The rules, the baseline first."""
    found = in_order(runs["rule"])
    return sorted(found, key=lambda rule: rule != BASELINE)


def compared(runs: Frame) -> list[str]:
    """The rules that are swept in the same cells as the baseline, whatever the learning rates are,
    without the baseline. A rival that has a rule of its own is swept in other cells. All rules if
    there is no baseline."""
    place = runs.groupby([axis for axis in CONTEXT if axis != "lr"], dropna=False).ngroup()
    base = set(place[runs["rule"] == BASELINE])
    others = [rule for rule in rules(runs) if rule != BASELINE]
    cells = {rule: set(place[runs["rule"] == rule]) for rule in others}
    return [rule for rule in others if not base or base & cells[rule]]


def counts(runs: Frame) -> Counts:
    """Count the runs: finished (including diverged and dead ones), diverged, dead, missing."""
    state = runs["state"]
    finished = int(state.isin(FINISHED).sum())
    lost, dead = int((state == "diverged").sum()), int(runs["dead"].sum())
    return Counts(finished, lost, dead, len(runs) - finished)


LOSSY = {"cifar10_jpeg": "lossy JPEG, not comparable with published CIFAR-10"}
"""Data set → the warning that is shown with every accuracy on it."""


def describe(runs: Frame) -> str:
    """The data these runs were trained on, such as ``cifar10_jpeg (lossy JPEG, not comparable with
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
