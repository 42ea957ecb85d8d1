"""The best point of a search per arm, as the configuration ``search=chosen/<problem>``."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from gofau.report.arms import arm_names
from gofau.report.cells import FINISHED, in_order
from gofau.report.metric import metric_of
from gofau.report.types import Column, Frame

KEYS = {
    "optimizer.lr": "lr",
    "rule.eta_in": "eta_in",
    "rule.hyp_beta": "hyp_beta",
    "rule.gamma": "gamma",
    "post_step.ham_alpha": "ham_alpha",
}
"""Column of a chosen hyperparameter → its name in the configuration."""
Values = dict[str, float]


def best_points(runs: Frame, points: int) -> Iterator[tuple[str, str, Values | None]]:
    """Choose for every arm the point with the best validation result; of equal ones that with the
    lowest validation loss, then the first. A diverged run counts at chance level.

    Args:
        runs: the runs of one problem, one per arm and point (`gofau.report.cells.prepare`).
        points: how many points each arm has.

    Yields:
        the arm (as `gofau.config.search.arm` names it), the rule, and the values; None in their
        place if not all points of the arm are finished.
    """
    whose = [arm_names(runs), runs["rule.name"]]
    found: dict[tuple[str, str], Frame] = dict(iter(runs.groupby(whose, sort=False)))
    sign = metric_of(runs).sign
    for (name, rule), part in found.items():
        done = part[part["state"].isin(FINISHED)]
        if len(done) < points:
            yield name, rule, None
            continue
        loss: Column = pd.to_numeric(done["val/loss"])
        loss = loss.where(done["state"] == "done", math.inf)
        order = pd.DataFrame({"result": -sign * done["choice"], "loss": loss, "k": done["trial"]})
        row = done.loc[order.sort_values(["result", "loss", "k"]).index[0]]
        kept = {c: key for c, key in KEYS.items() if c in row and pd.notna(row[c])}
        yield name, rule, {key: float(row[c]) for c, key in kept.items()}


def at_ends(runs: Frame, points: int) -> Iterator[tuple[str, str, int]]:
    """Yield the arms whose best point has the highest of the arm's learning rates, or the lowest,
    so that a better one may lie outside the range: arm, rule, and 1 or −1."""
    names = arm_names(runs)
    for name, rule, values in best_points(runs, points):
        if values is not None:
            rates = runs.loc[(names == name) & (runs["rule.name"] == rule), "optimizer.lr"]
            if values["lr"] in (rates.min(), rates.max()):
                yield name, rule, 1 if values["lr"] == rates.max() else -1


def replaced(runs: Frame, by: Frame) -> Frame:
    """The search with the arms that were searched again in another range taken from there."""
    arms, again = (list(zip(arm_names(x), x["rule.name"], strict=True)) for x in (runs, by))
    kept = [arm not in set(again) for arm in arms]
    return pd.concat([runs[kept], by], ignore_index=True)


def as_config(problem: str, runs: Frame, points: int) -> str:
    """The text of ``configs/search/chosen/<problem>.yaml``."""
    arms: dict[str, list[str]] = {}
    for name, rule, values in best_points(runs, points):
        if values is not None:
            inner = ", ".join(f"{key}: {value:g}" for key, value in values.items())
            arms.setdefault(name, []).append(f"    {rule}: {{{inner}}}")
    metric: Any = in_order(runs["metric"])[0]
    return "\n".join(
        [
            "# @package search",
            f"# The best of {points} points per arm on {problem}, by the result on the validation"
            f" split (val/{metric}):",
            "# results/problems_search. Written by scripts/problems.py.",
            "name: chosen",
            "lr_factor: 1.0   # multiplies the learning rates",
            "arms:",
            *(line for name in arms for line in (f"  {name}:", *arms[name])),
            "",
        ]
    )
