"""Effects per problem: how much better a rule is than the additive one, each arm at its own chosen
hyperparameters; and the rivals beside the best additive arm."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gofau.report.arms import arm_names
from gofau.report.cells import BASELINE, in_order, rules
from gofau.report.metric import Metric, heading, metric_of
from gofau.report.pairs import Comparison, differences, over_seeds, paired, told
from gofau.report.render import Cell, Table, TableRow
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
    for (dataset, model), part in runs.assign(arm=arm_names(runs)).groupby(PROBLEM, sort=False):
        several = part.groupby("arm")["rule"].transform("nunique") > 1
        bases, rivals = part[several], part[~several]
        for arm in in_order(bases["arm"]):
            mine = bases[bases["arm"] == arm]
            for rule in rules(mine):
                if rule != BASELINE and BASELINE in set(mine["rule"]):
                    c = over_seeds(differences(mine, rule))
                    yield _effect(dataset, model, arm, rule, arm, c, mine)
        # Where every arm has one rule, all but the best additive one are rivals.
        bases = bases if several.any() else part
        best = _best_additive(bases)
        rivals = rivals[rivals["arm"] != best]
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
        f" {told([e.comparison.unlike for e in found])}".rstrip(),
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
