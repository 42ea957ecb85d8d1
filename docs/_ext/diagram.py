"""Draws the arrows of a mermaid flowchart as SVG: mermaid itself is a script from the network.

Rooms stand in rows, each above all that it imports. An arrow over several rows has a place of its
own in each row between, so that it passes no box. In a row the places are ordered by those that
they are connected to, which keeps crossings few.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

ARROW = re.compile(r"^\s*(\w+) --> (\w+)$", re.MULTILINE)
BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WIDTH, NARROW, HEIGHT = 100, 26, 74
"""Of the place of a room, of that of a passing arrow, and of a row."""
BOX, TALL = 84, 28
ROUNDS = 12
HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7"'
    ' orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
)

Arrow = tuple[str, str]
Spot = tuple[float, float]


def drawn(text: str) -> str:
    """A page with its flowcharts as pictures."""
    return BLOCK.sub(lambda block: svg(ARROW.findall(block[1])), text)


def levels(arrows: list[Arrow]) -> dict[str, int]:
    """The row of each room, counted from the top: every arrow points to a lower row."""
    level: dict[str, int] = {}

    def depth(room: str) -> int:
        if room not in level:
            level[room] = 1 + max((depth(a) for a, b in arrows if b == room), default=-1)
        return level[room]

    return {room: depth(room) for room in sorted({name for arrow in arrows for name in arrow})}


def svg(arrows: list[Arrow]) -> str:
    """The picture, in the colours of the page; in one line, as an empty line would end it."""
    level = levels(arrows)
    routes = [_route(a, b, level) for a, b in arrows]
    at = places(level, routes)
    wide = max(x for x, _ in at.values()) + WIDTH / 2
    high = (1 + max(level.values())) * HEIGHT
    parts = [_line([at[stop] for stop in route]) for route in routes]
    parts += [_box(name, *at[name]) for name in level]
    return (
        f'<svg class="diagram" viewBox="0 0 {wide:g} {high}" role="img"'
        f' aria-label="which room imports which">{HEAD}{"".join(parts)}</svg>'
    )


def _route(a: str, b: str, level: Mapping[str, int]) -> list[str]:
    """The stops of an arrow: its rooms, and one in each row between them."""
    return [a, *(f"{a} {b} {row}" for row in range(level[a] + 1, level[b])), b]


def places(level: Mapping[str, int], routes: list[list[str]]) -> dict[str, Spot]:
    """The middle of each stop; rows are centred."""
    rows: list[list[str]] = [[] for _ in range(1 + max(level.values()))]
    near: dict[str, list[str]] = {name: [] for name in level}
    for route in routes:
        for row, stop in enumerate(route, start=level[route[0]]):
            near.setdefault(stop, [])
            if stop not in rows[row]:
                rows[row].append(stop)
        for a, b in pairwise(route):
            near[a].append(b)
            near[b].append(a)
    for _ in range(ROUNDS):
        for row in rows:
            at = _centred(rows)
            row.sort(key=lambda stop: sum(at[x][0] for x in near[stop]) / len(near[stop]))
    return _centred(rows)


def _centred(rows: list[list[str]]) -> dict[str, Spot]:
    widths = [[_width(stop) for stop in row] for row in rows]
    widest = max(map(sum, widths))
    return {
        stop: ((widest - sum(wide)) / 2 + sum(wide[:i]) + wide[i] / 2, (y + 0.5) * HEIGHT)
        for y, (row, wide) in enumerate(zip(rows, widths, strict=True))
        for i, stop in enumerate(row)
    }


def _width(stop: str) -> int:
    return NARROW if " " in stop else WIDTH


def _line(stops: list[Spot]) -> str:
    """A curve through the stops, from the bottom of the first box to the top of the last."""
    points = [(stops[0][0], stops[0][1] + TALL / 2), *stops[1:-1]]
    points.append((stops[-1][0], stops[-1][1] - TALL / 2 - 1))
    return f'<path d="{_path(points)}" fill="none" marker-end="url(#head)"/>'


def _path(points: Iterable[Spot]) -> str:
    (x0, y0), *others = points
    made = f"M{x0:g} {y0:g}"
    for x1, y1 in others:
        half = (y1 - y0) / 2
        made += f"C{x0:g} {y0 + half:g} {x1:g} {y1 - half:g} {x1:g} {y1:g}"
        x0, y0 = x1, y1
    return made


def _box(name: str, x: float, y: float) -> str:
    corner = f'x="{x - BOX / 2:g}" y="{y - TALL / 2:g}" width="{BOX}" height="{TALL}" rx="5"'
    return f'<rect {corner}/><text x="{x:g}" y="{y + 4:g}" text-anchor="middle">{name}</text>'
