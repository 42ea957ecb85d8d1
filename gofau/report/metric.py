"""What a run is judged by: its unit, which way is better, and what counts as no difference."""

from dataclasses import dataclass
from typing import NamedTuple

from gofau.report.render import number
from gofau.report.statistics import Summary
from gofau.report.types import Frame


class Counts(NamedTuple):
    """How many of some runs finished, how many of those diverged or were dead, and how many of the
    runs are missing."""

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
        name: as in the columns ``val/<name>`` and ``test/<name>``; ``acc`` is a fraction, shown in
            per cent, and its differences in points; any other is shown as it is.
        higher: higher is better.
        title: in words, for people.
    """

    name: str = "acc"
    higher: bool = True
    title: str = "accuracy"

    @property
    def fraction(self) -> bool:
        return self.name == "acc"

    @property
    def unit(self) -> str:
        """Of a value: `` (%)`` or nothing."""
        return " (%)" if self.fraction else ""

    @property
    def scale(self) -> float:
        """What a value is multiplied by to be shown."""
        return 100.0 if self.fraction else 1.0

    @property
    def sign(self) -> int:
        """+1 where higher is better, else −1: times this, a difference is above 0 where better."""
        return 1 if self.higher else -1

    def text(self, value: float, sign: bool = False) -> str:
        """A value or a difference as it is shown.

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

    def margin(self, typical: float) -> float:
        """How large a difference may be and still be none: 0.5 points of a fraction; 1 % of a
        ``typical`` value (the baseline's mean) of any other metric.

        >>> Metric().margin(0.9), Metric("loss", False).margin(2.0)
        (0.005, 0.02)
        """
        return 0.005 if self.fraction else 0.01 * abs(typical)

    def near(self, typical: float) -> float:
        """How far from the best is still near it: four margins, so 2 points of a fraction."""
        return 4 * self.margin(typical)

    def best(self, values: Frame) -> float:
        return float(values.max() if self.higher else values.min())

    def worst(self, values: Frame) -> float:
        return float(values.min() if self.higher else values.max())


def metric_of(runs: Frame) -> Metric:
    """The metric of runs that have one in common, as `cells.prepare` found it; the first one of
    runs that have several."""
    return metrics(runs[:1])[0] if len(runs) else Metric()


def metrics(runs: Frame) -> list[Metric]:
    """The different metrics of these runs, in the order in which they appear."""
    found = runs[["metric", "higher", "title"]].drop_duplicates().itertuples(index=False)
    return [Metric(str(name), bool(higher), str(title)) for name, higher, title in found]


def heading(runs: Frame, what: str = "test") -> str:
    """What a table or an axis of these runs shows: ``test accuracy``, ``test loss``; ``test
    result`` where they have several metrics."""
    found = metrics(runs)
    return f"{what} {found[0].title}" if len(found) == 1 else f"{what} result"
