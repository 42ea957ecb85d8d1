"""The table and the bar chart of the speed-ups."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from gofau.report.acceleration import speedup_of, summaries
from gofau.report.cells import BASELINE, in_order, rules
from gofau.report.metric import metric_of
from gofau.report.pairs import told
from gofau.report.panels import finish, grid, name_of, panels, tally, what
from gofau.report.render import Cell, Table, TableRow, number
from gofau.report.style import rule_colour
from gofau.report.tables import JUDGED, RANDOM, labels
from gofau.report.types import Frame


def acceleration(runs: Frame) -> Table:
    """The table of the epochs each rule needs to reach the additive rule's result, and of the
    speed-up."""
    data = summaries(runs)
    axes = list(data.columns[: data.columns.get_loc("rule")])
    rows = []
    for row in data.to_dict("records"):
        key = {axis: row[axis] for axis in axes}
        about = row["tags"] | {"rule": row["rule"]}
        rows.append(TableRow((*labels(key), *_cells(row, metric_of(runs))), about))
    lost = [speedup_of(runs, rule) for rule in rules(runs) if rule != BASELINE]
    return Table(
        "acceleration",
        "Epochs to equal accuracy",
        "Each arm is trained for several horizons (numbers of epochs), each with its complete"
        " schedule. Target: the additive rule's result at the geometric mean of the shortest and"
        " the longest horizon, read per seed from a monotone curve (isotonic regression, linear in"
        " the logarithm of the horizon); the table shows the mean. Epochs: median over the seeds of"
        " the shortest horizon at which the rule's own curve reaches the target. Speed-up: the"
        " additive rule's epochs to the target divided by the rule's, per seed; geometric mean and"
        " 95 % interval, above 1 where the rule is faster. Speed-up in seconds: multiplied by the"
        " ratio of the seconds per epoch. ≤: in some pairs even the rule's longest training does"
        " not reach the target; its length is counted, so the true value may be lower. ≥: in some"
        " pairs its shortest training already reaches it. ≈: both. Pairs: shown, of expected; a"
        " pair is dropped if one of its trainings is missing, or if both rules reach the target in"
        f" the shortest training. {RANDOM}"
        f" {JUDGED} A speed-up within ±5 % is no difference. {told(lost)}".rstrip(),
        (
            *(*axes, "rule", "target", "epochs", "speed-up", "95 % interval"),
            *("speed-up in seconds", "its 95 % interval", "verdict", "its interval", "pairs"),
            *("of them bounds", "diverged, dead"),
        ),
        tuple(rows),
        data.drop(columns=["tags", "answer"]),
    )


def _cells(row: dict[str, Any], metric: Any) -> list[Cell]:
    name, answer = row["rule"], row["answer"]
    if not row["pairs_expected"] or (not row["shown"] and row["target"] != row["target"]):
        return [Cell(name), *[Cell("missing")] * 3, *[Cell("–")] * 7, Cell("–")]
    first = [Cell(name), Cell(metric.text(metric.sign * row["target"]), number=row["target"])]
    first.append(Cell(f"{row['epochs']:.3g}", number=row["epochs"]))
    counted = Cell(f"{row['diverged']}, {row['dead']} of {row['finished']}")
    pairs = [Cell(f"{row['shown']} of {row['pairs_expected']}"), Cell(str(row["bounds"])), counted]
    if answer is None:
        return [
            *first,
            Cell("1", number=1),
            Cell("–"),
            Cell("1", number=1),
            *[Cell("–")] * 3,
            *pairs,
        ]
    found = [cell for unit in ("epochs", "seconds") for cell in _speed(row, unit)]
    interval = _ends(math.exp(answer.low), math.exp(answer.high))
    return [*first, *found, Cell(answer.plain), interval, *pairs]


def _speed(row: dict[str, Any], unit: str) -> list[Cell]:
    value = row[f"speedup/{unit}"]
    mark = row["bound"] if value == value else ""
    return [
        Cell(mark + number(value), number=value),
        _ends(row[f"low/{unit}"], row[f"high/{unit}"]),
    ]


def _ends(low: float, high: float) -> Cell:
    return Cell(f"{number(low)} … {number(high)}" if low == low else "–", number=low)


UNITS = {"epochs": "speed-up in epochs", "seconds": "speed-up in seconds"}
TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def speedup(runs: Frame, folder: Path) -> Figure | None:
    """Bars of each rule's speed-up with its 95 % interval, on a log axis from 1; hatched where runs
    were censored, so that the bar is a bound."""
    data = summaries(runs)
    data = data[(data["rule"] != BASELINE) & data["speedup/epochs"].notna()]
    if data.empty:
        return None
    others = [a for a in data.columns[: data.columns.get_loc("rule")] if a != "optimizer"]
    blocks = panels(data, others)
    widest = 0.85 * data["optimizer"].nunique() + 0.6
    figure, axes = grid(len(UNITS), len(blocks), width=max(2.6, widest), sharey=True, sharex=True)
    for row, (unit, label) in zip(axes, UNITS.items(), strict=True):
        for ax, (title, block) in zip(row, blocks, strict=True):
            _bars(ax, block, unit, in_order(data["optimizer"]), rules(runs)[1:])
            if unit == "epochs":
                ax.set_title(name_of(title))
        row[0].set_ylabel(label)
    caption = f"{what(runs)}: to the additive rule's result, {tally(runs)} (hatched: a bound)"
    return finish(figure, axes, caption)


def _bars(ax, block: Frame, unit: str, optimizers: list[str], names: list[str]) -> None:
    width = 0.8 / max(1, len(names))
    ends = []
    for i, rule in enumerate(names):
        part = block[block["rule"] == rule].set_index("optimizer").reindex(optimizers)
        value, low, high = (part[f"{k}/{unit}"].to_numpy() for k in ("speedup", "low", "high"))
        x = np.arange(len(optimizers)) + (i - (len(names) - 1) / 2) * width
        bars = ax.bar(x, value - 1, width * 0.9, bottom=1, color=rule_colour(rule), label=rule)
        for bar, mark in zip(bars, part["bound"].fillna(""), strict=True):
            bar.set(hatch="////" if mark else "", edgecolor="white", linewidth=0)
        known = np.isfinite(low)
        reach = np.abs(np.stack([value - low, high - value]))[:, known]
        ax.errorbar(x[known], value[known], reach, fmt="none", ecolor="0.35", elinewidth=0.9)
        ends += [*value[np.isfinite(value)]]
    ax.axhline(1, color="black", lw=0.9)
    ax.set_yscale("log")
    ax.set_ylim(min(0.45, *ends) / 1.5, max(2.2, *ends) * 1.5)
    ax.set_yticks(TICKS, [f"{t:g}" for t in TICKS])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(min(0.45, *ends) / 1.5, max(2.2, *ends) * 1.5)
    ax.set_xticks(range(len(optimizers)), optimizers)
