"""Is it just the learning rate? Each rule against the additive one, both tuned at the same
budget."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gofau.report.cells import BASELINE, counts, differences, in_order, rules
from gofau.report.pairs import Comparison, compare
from gofau.report.render import Cell, Row, Table, number, percent
from gofau.report.statistics import summary
from gofau.report.tables import difference_cells, groups, labels, tags
from gofau.report.types import Frame


@dataclass(frozen=True)
class Tuned:
    """The learning rate that is best on the validation part, out of ``tried``."""

    lr: float
    runs: Frame
    at_edge: bool


def tune(runs: Frame, tried: list[float]) -> Tuned:
    """The rate of the highest mean validation accuracy; of equals, the smallest. Diverged runs
    count at chance level."""
    means = runs[runs["lr"].isin(tried)].groupby("lr")["choice"].mean()
    lr = float(means.idxmax())  # type: ignore[arg-type]
    return Tuned(lr, runs[runs["lr"] == lr], lr in (min(tried), max(tried)))


def budget(runs: Frame, names: list[str]) -> list[float]:
    """The rates that were tried, with every seed, for all of these rules: the same for each."""
    seeds = runs["seed"].nunique()
    done = runs.dropna(subset=["outcome"]).groupby(["rule", "lr"])["seed"].nunique()
    full = set(done[done == seeds].index)
    return [lr for lr in in_order(runs["lr"]) if all((rule, lr) in full for rule in names)]


def retuned(part: Frame, rule: str) -> dict[str, Any]:
    """One optimizer: ``rule`` and the additive rule at their own best rates, compared over seeds.

    Returns:
        ``tried`` rates, the two `Tuned` (None without any), ``tuned``, ``same`` and ``matched``:
        comparisons of the outcomes at each one's best rate, at equal rates, and, for a hybrid, of
        rate η with an additive step of rate (1 − α)·η, which is the hybrid's own additive part.
    """
    tried = budget(part, [BASELINE, rule])
    found: dict[str, Any] = {"tried": len(tried), "ours": None, "theirs": None}
    found["same"] = compare(differences(part, rule))
    found["matched"] = compare(_matched(part, rule))
    if not tried:
        return found | {"tuned": compare([math.nan])}
    ours, theirs = (tune(part[part["rule"] == name], tried) for name in (rule, BASELINE))
    pair = [t.runs.set_index("seed")["outcome"] for t in (ours, theirs)]
    return found | {"ours": ours, "theirs": theirs, "tuned": compare(pair[0] - pair[1])}


def _matched(part: Frame, rule: str) -> Any:
    """Differences to the additive run of the rate nearest to (1 − α)·η, within 1 %; NaN
    elsewhere."""
    mine, base = part[part["rule"] == rule], part[part["rule"] == BASELINE]
    if "rule.alpha" not in part or mine["rule.alpha"].isna().all():
        return [math.nan]
    rates = {lr: b.set_index("seed")["outcome"] for lr, b in base.groupby("lr")}
    rows = []
    for lr, group in mine.groupby("lr"):
        wanted = (1 - group["rule.alpha"].iloc[0]) * float(lr)  # type: ignore[arg-type]
        for other, outcome in rates.items():
            if wanted > 0 and abs(other / wanted - 1) < 0.01:  # type: ignore[operator]
                rows.append(group.set_index("seed")["outcome"] - outcome)
    return pd.DataFrame(rows) if rows else [math.nan]


def control(runs: Frame) -> Table:
    """One row an optimizer and rule, and the finding in words in the note."""
    rows, data, words = [], [], []
    for key, part in groups(runs, ["dataset", "model", "optimizer"]):
        for rule in rules(part):
            if rule == BASELINE:
                continue
            found = retuned(part, rule)
            rows.append(
                Row((*labels(key), Cell(rule), *_cells(found)), tags(part) | {"rule": rule})
            )
            data.append(key | {"rule": rule} | _numbers(found))
            words.append(_sentence(key["optimizer"], rule, found))
    return Table(
        "control",
        "Is it just the learning rate?",
        " ".join(words)
        + "\n\nEach rule's rate is the best on the validation part of the same list;"
        " accuracy is that on the test set, in per cent: mean ± half of the 95 % interval (standard"
        " deviation; n, of which ✕ diverged, at chance level). *: the best rate is the list's"
        " first or last, so a longer list might change it. Differences in points, paired by"
        " seed, with their bootstrap interval: tuned, each at its own best rate; same rate, over"
        " the whole list; same additive part, the rule at rate η against additive at (1 − α)·η.",
        (
            *("dataset", "model", "optimizer", "rule", "rates", "its rate", "its accuracy"),
            *("additive rate", "additive accuracy", "tuned", "interval", "same rate", "interval"),
            *("same additive part", "interval"),
        ),
        tuple(rows),
        pd.DataFrame(data),
    )


def _cells(found: dict[str, Any]) -> list[Cell]:
    cells = [Cell(str(found["tried"]), number=found["tried"])]
    for tuned in (found["ours"], found["theirs"]):
        if tuned is None:
            cells += [Cell("missing"), Cell("missing")]
            continue
        cells.append(Cell(f"{tuned.lr:g}" + "*" * tuned.at_edge, number=tuned.lr))
        s = summary(tuned.runs["outcome"])
        cells.append(Cell(percent(s, counts(tuned.runs)), number=s.mean))
    for name in ("tuned", "same", "matched"):
        cells += difference_cells(found[name])
    return cells


def _numbers(found: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"rates": found["tried"]}
    for side in ("ours", "theirs"):
        tuned = found[side]
        row[f"{side}/lr"] = tuned.lr if tuned else math.nan
        row[f"{side}/mean"] = tuned.runs["outcome"].mean() if tuned else math.nan
    for name in ("tuned", "same", "matched"):
        c: Comparison = found[name]
        row |= {f"{name}/{k}": getattr(c, k) for k in ("mean", "low", "high", "p", "pairs")}
    return row


def _sentence(optimizer: str, rule: str, found: dict[str, Any]) -> str:
    c: Comparison = found["tuned"]
    if not c.pairs:
        return f"With {optimizer}, {rule}: missing."
    if c.low > 0:
        verdict = "so it is not just the learning rate: a gain is left"
    elif c.high < 0:
        verdict = "so tuning the additive rule does better"
    else:
        verdict = "so no difference is shown once both are tuned"
    return (
        f"With {optimizer}, {rule} at its best rate ({found['ours'].lr:g}) is"
        f" {number(100 * c.mean, sign=True)} points from additive at its own"
        f" ({found['theirs'].lr:g}), interval {number(100 * c.low, sign=True)} …"
        f" {number(100 * c.high, sign=True)}, {found['tried']} rates and {c.seeds} seeds each,"
        f" {verdict}."
    )
