"""What the reports of measured trainings share."""

from pathlib import Path
from typing import Any

import pandas as pd

from gofau.report.statistics import MIN_SEEDS, summary
from gofau.report.types import Frame

NAMES = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}
NAMES |= {"adagrad": "Adagrad"}


def optimizer_name(optimizer: str) -> str:
    return NAMES.get(optimizer, optimizer)


def moment(epoch: int, last: int) -> str:
    """An epoch in words.

    >>> moment(0, 8), moment(4, 8), moment(8, 8)
    ('start', 'after 4 epochs', 'end, after 8 epochs')
    """
    if epoch == 0:
        return "start"
    return f"end, after {epoch} epochs" if epoch == last else f"after {epoch} epochs"


def conditions(folder: Path) -> str:
    """What was trained, in one sentence for the note below a table."""
    trainings: Frame = pd.read_csv(folder / "trainings.csv")
    row = trainings.iloc[0]
    seeds, lost = trainings["seed"].nunique(), int(trainings["diverged"].sum())
    more = f" {lost} of {len(trainings)} trainings diverged." if lost else ""
    return (
        f"{row['dataset']}, {row['model']}, {int(trainings['epochs'].max())} epochs"
        f" ({int(trainings['steps'].max())} steps), {seeds} seeds,"
        f" on {row['provenance.cpu']}, commit {str(row['provenance.commit'])[:10]}.{more}"
    )


def spread(values: Any, form: str) -> str:
    """Mean and half of the 95 % interval over seeds: "1.20 ± 0.03"; only the mean of fewer than
    `MIN_SEEDS`.

    >>> spread([1.0, 2.0, 3.0, 4.0, 5.0], ".1f")
    '3.0 ± 2.0'
    >>> spread([0.5, 0.5], "+.1f")
    '+0.5'
    """
    s = summary(values)
    text = f"{s.mean:{form}}" + (f" ± {s.half:{form.lstrip('+')}}" if s.n >= MIN_SEEDS else "")
    return text.replace("-", "−")
