"""Learning curves: one panel an optimizer, one line a rule, a band of 95 % over the seeds."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from gofau.report.frames import load
from gofau.report.style import RULE_DASHES, rule_colour, save_figure

ROWS = {"train/loss": "training loss", "val/acc": "validation accuracy"}


def draw(folder: Path) -> list[Path]:
    """Draw ``curves.svg`` and ``curves.png`` of a results folder from its committed records.

    A line is the mean over the seeds that got that far, the band its 95 % Student-t interval, and
    the legend says n and how many of the runs diverged.
    """
    curves = load(folder)
    optimizers = list(dict.fromkeys(curves["optimizer.name"]))
    size = (2.1 * len(optimizers) + 1, 4.6)
    figure, axes = plt.subplots(
        len(ROWS), len(optimizers), figsize=size, sharex=True, sharey="row", squeeze=False
    )
    for column, optimizer in enumerate(optimizers):
        part = curves[curves["optimizer.name"] == optimizer]
        for row, (metric, label) in enumerate(ROWS.items()):
            ax = axes[row][column]
            for rule in dict.fromkeys(part["rule.name"]):
                _line(ax, part.loc[part["rule.name"] == rule], metric, rule)
            if column == 0:
                ax.set_ylabel(label)
        axes[0][column].set_title(optimizer)
        axes[0][column].set_yscale("log")
        axes[-1][column].set_xlabel("epoch")
        axes[-1][column].set_ylim(max(0.0, _floor(curves)), 1.005)
    _caption(figure, axes[0][0], curves)
    paths = save_figure(figure, folder / "curves")
    plt.close(figure)
    return paths


def _line(ax: Axes, runs: pd.DataFrame, metric: str, rule: str) -> None:
    table = runs.pivot(index="epoch", columns="identity", values=metric)
    values = table.to_numpy(dtype=float)  # (epochs, runs); NaN where a run ended before
    n = np.isfinite(values).sum(axis=1)
    mean = np.nanmean(values, axis=1)
    spread = np.nanstd(values, axis=1, ddof=1) if values.shape[1] > 1 else np.zeros(len(values))
    half = np.nan_to_num(stats.t.ppf(0.975, np.maximum(n - 1, 1)) * spread / np.sqrt(n))
    x, colour = table.index.to_numpy(), rule_colour(rule)
    ax.plot(x, mean, RULE_DASHES.get(rule, "-"), color=colour, lw=1.5, label=rule)
    low = np.maximum(mean - half, 0.2 * mean)  # the loss is on a log axis
    ax.fill_between(x, low, mean + half, color=colour, alpha=0.15, lw=0)


def _floor(curves: pd.DataFrame) -> float:
    """The accuracy axis begins a little under the worst that is reached after the first epochs."""
    epoch, accuracy = curves["epoch"].to_numpy(), curves["val/acc"].to_numpy(dtype=float)
    return float(np.nanquantile(accuracy[epoch > epoch.max() / 5], 0.01)) - 0.02


def _caption(figure: Figure, ax: Axes, curves: pd.DataFrame) -> None:
    runs = curves.drop_duplicates("identity")
    lost = list(runs["state"]).count("diverged")
    data, model = (", ".join(dict.fromkeys(runs[f"{k}.name"])) for k in ("dataset", "model"))
    figure.suptitle(
        f"{model} on {data}: mean and 95 % interval over {runs['seed'].nunique()} seeds;"
        f" {lost} of {len(runs)} runs diverged",
        y=0.99,
        fontsize=9,
    )
    lines, labels = ax.get_legend_handles_labels()
    figure.legend(
        lines,
        labels,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.955),
        ncols=len(labels),
        frameon=False,
    )
    figure.tight_layout(rect=(0, 0, 1, 0.93))
