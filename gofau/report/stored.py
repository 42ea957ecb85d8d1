"""The table of tuned arms with the bytes that their weights take.

Every arm tries the same number of learning rates. The rate is chosen by the validation loss of the
runs with seed `SEARCH_SEED`; only the runs with other, fresh seeds are reported.
"""

import math
from typing import Any

import pandas as pd

from gofau.report.cells import counts, in_order
from gofau.report.choice import SEARCH_SEED, loss
from gofau.report.metric import heading, metric_of
from gofau.report.pairs import Comparison, compare, over_seeds, paired
from gofau.report.render import Cell, Table, TableRow
from gofau.report.statistics import summary
from gofau.report.tables import CELL_NOTE, difference_cells, groups, tags
from gofau.report.types import Frame

TASK = ["dataset", "model"]
REFERENCE = "adam"
"""The optimizer that the others are compared with."""


def stored(runs: Frame) -> Table:
    """One row per task and arm: the chosen rate, the result of the fresh seeds, the difference to
    Adam, and the bytes of the weights."""
    rows, data = [], []
    runs = runs.assign(bits=_bits(runs))
    for task, here in groups(runs, TASK):
        reference = _chosen(here[here["optimizer.name"] == REFERENCE])
        for arm, part in groups(here, ["optimizer.name", "rule", "bits"]):
            best = _chosen(part)
            cells = [Cell(str(v)) for v in (*task.values(), *list(arm.values())[:2])]
            cells += [Cell("–" if not arm["bits"] else f"{arm['bits']:g}", number=arm["bits"])]
            cells += [*_rate(part, best), *_result(best), *_against(best, reference)]
            rows.append(TableRow((*cells, *_size(best)), tags(part)))
            data.append({**task, **arm, **_numbers(part, best, reference)})
    return Table(
        "stored",
        "Accuracy and bytes of the weights",
        f"Every arm tries {_tried(runs)} learning rates. The rate with the lowest validation loss"
        f" with seed {SEARCH_SEED} is chosen; only the other seeds are reported, at that rate. *:"
        " the first or last of the list. For integers the rate is lr_factor × base_lr: a unit of ĝ"
        " moves a weight by lr_factor integers, each a factor exp(base_lr). Bits: of the integer;"
        f" the sign takes one more. {heading(runs).capitalize()} at the last epoch"
        f"{metric_of(runs).unit}: {CELL_NOTE} Better by: than {REFERENCE}, paired by seed, above 0"
        " where better, with its 95 % interval. Bytes: of the file of the weights (weights.pt),"
        " with its header; share: of the same file in float32.",
        (
            *(*TASK, "optimizer", "rule", "bits", "rate", heading(runs)),
            *(f"better than {REFERENCE} by", "95 % interval", "bytes", "share of float32"),
        ),
        tuple(rows),
        pd.DataFrame(data),
    )


def _bits(runs: Frame) -> Any:
    """Bits of an integer weight, 0 for weights that are floats."""
    if "optimizer.levels" not in runs:
        return 0
    levels: Any = runs["optimizer.levels"].fillna(1)
    return levels.map(lambda n: (int(n) - 1).bit_length())


def _chosen(part: Frame) -> Frame:
    """The fresh runs at the chosen rate; none if the search has no result."""
    first = part[part["seed"] == SEARCH_SEED]
    found: Any = loss(first).groupby(first["lr"]).mean()
    found = found.dropna()
    rate = found.idxmin() if len(found) else math.nan
    return part[(part["lr"] == rate) & (part["seed"] != SEARCH_SEED)]


def _tried(runs: Frame) -> str:
    arms = runs.groupby([*TASK, "optimizer.name", "bits"], sort=False)["lr"].nunique()
    return ", ".join(f"{n:g}" for n in in_order(arms))


def _rate(part: Frame, best: Frame) -> list[Cell]:
    if best.empty:
        return [Cell("missing")]
    rate = float(best["lr"].iloc[0])
    mark = "*" * (rate in (part["lr"].min(), part["lr"].max()))
    size = float(best["optimizer.base_lr"].iloc[0]) if "optimizer.base_lr" in best else math.nan
    whole = f"{rate:g}" if math.isnan(size) else f"{rate:g} × {size:g}"
    return [Cell(whole + mark, number=rate)]


def _result(best: Frame) -> list[Cell]:
    s = summary(best["outcome"])
    text = metric_of(best).entry(s, counts(best)) if len(best) else "missing"
    return [Cell(text, number=s.mean)]


def _difference(best: Frame, reference: Frame) -> Comparison:
    if best.empty or reference.empty:
        return compare([math.nan])
    return over_seeds(paired(best, reference, [*TASK, "seed"]))


def _against(best: Frame, reference: Frame) -> list[Cell]:
    if set(best["optimizer.name"]) == {REFERENCE}:
        return [Cell("–"), Cell("–")]
    return difference_cells(_difference(best, reference), metric_of(best))


def _bytes(best: Frame) -> tuple[float, float]:
    """Bytes of the weights as stored, and as float32; NaN where they were not recorded."""
    found = [best.get(f"weights/{name}") for name in ("bytes", "float32_bytes")]
    means = [math.nan if column is None else float(column.mean()) for column in found]
    return means[0], means[1]


def _size(best: Frame) -> list[Cell]:
    size, whole = _bytes(best)
    if math.isnan(size):
        return [Cell("–"), Cell("–")]
    return [Cell(f"{size:,.0f}", number=size), Cell(f"{size / whole:.2f}", number=size / whole)]


def _numbers(part: Frame, best: Frame, reference: Frame) -> dict[str, Any]:
    s, c, (size, whole) = summary(best["outcome"]), _difference(best, reference), _bytes(best)
    rate = float(best["lr"].iloc[0]) if len(best) else math.nan
    row: dict[str, Any] = {"rates": part["lr"].nunique(), "lr": rate, **counts(best)._asdict()}
    row |= {"mean": s.mean, "sd": s.sd, "low": s.low, "high": s.high}
    row |= {"difference": c.mean, "difference/low": c.low, "difference/high": c.high}
    return row | {"bytes": size, "float32_bytes": whole}
