"""Up to what relative size a step decreases the loss as predicted: numbers and table."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gofau.report.measure.common import moment, optimizer_name, spread
from gofau.report.render import Cell, Table, TableRow
from gofau.report.statistics import LEVEL, MIN_SEEDS, holm, summary
from gofau.report.types import Frame

TOLERANCE = 0.5
"""The prediction holds while |measured/predicted − 1| is at most this."""
DIRECTIONS = ("additive", "multiplicative")
CELL = ["optimizer", "rule", "epoch", "loss", "scaling"]


def load(folder: Path) -> Frame:
    """The measured steps, with measured/predicted as ``ratio``. The start of a training is the same
    for all rules, so it is there once per optimizer and seed."""
    steps: Frame = pd.read_csv(folder / "steps.csv.gz")
    same = (steps["epoch"] == 0) & (steps["rule"] != steps["rule"].iloc[0])
    return steps[~same].assign(ratio=steps["measured"] / steps["predicted"])


def reach(sizes: Sequence[float], ratios: Sequence[float]) -> float:
    """The relative size up to which measured/predicted stays within `TOLERANCE` of 1, between two
    measured sizes by interpolation in log(size). The largest size measured if it never leaves, the
    smallest if it is outside there already.

    >>> [round(reach(sizes, ratios), 6) for sizes, ratios in (
    ...     ([0.001, 0.1, 1.0], [1.0, 0.5, 0.0]), ([0.01, 1.0], [1.0, 0.0]))]
    [0.1, 0.1]
    """
    off = [abs(ratio - 1) - TOLERANCE for ratio in ratios]
    if not off[0] <= 0:  # also true for a NaN
        return sizes[0]
    for i in range(1, len(off)):
        if not off[i] <= 0:
            share = off[i - 1] / (off[i - 1] - off[i]) if math.isfinite(off[i]) else 0.0
            low, high = math.log(sizes[i - 1]), math.log(sizes[i])
            return math.exp(low + share * (high - low))
    return sizes[-1]


def per_seed(steps: Frame) -> Frame:
    """One row per cell, seed and direction: reach, cosine, and the largest measured decrease as a
    share of the loss."""
    rows: list[dict[str, Any]] = []
    for key, part in steps.groupby([*CELL, "seed", "direction"], sort=False):
        part = part.sort_values("size")
        best = (part["measured"] / part["value"]).max()
        found = reach(part["size"].tolist(), part["ratio"].tolist())
        rows.append(
            dict(zip([*CELL, "seed", "direction"], key, strict=True))
            | {"reach": found, "cosine": part["cosine"].mean(), "best": best}
        )
    return pd.DataFrame(rows)


def compared(steps: Frame) -> Frame:
    """One row per cell: the reach of both directions, and the ratio of the two, paired over the
    seeds."""
    rows: list[dict[str, Any]] = []
    for key, part in per_seed(steps).groupby(CELL, sort=False):
        row: dict[str, Any] = dict(zip(CELL, key, strict=True))
        wide = part.pivot(index="seed", columns="direction")
        a, m = (np.log(wide["reach"][name].to_numpy(dtype=float)) for name in DIRECTIONS)
        s = summary(m - a)
        row |= {"additive": math.exp(a.mean()), "multiplicative": math.exp(m.mean()), "n": s.n}
        row |= {"ratio": math.exp(s.mean), "low": math.exp(s.low), "high": math.exp(s.high)}
        t = abs(s.mean) / (s.sd / math.sqrt(s.n)) if s.sd else math.inf
        row["p"] = 2 * float(stats.t.sf(t, s.n - 1)) if s.n >= MIN_SEEDS and s.mean else math.nan
        for what in ("best", "cosine"):
            row |= {f"{what}_{name}": wide[what][name].to_numpy() for name in DIRECTIONS}
        row["best_difference"] = row["best_multiplicative"] - row["best_additive"]
        rows.append(row)
    found: Frame = pd.DataFrame(rows)
    return found.assign(p_holm=holm(found["p"].tolist()))


def table(found: Frame, data: str) -> Table:
    """The table of what `compared` returns; ``data`` says what was trained."""
    last = int(found["epoch"].max())
    spreads = [name for name in found if name.startswith(("best_", "cosine_"))]
    rows = [TableRow(tuple(_cells(row, last))) for row in found.to_dict("records")]
    means = {name: found[name].map(np.mean) for name in spreads}
    title = "Up to what relative size the first-order model of the loss holds"
    return Table("table", title, f"{data} {NOTE}", COLUMNS, tuple(rows), found.assign(**means))


def _cells(row: dict[Any, Any], last: int) -> list[Cell]:
    rule = row["rule"] if row["epoch"] else "any"
    words = (optimizer_name(row["optimizer"]), rule, moment(row["epoch"], last))
    cells = [Cell(text) for text in (*words, row["loss"], row["scaling"])]
    cells += [Cell(f"{row[name]:.2g}") for name in DIRECTIONS]
    text = f"{row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    cells.append(Cell(text, bold=row["p_holm"] < 1 - LEVEL))
    cells += [Cell(spread(100 * row[f"best_{name}"], ".1f")) for name in DIRECTIONS]
    cells.append(Cell(spread(100 * row["best_difference"], "+.1f")))
    return cells + [Cell(spread(row[f"cosine_{name}"], ".2f")) for name in DIRECTIONS]


COLUMNS = (
    *("optimizer", "trained with", "moment", "loss", "equal size of"),
    *("additive holds to", "multiplicative holds to", "ratio of the two"),
    *("best decrease, %: additive", "multiplicative", "difference"),
    *("cosine: additive", "multiplicative"),
)
NOTE = (
    "Additive step: Δθ ∝ −d; multiplicative: Δθ ∝ −|θ|·tanh(η_in·d), from the same weights, with"
    " the same d of the optimizer's state. Holds to: the relative size ‖Δθ‖/‖θ‖ up to which the"
    " measured decrease f(θ) − f(θ + Δθ) stays between 0.5 and 1.5 times the predicted one, −gᵀΔθ;"
    " geometric mean over the seeds. Ratio of the two: multiplicative/additive, paired over the"
    " seeds: geometric mean with its 95 % Student-t interval (of the logarithm); bold: p < 0.05"
    " after Holm's correction over all rows. Best decrease: the largest one at any of the measured"
    " sizes, in per cent of the loss; difference: multiplicative less additive, paired; cosine: of"
    " the angle between Δθ and −g; each mean ± half of the 95 % interval. Loss: that of the next"
    " batch, whose gradient is part of d, or the mean over all batches of the training set, each"
    " predicted with its own gradient."
)
