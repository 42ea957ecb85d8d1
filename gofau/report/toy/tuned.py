"""The best of k drawn configurations, beside the authors' numbers: tables and a figure."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gofau.report.reading import read_csv
from gofau.report.style import save_figure, styled
from gofau.report.toy import published
from gofau.report.toy.arms import CELL, ORDERS, by_start, found, name, panels, ranges, style
from gofau.report.toy.cells import different, load, optimizer_name, where
from gofau.report.toy.texts import markdown, number, tex

FLOOR = 1e-12
"""Smaller distances are rounding errors in double precision: they count as equal."""
BUDGETS = 100, None
"""The numbers of tried configurations that the table shows; None is the largest available."""


@styled()
def draw(folder: Path, pdf: bool = True) -> list[Path]:
    """Write ``table.csv``, ``order.csv``, ``table.md``, ``table.tex`` and the figure ``bests``."""
    cells, bests = by_start(load(folder)), by_start(read_csv(folder / "bests.csv.gz"))
    bests["distance"] = bests["distance"].clip(lower=FLOOR)
    numbers, order = _numbers(cells, bests), orders(bests)
    paths = [folder / f"{stem}" for stem in ("table.csv", "order.csv", "table.md", "table.tex")]
    for path, frame in zip(paths, (numbers, order), strict=False):
        frame.to_csv(path, index=False, lineterminator="\n", float_format="%.4g")
    budgets = _budgets(bests)
    tables = [_table(numbers, budgets), _order_table(order, budgets)]
    notes = _notes(cells, bests)
    page = [markdown(head, words, rows) for head, words, rows in tables]
    text = "\n\n".join([page[1], page[0], *(note.replace("*", "\\*") for note in notes)])
    paths[2].write_text(text + "\n", encoding="utf-8")
    both = [tex(head, words, rows, group=3) for head, words, rows in reversed(tables)]
    paths[3].write_text("\n".join([*(f"% {n}" for n in notes), *both]) + "\n", encoding="utf-8")
    figure = panels(cells, lambda ax, cell: _curves(ax, where(bests, **cell), cells),
                    ("configurations tried", "smallest distance"))  # fmt: skip
    paths += save_figure(figure, folder / "bests", pdf)
    return paths


def _budgets(bests: pd.DataFrame) -> list[int]:
    looks = [k for (k,) in different(bests, "tried")]
    return [k for k in dict.fromkeys(b or looks[-1] for b in BUDGETS) if k in looks]


def _numbers(cells: pd.DataFrame, bests: pd.DataFrame) -> pd.DataFrame:
    """Median and 95 % range over the repetitions: one row per cell, arm and number of tries."""
    rows = []
    for row in cells.to_dict("records"):
        what = {key: row[key] for key in (*CELL, "arm", "rule")}
        theirs = published.tuned(row["problem"], row["optimizer"], row["rule"])
        for k in _budgets(bests):
            mine = where(bests, **{key: row[key] for key in (*CELL, "arm")}, tried=k)["distance"]
            low, median, high = np.quantile(mine.to_numpy(dtype=float), (0.025, 0.5, 0.975))
            found = {"tried": k, "median": median, "low": low, "high": high}
            own = {"edges": row["edges"], "diverged": row["diverged"]}
            rows.append(what | {"draws": row["draws"]} | found | own | {"published": theirs})
    return pd.DataFrame(rows)


def orders(bests: pd.DataFrame) -> pd.DataFrame:
    """The share of repetitions in which additive > multiplicative > hybrid, in distance."""
    rows = []
    for cell in different(bests, *CELL):
        what = dict(zip(CELL, cell, strict=True))
        for k in _budgets(bests):
            part = where(bests, **what, tried=k)
            table = part.pivot(index="repeat", columns="arm", values="distance")
            for hybrid in (arm for arm in ORDERS if {arm, *published.RULES[:2]} <= set(table)):
                a, m, h = (table[arm] for arm in (*published.RULES[:2], hybrid))
                shares = {"order": (a > m) & (m > h), "all_arrive": (a == FLOOR) & (m == a)}
                rows.append(what | {"tried": k, "hybrid": hybrid, "repeats": len(table)}
                            | {key: flags.mean() for key, flags in shares.items()}
                            | {"published": published.tuned_falls(cell[0], cell[2])})  # fmt: skip
    return pd.DataFrame(rows)


Table = tuple[list[str], int, list[list[str]]]


def _table(numbers: pd.DataFrame, budgets: list[int]) -> Table:
    head = [*CELL, "rule", "drawn", *(f"best of {k:,}" for k in budgets), "published"]
    least = numbers.groupby([*CELL, "tried"])["median"].transform("min")
    numbers = numbers.assign(lowest=numbers["median"] == least)
    rows = []
    for key in different(numbers, *CELL, "arm", "draws"):
        mine = where(numbers, **dict(zip((*CELL, "arm"), key, strict=False))).to_dict("records")
        problem, start, optimizer, arm, draws = key
        texts = [problem, start, optimizer_name(optimizer), name(arm), draws]
        theirs = mine[0]["published"]
        texts += [_range(row) for row in mine]
        rows.append([*texts, "—" if pd.isna(theirs) else number(theirs)])
    return head, 5, rows


def _range(row: dict[Any, Any]) -> str:
    mark = "*" if row["lowest"] else ""
    if row["high"] <= FLOOR:
        return f"<1e-12{mark}"
    low, median, high = (
        "<1e-12" if row[key] <= FLOOR else number(row[key]) for key in ("low", "median", "high")
    )
    return f"{median}{mark} [{low}, {high}]"


def _order_table(order: pd.DataFrame, budgets: list[int]) -> Table:
    pairs = [(k, arm) for k in budgets for arm in ORDERS if arm in set(order["hybrid"])]
    head = [*CELL, *(f"best of {k:,}, {ORDERS[arm]}" for k, arm in pairs), "published"]
    rows = []
    for problem, start, optimizer in different(order, *CELL):
        mine = where(order, problem=problem, start=start, optimizer=optimizer)
        texts = [problem, start, optimizer_name(optimizer)]
        for k, arm in pairs:
            (row,) = where(mine, tried=k, hybrid=arm).to_dict("records")
            texts.append(_verdict(row["order"], row["all_arrive"]))
        rows.append([*texts, found(published.tuned_falls(problem, optimizer))])
    return head, 3, rows


def _verdict(order: float, all_arrive: float) -> str:
    if all_arrive >= 0.5:
        return "both arrive"
    word = "found" if order >= 0.95 else "not found" if order <= 0.05 else "varies"
    return f"{word} ({order:.0%})"


def _notes(cells: pd.DataFrame, bests: pd.DataFrame) -> list[str]:
    row = cells.to_dict("records")[0]
    return [
        "First table: the order additive > multiplicative > hybrid in distance, and the share of"
        f" {row['repeats']} repetitions of the draw in which it holds: found if at least 95 %, not"
        " found if at most 5 %, else it varies with the draw. Both arrive: in at least half of"
        " them additive and multiplicative end within 1e-12 of the minimum, where rounding"
        " decides, so that there is no order.",
        f"Second table: distance to the minimum after {row['steps']} steps in {row['dtype']} at the"
        " best configuration, median and 95 % range over the repetitions; *: the lowest median of a"
        " problem, start and optimizer. Drawn: the rule's hyperparameters that vary, from"
        f" {ranges(cells)}. All rules get the same number of configurations from one sequence"
        f" ({row['sequence']}).",
        f"Published: {published.SOURCE}: distance to the minimum after 100 iterations at the best"
        " configuration. Theirs, not ours: their convex problem, their starts (at distances 69.26"
        " and 2.06), their ranges and the number of configurations tried are not given. Their"
        " hybrid stands beside both of ours.",
    ]


def _curves(ax: Axes, part: pd.DataFrame, cells: pd.DataFrame) -> None:
    for arm, rule in different(cells, "arm", "rule"):
        table = where(part, arm=arm).pivot(index="tried", columns="repeat", values="distance")
        x, line = table.index.to_numpy(), style(arm, rule)
        low, median, high = np.quantile(table.to_numpy(dtype=float), (0.025, 0.5, 0.975), axis=1)
        ax.plot(x, median, lw=1.4, **line)
        if arm in published.RULES:  # more would hide each other
            ax.fill_between(x, low, high, color=line["color"], alpha=0.1, lw=0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(1, None)
