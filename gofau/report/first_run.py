"""The final accuracy of the default run over many seeds: mean, worst, and how many are low."""

import pandas as pd

from gofau.report.cells import counts, in_order, rules
from gofau.report.render import Cell, Table, TableRow, number
from gofau.report.statistics import summary
from gofau.report.types import Frame

LOW = 0.95
"""Accuracy below which a run counts as low."""


def first_run(runs: Frame) -> Table:
    """The table of the default run: one row per optimizer and rule, three columns per number of
    threads."""
    threads = [int(n) for n in in_order(runs["compute.threads"])]
    rows, data = [], []
    for optimizer in in_order(runs["optimizer.name"]):
        for rule in rules(runs):
            mine = runs[(runs["optimizer.name"] == optimizer) & (runs["rule.name"] == rule)]
            about = {"optimizer": optimizer, "rule": rule}
            cells, numbers = [Cell(optimizer), Cell(rule)], {}
            for n in threads:
                more, found = _of(mine[mine["compute.threads"] == n])
                cells += more
                numbers |= {f"{key}, {n} threads": value for key, value in found.items()}
            rows.append(TableRow(tuple(cells), about))
            data.append(about | numbers)
    heads = ("mean ± half interval (n)", "worst", f"below {LOW:.0%}")
    columns = [
        f"{head}, {n} {'thread' if n == 1 else 'threads'}" for n in threads for head in heads
    ]
    return Table(
        "first_run",
        "Final accuracy of the default run",
        "Accuracy on the test set at the last epoch, in per cent: mean over the seeds ± half of the"
        " 95 % Student-t interval (n, of which ✕ diverged, counted at chance level, and ⊘ dead: no"
        " better than guessing); the worst seed; and"
        f" how many seeds ended below {LOW:.0%}, diverged ones included.",
        ("optimizer", "rule", *columns),
        tuple(rows),
        pd.DataFrame(data),
    )


def _of(runs: Frame) -> tuple[list[Cell], dict[str, float]]:
    outcome = runs["outcome"].dropna()
    s, worst, low = summary(outcome), float(outcome.min()), int((outcome < LOW).sum())
    _, lost, dead, missing = counts(runs)
    more = ((lost, " ✕"), (dead, " ⊘"), (missing, " missing"))
    marks = "".join(f", {n}{sign}" for n, sign in more if n)
    text = f"{number(100 * s.mean, 2)} ± {number(100 * s.half, 2)} ({s.n}{marks})"
    cells = [Cell(text, number=s.mean), Cell(number(100 * worst, 2), number=worst)]
    cells.append(Cell(f"{low} of {s.n}", number=low))
    return cells, {"mean": s.mean, "half": s.half, "n": s.n, "worst": worst, "low": low}
