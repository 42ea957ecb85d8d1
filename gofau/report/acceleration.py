"""The table of epochs and seconds to the target accuracy."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gofau.report.cells import BASELINE, rules, varying
from gofau.report.render import Cell, Row, Table, number
from gofau.report.speed import SHARE, bound, log_speedups, reaches
from gofau.report.statistics import Summary, summary
from gofau.report.tables import groups, labels, tags
from gofau.report.types import Frame


def speedups(runs: Frame, folder: Path) -> Frame:
    """One row a cell and rule.

    Returns:
        the cell's labels, rule, target, n, diverged and censored runs, median epochs and seconds to
        the target (a censored run counts with all that it was given), and for ``epochs`` and
        ``seconds`` the speed-up over additive: the geometric mean of the ratios of the same seeds,
        the ends of its 95 % Student-t interval (taken on logarithms), and the mark of `bound`.
    """
    reached = reaches(runs, folder)
    axes = list(dict.fromkeys(["optimizer", *varying(runs)]))
    rows = []
    for key, part in groups(runs, axes):
        here = reached.loc[reached.index.intersection(part.index)]
        for rule in rules(part):
            rows.append(key | _one(here, rule) | tags(part))
    return pd.DataFrame(rows)


def _one(here: Frame, rule: str) -> dict[str, Any]:
    mine, base = (here[here["rule"] == name] for name in (rule, BASELINE))
    censored = [int((part["censored"] == True).sum()) for part in (mine, base)]  # noqa: E712
    row = {
        "rule": rule,
        "target": float(mine["target"].mean()) if len(mine) else math.nan,
        "n": len(mine),
        "diverged": int((mine["state"] == "diverged").sum()),
        "censored": censored[0],
    }
    for unit in ("epochs", "seconds"):
        row[unit] = float(mine[unit].median()) if len(mine) else math.nan
        s = _ratio(here, rule, unit)
        row |= {f"speedup/{unit}": s.mean, f"low/{unit}": s.low, f"high/{unit}": s.high}
    return row | {"bound": bound(*censored)}


def _ratio(here: Frame, rule: str, unit: str) -> Summary:
    if not {rule, BASELINE} <= set(here["rule"]):
        return summary([])
    s = summary(log_speedups(here, rule, unit))
    return Summary(s.n, *(math.exp(v) for v in (s.mean, s.sd, s.low, s.high)))


def acceleration(runs: Frame, folder: Path) -> Table:
    """How soon every rule reaches the additive rule's target, and the speed-up."""
    data = speedups(runs, folder)
    axes = list(data.columns[: data.columns.get_loc("rule")])
    rows = []
    for key, group in groups_of(data, axes):
        best = group["speedup/epochs"].max()
        for row in group.to_dict("records"):
            about = {k: str(row[k]) for k in ("dataset", "model", "optimizer", "rule") if k in row}
            rows.append(Row((*labels(key), *_cells(row, best)), about))
    return Table(
        "acceleration",
        "Epochs and seconds to the target accuracy",
        f"Target: {SHARE:.0%} of the mean validation accuracy with which the additive runs of the"
        " same cell end. Median over seeds of the first epoch that reaches it and of the seconds"
        " of training until then; a censored run (never reached it, or diverged) counts with all"
        " that it was given. Speed-up: geometric mean over seeds of additive / rule, above 1"
        " where the rule is faster, with its 95 % Student-t interval; ≤: the rule's runs were"
        " censored, so this is an upper bound, ≥: the additive ones, a lower bound. Bold: the"
        " largest.",
        (
            *axes,
            "rule",
            "target",
            "epochs",
            "speed-up",
            "seconds",
            "speed-up in seconds",
            "n, censored",
        ),
        tuple(rows),
        data,
    )


def groups_of(data: Frame, axes: list[str]) -> Any:
    for key, part in data.groupby(axes, sort=False, dropna=False):
        yield dict(zip(axes, key, strict=True)), part


def _cells(row: dict[str, Any], best: float) -> list[Cell]:
    if not row["n"]:
        return [Cell(row["rule"]), Cell("–"), *[Cell("missing")] * 4, Cell("0")]
    target = Cell(number(100 * row["target"], 1), number=row["target"])
    return [
        Cell(row["rule"]),
        target,
        Cell(f"{row['epochs']:g}", number=row["epochs"]),
        _speedup(row, "epochs", best),
        Cell(number(row["seconds"], 2), number=row["seconds"]),
        _speedup(row, "seconds", math.inf),
        Cell(f"{row['n']}, {row['censored']}"),
    ]


def _speedup(row: dict[str, Any], unit: str, best: float) -> Cell:
    value, low, high = (float(row[f"{key}/{unit}"]) for key in ("speedup", "low", "high"))
    if row["rule"] == BASELINE or np.isnan(value):
        return Cell("1" if row["rule"] == BASELINE else "–", number=value)
    interval = "" if np.isnan(low) else f" ({number(low)} … {number(high)})"
    return Cell(f"{row['bound']}{number(value)}{interval}", value == best and value > 1, value)
