"""The table of scores: csv for reading on, Markdown and TeX for reading."""

from pathlib import Path
from typing import Any

import pandas as pd

from gofau.report.toy.cells import OPTIMIZERS, load, where

COLUMNS = {
    "lr": "best lr",
    "score": "score",
    "score_of_same_signs": "score, same signs",
    "converged": "converged",
    "converged_of_same_signs": "converged, same signs",
    "diverged": "diverged",
    "steps_to_converge_median": "steps",
    "default_score": "score at default lr",
    "default_converged": "converged at default lr",
}
SHARES = ("converged", "converged_of_same_signs", "diverged", "default_converged")
SCORES = ("score", "score_of_same_signs", "default_score")
WHAT = ["problem", "optimizer", "rule"]
HEAD = [*WHAT, *COLUMNS.values()]


def draw(folder: Path) -> list[Path]:
    """Write ``table.csv``, ``.md`` and ``.tex``: one row a problem, optimizer and rule, at the
    rule's best learning rate and at the default one."""
    cells = load(folder)
    default = where(cells, default=True).loc[:, [*WHAT, "score", "converged"]]
    default.columns = [*WHAT, "default_score", "default_converged"]
    table = where(cells, best=True).merge(default, on=WHAT, validate="one_to_one", sort=False)
    paths = [folder / f"table.{kind}" for kind in ("csv", "md", "tex")]
    table.loc[:, [*WHAT, "edge", *COLUMNS]].to_csv(paths[0], index=False, lineterminator="\n")
    least = {name: table.groupby(WHAT[:2])[name].transform("min").tolist() for name in SCORES}
    rows = [
        _texts(row, [name for name in SCORES if row[name] == least[name][i]])
        for i, row in enumerate(table.to_dict("records"))
    ]
    paths[1].write_text(_markdown(rows, _notes(cells)), encoding="utf-8")
    paths[2].write_text(_tex(rows, _notes(cells)), encoding="utf-8")
    return paths


def _texts(row: dict[Any, Any], lowest: list[str]) -> list[str]:
    """The row's cells as they are read, with marks; see `_notes`."""
    texts = [row["problem"], OPTIMIZERS.get(row["optimizer"], row["optimizer"]), row["rule"]]
    for name in COLUMNS:
        value = row[name]
        form = f"{100 * value:.1f}" if name in SHARES else f"{value:.3g}"
        mark = "*" if name in lowest else "†" if name == "lr" and row["edge"] else ""
        texts.append("—" if pd.isna(value) else form + mark)
    return texts


def _notes(cells: pd.DataFrame) -> list[str]:
    row = cells.to_dict("records")[0]
    return [
        f"{row['starts']} starts a row, {row['steps']} steps. Score: distance to the nearest global"
        " minimum, averaged over steps and starts, at most the box's diagonal; * the lowest of the"
        " problem and optimizer. Shares in %.",
        f"Converged: within {row['tolerance']:g} of a global minimum at the end. Same signs: of the"
        " starts that have a minimum's signs in both coordinates. Steps: median until converged,"
        " of those that do.",
        f"Best lr: the one with the lowest score of {cells['lr'].nunique()} tried; † it is the"
        " first or last of them.",
    ]


def _markdown(rows: list[list[str]], notes: list[str]) -> str:
    lines = [HEAD, ["---"] * len(WHAT) + ["---:"] * len(COLUMNS), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([table, *notes]).replace("*", "\\*") + "\n"


def _tex(rows: list[list[str]], notes: list[str]) -> str:
    lines = [f"\\begin{{tabular}}{{{'l' * len(WHAT)}{'r' * len(COLUMNS)}}}", "\\toprule"]
    lines += [" & ".join(HEAD) + r" \\", "\\midrule"]
    for i, row in enumerate(rows):
        if i and rows[i - 1][:2] != row[:2]:
            lines.append("\\addlinespace")
        lines.append(" & ".join(row).replace("†", "$^\\dagger$").replace("—", "--") + r" \\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    return "\n".join([*(f"% {note}" for note in notes), *lines]) + "\n"
