"""The metric of a run: its unit, its direction, and its margin of no difference."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gofau.report.render import number
from gofau.report.statistics import Summary
from gofau.report.types import Frame


class Counts(NamedTuple):
    """Numbers of runs: finished, of these diverged and dead ones, and missing."""

    finished: int
    diverged: int
    dead: int
    missing: int

    @property
    def marks(self) -> str:
        """``5, 1✕, 2⊘, 3?``: finished, diverged, dead, missing."""
        more = ((self.diverged, "✕"), (self.dead, "⊘"), (self.missing, "?"))
        return ", ".join([str(self.finished), *(f"{n}{sign}" for n, sign in more if n)])


@dataclass(frozen=True)
class Metric:
    """A metric of a run on held-out data.

    Attributes:
        name: as in the columns ``val/<name>`` and ``test/<name>``. ``acc`` is a fraction: values
            are shown in per cent, differences in points. Any other metric is shown unchanged.
        higher: whether higher is better.
        title: the display name.
    """

    name: str = "acc"
    higher: bool = True
    title: str = "accuracy"

    @property
    def fraction(self) -> bool:
        return self.name == "acc"

    @property
    def unit(self) -> str:
        """The unit of a value: `` (%)`` or nothing."""
        return " (%)" if self.fraction else ""

    @property
    def scale(self) -> float:
        """The factor from a value to the number that is shown."""
        return 100.0 if self.fraction else 1.0

    @property
    def sign(self) -> int:
        """+1 if higher is better, else −1; a difference times this is above 0 where better."""
        return 1 if self.higher else -1

    def text(self, value: float, sign: bool = False) -> str:
        """Format a value or a difference.

        >>> Metric().text(0.9725), Metric("loss", False, "loss").text(-0.0123, sign=True)
        ('97.25', '−0.0123')
        """
        return number(self.scale * value, 2 if self.fraction else 4, sign)

    def entry(self, s: Summary, counted: Counts | None = None) -> str:
        """``mean ± half (sd; n, diverged✕, dead⊘, missing?)``.

        >>> from gofau.report.statistics import summary
        >>> Metric().entry(summary([0.96, 0.97, 0.98, 0.99, 1.0]), Counts(5, 1, 0, 2))
        '98.00 ± 1.96 (1.58; 5, 1✕, 2?)'
        """
        counted = counted or Counts(s.n, 0, 0, 0)
        if not counted.finished:
            return "missing"
        if counted.diverged == counted.finished:
            return f"diverged ({counted.marks})"
        half = f" ± {self.text(s.half)}" if s.half == s.half else ""
        sd = f"{self.text(s.sd)}; " if s.n > 1 else ""
        return f"{self.text(s.mean)}{half} ({sd}{counted.marks})"

    def ends(self, s: Summary) -> tuple[float, float]:
        """The ends of an interval, for a figure: of a fraction what lies in 0 to 1, of which
        Student's t knows nothing.

        >>> from gofau.report.statistics import summary
        >>> Metric().ends(summary([0.9, 1.0, 1.0, 1.0, 1.0]))[1]
        1.0
        """
        if not self.fraction:
            return s.low, s.high
        return float(np.clip(s.low, 0, 1)), float(np.clip(s.high, 0, 1))

    def margin(self, typical: float) -> float:
        """The margin of no difference: 0.5 points of a fraction; for any other metric 1 % of a
        ``typical`` value (the baseline's mean).

        >>> Metric().margin(0.9), Metric("loss", False).margin(2.0)
        (0.005, 0.02)
        """
        return 0.005 if self.fraction else 0.01 * abs(typical)

    def near(self, typical: float) -> float:
        """The largest distance that counts as near the best: four margins (2 points of a
        fraction)."""
        return 4 * self.margin(typical)

    def best(self, values: Frame) -> float:
        return float(values.max() if self.higher else values.min())

    def worst(self, values: Frame) -> float:
        return float(values.min() if self.higher else values.max())


def metric_of(runs: Frame) -> Metric:
    """The metric of these runs, as `cells.prepare` found it; the first run's if they differ."""
    if not len(runs):
        return Metric()
    # Value by value: this is asked for every cell of every table, and rows of wide frames are slow.
    name, higher, title = (runs[key].iat[0] for key in ("metric", "higher", "title"))
    return Metric(str(name), bool(higher), str(title))


def metrics(runs: Frame) -> list[Metric]:
    """The different metrics of these runs, in the order in which they appear."""
    found = runs[["metric", "higher", "title"]].drop_duplicates().itertuples(index=False)
    return [Metric(str(name), bool(higher), str(title)) for name, higher, title in found]


def heading(runs: Frame, what: str = "test") -> str:
    """The heading of a table or an axis of these runs: ``test accuracy``, ``test loss``; ``test
    result`` if they have several metrics."""
    found = metrics(runs)
    return f"{what} {found[0].title}" if len(found) == 1 else f"{what} result"
