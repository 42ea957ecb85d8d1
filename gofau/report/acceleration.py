"""Speed-up: how many times fewer epochs a rule needs to reach the additive rule's accuracy.

It is measured from separate trainings of different length, each with its complete schedule. The
first epoch at which one training curve touches a target is largely chance: with a cosine schedule
the accuracy in the middle of a run says little about the final accuracy of a run of that length. So
each arm is trained for several horizons (2 to 32 epochs), and the curve of an arm is its final
accuracy against the horizon.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from gofau.report.cells import BASELINE, CONTEXT, counts, in_order, rules, varying
from gofau.report.metric import metric_of
from gofau.report.pairs import Comparison, bound_of, compare, differences, unlike_cells
from gofau.report.tables import groups, numbers_of, tags
from gofau.report.types import Frame
from gofau.report.verdict import Question, decide

MARGIN = math.log(1.05)
"""The margin of no difference, ±5 %, in the logarithm of the speed-up."""
OTHERS = [axis for axis in CONTEXT if axis != "horizon"]


@dataclass(frozen=True)
class Rise:
    """A monotone curve through the results at the horizons: isotonic regression (least squares
    among curves that never fall), linear in the logarithm of the horizon between them."""

    horizons: tuple[float, ...]
    fitted: tuple[float, ...]

    def at(self, horizon: float) -> float:
        """The fitted result at a horizon."""
        return float(np.interp(math.log(horizon), np.log(self.horizons), self.fitted))

    def epochs_to(self, target: float) -> tuple[float, str]:
        """The shortest horizon that reaches the target, and its mark: ``≤`` where the shortest
        training already reaches it, ``≥`` where even the longest does not.

        >>> Rise((2.0, 8.0), (0.5, 0.7)).epochs_to(0.6), Rise((2.0, 8.0), (0.5, 0.7)).epochs_to(0.8)
        ((4.0, ''), (8.0, '≥'))
        """
        reached = [i for i, y in enumerate(self.fitted) if y >= target - 1e-9]
        if not reached:
            return self.horizons[-1], "≥"
        i = reached[0]
        if i == 0:
            return self.horizons[0], "≤"
        x, y = np.log(self.horizons[i - 1 : i + 1]), self.fitted[i - 1 : i + 1]
        return round(math.exp(float(np.interp(target, y, x))), 9), ""


def rise(horizons: ArrayLike, results: ArrayLike) -> Rise | None:
    """Fit a curve to results where higher is better; None if a result is missing, or there are
    fewer than two horizons."""
    x, y = np.asarray(horizons, dtype=float), np.asarray(results, dtype=float)
    if len(x) < 2 or not np.isfinite(y).all():
        return None
    return Rise(tuple(map(float, x)), tuple(map(float, isotonic_regression(y).x)))


def speedups(runs: Frame) -> Frame:
    """The speed-up of each rule over the additive rule: one row per cell, rule and seed.

    The target of a cell and seed is the additive rule's fitted result at the geometric mean of the
    shortest and the longest horizon, so that an equally large speed-up and slow-down can be
    measured.

    Returns:
        the cell's axes, ``rule``, ``seed``, ``target``, ``epochs`` (to the target), ``log/epochs``
        and ``log/seconds`` (logarithms of the speed-ups; NaN where unknown) and ``bound``:
        ``≤`` or ``≥`` where the true speed-up may be lower or higher.
    """
    if runs["horizon"].nunique() < 2:
        return pd.DataFrame(columns=[*OTHERS, "rule", "seed", "target", "epochs", "bound", *LOGS])
    lost = {rule: unlike_cells(runs, differences(runs, rule), "horizon") for rule in rules(runs)}
    horizons = in_order(runs["horizon"])
    rows = []
    for key, cell in runs.groupby(OTHERS, sort=False, dropna=False):
        for seed, part in cell.groupby("seed"):
            found = {rule: _curve(mine, horizons) for rule, mine in part.groupby("rule")}
            base, pace = found.get(BASELINE, (None, math.nan))
            for rule in rules(part):
                row = dict(zip(OTHERS, key, strict=True)) | {"rule": rule, "seed": seed}
                known = base if (key, seed) not in lost[rule] else None
                rows.append(row | _speedup(known, pace, *found[rule]))
    return pd.DataFrame(rows)


LOGS = ("log/epochs", "log/seconds")


def _curve(part: Frame, horizons: list[float]) -> tuple[Rise | None, float]:
    """The curve of one arm and seed, and its seconds per epoch."""
    results = metric_of(part).sign * part.set_index("horizon")["outcome"].reindex(horizons)
    seconds = part["seconds"].sum() / part["horizon"].sum() if "seconds" in part else math.nan
    return rise(horizons, results), float(seconds)


def _speedup(base: Rise | None, pace: float, ours: Rise | None, our_pace: float) -> dict[str, Any]:
    nothing = {"target": math.nan, "epochs": math.nan, "bound": "", **dict.fromkeys(LOGS, math.nan)}
    if base is None or ours is None:
        return nothing
    target = base.at(math.sqrt(base.horizons[0] * base.horizons[-1]))
    (theirs, early), (epochs, mark) = base.epochs_to(target), ours.epochs_to(target)
    if early and mark == "≤":  # both reach it in the shortest training: unknown which is faster
        return nothing | {"target": target, "epochs": epochs}
    log = math.log(theirs / epochs)
    seconds = log + math.log(pace / our_pace) if pace > 0 and our_pace > 0 else math.nan
    # The bound turns around: if the rule's true time is shorter (≤), its speed-up is larger (≥). If
    # the baseline's is shorter, the speed-up is smaller.
    bound = {"≥": "≤", "≤": "≥"}.get(mark, "≤" if early else "")
    return {"target": target, "epochs": epochs, "bound": bound, LOGS[0]: log, LOGS[1]: seconds}


def compared(speeds: Frame, rule: str, unit: str = LOGS[0]) -> Comparison:
    """The log speed-up of one rule over all cells of a frame made by `speedups`."""
    mine = speeds[speeds["rule"] == rule]
    if mine.empty:
        return compare([math.nan])
    table = mine.set_index([*OTHERS, "seed"])[unit].unstack("seed")
    return replace(compare(table), bound=bound_of(mine.loc[mine[unit].notna(), "bound"]))


def speedup_of(runs: Frame, rule: str) -> Comparison:
    """The log speed-up of one rule, from runs. It also counts the pairs that were left out because
    their two runs were made under different conditions."""
    both = runs[runs["rule"].isin([rule, BASELINE])]
    return replace(compared(speedups(both), rule), unlike=left_out(runs, rule))


def left_out(runs: Frame, rule: str) -> dict[str, int]:
    """How many pairs were left out because their two runs were made under different conditions."""
    lost = len(unlike_cells(runs, differences(runs, rule), "horizon"))
    return {"conditions": lost} if lost else {}


def summaries(runs: Frame) -> Frame:
    """The values that the table and the figure show: one row per cell and rule."""
    speeds = speedups(runs)
    axes = [a for a in dict.fromkeys(["optimizer", *varying(runs)]) if a != "horizon"]
    rows, asked = [], []
    for key, part in groups(runs, axes):
        here = speeds.merge(pd.DataFrame([key]), on=axes) if len(speeds) else speeds
        for rule in rules(part):
            mine = here[here["rule"] == rule]
            c, s = (compared(here, rule, unit) for unit in LOGS)
            asked.append((rule, Question(c, MARGIN)))
            counted = counts(part[part["rule"] == rule])
            row = {**key, "rule": rule, "target": mine["target"].mean(), "bound": c.bound}
            row |= {"epochs": mine["epochs"].median(), **counted._asdict()}
            row |= {"shown": int(mine[LOGS[0]].notna().sum()), "pairs_expected": c.expected}
            row |= {"bounds": int((mine["bound"] != "").sum())}
            for unit, found in (("epochs", c), ("seconds", s)):
                ends = {"speedup": found.mean, "low": found.low, "high": found.high}
                row |= {f"{end}/{unit}": math.exp(v) for end, v in ends.items()}
            rows.append(row | {"tags": tags(part)})
    verdicts = iter(decide([q for rule, q in asked if rule != BASELINE]))
    for row, (rule, question) in zip(rows, asked, strict=True):
        answer = next(verdicts) if rule != BASELINE else None
        row["answer"] = answer
        row |= numbers_of(question.comparison, answer) if answer else {}
    return pd.DataFrame(rows)
