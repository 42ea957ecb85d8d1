"""A measurement, and the goal beside it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """What a figure should be, and whether it is."""

    text: str
    met: bool


def at_least(found: float, limit: float, what: str = "") -> Goal:
    """
    >>> at_least(3.2, 3)
    Goal(text='≥ 3', met=True)
    """
    return Goal(f"{what} ≥ {limit:g}".strip(), found >= limit)


def at_most(found: float, limit: float, what: str = "") -> Goal:
    """
    >>> at_most(0.04, 0.03, "share")
    Goal(text='share ≤ 0.03', met=False)
    """
    return Goal(f"{what} ≤ {limit:g}".strip(), found <= limit)


@dataclass(frozen=True)
class Row:
    """One measurement.

    Args:
        name: what was measured.
        value: how much; None where it was left out, which ``note`` then explains.
        unit: of the value.
        ratio: the value, or what the note says, over ``ratio_to``.
        goal: of the issue; None where it has none.
        note: what one must know to read the figure.
    """

    name: str
    value: float | None
    unit: str
    ratio: float | None = None
    ratio_to: str = ""
    goal: Goal | None = None
    note: str = ""

    def cells(self) -> dict[str, object]:
        """As columns of a table; nothing is an empty text."""
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
