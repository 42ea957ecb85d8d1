"""Is it just the learning rate? Compares each rule with the additive rule, both tuned with the
same budget."""

import math
from typing import Any

import pandas as pd

from gofau.report.best_rate import TASK, tune
from gofau.report.cells import BASELINE, counts, in_order, rules
from gofau.report.metric import heading, metric_of
from gofau.report.pairs import Comparison, compare, differences, over_seeds, paired, told
from gofau.report.render import Cell, Table, TableRow
from gofau.report.same_step import at_equal_steps, whole
from gofau.report.statistics import summary
from gofau.report.tables import (
    JUDGED,
    RANDOM,
    difference_cells,
    groups,
    labels,
    numbers_of,
    tags,
    verdict_cells,
)
from gofau.report.types import Frame
from gofau.report.verdict import Question, Verdict, decide

KINDS = ("tuned", "same", "matched")
"""The three comparisons."""


def budget(runs: Frame, names: list[str]) -> list[float]:
    """The rates that were tried with every seed for all of these rules: an equal budget."""
    seeds = runs["seed"].nunique()
    done = runs.dropna(subset=["outcome"]).groupby(["rule", "lr"])["seed"].nunique()
    full = set(done[done == seeds].index)
    return [lr for lr in in_order(runs["lr"]) if all((rule, lr) in full for rule in names)]


def retuned(part: Frame, rule: str) -> dict[str, Any]:
    """Compare ``rule`` with the additive rule over the seeds, for one optimizer.

    Returns:
        ``tried``: the number of rates; ``ours`` and ``theirs``: the two `Tuned`, None if no rate
        was tried; ``pairs``: the pairs of their runs; and three comparisons of the outcomes:
        ``tuned`` (each rule at its own best rate), ``same`` (both at the same rate) and ``matched``
        (at equal mean step size, see `at_equal_steps`; ``asked`` is the number of pairs expected
        there).
    """
    tried = budget(part, [BASELINE, rule])
    found: dict[str, Any] = {"tried": len(tried), "ours": None, "theirs": None}
    found["same"] = over_seeds(differences(part, rule))
    found["matched"] = compare(whole(at_equal_steps(part, rule)))
    found["asked"] = int((part["rule"] == rule).sum())
    if not tried:
        return found | {"pairs": None, "tuned": compare([math.nan])}
    ours, theirs = (tune(part[part["rule"] == name], tried) for name in (rule, BASELINE))
    pairs = paired(ours.runs, theirs.runs, [*TASK, "seed"])
    return found | {"ours": ours, "theirs": theirs, "pairs": pairs, "tuned": over_seeds(pairs)}


def control(runs: Frame) -> Table:
    """The table of the control: one row per optimizer and rule; the note says the result in
    words."""
    arms = [
        (key, part, r) for key, part in groups(runs, TASK) for r in rules(part) if r != BASELINE
    ]
    found = [retuned(part, rule) for _, part, rule in arms]
    typical = [part.loc[part["rule"] == BASELINE, "outcome"].mean() for _, part, _ in arms]
    margins = [metric_of(part).margin(t) for (_, part, _), t in zip(arms, typical, strict=True)]
    answers = decide([Question(f["tuned"], m) for f, m in zip(found, margins, strict=True)])
    rows, data, words = [], [], []
    for (key, part, rule), f, verdict in zip(arms, found, answers, strict=True):
        cells = (*labels(key), Cell(rule), *_cells(f, verdict, part))
        rows.append(TableRow(cells, tags(part) | {"rule": rule}))
        data.append(key | {"rule": rule} | _numbers(f, verdict))
        words.append(_sentence(key["optimizer"], rule, f, verdict, part))
    return Table(
        "control",
        "Is it just the learning rate?",
        " ".join(words)
        + "\n\nEach rule's rate is the best on the validation split, out of the same list."
        f" {heading(runs).capitalize()}{metric_of(runs).unit}: mean ± half of the 95 % interval"
        " (standard deviation; n, of which ✕ diverged and ⊘ dead). *: the best rate is the first"
        " or last of the list, so a longer list might change it. Better by: difference paired by"
        " seed, above 0 where the rule is better, with its 95 % interval. Tuned: each rule at its"
        " own best rate. Same rate: over the whole list. Same mean step: compared with additive"
        " at the same measured mean step size (root mean square of the change of all weights),"
        " interpolated between the two nearest additive rates; only over rates whose step size"
        f" lies within the additive range in every seed. {RANDOM} {JUDGED}"
        f" {told([f['tuned'].unlike for f in found])}".rstrip(),
        (
            *(*TASK, "rule", "rates", "its rate", "its result", "additive rate", "additive result"),
            *("tuned: better by", "95 % interval", "verdict", "its interval", "p (Holm)"),
            *(
                "same rate: better by",
                "95 % interval",
                "same mean step: better by",
                "95 % interval",
            ),
            "pairs of same mean step",
        ),
        tuple(rows),
        pd.DataFrame(data),
    )


def _cells(found: dict[str, Any], verdict: Verdict, part: Frame) -> list[Cell]:
    metric = metric_of(part)
    cells = [Cell(str(found["tried"]), number=found["tried"])]
    for tuned in (found["ours"], found["theirs"]):
        if tuned is None:
            cells += [Cell("missing"), Cell("missing")]
            continue
        cells.append(Cell(f"{tuned.lr:g}" + "*" * tuned.at_edge, number=tuned.lr))
        s = summary(tuned.runs["outcome"])
        cells.append(Cell(metric.entry(s, counts(tuned.runs)), number=s.mean))
    cells += [*difference_cells(found["tuned"], metric), *verdict_cells(verdict, metric)]
    cells += [c for name in KINDS[1:] for c in difference_cells(found[name], metric)]
    matched: Comparison = found["matched"]
    return [*cells, Cell(f"{matched.pairs} of {found['asked']}", number=matched.pairs)]


def _numbers(found: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    row: dict[str, Any] = {"rates": found["tried"]}
    for side in ("ours", "theirs"):
        tuned = found[side]
        row[f"{side}/lr"] = tuned.lr if tuned else math.nan
        row[f"{side}/mean"] = tuned.runs["outcome"].mean() if tuned else math.nan
    row |= {f"tuned/{key}": value for key, value in numbers_of(found["tuned"], verdict).items()}
    for name in KINDS[1:]:
        c: Comparison = found[name]
        row |= {f"{name}/{k}": getattr(c, k) for k in ("mean", "low", "high", "seeds", "pairs")}
    return row


WORDS = {
    "supported": "so it is not just the learning rate: a gain remains",
    "not supported": "so the tuned additive rule is better",
    "no difference": "so there is no difference once both are tuned",
}


def _sentence(optimizer: str, rule: str, found: dict[str, Any], v: Verdict, part: Frame) -> str:
    c, metric = found["tuned"], metric_of(part)
    if not c.pairs:
        return f"With {optimizer}, {rule}: missing."
    low, mean, high = (metric.text(x, sign=True) for x in (v.low, c.mean, v.high))
    interval = f", interval {low} … {high}" if v.low == v.low else ""
    return (
        f"With {optimizer}, {rule} at its best rate ({found['ours'].lr:g}) is better by {mean}"
        f"{' points' * metric.fraction} than additive at its own"
        f" ({found['theirs'].lr:g}){interval}, {found['tried']} rates and {c.seeds} seeds each,"
        f" {WORDS.get(v.word, v.text)}."
    )
