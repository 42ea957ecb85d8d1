"""Heat maps of robustness: one panel a rule and optimizer, accuracy over initialisation × learning
rate."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gofau.report.cells import in_order, rules, varying
from gofau.report.panels import finish, grid, panels, rest, tally, what
from gofau.report.sensitivity import NAMES
from gofau.report.types import Frame


def heatmap(runs: Frame, folder: Path) -> Figure | None:
    """Mean test accuracy in each cell, in per cent, and in brackets how many seeds diverged.

    Columns of panels are the rules. Where both initialisation and learning rate vary, a panel shows
    one against the other, and there is a row of panels an optimizer; where one does, a panel shows
    it against the optimizers.
    """
    both = {"init", "lr"} <= set(varying(runs))
    across = "lr" if both else "optimizer"
    down = "lr" if not both and "lr" in varying(runs) else "init"
    if runs["outcome"].notna().sum() == 0:
        return None
    blocks, names = panels(runs, rest(runs, across, down)), rules(runs)
    ys, xs = in_order(runs[down]), in_order(runs[across])
    figure, axes = grid(
        len(blocks),
        len(names),
        width=max(2.4, 0.5 * len(xs)),
        height=max(1.2, 0.36 * len(ys) + 0.5),
        sharex=True,
        sharey=True,
    )
    image = None
    for row, (title, block) in zip(axes, blocks, strict=True):
        for ax, rule in zip(row, names, strict=True):
            image = _panel(ax, block[block["rule"] == rule], (down, ys), (across, xs))
        row[0].set_ylabel(title or NAMES.get(down, down))
    for ax, rule in zip(axes[0], names, strict=True):
        ax.set_title(rule)
    figure.supxlabel(NAMES.get(across, across), fontsize=9)
    assert image is not None
    bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.01)
    bar.set_label("test accuracy (%)")
    caption = f"{what(runs)}: mean over {tally(runs)} (their number in brackets, at chance level)"
    return finish(figure, axes, caption)


def _panel(ax: Axes, part: Frame, down: tuple[str, list], across: tuple[str, list]):
    keys = [down[0], across[0]]
    means = part.groupby(keys)["outcome"].mean().unstack().reindex(index=down[1], columns=across[1])
    lost = (part["state"] == "diverged").groupby([part[k] for k in keys]).sum()
    values = 100 * means.to_numpy(dtype=float)
    image = ax.imshow(values, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    ax.grid(False)
    for (i, j), value in np.ndenumerate(values):
        count = lost.get((down[1][i], across[1][j]), 0)
        text = "–" if np.isnan(value) else f"{value:.0f}" + (f" ({count})" if count else "")
        colour = "black" if np.isnan(value) or value > 55 else "white"
        ax.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
    for set_ticks, values_ in ((ax.set_yticks, down[1]), (ax.set_xticks, across[1])):
        labels = [f"{v:g}" if isinstance(v, float) else str(v) for v in values_]
        set_ticks(range(len(labels)), labels, fontsize=8)
    return image
