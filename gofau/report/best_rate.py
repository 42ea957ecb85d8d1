"""The best learning rate of a list, chosen on the validation split."""

from dataclasses import dataclass

from gofau.report.metric import metric_of
from gofau.report.types import Frame

TASK = ["dataset", "model", "optimizer"]
"""What a learning rate is tuned for."""


@dataclass(frozen=True)
class Tuned:
    """The best learning rate on the validation split, its runs, and whether it is at an end of the
    list that was tried."""

    lr: float
    runs: Frame
    at_edge: bool


def tune(runs: Frame, tried: list[float]) -> Tuned:
    """The rate with the best mean on the validation split; the smallest of equals. `cells.read`
    says what a diverged run counts as."""
    means = runs[runs["lr"].isin(tried)].groupby("lr")["choice"].mean()
    lr = float((metric_of(runs).sign * means).idxmax())  # type: ignore[arg-type]
    return Tuned(lr, runs[runs["lr"] == lr], lr in (min(tried), max(tried)))
