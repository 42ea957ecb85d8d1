"""Is it just the learning rate? Each rule against the additive one, both tuned at the same
budget."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
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
        comparisons of the outcomes at each one's best rate, at equal rates, and at equal mean size
        of the steps (see `_matched`).
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
    """Outcomes minus those of an additive rule whose steps are of the same measured mean size
    (``update_rms`` of `frames.collect`): read, for each seed, between the two additive runs whose
    steps are the next smaller and the next larger, linearly in the logarithm of the size.

    Returns:
        one row a learning rate, one column a seed; NaN where a size is not known, or beyond those
        of the additive runs.
    """
    if "update_rms" not in part:
        return [math.nan]
    known = part[(part["update_rms"] > 0) & np.isfinite(part["update_rms"])]
    known = known.assign(size=np.log(known["update_rms"])).dropna(subset=["outcome"])
    rows = part[part["rule"] == rule].set_index(["lr", "seed"])["outcome"].unstack("seed") * np.nan
    for seed, runs in known.groupby("seed"):
        base = runs[runs["rule"] == BASELINE].sort_values("size")
        if base.empty:
            continue
        for run in runs[runs["rule"] == rule].to_dict("records"):
            theirs = np.interp(
                run["size"], base["size"], base["outcome"], left=math.nan, right=math.nan
            )
            rows.loc[run["lr"], seed] = run["outcome"] - theirs  # type: ignore[index]
    return rows


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
        " seed, with their 95 % interval (of a bootstrap; Student's t for fewer than six of one"
        " cell): tuned, each at its own best rate; same rate, over"
        " the whole list; same mean step, over the rates whose steps were, in their measured mean"
        " size (root mean square of the change of all weights), within the range of additive's,"
        " against additive read at that size between the two nearest of its rates.",
        (
            *("dataset", "model", "optimizer", "rule", "rates", "its rate", "its accuracy"),
            *("additive rate", "additive accuracy", "tuned", "interval", "same rate", "interval"),
            *("same mean step", "interval"),
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
