"""A second, short implementation of the claims' verdicts, from runs.csv: numpy, scipy and nothing
of the report. What it shares with the first is the definition, docs/verdicts.md."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from gofau.report.types import Frame

EXPERIMENTS = {
    "tab6_acceleration": "speed",
    "tab2_cifar10_init": "drop",
    "tab3_cifar10_lr": "drop",
    "tab4_cifar100": "result",
    "tab5_tiny_imagenet": "result",
    "is_it_just_lr": "tuned",
    "problems": "result",
    "problems_full": "result",
    "problems_longer": "result",
    "problems_horizons": "speed",
    "problems_init": "drop",
    "problems_lr": "drop",
    "problems_control": "result",
}
GRID = [
    *("model.name", "init.name", "init.scale", "optimizer.name", "optimizer.lr", "stepsize.name"),
    *("post_step.name", "trainer.epochs", "dataset.name", "scheduler.name"),
]


def metrics(folder: Path) -> list[str]:
    """The metrics of the records; older ones are accuracies and do not say so."""
    return list(dict.fromkeys(_named(pd.read_csv(folder / "runs.csv", low_memory=False))))


def _named(runs: Frame) -> pd.Series:
    if "metric.name" not in runs:
        return pd.Series("acc", runs.index)
    return runs["metric.name"].fillna("acc")


def load(folder: Path, metric: str = "acc") -> Frame:
    """Rule, seed, the metric on test and validation, and the columns of the grid that vary. A
    metric of which less is better is negated."""
    runs: Frame = pd.read_csv(folder / "runs.csv", low_memory=False)
    runs = runs[_named(runs) == metric].copy()
    lost = runs["state"] == "diverged"
    for part in ("test", "val"):
        found = runs[f"{part}/{metric}"].where(runs["state"] == "done")
        if metric == "acc":
            runs[part] = found.mask(lost, 1 / runs["classes"])
            continue
        sign = 1 if runs["metric.higher_is_better"].astype(str).eq("True").all() else -1
        worst = (sign * found).groupby([runs["dataset.name"], runs["model.name"]]).transform("min")
        guess: Frame = pd.to_numeric(runs["metric.chance"])
        runs[part] = (sign * found).mask(lost, (sign * guess).fillna(worst))
    if "trainer.clip_norm" in runs and runs["trainer.clip_norm"].nunique(dropna=False) > 1:
        clipped = runs["trainer.clip_norm"].notna()
        runs["rule.name"] += clipped.map({True: ", clipped at 1", False: ""})
    own = runs.groupby(["optimizer.name", "rule.name"])["optimizer.lr"].nunique().max() == 1
    if own:
        runs["optimizer.lr"] = 0.0
    # In the campaign every arm has a rate of its own; it is an axis where it is the question.
    tuned = folder.name.startswith("problems") and folder.name != "problems_steps"
    if folder.name == "problems_lr":
        arms = runs.groupby(["dataset.name", "model.name", "optimizer.name", "rule.name"])
        runs["optimizer.lr"] = arms["optimizer.lr"].rank(method="dense")
        tuned = False
    kept = [c for c in GRID if c in runs and not (tuned and c == "optimizer.lr")]
    for column in kept:
        runs[column] = runs[column].fillna(0.0 if runs[column].dtype.kind == "f" else "-")
    return runs[[*kept, "rule.name", "seed", "test", "val"]]


def table(runs: Frame, rule: str, value: str = "test") -> Frame:
    mine = runs[runs["rule.name"] == rule]
    return mine.pivot_table(value, [c for c in GRID if c in mine], "seed", dropna=True)


def result(runs: Frame, rule: str) -> np.ndarray:
    ours, theirs = table(runs, rule), table(runs, "additive")
    shared = ours.index.intersection(theirs.index)  # rivals have one rule: nothing to compare with
    return (ours.loc[shared] - theirs.loc[shared]).to_numpy()


def tuned(runs: Frame, rule: str) -> np.ndarray:
    rows = []
    for _, part in runs.groupby("optimizer.name", sort=False):
        best = []
        for name in (rule, "additive"):
            mine = part[part["rule.name"] == name]
            lr = mine.groupby("optimizer.lr")["val"].mean().idxmax()
            best.append(mine[mine["optimizer.lr"] == lr].set_index("seed")["test"].sort_index())
        rows.append((best[0] - best[1]).to_numpy())
    return np.array(rows)


def drop(runs: Frame, rule: str) -> np.ndarray:
    many = "optimizer.lr" in runs and runs["optimizer.lr"].nunique() > 1
    along = ["optimizer.lr"] if many else ["init.name", "init.scale"]
    cells = [c for c in GRID if c in runs and c not in along]
    rows = []
    for _, part in runs.groupby(cells, sort=False):
        curves, peaks = [], []
        for name in ("additive", rule):
            mine = part[part["rule.name"] == name]
            # Numbers in order, names as in the sweep: of equal places the first is taken.
            choice = mine.groupby(along, sort=len(along) == 1)["val"].mean()
            curves.append(mine.pivot_table("test", along, "seed").reindex(choice.index).to_numpy())
            peaks.append(int(choice.to_numpy().argmax()))
        n = len(curves[0])
        reach = min(min(p, n - 1 - p) for p in peaks) if len(along) == 1 else n
        lost = [
            c[p] - c[max(0, p - reach) : p + reach + 1].mean(axis=0)
            for c, p in zip(curves, peaks, strict=True)
        ]
        rows.append(lost[0] - lost[1])
    return np.array(rows)


def speed(runs: Frame, rule: str) -> np.ndarray:
    cells = [c for c in GRID if c in runs and c != "trainer.epochs"]
    rows = []
    for _, part in runs.groupby(cells, sort=False):
        row = []
        for _, mine in part.groupby("seed"):
            x = np.log(sorted(mine["trainer.epochs"].unique()))
            curves = []
            for name in ("additive", rule):
                y = mine[mine["rule.name"] == name].sort_values("trainer.epochs")["test"].to_numpy()
                # The smallest rise above all of the means that must not fall: min-max of averages.
                rise = [
                    max(min(y[a : b + 1].mean() for b in range(i, len(y))) for a in range(i + 1))
                    for i in range(len(y))
                ]
                curves.append(np.array(rise))
            target = np.interp((x[0] + x[-1]) / 2, x, curves[0])
            times = []
            for y in curves:
                at = np.flatnonzero(y >= target - 1e-9)
                i = at[0] if len(at) else len(y)
                if i in (0, len(y)):
                    times.append(x[min(i, len(y) - 1)])
                else:
                    share = (target - y[i - 1]) / (y[i] - y[i - 1])
                    times.append(x[i - 1] + share * (x[i] - x[i - 1]))
            row.append(times[0] - times[1])
        rows.append(row)
    return np.array(rows)


MEASURES = {"speed": speed, "drop": drop, "result": result, "tuned": tuned}


def holm_levels(p: list[float]) -> list[float]:
    """The level at which each p is judged."""
    levels, stopped = [0.0] * len(p), None
    for rank, i in enumerate(np.argsort(p, kind="stable")):
        levels[i] = stopped or 0.05 / (len(p) - rank)
        if p[i] > levels[i]:
            stopped = levels[i]
    return levels


def judge(effects: list[np.ndarray], margins: list[float]) -> list[tuple[float, float, float, str]]:
    """Mean, the interval's ends and the word of each of a page's questions."""
    seeds = [d.mean(axis=0) for d in effects]
    means, errors, dofs = zip(*[(x.mean(), stats.sem(x), len(x) - 1) for x in seeds], strict=True)
    differ = [
        float(2 * stats.t.sf(abs(m) / e, d)) for m, e, d in zip(means, errors, dofs, strict=True)
    ]
    room = [m - abs(x) for m, x in zip(margins, means, strict=True)]
    same = [
        float(2 * stats.t.sf(r / e, d)) if r > 0 else 1.0
        for r, e, d in zip(room, errors, dofs, strict=True)
    ]
    found = []
    for i, (a, b) in enumerate(zip(holm_levels(differ), holm_levels(same), strict=True)):

        def ends(level: float, i: int = i) -> tuple[float, float]:
            half = stats.t.isf(level / 2, dofs[i]) * errors[i]
            return means[i] - half, means[i] + half

        within = same[i] <= b
        low, high = ends(b if within else a)
        inside = max(-low, high) <= margins[i]
        if not within and (differ[i] > a or inside):
            low, high = ends(min(a, b))
        word = "supported" if low > 0 else "not supported" if high < 0 else "undecided"
        found.append((means[i], low, high, "no difference" if within else word))
    return found


def margin(runs: Frame, metric: str) -> float:
    """The margin of no difference."""
    additive = runs.loc[runs["rule.name"] == "additive", "test"].mean()
    return 0.005 if metric == "acc" else float(abs(0.01 * additive))


def verdicts(
    results: Path, prefix: str
) -> dict[tuple[str, str, str], tuple[float, float, float, str]]:
    """For each experiment of the page that has whole records, each rule and each metric."""
    keys, effects, margins = [], [], []
    for name, kind in EXPERIMENTS.items():
        there = [p + name for p in dict.fromkeys([prefix, prefix or "reduced_"])]
        there = [n for n in there if (results / n / "runs.csv").exists()]
        if not there:
            continue
        for metric in metrics(results / there[0]):
            runs = load(results / there[0], metric)
            if kind == "speed" and runs["trainer.epochs"].nunique() < 2:
                continue
            runs = _compared(runs)
            whole = runs.groupby("rule.name")["arm"].nunique()
            for rule in dict.fromkeys(runs["rule.name"]):
                if not rule.startswith("additive") and whole[rule] == whole.max():
                    keys.append((there[0], rule, metric))
                    effects.append(MEASURES[kind](runs, rule))
                    margins.append(math.log(1.05) if kind == "speed" else margin(runs, metric))
    return dict(zip(keys, judge(effects, margins), strict=True)) if keys else {}


def _compared(runs: Frame) -> Frame:
    """The arms that have the additive rule and another."""
    parts = [c for c in ("stepsize.name", "post_step.name") if c in runs]
    runs = runs.assign(arm=runs[["optimizer.name", *parts]].astype(str).agg("+".join, axis=1))
    has = runs.groupby("arm")["rule.name"].agg(set)
    kept = [arm for arm, names in has.items() if "additive" in names and len(names) > 1]
    return runs[runs["arm"].isin(kept)]
