"""How soon a run reaches a target accuracy, and how much sooner than the additive rule.

The target of a cell is set from its additive runs only, before the other rules are looked at: 98 %
of the mean validation accuracy with which those that did not diverge end. That is near the end of
what the baseline can do and still within its reach.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from gofau.report.cells import BASELINE, CONTEXT
from gofau.report.types import Frame

SHARE = 0.98
"""Of the baseline's last accuracy."""
WHAT = [*CONTEXT, "rule", "seed", "identity", "state"]


def first_reach(accuracy: list[float], target: float) -> int | None:
    """The index of the first epoch that reaches the target; None for a run that never does.

    Example:
        >>> first_reach([0.2, 0.9, 0.8], 0.85)
        1
    """
    return next((i for i, a in enumerate(accuracy) if a >= target), None)


def reaches(runs: Frame, folder: Path) -> Frame:
    """When each run reached its cell's target.

    Args:
        runs: those of `cells.read`.
        folder: of results; its ``curves.csv.gz`` may be missing.

    Returns:
        one row a run that finished and has a curve: its `CONTEXT`, rule, seed and

        - ``target``: the validation accuracy to reach; NaN without additive runs, and then so are
          the next two;
        - ``epochs`` and ``seconds`` (of training, evaluation not counted) at the end of the first
        epoch
          that reached it; of a censored run all that it was given;
        - ``censored``: it never reached it, or diverged.
    """
    path = folder / "curves.csv.gz"
    curves = pd.read_csv(path) if path.exists() else pd.DataFrame({"identity": []})
    known = runs[runs["identity"].isin(set(curves["identity"]))]
    frame = known[WHAT].copy()
    ends = known["choice"].where((known["rule"] == BASELINE) & (known["state"] == "done"))
    keys = [known[axis] for axis in CONTEXT]
    frame["target"] = SHARE * ends.groupby(keys, dropna=False).transform("mean")
    by_run = dict(iter(curves.groupby("identity", sort=False)))
    rows = [
        _reach(by_run[row.identity], row.target, row.state == "diverged")
        for row in frame[["identity", "target", "state"]].itertuples()
    ]
    columns = ["epochs", "seconds", "censored"]
    return frame.join(pd.DataFrame(rows, index=frame.index, columns=columns))


def _reach(curve: Frame, target: float, diverged: bool) -> tuple[float, float, bool]:
    if math.isnan(target):
        return math.nan, math.nan, False
    curve = curve.sort_values("epoch")
    at = None if diverged else first_reach(list(curve["val/acc"]), target)
    row = curve.iloc[-1 if at is None else at]
    return float(row["epoch"]), float(row["seconds"]), at is None


def log_speedups(reached: Frame, rule: str, unit: str = "epochs") -> Frame:
    """log(additive / rule) of the epochs or seconds to the target, over the same cells and seeds:
    above 0 where the rule is faster.

    A censored run counts with all that it was given. So a pair in which the rule alone was censored
    is an upper bound, one in which the baseline alone was a lower bound; where both were, nothing
    is known, and it is NaN.

    Returns:
        one row a cell, one column a seed.
    """
    tables = {}
    for name in (rule, BASELINE):
        part = reached[reached["rule"] == name].set_index([*CONTEXT, "seed"])
        tables[name] = part[[unit, "censored"]]
    pairs = tables[BASELINE].add_suffix("/theirs").join(tables[rule], how="outer")
    both = (pairs["censored"] == True) & (pairs["censored/theirs"] == True)  # noqa: E712
    with np.errstate(divide="ignore"):
        logs = np.log(pairs[f"{unit}/theirs"] / pairs[unit])
    return logs.mask(both).unstack("seed")


def bound(ours: int, theirs: int) -> str:
    """The mark before a speed-up of which so many runs of ours and of theirs were censored.

    >>> bound(1, 0), bound(0, 2), bound(1, 1), bound(0, 0)
    ('≤', '≥', '≈', '')
    """
    return {(True, False): "≤", (False, True): "≥", (True, True): "≈"}.get(
        (ours > 0, theirs > 0), ""
    )
