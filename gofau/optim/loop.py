"""The plain path: one parameter after the other. The reference that the others are held against."""

from collections.abc import Iterable

from gofau.optim.directions import Direction, Group
from gofau.optim.update import Item, step_number, update


def step(direction: Direction, group: Group, items: Iterable[Item]) -> None:
    """Step every item with torch's ordinary operations; see `gofau.optim.update`."""
    for p, g, state, rule in items:
        t = step_number(state, group)
        update(direction, rule, p, g, state, group | direction.coefficients(t, group))
