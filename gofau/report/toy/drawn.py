"""The distribution of results over drawn configurations, beside the authors' published numbers."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gofau.report.reading import read_csv
from gofau.report.style import save_figure, styled
from gofau.report.toy import published
from gofau.report.toy.arms import CELL, ORDERS, by_start, found, name, panels, ranges, style
from gofau.report.toy.cells import different, load, minima, optimizer_name, where
from gofau.report.toy.texts import markdown, number, tex

SHOWN = 1e-9, 3.0
"""The range of relative distances in the figure; smaller ones are drawn at its left edge."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@styled()
def draw(folder: Path, pdf: bool = True) -> list[Path]:
    """Write ``table.csv``, ``table.md``, ``table.tex`` and the figure ``distribution``."""
    cells, quantiles = by_start(load(folder)), read_csv(folder / "quantiles.csv.gz")
    numbers = _numbers(cells, quantiles)
    paths = [folder / f"table.{kind}" for kind in ("csv", "md", "tex")]
    numbers.to_csv(paths[0], index=False, lineterminator="\n", float_format="%.4g")
    budgets = [k for (k,) in different(cells, "configurations")]
    tables = [_order_table(numbers, budgets), _table(numbers, budgets)]
    notes = _notes(cells, budgets)
    page = [markdown(head, words, rows) for head, words, rows in tables]
    text = "\n\n".join([*page, *(note.replace("*", "\\*") for note in notes)])
    paths[1].write_text(text + "\n", encoding="utf-8")
    both = [tex(head, words, rows, group=3) for head, words, rows in tables]
    paths[2].write_text("\n".join([*(f"% {n}" for n in notes), *both]) + "\n", encoding="utf-8")
    figure = panels(cells, lambda ax, cell: _shares(ax, quantiles, cell, cells),
                    ("distance relative to the start's", "share of configurations"))  # fmt: skip
    paths += save_figure(figure, folder / "distribution", pdf)
    return paths


def _numbers(cells: pd.DataFrame, quantiles: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, arm and number of configurations; quantiles are over all configurations."""
    rows = []
    for row in cells.to_dict("records"):
        what = {key: row[key] for key in (*CELL, "arm", "rule", "draws", "configurations")}
        own = {key: row[key] for key in ("mean", "std", "diverged", "capped")}
        mine = where(quantiles, **{key: row[key] for key in (*CELL, "arm")})
        at = dict(zip(mine["quantile"].round(4), mine["relative"], strict=True))
        theirs = published.random(row["problem"], row["optimizer"], row["rule"]) or (None, None)
        rows.append(what | own | {f"quantile_{q:g}": at[q] for q in QUANTILES}
                    | {"published_mean": theirs[0], "published_std": theirs[1]})  # fmt: skip
    return pd.DataFrame(rows)


Table = tuple[list[str], int, list[list[str]]]


def _table(numbers: pd.DataFrame, budgets: list[int]) -> Table:
    head = [*CELL, "rule", "drawn", *(f"mean of {k:,}" for k in budgets), "published mean of 100"]
    head += ["diverged", "beyond the start", *(f"{q:.0%}" for q in QUANTILES)]
    least = numbers.groupby([*CELL, "configurations"])["mean"].transform("min")
    numbers = numbers.assign(lowest=numbers["mean"] == least)
    rows = []
    for key in different(numbers, *CELL, "arm", "draws"):
        mine = where(numbers, **dict(zip((*CELL, "arm"), key, strict=False))).to_dict("records")
        problem, start, optimizer, arm, draws = key
        texts = [problem, start, optimizer_name(optimizer), name(arm), draws]
        texts += [_mean(row["mean"], row["std"]) + "*" * row["lowest"] for row in mine]
        last = mine[-1]
        texts.append(_mean(last["published_mean"], last["published_std"]))
        texts += [f"{100 * last[key]:.1f}" for key in ("diverged", "capped")]
        rows.append(texts + [_relative(last[f"quantile_{q:g}"]) for q in QUANTILES])
    return head, 5, rows


def _mean(mean: float, std: float) -> str:
    return "—" if pd.isna(mean) else f"{number(mean)} ± {number(std)}"


def _relative(value: float) -> str:
    return "<1e-12" if value < 1e-12 else number(value) if value < 1e4 else ">1e4"


def _order_table(numbers: pd.DataFrame, budgets: list[int]) -> Table:
    pairs = [(k, arm) for k in budgets for arm in ORDERS if arm in set(numbers["arm"])]
    head = [*CELL, *(f"means of {k:,}, {ORDERS[arm]}" for k, arm in pairs), "published"]
    rows = []
    for problem, start, optimizer in different(numbers, *CELL):
        mine = where(numbers, problem=problem, start=start, optimizer=optimizer)
        texts = [problem, start, optimizer_name(optimizer)]
        for k, arm in pairs:
            part = where(mine, configurations=k).set_index("arm")
            names = (*published.RULES[:2], arm)
            texts.append(verdict([part.loc[n].to_dict() for n in names]))
        rows.append([*texts, found(published.random_falls(problem, optimizer))])
    return head, 3, rows


def verdict(arms: list[dict[Any, Any]]) -> str:
    """``found`` if each mean is below the one before by more than 1.96 standard errors of the
    difference; ``not found`` if one is above it by as much; else ``undecided``."""
    gaps = []
    for a, b in pairwise(arms):
        error = np.sqrt((a["std"] ** 2 + b["std"] ** 2) / a["configurations"])
        gaps.append((a["mean"] - b["mean"]) / error if error else 0.0)
    if min(gaps) > 1.96:
        return "found"
    return "not found" if min(gaps) < -1.96 else "undecided"


def _notes(cells: pd.DataFrame, budgets: list[int]) -> list[str]:
    row = cells.to_dict("records")[0]
    return [
        "First table: the order additive > multiplicative > hybrid of the means: found where each"
        " is below the one before by more than 1.96 standard errors of the difference, not found"
        " where one is above it by as much. Published: the order of their means, without errors.",
        f"Second table: distance to the minimum after {row['steps']} steps in {row['dtype']},"
        " relative to the start's, mean ± standard deviation over the first"
        f" {' and the first '.join(f'{k:,}' for k in budgets)} of independently drawn"
        f" configurations from {ranges(cells)}, the same draws for all rules; * the lowest mean."
        " In mean and standard deviation no configuration counts for more than 1, the distance of"
        " one that did not move. Beyond the start: the share that ends farther away than it began,"
        " in %. Diverged: the share that is not finite, or where f is above f at the start, in %."
        " Shares and quantiles are over all configurations.",
        f"Published: {published.SOURCE}: mean ± standard deviation over 100 randomly drawn"
        " configurations. Theirs, not ours: their convex problem, their starts (at distances 69.26"
        " and 2.06) and their ranges are not given. Their hybrid stands beside both of ours.",
    ]


def _shares(ax: Axes, quantiles: pd.DataFrame, cell: dict[str, str], cells: pd.DataFrame) -> None:
    """Draw the empirical distribution function of each arm, in the range that its row needs.
    Vertical lines mark the distance of the start and that of (0, 0), where a rule ends that shrinks
    the weights to zero."""
    row = where(quantiles, problem=cell["problem"], start=cell["start"])
    (lowest, high), first = SHOWN, min(where(row, quantile=0.01)["relative"].tolist())
    low = 10.0 ** math.floor(math.log10(max(first, lowest)))
    for arm, rule in different(cells, "arm", "rule"):
        mine = where(row, optimizer=cell["optimizer"], arm=arm)
        x, y = (mine[c].to_numpy(dtype=float) for c in ("relative", "quantile"))
        x, y = x[x < high].clip(low), y[x < high]
        # The line goes on horizontally to the right edge.
        ax.plot([*x, high], [*y, y[-1]], lw=1.4, **style(arm, rule))
    what = where(cells, problem=cell["problem"], start=cell["start"]).to_dict("records")[0]
    of_zero = min(math.hypot(*place) for place in minima(cells, cell["problem"]))
    for x in (1, of_zero / what["start_distance"]):
        ax.axvline(x, color="0.6", lw=0.8, ls=(0, (4, 3)), zorder=1)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.set_ylim(0, 1)
