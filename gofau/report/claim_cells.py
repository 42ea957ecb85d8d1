"""Cells of the page of claims: what was measured, on how many pairs, and where."""

from gofau.report.alike import mixed
from gofau.report.cells import describe, in_order
from gofau.report.metric import metric_of
from gofau.report.pairs import Comparison
from gofau.report.types import Frame


def measured(runs: Frame | None, measure: str) -> str:
    """What the effect is a difference of, or a ratio."""
    if runs is None:
        return "–"
    metric = metric_of(runs)
    if measure == "speed-up":
        return f"epochs to equal {metric.title}"
    what = "drop of the " * (measure == "drop") + metric.title
    return what + ", in points" * metric.fraction


def size(c: Comparison) -> list[str]:
    """Cells × seeds, and how many pairs were measured and how many left out, with the reason."""
    if not c.pairs:
        return ["–", "–"]
    unlike = ", ".join(f"{word}: {n}" for word, n in c.unlike.items())
    pairs = f"{c.pairs} of {c.expected}" + ", incomplete" * (c.missing > 0)
    pairs += f" (left out, different {unlike})" if unlike else ""
    return [f"{c.cells} × {c.seeds}", pairs]


def where(runs: Frame | None) -> list[str]:
    """The cells of the runs' data, hardware and commits."""
    if runs is None:
        return ["–", "–", "–"]
    data = " ".join(filter(None, [describe(runs), mixed(runs)]))
    if "provenance.commit" not in runs:
        return [data, "–", "–"]
    done = runs.dropna(subset=["provenance.commit"])
    devices = [
        f"{row['provenance.cpus']:g} cores of {row['provenance.cpu']}"
        if row["provenance.device"] == "cpu"
        else str(row["provenance.device"])
        for row in done.drop_duplicates(["provenance.device", "provenance.cpu"]).to_dict("records")
    ]
    dirty = done["provenance.dirty"].astype(str) == "True"
    commits = done["provenance.commit"].str[:10] + dirty.map({True: " (dirty)", False: ""})
    return [data, ", ".join(dict.fromkeys(devices)), ", ".join(in_order(commits))]
