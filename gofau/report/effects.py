"""Effects per problem: how much better a rule is than the additive one, each arm at its own chosen
hyperparameters; and the rivals beside the best additive arm."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gofau.report.cells import BASELINE, in_order, rules
from gofau.report.metric import Metric, heading, metric_of
from gofau.report.pairs import Comparison, differences, over_seeds, paired, told
from gofau.report.panels import finish, grid, what
from gofau.report.render import Cell, Table, TableRow
from gofau.report.style import rule_colour
from gofau.report.tables import (
    JUDGED,
    RANDOM,
    beyond_cells,
    difference_cells,
    numbers_of,
    verdict_cells,
)
from gofau.report.types import Frame
from gofau.report.verdict import Question, Verdict, decide

PROBLEM = ["dataset", "model"]
REACH = 6.0
"""How far the panels of the figure reach, at least, in margins of no difference."""


@dataclass(frozen=True)
class Effect:
    """A rule on one problem against an additive arm.

    Attributes:
        dataset, model: the problem.
        arm: the optimizer, with the step size if it is not the base's own.
        rule: the rule; a rival is an arm of its own, under its only rule.
        against: the additive arm that it is compared with.
        rival: whether it is compared with the problem's best additive arm, and not with that of its
            own optimizer.
        metric, comparison, margin: what was measured, and the margin of no difference.
    """

    dataset: str
    model: str
    arm: str
    rule: str
    against: str
    rival: bool
    metric: Metric
    comparison: Comparison
    margin: float


def effects_of(runs: Frame) -> Iterator[Effect]:
    """Yield the effects, problem by problem: of rules, then of rivals."""
    arms = runs["optimizer"]
    for part, usual in (("stepsize", ["base", ""]), ("post_step", ["none"])):
        arms = arms.where(runs[part].isin(usual), arms + ", " + runs[part])
    for (dataset, model), part in runs.assign(arm=arms).groupby(PROBLEM, sort=False):
        several = part.groupby("arm")["rule"].transform("nunique") > 1
        bases, rivals = part[several], part[~several]
        for arm in in_order(bases["arm"]):
            mine = bases[bases["arm"] == arm]
            for rule in rules(mine):
                if rule != BASELINE and BASELINE in set(mine["rule"]):
                    c = over_seeds(differences(mine, rule))
                    yield _effect(dataset, model, arm, rule, arm, c, mine)
        best = _best_additive(bases)
        if best is None:
            continue
        for arm in in_order(rivals["arm"]):
            mine, theirs = rivals[rivals["arm"] == arm], bases[bases["arm"] == best]
            theirs = theirs[theirs["rule"] == BASELINE]
            c = over_seeds(paired(mine, theirs, [*PROBLEM, "seed"]))
            yield _effect(dataset, model, arm, rules(mine)[0], best, c, theirs)


def _best_additive(bases: Frame) -> str | None:
    """The optimizer whose additive arm has the best mean on the validation split."""
    additive = bases[bases["rule"] == BASELINE]
    means = additive.groupby("arm", sort=False)["choice"].mean().dropna()
    return None if means.empty else str((metric_of(additive).sign * means).idxmax())


def _effect(
    dataset: Any, model: Any, arm: str, rule: str, against: str, c: Comparison, runs: Frame
) -> Effect:
    metric = metric_of(runs)
    typical = float(runs.loc[runs["rule"] == BASELINE, "outcome"].mean())
    rival = arm != against
    return Effect(
        str(dataset), str(model), arm, rule, against, rival, metric, c, metric.margin(typical)
    )


def effects(runs: Frame) -> Table:
    """The table of effects: one row per problem, arm and rule."""
    found = list(effects_of(runs))
    answers = decide([Question(e.comparison, e.margin) for e in found])
    rows, data = [], []
    for e, verdict in zip(found, answers, strict=True):
        about = {"dataset": e.dataset, "model": e.model, "optimizer": e.arm, "rule": e.rule}
        rows.append(TableRow(tuple(_row(e, verdict)), about))
        data.append(
            about
            | {"against": e.against, "metric": e.metric.name, "margin": e.margin}
            | numbers_of(e.comparison, verdict)
        )
    return Table(
        "effects",
        f"Effect of each rule on each problem, against {BASELINE}",
        f"Better by: mean difference in {heading(runs)} over the same seeds, above 0 where the rule"
        " is better (accuracies in points). Each arm has the hyperparameters that its own search"
        f" chose. Against: the {BASELINE} rule of the same optimizer; for a rival, the optimizer"
        f" whose {BASELINE} rule has the best validation result. {RANDOM} {JUDGED}"
        f" {told([e.comparison for e in found])}".rstrip(),
        (
            *("dataset", "model", "optimizer", "rule", "against", "better by", "95 % interval"),
            *("for other test images", "verdict", "its interval", "p (Holm)", "seeds"),
        ),
        tuple(rows),
        pd.DataFrame(data),
    )


def _row(e: Effect, verdict: Verdict) -> list[Cell]:
    names = [Cell(text) for text in (e.dataset, e.model, e.arm, e.rule, f"{e.against} {BASELINE}")]
    c = e.comparison
    return [
        *names,
        *difference_cells(c, e.metric),
        *beyond_cells(c, e.metric),
        *verdict_cells(verdict, e.metric),
        Cell(str(c.seeds), number=c.seeds),
    ]


def effects_figure(runs: Frame, folder: Path) -> Figure | None:
    """Draw the effects: one panel per problem, one line per arm, one mark per rule with its 95 %
    interval. The grey band is the margin of no difference. What lies outside a panel is drawn at
    its edge as an arrow, with its value."""
    found = [e for e in effects_of(runs) if e.comparison.pairs]
    if not found:
        return None
    problems = list(dict.fromkeys((e.dataset, e.model) for e in found))
    columns = min(3, len(problems))
    lines = max(len({e.arm for e in found if (e.dataset, e.model) == p}) for p in problems)
    figure, axes = grid(-(-len(problems) // columns), columns, 3.1, 0.35 * lines + 0.9)
    for ax, problem in zip(axes.ravel(), problems, strict=False):
        _panel(ax, [e for e in found if (e.dataset, e.model) == problem])
        ax.set_title(", ".join(problem))
    for ax in axes.ravel()[len(problems) :]:
        ax.set_visible(False)
    caption = (
        f"{what(runs)}: better than the additive rule by (mean, 95 % interval over seeds); rivals:"
        " than the problem's best additive optimizer. Grey: no difference"
    )
    return finish(figure, axes, caption)


def _panel(ax: Axes, found: list[Effect]) -> None:
    metric, margin = found[0].metric, max(e.margin for e in found)
    scale = metric.scale
    ends = [abs(x) for e in found for x in (e.comparison.low, e.comparison.high) if x == x]
    # Wide enough for most intervals; the longest ones would squeeze these to a point.
    reach = max(REACH * margin, 1.1 * float(np.quantile(ends, 0.6)) if ends else 0.0)
    arms = list(dict.fromkeys(e.arm for e in found))
    ax.axvspan(-scale * margin, scale * margin, color="0.9", lw=0)
    ax.axvline(0, color="0.5", lw=0.8)
    for e in found:
        mine = [x.rule for x in found if x.arm == e.arm]
        y = arms.index(e.arm) + 0.7 * ((mine.index(e.rule) + 0.5) / len(mine) - 0.5)
        _mark(ax, e, y, reach)
    ax.set_xlim(-scale * reach, scale * reach)
    ax.set_yticks(range(len(arms)), arms)
    ax.set_ylim(len(arms) - 0.5, -0.5)
    ax.set_xlabel("points of accuracy" if metric.fraction else f"{metric.title}, lower by")


def _mark(ax: Axes, e: Effect, y: float, reach: float) -> None:
    c, scale, colour = e.comparison, e.metric.scale, rule_colour(e.rule)
    label = "rival" if e.rival else e.rule
    colour = "0.35" if e.rival else colour
    if abs(c.mean) > reach:
        side = 1 if c.mean > 0 else -1
        ax.plot(side * scale * reach * 0.97, y, ">" if side > 0 else "<", color=colour, ms=4)
        ax.annotate(
            e.metric.text(c.mean, sign=True),
            (side * scale * reach * 0.92, y),
            fontsize=6,
            color=colour,
            ha="right" if side > 0 else "left",
            va="center",
        )
        return
    ax.plot([scale * c.low, scale * c.high], [y, y], color=colour, lw=1.2)
    # A cut end gets an arrow, as the interval goes on outside the panel.
    for end, head in ((c.low, "<"), (c.high, ">")):
        if abs(end) > reach:
            side = 1 if end > 0 else -1
            ax.plot(side * scale * reach * 0.97, y, head, color=colour, ms=3)
    ax.plot(scale * c.mean, y, "o", color=colour, ms=4, label=label)
