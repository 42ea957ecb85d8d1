"""A measurement, and the goal beside it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """The goal of a measurement, and whether it is met."""

    text: str
    met: bool


def at_least(found: float, limit: float, what: str = "") -> Goal:
    """A lower limit as a goal.

    >>> at_least(3.2, 3)
    Goal(text='≥ 3', met=True)
    """
    return Goal(f"{what} ≥ {limit:g}".strip(), found >= limit)


def at_most(found: float, limit: float, what: str = "") -> Goal:
    """An upper limit as a goal.

    >>> at_most(0.04, 0.03, "share")
    Goal(text='share ≤ 0.03', met=False)
    """
    return Goal(f"{what} ≤ {limit:g}".strip(), found <= limit)


@dataclass(frozen=True)
class Row:
    """One measurement.

    Args:
        name: what was measured.
        value: the result; None if it was left out, which ``note`` then explains.
        unit: of the value.
        ratio: the value, or what the note says, divided by ``ratio_to``.
        goal: None if there is none.
        note: what a reader needs to know to understand the value.
    """

    name: str
    value: float | None
    unit: str
    ratio: float | None = None
    ratio_to: str = ""
    goal: Goal | None = None
    note: str = ""

    def cells(self) -> dict[str, object]:
        """Column → entry; an empty text where there is nothing."""
        met = "" if self.goal is None else "met" if self.goal.met else "not met"
        return {
            "name": self.name,
            "value": "" if self.value is None else self.value,
            "unit": self.unit,
            "ratio": "" if self.ratio is None else self.ratio,
            "ratio_to": self.ratio_to,
            "goal": self.goal.text if self.goal else "",
            "met": met,
            "note": self.note,
        }
