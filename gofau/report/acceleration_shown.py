"""The table of the speed-ups."""

import math
from typing import Any

from gofau.report.acceleration import left_out, summaries
from gofau.report.cells import BASELINE, rules
from gofau.report.metric import metric_of
from gofau.report.pairs import told
from gofau.report.render import Cell, Table, TableRow, number
from gofau.report.tables import JUDGED, RANDOM, labels
from gofau.report.types import Frame


def acceleration(runs: Frame) -> Table:
    """The table of the epochs each rule needs to reach the additive rule's result, and of the
    speed-up."""
    data = summaries(runs)
    axes = list(data.columns[: data.columns.get_loc("rule")])
    rows = []
    for row in data.to_dict("records"):
        key = {axis: row[axis] for axis in axes}
        about = row["tags"] | {"rule": row["rule"]}
        rows.append(TableRow((*labels(key), *_cells(row, metric_of(runs))), about))
    lost = [left_out(runs, rule) for rule in rules(runs) if rule != BASELINE]
    return Table(
        "acceleration",
        "Epochs to equal accuracy",
        "Each arm is trained for several horizons (numbers of epochs), each with its complete"
        " schedule. Target: the additive rule's result at the geometric mean of the shortest and"
        " the longest horizon, read per seed from a monotone curve (isotonic regression, linear in"
        " the logarithm of the horizon); the table shows the mean. Epochs: median over the seeds of"
        " the shortest horizon at which the rule's own curve reaches the target. Speed-up: the"
        " additive rule's epochs to the target divided by the rule's, per seed; geometric mean and"
        " 95 % interval, above 1 where the rule is faster. Speed-up in seconds: multiplied by the"
        " ratio of the seconds per epoch. ≤: in some pairs even the rule's longest training does"
        " not reach the target; its length is counted, so the true value may be lower. ≥: in some"
        " pairs its shortest training already reaches it. ≈: both. Pairs: shown, of expected; a"
        " pair is dropped if one of its trainings is missing, or if both rules reach the target in"
        f" the shortest training. {RANDOM}"
        f" {JUDGED} A speed-up within ±5 % is no difference. {told(lost)}".rstrip(),
        (
            *(*axes, "rule", "target", "epochs", "speed-up", "95 % interval"),
            *("speed-up in seconds", "its 95 % interval", "verdict", "its interval", "pairs"),
            *("of them bounds", "diverged, dead"),
        ),
        tuple(rows),
        data.drop(columns=["tags", "answer"]),
    )


def _cells(row: dict[str, Any], metric: Any) -> list[Cell]:
    name, answer = row["rule"], row["answer"]
    if not row["pairs_expected"] or (not row["shown"] and row["target"] != row["target"]):
        return [Cell(name), *[Cell("missing")] * 3, *[Cell("–")] * 7, Cell("–")]
    first = [Cell(name), Cell(metric.text(metric.sign * row["target"]), number=row["target"])]
    first.append(Cell(f"{row['epochs']:.3g}", number=row["epochs"]))
    counted = Cell(f"{row['diverged']}, {row['dead']} of {row['finished']}")
    pairs = [Cell(f"{row['shown']} of {row['pairs_expected']}"), Cell(str(row["bounds"])), counted]
    if answer is None:
        return [
            *first,
            Cell("1", number=1),
            Cell("–"),
            Cell("1", number=1),
            *[Cell("–")] * 3,
            *pairs,
        ]
    found = [cell for unit in ("epochs", "seconds") for cell in _speed(row, unit)]
    interval = _ends(math.exp(answer.low), math.exp(answer.high))
    return [*first, *found, Cell(answer.plain), interval, *pairs]


def _speed(row: dict[str, Any], unit: str) -> list[Cell]:
    value = row[f"speedup/{unit}"]
    mark = row["bound"] if value == value else ""
    return [
        Cell(mark + number(value), number=value),
        _ends(row[f"low/{unit}"], row[f"high/{unit}"]),
    ]


def _ends(low: float, high: float) -> Cell:
    return Cell(f"{number(low)} … {number(high)}" if low == low else "–", number=low)
