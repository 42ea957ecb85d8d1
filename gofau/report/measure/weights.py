"""The distribution of log|θ| before and after training: table and figure."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import ndtr, polygamma

from gofau.report.measure.common import conditions, moment, optimizer_name, spread
from gofau.report.render import Cell, Table, TableRow, save_table
from gofau.report.style import rule_colour, save_figure, styled
from gofau.report.types import Frame

SHOWN = {"sd": ".3f", "skew": ".2f", "kurtosis": ".2f", "near_zero": ".3f"}
"""The columns of the table with their formats; near_zero is in per cent."""
LAYERS = "all"
NEAR_ZERO = 1e-3
FLOOR = 1e-4
"""Smallest density per factor of ten that the figure shows."""


@styled()
def draw(folder: Path, pdf: bool = True) -> list[Path]:
    """Write ``table.md``, ``.tex``, ``.csv`` and the figure ``distribution``."""
    moments: Frame = pd.read_csv(folder / "moments.csv")
    histogram: Frame = pd.read_csv(folder / "histogram.csv.gz")
    paths = save_table(table(moments, conditions(folder)), folder)
    return paths + save_figure(_figure(histogram, moments), folder / "distribution", pdf)


def reference(kind: str) -> dict[str, float]:
    """Moments of ln|θ| where the weights are "normal" or "uniform" around zero; those of
    "log-normal" weights depend on their standard deviation only in sd.

    ln|z| of a normal z is half the logarithm of a χ² variable with one degree of freedom: its n-th
    cumulant is ψ⁽ⁿ⁻¹⁾(½)/2ⁿ. −ln|u| of a uniform u is exponential.

    >>> {name: round(value, 3) for name, value in reference("normal").items()}
    {'sd': 1.111, 'skew': -1.535, 'kurtosis': 4.0, 'near_zero': 0.001}
    """
    if kind == "normal":
        second, third, fourth = (float(polygamma(n - 1, 0.5)) / 2**n for n in (2, 3, 4))
        near = 2 * float(ndtr(NEAR_ZERO)) - 1
        return {
            "sd": math.sqrt(second),
            "skew": third / second**1.5,
            "kurtosis": fourth / second**2,
            "near_zero": near,
        }
    if kind == "uniform":
        return {"sd": 1.0, "skew": -2.0, "kurtosis": 6.0, "near_zero": NEAR_ZERO / math.sqrt(3)}
    return {"sd": math.nan, "skew": 0.0, "kurtosis": 0.0, "near_zero": math.nan}


def table(moments: Frame, data: str) -> Table:
    """The table of ``moments.csv``; ``data`` says what was trained."""
    whole = moments[moments["layer"] == LAYERS]
    last = int(whole["epoch"].max())
    rows: list[TableRow] = []
    numbers: list[dict[str, Any]] = []
    for kind in ("uniform", "normal", "log-normal"):
        known = reference(kind)
        texts = [_text(100 * v if k == "near_zero" else v, SHOWN[k]) for k, v in known.items()]
        rows.append(TableRow(tuple(map(Cell, (f"({kind} weights)", "", "", *texts, "")))))
    for (optimizer, rule, epoch), part in _cells(whole, last):
        texts, found = [], {}
        for name, form in SHOWN.items():
            values = part[name] * (100 if name == "near_zero" else 1)
            texts.append(spread(values, form))
            found[name] = float(values.mean())
        differs = _difference(whole, part, optimizer, rule, epoch)
        words = (optimizer_name(optimizer), rule, moment(epoch, last))
        rows.append(TableRow(tuple(map(Cell, (*words, *texts, differs)))))
        numbers.append({"optimizer": optimizer, "rule": rule, "epoch": epoch} | found)
    columns = ("optimizer", "rule", "moment", "sd", "skewness", "excess kurtosis")
    columns = (*columns, "near zero, %", "skewness less additive's")
    title = "The distribution of ln|θ| of the weights of layers"
    return Table("table", title, f"{data} {NOTE}", columns, tuple(rows), pd.DataFrame(numbers))


NOTE = (
    "Moments of ln(|θ|/rms) over the weights of all layers (convolutions and linear layers, without"
    " biases and BatchNorm); rms: root mean square of the weight's own layer, so that layers of"
    " different scale can be put together. Near zero: |θ| < 0.001·rms. Mean ± half of the 95 %"
    " Student-t interval over the seeds; the last column is paired over the seeds. All rules start"
    " from the same weights per seed. In parentheses: weights that are exactly uniform around zero"
    " (torch's initialisation of layers), normal, or log-normal."
)


def _cells(whole: Frame, last: int) -> list[tuple[tuple[str, str, int], Frame]]:
    """The rows of the table: before training once, since all rules begin with the same weights,
    then the other moments of each optimizer and rule."""
    found = []
    groups = whole.groupby(["optimizer", "rule", "epoch"], sort=False)
    for i, ((optimizer, rule, epoch), part) in enumerate(groups):
        if epoch or not i:
            name = (optimizer, rule, epoch) if epoch else ("any", "any", 0)
            found.append((name, part))
    return found


def _difference(whole: Frame, part: Frame, optimizer: str, rule: str, epoch: int) -> str:
    at = (whole["optimizer"] == optimizer) & (whole["epoch"] == epoch)
    base = whole[at & (whole["rule"] == "additive")].set_index("seed")["skew"]
    if rule == "additive" or base.empty:
        return ""
    return spread(part.set_index("seed")["skew"] - base, "+.2f")


def _text(value: float, form: str) -> str:
    return "any" if math.isnan(value) else f"{value:{form}}".replace("-", "−")


def _figure(histogram: Frame, moments: Frame) -> Figure:
    """One row per optimizer, one column per rule."""
    optimizers, rules = (list(histogram[name].unique()) for name in ("optimizer", "rule"))
    last = int(histogram["epoch"].max())
    size = (2.6 * len(rules), 1.2 + 2.3 * len(optimizers))
    figure = Figure(figsize=size)
    axes = figure.subplots(len(optimizers), len(rules), sharex=True, sharey=True, squeeze=False)
    for optimizer, row in zip(optimizers, axes, strict=True):
        for rule, ax in zip(rules, row, strict=True):
            mine = [
                f[(f["optimizer"] == optimizer) & (f["rule"] == rule)] for f in (histogram, moments)
            ]
            _panel(ax, mine[0], mine[1][mine[1]["layer"] == LAYERS], rule, last)
        row[0].set_ylabel(f"{optimizer_name(optimizer)}\nshare of weights per factor of 10")
    for rule, ax in zip(rules, axes[0], strict=True):
        ax.set_title(rule)
    figure.supxlabel("|θ| / root mean square of its layer", fontsize=9)
    lines: list[tuple[str, dict[str, Any]]] = [
        ("before training", {"color": "0.55"}),
        (f"after {last} epochs, in the colour of the rule", {"color": "black"}),
        ("log-normal, same mean and sd", {"color": "0.2", "ls": "--", "lw": 1}),
        ("normal weights", {"color": "0.2", "ls": ":", "lw": 1}),
    ]
    handles = [Line2D([], [], **style) for _, style in lines]
    figure.legend(handles, [word for word, _ in lines], ncols=4, loc="upper center", frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.94))  # constrained: last digits vary
    return figure


def _panel(ax: Axes, histogram: Frame, moments: Frame, rule: str, last: int) -> None:
    """Lines: means over the seeds; bands: their range."""
    for epoch, colour in ((0, "0.55"), (last, rule_colour(rule))):
        part = histogram[histogram["epoch"] == epoch]
        width = part["high"] - part["low"]
        density = part.assign(
            density=part["share"] / width, x=10 ** ((part["low"] + part["high"]) / 2)
        )
        by = density.groupby("x")["density"]
        x, mean = by.mean().index.to_numpy(dtype=float), by.mean().to_numpy()
        seen = mean > 0
        ax.plot(x[seen], mean[seen], color=colour, lw=1.6, zorder=3)
        low, high = by.min().to_numpy().clip(FLOOR / 10), by.max().to_numpy().clip(FLOOR / 10)
        ax.fill_between(x, low, high, color=colour, alpha=0.2, lw=0, zorder=2)
    end = moments[moments["epoch"] == last]
    x = np.geomspace(1e-5, 100, 300)
    mean, sd = end["mean"].mean(), end["sd"].mean()
    z = (np.log(x) - mean) / sd
    ax.plot(
        x, np.log(10) / sd * np.exp(-z * z / 2) / math.sqrt(2 * math.pi), "--", color="0.2", lw=1
    )
    normal = np.log(10) * x * 2 / math.sqrt(2 * math.pi) * np.exp(-x * x / 2)
    ax.plot(x, normal, ":", color="0.2", lw=1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(1e-4, 30)
    ax.set_ylim(FLOOR, 3)
