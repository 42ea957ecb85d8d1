"""Hyperparameter importance: how much of the variation in a search each one explains."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from gofau.report.cells import in_order
from gofau.report.choice import HYPERPARAMETERS, SYMBOLS, unit
from gofau.report.metric import metric_of
from gofau.report.panels import finish, grid, what
from gofau.report.render import Cell, Table, TableRow, number
from gofau.report.style import OTHERS
from gofau.report.tuning import searches
from gofau.report.types import Frame

TREES, PER_AXIS = 30, 12
FEWEST = 10
"""The smallest number of trials that a forest is fitted to."""
NAMES: dict[str, str] = dict(zip(HYPERPARAMETERS, SYMBOLS, strict=True))


def main_effects(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """The share of the variance that each hyperparameter alone explains, by functional ANOVA.

    A random forest is fitted to the trials and evaluated on a full grid over the ranges. The main
    effect of a hyperparameter is the mean prediction at each of its values, over all values of the
    others. Its share is the variance of the main effect divided by the variance of all predictions.
    1 minus the sum of the shares is interaction. Sources: Hutter, Hoos, Leyton-Brown, An efficient
    approach for assessing hyperparameter importance, 2014; the forest is scikit-learn's.

    Args:
        x: (trials, hyperparameters), each scaled to [0, 1].
        y: the results of the trials.

    Returns:
        the shares, and the forest's out-of-bag R² (on the trials that a tree was not fitted to). If
        it is near 0 or negative, the forest learned nothing, and the shares mean nothing.
    """
    from sklearn.ensemble import RandomForestRegressor  # here, as the import takes a second

    forest = RandomForestRegressor(
        TREES, min_samples_leaf=2, max_features=1.0, oob_score=True, random_state=0
    ).fit(x, y)
    axis = (np.arange(PER_AXIS) + 0.5) / PER_AXIS
    points = np.stack(np.meshgrid(*[axis] * x.shape[1], indexing="ij"), axis=-1)
    surface = forest.predict(points.reshape(-1, x.shape[1])).reshape(points.shape[:-1])
    total = surface.var()
    others = [tuple(j for j in range(x.shape[1]) if j != i) for i in range(x.shape[1])]
    effects = [surface.mean(axis=axes).var() / total if total else np.nan for axes in others]
    return np.array(effects), float(forest.oob_score_)


def importance_data(runs: Frame) -> Frame:
    """The share of each hyperparameter and of their interaction: one row per task and arm with
    several hyperparameters."""
    rows = []
    for key, part in searches(runs):
        has = [c for c in HYPERPARAMETERS if c in part and part[c].nunique() > 1]
        if len(has) < 2 or len(part) < FEWEST:
            continue
        x = np.column_stack([unit(part[c], c) for c in has])
        # Ranks: one run at chance must not outweigh all the others.
        shares, known = main_effects(x, stats.rankdata(metric_of(part).sign * part["choice"]))
        row = {NAMES[c]: share for c, share in zip(has, shares, strict=True)}
        rows.append(key | row | {"interaction": max(0.0, 1 - shares.sum()), "R²": known})
    return pd.DataFrame(rows)


def importance(runs: Frame) -> Table:
    """The table of importance: one row per task and arm, one column per hyperparameter."""
    data = importance_data(runs)
    names = [name for name in SYMBOLS if name in data]
    rows = []
    for row in data.to_dict("records"):
        key = {k: str(row[k]) for k in ("dataset", "optimizer", "rule")}
        shares = [row[name] for name in (*names, "interaction")]
        cells = [Cell(number(100 * v, 0), number=v) for v in shares]
        known = Cell(number(row["R²"]), number=row["R²"])
        rows.append(TableRow((*map(Cell, key.values()), *cells, known), key))
    return Table(
        "importance",
        "The importance of each hyperparameter",
        "How much of the variance of the validation result's rank, over the arm's ranges, each"
        " hyperparameter explains by itself, in per cent (main effects of a functional ANOVA of a"
        " random forest, Hutter et al. 2014, scikit-learn's forest); interaction is the rest. R²:"
        " of the forest, on the trials that a tree was not fitted to; if it is near 0 or negative,"
        " the forest learned nothing, and the shares mean nothing. Arms with one hyperparameter"
        " are not shown. There are few trials, so the shares are rough.",
        ("dataset", "optimizer", "rule", *names, "interaction", "R²"),
        tuple(rows),
        data,
    )


def importance_figure(runs: Frame, folder: Path) -> Figure | None:
    """Draw stacked bars of the shares, one panel per task; pale where the forest's R² is below
    0.2."""
    data = importance_data(runs)
    if data.empty:
        return None
    tasks = in_order(data["dataset"])
    names = [name for name in (*SYMBOLS, "interaction") if name in data]
    colours = dict(zip(names, ("#0072B2", "#D55E00", *OTHERS), strict=False))
    figure, axes = grid(len(tasks), 1, width=9, height=2.6)
    for (ax,), task in zip(axes, tasks, strict=True):
        part = data[data["dataset"] == task]
        bottom, x = np.zeros(len(part)), np.arange(len(part))
        alpha = np.where(part["R²"] < 0.2, 0.35, 1.0)
        for name in names:
            share = 100 * part[name].fillna(0).to_numpy()
            bars = ax.bar(x, share, 0.8, bottom=bottom, color=colours[name], label=name)
            for bar, a in zip(bars, alpha, strict=True):
                bar.set_alpha(a)
            bottom += share
        labels = [f"{row.optimizer}, {row.rule}" for row in part.itertuples()]
        ax.set_xticks(x, labels, rotation=50, fontsize=7, ha="right", rotation_mode="anchor")
        ax.set_ylabel(f"{task}\nshare (%)")
        ax.grid(False)
    return finish(figure, axes, f"{what(runs)}: main effects (pale: R² below 0.2)")
