"""What the experiment `problems` has found so far, in a few lines: for README and the first page of
the documentation."""

from pathlib import Path
from textwrap import fill

from gofau.report.cells import FINISHED, read
from gofau.report.claims import by_metric, claims
from gofau.report.metric import Metric, metric_of, metrics
from gofau.report.pairs import Comparison, differences, over_seeds
from gofau.report.types import Frame

EXPERIMENT = "problems"
PROBLEM = ["dataset.name", "model.name"]
Answers = dict[tuple[str, str], str]
"""(rule, metric) → effect, interval and verdict."""
WIDTH = 120
"""Of a line of text, as in the pages around it."""
HOW = (
    "The table has the mean difference of each rule to the additive rule of the same optimizer;"
    " above 0 the rule is better, also where a lower result is better (bits, losses). In brackets"
    " is the interval that the verdict follows from; it is corrected for the number of questions."
)
EACH = (
    "A mean over problems can hide that they differ. The same per problem, over its optimizers,"
    " with plain 95 % intervals:"
)
MORE = ", trained longer"
CONFIRMATIONS = {
    "problems_full": "all images and twice the epochs of CIFAR-10, with SGD, RMSprop and Adam",
    "problems_longer": "four times the epochs of Tiny Shakespeare and of the CNN on Fashion-MNIST,"
    " with these and Adagrad",
}
"""Experiment → what there is more of than in `EXPERIMENT`; the hyperparameters are the same."""


def finding(results: Path, planned: int) -> str:
    """Sentences and a table: what is recorded, and per rule and metric the effect, its interval and
    its verdict, word for word those of `claims`.

    Args:
        results: the folder of results, with records of the experiment.
        planned: how many problems the protocol has.
    """
    runs = read(results / EXPERIMENT)
    found = _answers(results)
    words = f"{_recorded(runs, planned)} {HOW}"
    rules = list(dict.fromkeys(rule for rule, _ in found))
    rows = _each(runs, rules)
    parts = [_filled(words), _table(found, runs)]
    if len(rows) > 1:
        there = [name for name in CONFIRMATIONS if (results / name / "runs.csv").exists()]
        more = [line for name in there for line in _each(read(results / name), rules, MORE)]
        head = [f"| {' | '.join(['problem', *rules])} |", "|---" * (1 + len(rules)) + "|"]
        parts += [_filled(EACH), "\n".join([*head, *rows, *more])]
        parts += [_filled(_confirmed(there))] if there else []
    return "\n\n".join(parts)


def _filled(words: str) -> str:
    return fill(words, WIDTH, break_on_hyphens=False)


def _confirmed(there: list[str]) -> str:
    more = "; ".join(CONFIRMATIONS[name] for name in there)
    name = MORE.strip(", ").capitalize()
    return f"*{name}* is the confirmation at the same hyperparameters: {more}."


def _recorded(runs: Frame, planned: int) -> str:
    finished = runs[runs["state"].isin(FINISHED)]
    problems = finished[PROBLEM].drop_duplicates().to_numpy().tolist()
    names = ", ".join(f"{model} on {dataset}" for dataset, model in problems)
    diverged = int((finished["state"] == "diverged").sum())
    seeds = finished["seed"].nunique()
    return (
        f"Recorded so far: {len(problems)} of {planned} problems ({names}), {len(finished):,} runs"
        f" with {seeds} fresh seeds per optimizer and rule."
        f" {diverged or 'None'} of the runs diverged."
    )


def _table(found: Answers, runs: Frame) -> str:
    """One row per rule, one column per metric."""
    shown = metrics(runs)
    heads = [_heading(metric, runs) for metric in shown]
    lines = [f"| {' | '.join(['rule', *heads])} |", "|---" * (1 + len(heads)) + "|"]
    for rule in dict.fromkeys(rule for rule, _ in found):
        cells = [found.get((rule, metric.name), "–") for metric in shown]
        lines.append(f"| {' | '.join([rule, *cells])} |")
    return "\n".join(lines)


def _each(runs: Frame, rules: list[str], more: str = "") -> list[str]:
    """One row per problem, one column per rule; ``more`` is added to the problem's name."""
    lines = []
    for part in by_metric(runs):
        metric = metric_of(part)
        for names, here in part.groupby(PROBLEM, sort=False):
            dataset, model = names if isinstance(names, tuple) else (names, "")
            cells = [_effect(over_seeds(differences(here, rule)), metric) for rule in rules]
            unit = "" if metric.fraction else f", {metric.title}"
            lines.append(f"| {' | '.join([f'{model} on {dataset}{unit}{more}', *cells])} |")
    return lines


def _effect(found: Comparison, metric: Metric) -> str:
    """The mean, and its interval if there is one."""
    if not found.pairs:
        return "–"
    low, high = (metric.text(end, sign=True) for end in (found.low, found.high))
    between = f" ({low} … {high})" if found.low == found.low else ""
    return f"{found.bound}{metric.text(found.mean, sign=True)}{between}"


def _heading(metric: Metric, runs: Frame) -> str:
    n = len(runs.loc[runs["metric"] == metric.name, PROBLEM].drop_duplicates())
    unit = ", in points" if metric.fraction else ""
    return f"test {metric.title}{unit} ({n} problem{'s' * (n > 1)})"


def _answers(results: Path) -> Answers:
    table = claims(results, smoke=False)
    found = {}
    for row, data in zip(table.rows, table.data.to_dict("records"), strict=True):
        if data["experiment"] == EXPERIMENT:
            text = {name: c.text for name, c in zip(table.columns, row.cells, strict=True)}
            interval = text["its interval"]
            between = f" ({interval})" if "…" in interval else ""
            found[data["rule"], data["metric"]] = (
                f"{text['effect']}{between}: **{text['verdict']}**"
            )
    return found
