"""The verdict of the records on each sentence of the paper's claim: ``results/claims.md``."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from gofau.report.acceleration import MARGIN, speedup_of
from gofau.report.arms import arm_names
from gofau.report.best_rate import TASK
from gofau.report.cells import BASELINE, compared, read
from gofau.report.claim_cells import measured, size, where
from gofau.report.control import retuned
from gofau.report.experiments import REDUCED, SMOKE
from gofau.report.introduction import INTRODUCTION
from gofau.report.metric import Metric, metric_of, metrics
from gofau.report.pairs import Comparison, compare, differences, over_seeds
from gofau.report.render import Cell, Table, TableRow, markdown, number
from gofau.report.robustness import less_drop
from gofau.report.tables import numbers_of, tags
from gofau.report.types import Column, Frame
from gofau.report.verdict import Question, Verdict, decide


@dataclass(frozen=True)
class Claim:
    """A sentence, the experiment that tests it, and the entry of `MEASURES` that gives the effect.
    ``twin``: whether the experiment has a twin on the digits."""

    sentence: str
    experiment: str
    measure: str = "result"
    twin: bool = True


MANY = "It helps with many optimizers, architectures and tasks"
CLAIMS = (
    Claim("It accelerates training", "problems_horizons", "speed-up", twin=False),
    Claim("It is robust to the initialisation", "problems_init", "drop", twin=False),
    Claim("It is robust to the learning rate", "problems_lr", "drop", twin=False),
    Claim(MANY, "problems", twin=False),
    Claim(MANY, "problems_full", twin=False),  # the same points, trained longer
    Claim(MANY, "problems_longer", twin=False),
    Claim("It is not just another learning rate", "problems_control", twin=False),
    Claim("It accelerates training", "tab6_acceleration", "speed-up"),
    Claim("It is robust to the initialisation", "tab2_cifar10_init", "drop"),
    Claim("It is robust to the learning rate", "tab3_cifar10_lr", "drop"),
    Claim(MANY, "tab4_cifar100"),
    Claim(MANY, "tab5_tiny_imagenet"),
    Claim("It is not just another learning rate", "is_it_just_lr", "tuned"),
)
COLUMNS = (
    *("sentence", "rule", "verdict", "effect", "its interval", "95 % interval"),
    *("for other test images", "p (Holm)", "cells × seeds", "pairs", "experiment", "measured"),
    *("data", "hardware", "commit"),
)
Measured = tuple[Comparison, float]
"""A comparison, and its margin of no difference."""


def _result(runs: Frame, rule: str) -> Measured:
    return over_seeds(differences(runs, rule)), _margin(runs)


def _drop(runs: Frame, rule: str) -> Measured:
    return less_drop(runs, rule), _margin(runs)


def _speed_up(runs: Frame, rule: str) -> Measured:
    return speedup_of(runs, rule), MARGIN


def _tuned(runs: Frame, rule: str) -> Measured:
    """Each rule at its own best learning rate, paired by seed: one cell per optimizer."""
    found = [retuned(part, rule)["pairs"] for _, part in runs.groupby(TASK, sort=False)]
    pairs = [frame for frame in found if frame is not None]
    if not pairs or len(pairs) < len(found):
        return compare([math.nan]), _margin(runs)
    return over_seeds(pd.concat(pairs)), _margin(runs)


def _margin(runs: Frame) -> float:
    return metric_of(runs).margin(runs.loc[runs["rule"] == BASELINE, "outcome"].mean())


MEASURES: Mapping[str, Callable[[Frame, str], Measured]] = {
    "result": _result,
    "drop": _drop,
    "speed-up": _speed_up,
    "tuned": _tuned,
}


@dataclass(frozen=True)
class Line:
    """One row of the page before its verdict; ``runs`` is None where there are no records."""

    claim: Claim
    experiment: str
    rule: str
    runs: Frame | None
    comparison: Comparison
    margin: float


def judged(results: Path) -> list[Table]:
    """The tables of the claims: of the experiments, and of their twins."""
    return [claims(results, smoke) for smoke in (False, True)]


def claims(results: Path, smoke: bool) -> Table:
    """The table of verdicts: one row per sentence, experiment and rule. An experiment without
    records has a row if no other answers its sentence.

    Args:
        results: the folder of results.
        smoke: use the twins on the digits, which are no evidence, instead of the experiments.
    """
    found = list(_lines(results, SMOKE if smoke else ""))
    lines, left = _without_repeats(found)
    answers = decide([Question(line.comparison, line.margin) for line in lines])
    rows, data = [], []
    for line, answer in zip(lines, answers, strict=True):
        texts = [line.claim.sentence, line.rule, answer.text, *_effect(line, answer)]
        texts += [*size(line.comparison), line.experiment]
        texts += [measured(line.runs, line.claim.measure), *where(line.runs)]
        cells = tuple(Cell(text, bold=i == 2) for i, text in enumerate(texts))
        rows.append(TableRow(cells, _tags(line)))
        row = {"sentence": line.claim.sentence, "rule": line.rule, "experiment": line.experiment}
        row["metric"] = "" if line.runs is None else metric_of(line.runs).name
        data.append(row | numbers_of(line.comparison, answer))
    return Table(
        "claims_smoke" if smoke else "claims",
        "The twins on the digits: same code, but no evidence" if smoke else "The claim",
        f"Without records, and so without a row: {', '.join(left)}." if left else "",
        COLUMNS,
        tuple(rows),
        pd.DataFrame(data),
    )


def _lines(results: Path, prefix: str) -> Iterator[Line]:
    nothing = (compare([math.nan]), 0.0)
    for claim in CLAIMS:
        if prefix and not claim.twin:
            continue
        names = [prefix + claim.experiment, *[REDUCED + claim.experiment] * (not prefix)]
        there = [name for name in names if (results / name / "runs.csv").exists()]
        name = (there or names)[0]
        if not there:
            yield Line(claim, name, "any", None, *nothing)
            continue
        for runs in by_metric(read(results / name)):
            for rule in filter(partial(_is_whole, runs), compared(runs)):
                yield Line(claim, name, rule, runs, *MEASURES[claim.measure](runs, rule))


def _without_repeats(lines: list[Line]) -> tuple[list[Line], list[str]]:
    """Leave out experiments without records whose sentence another experiment answers; returns the
    other lines, and the names of those experiments."""
    answered = {line.claim.sentence for line in lines if line.runs is not None}

    def is_repeat(line: Line) -> bool:
        return line.runs is None and line.claim.sentence in answered

    left = [line.experiment for line in lines if is_repeat(line)]
    return [line for line in lines if not is_repeat(line)], left


def _tags(line: Line) -> dict[str, str]:
    """What the page's filters know of a row; one without records is about any rule."""
    found = {"experiment": line.experiment}
    return found if line.runs is None else found | {"rule": line.rule} | tags(line.runs)


def _is_whole(runs: Frame, rule: str) -> bool:
    """Whether the rule is run with every optimizer. One that is there with some of them only, for
    comparison, is not what the sentences are about; neither is the additive rule when clipped."""
    mine = runs.loc[runs["rule"] == rule, "arm"]
    return not rule.startswith(BASELINE) and set(mine) == set(runs["arm"])


def by_metric(runs: Frame) -> Iterator[Frame]:
    """Yield the runs of each metric, without the rivals, which are arms of one rule: where it is
    additive no other rule was tried there, and where it is another it can be compared with none."""
    runs = runs.assign(arm=arm_names(runs))
    for metric in metrics(runs):
        mine = runs[runs["metric"] == metric.name]
        names = mine.groupby("arm")["rule"].transform(_is_comparison)
        yield mine[names.astype(bool)]


def _is_comparison(rules: Column) -> bool:
    return rules.nunique() > 1 and BASELINE in set(rules)


def _effect(line: Line, answer: Verdict) -> list[str]:
    """The cells of the effect, its three intervals (the verdict's, the 95 % one, the one for other
    test images) and p."""
    c = line.comparison
    if not c.pairs:
        return ["missing", "–", "–", "–", "–"]
    metric = Metric() if line.runs is None else metric_of(line.runs)
    speed = line.claim.measure == "speed-up"

    def text(value: float) -> str:
        return f"× {number(math.exp(value))}" if speed else metric.text(value, sign=True)

    def ends(low: float, high: float) -> str:
        return f"{text(low)} … {text(high)}" if low == low else "–"

    intervals = [ends(answer.low, answer.high), ends(c.low, c.high), ends(*c.beyond)]
    return [c.bound + text(c.mean), *intervals, number(answer.p, 4)]


def write_claims(results: Path, verdicts: list[Table]) -> Path:
    """Write ``claims.md``; returns its path. ``verdicts``: the tables that it shows."""
    parts = ["#" + markdown(table).strip("\n") for table in verdicts]
    path = results / "claims.md"
    path.write_text("\n\n".join([INTRODUCTION.strip("\n"), *parts]) + "\n", encoding="utf-8")
    return path
