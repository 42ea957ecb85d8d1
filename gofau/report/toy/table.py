"""The table of scores: csv for programs, Markdown and TeX to read."""

from pathlib import Path
from typing import Any

import pandas as pd

from gofau.report.toy.cells import load, optimizer_name, where
from gofau.report.toy.texts import markdown, tex

COLUMNS = {
    "lr": "best lr",
    "score": "score",
    "converged": "converged",
    "diverged": "diverged",
    "steps_to_converge_median": "steps",
    "default_score": "score at default lr",
    "default_converged": "converged at default lr",
}
SHARES = ("converged", "diverged", "default_converged")
SCORES = ("score", "default_score")
WHAT = ["problem", "optimizer", "region", "rule"]
HEAD = ["problem", "optimizer", "starts", "rule", *COLUMNS.values()]


def draw(folder: Path) -> list[Path]:
    """Write ``table.csv``, ``.md`` and ``.tex``: one row per problem, optimizer, region of starts
    and rule, at the rule's best learning rate for that region and at the optimizer's default."""
    cells = load(folder)
    default = where(cells, default=True).loc[:, [*WHAT, "score", "converged"]]
    default.columns = [*WHAT, "default_score", "default_converged"]
    table = where(cells, best=True).merge(default, on=WHAT, validate="one_to_one", sort=False)
    paths = [folder / f"table.{kind}" for kind in ("csv", "md", "tex")]
    table.loc[:, [*WHAT, "starts", "edge", *COLUMNS]].to_csv(
        paths[0], index=False, lineterminator="\n"
    )
    least = {name: table.groupby(WHAT[:3])[name].transform("min").tolist() for name in SCORES}
    rows = [
        _texts(row, [name for name in SCORES if row[name] == least[name][i]])
        for i, row in enumerate(table.to_dict("records"))
    ]
    notes = _notes(cells)
    page = [markdown(HEAD, len(WHAT), rows), *(note.replace("*", "\\*") for note in notes)]
    paths[1].write_text("\n\n".join(page) + "\n", encoding="utf-8")
    lines = [*(f"% {note}" for note in notes), tex(HEAD, len(WHAT), rows, group=3)]
    paths[2].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths


def _texts(row: dict[Any, Any], lowest: list[str]) -> list[str]:
    """The cells of a row as text, with the marks that `_notes` explains."""
    texts = [row["problem"], optimizer_name(row["optimizer"]), row["region"], row["rule"]]
    for name in COLUMNS:
        value = row[name]
        form = f"{100 * value:.1f}" if name in SHARES else f"{value:.3g}"
        mark = "*" if name in lowest else "†" if name == "lr" and row["edge"] else ""
        texts.append("—" if pd.isna(value) else form + mark)
    return texts


def _notes(cells: pd.DataFrame) -> list[str]:
    row = cells.to_dict("records")[0]
    return [
        f"{row['steps']} steps in {row['dtype']}. Starts: {_starts(cells)}. Score: distance to the"
        " nearest global minimum, averaged over steps and starts, at most the box's diagonal; *:"
        " the lowest of the problem, optimizer and starts. Shares in %.",
        f"Converged: within {row['tolerance']:g} of a global minimum at the end. Steps: median"
        " number until convergence, over the starts that converge.",
        "Best lr: the one with the lowest score over the starts of the row, out of"
        f" {cells['lr'].nunique()}; †: it is the first or last of them.",
    ]


def _starts(cells: pd.DataFrame) -> str:
    counts = where(cells, region="all")["starts"]
    if counts.empty:
        return "one per row, each with its own learning rate"
    return (
        f"all {counts.iloc[0]} of the grid, or those with the signs of a minimum in both "
        "coordinates, if these are not all"
    )
