"""Every rule at many drawn configurations of its own hyperparameters, from one start: tasks tuned
and random.

All rules get the same number of configurations, from one sequence with one coordinate per
hyperparameter; a rule reads the coordinates of the hyperparameters that it has. Draw r of
``draws.repeats`` has the seed ``draws.seed`` + r.

``tuned``: the smallest distance to a global minimum after ``steps`` steps among the first k
configurations, for each k of ``draws.looks``; at most the start's. ``bests.csv.gz`` has one row
per repetition and k, ``cells.csv`` one row per problem, start, optimizer and arm, with the best
configuration of all.

``random``: the distance relative to the start's, over all configurations of the first draw.
``cells.csv`` has its mean and standard deviation over the first k, ``quantiles.csv.gz`` its
quantiles over all of them. In the mean each is capped at 1, the value of a configuration that did
not move; the quantiles are not capped, and are infinite where a configuration is not finite.

*Diverged* is a configuration that is not finite at the end, or with f above that at the start.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gofau.config.schema import Config
from gofau.toy.configurations import Values, best_after, distances, draw, ends
from gofau.toy.draw_settings import Drawn, drawn
from gofau.toy.problems import PROBLEMS
from gofau.toy.tables import Result, Row

QUANTILES = [i / 200 for i in range(201)]


@dataclass(frozen=True)
class Descents:
    """The results of one arm's configurations from one start; tensors (repeats, configurations).

    Attributes:
        what: the first columns of a row: problem, minima, start, its distance, optimizer, arm and
            rule.
        values: the hyperparameters of each repetition.
        distance: to the nearest global minimum at the end.
        diverged: whether it is not finite, or f is above that at the start.
    """

    what: dict[str, Any]
    values: Sequence[Values]
    distance: Tensor
    diverged: Tensor


def tuned(toy: Config) -> Result:
    """The best of k configurations; the value is the mean over cells of the best distance of all,
    relative to the start's."""
    looks, ranges = toy["draws"]["looks"], drawn(toy).ranges

    def cell(d: Descents) -> tuple[list[dict[str, Any]], list[Row]]:
        bests: list[Row] = []
        for r, row in enumerate(d.distance):
            what = {key: d.what[key] for key in ("problem", "start", "optimizer", "arm")}
            kept = row.clamp(max=d.what["start_distance"])
            pairs = zip(looks, best_after(kept, looks), strict=True)
            bests += [what | {"repeat": r, "tried": k, "distance": least} for k, least in pairs]
        r, i = divmod(int(d.distance.argmin()), d.distance.shape[1])
        best = {name: d.values[r][name][i].item() for name in d.values[r]}
        edges = [name for name, value in best.items() if ranges[name].is_near_an_end(value)]
        named = {name: best.get(name) for name in ranges}
        facts = {"configurations": d.distance.numel(), "diverged": _share(d.diverged)}
        facts |= {"distance": d.distance.min().item(), **named, "edges": " ".join(edges)}
        return [d.what | facts], bests

    cells, bests = _of_all_cases(toy, cell)
    value = sum(row["distance"] / row["start_distance"] for row in cells) / len(cells)
    return Result(cells, {"bests.csv.gz": bests}, value, "mean of the best relative distances")


def random(toy: Config) -> Result:
    """The distribution over configurations; the value is the mean over cells of the mean relative
    distance of all configurations, each capped at 1."""

    def cell(d: Descents) -> tuple[list[dict[str, Any]], list[Row]]:
        relative = d.distance[0] / d.what["start_distance"]
        cells = []
        for k in toy["draws"]["looks"]:
            capped = relative[:k].clamp(max=1)
            spread = capped.std().item() if k > 1 else None
            facts = {"configurations": k, "mean": capped.mean().item(), "std": spread}
            shares = {"diverged": d.diverged[0, :k], "capped": relative[:k] > 1}
            cells.append(d.what | facts | {key: _share(x) for key, x in shares.items()})
        ordered = relative.sort().values
        what = {key: d.what[key] for key in ("problem", "start", "optimizer", "arm")}
        at = [(q, ordered[round(q * (len(ordered) - 1))].item()) for q in QUANTILES]
        return cells, [what | {"quantile": q, "relative": value} for q, value in at]

    cells, quantiles = _of_all_cases(toy, cell)
    last = [row["mean"] for row in cells if row["configurations"] == toy["draws"]["looks"][-1]]
    label = "mean relative distance"
    return Result(cells, {"quantiles.csv.gz": quantiles}, sum(last) / len(last), label)


def _of_all_cases(
    toy: Config, cell: Callable[[Descents], tuple[list[dict[str, Any]], list[Row]]]
) -> tuple[list[dict[str, Any]], list[Row]]:
    """The rows that ``cell`` makes of each start and arm of each case, with the case's seconds."""
    plan = drawn(toy)
    section = toy["draws"]
    seeds = [section["seed"] + r for r in range(section["repeats"])]
    tried = section["looks"][-1]
    values = [draw(plan.ranges, tried, seed, section["sequence"]) for seed in seeds]
    cells: list[dict[str, Any]] = []
    rows: list[Row] = []
    for problem, optimizer in plan.cases:
        began = time.perf_counter()
        found = [cell(d) for d in _descents(toy, plan, problem, optimizer, values)]
        seconds = time.perf_counter() - began
        facts = {key: toy[key] for key in ("steps", "dtype")}
        facts |= {key: section[key] for key in ("sequence", "seed", "repeats")}
        cells += [row | facts | {"seconds": seconds} for part, _ in found for row in part]
        rows += [row for _, part in found for row in part]
        n = len(found) * len(seeds) * tried
        print(f"{problem}/{optimizer}: {n} configurations × {toy['steps']} steps"
              f" in {seconds:.1f} s", flush=True)  # fmt: skip
    return cells, rows


def _descents(
    toy: Config, plan: Drawn, problem: str, optimizer: str, values: list[dict[str, Tensor]]
) -> Iterator[Descents]:
    f, make = PROBLEMS[problem], plan.makes[optimizer]
    for start in plan.starts[problem]:
        for name, arm in plan.arms.items():
            own = [{key: of[key] for key in arm.draws} for of in values]
            last = [ends(f, make, arm.rule, each, start, toy["steps"]) for each in own]
            points = torch.stack(last)
            x0, x1 = start.tolist()
            what: dict[str, Any] = {
                "problem": problem,
                "minima": " ".join(f"{x0:.4g},{x1:.4g}" for x0, x1 in f.minima),
                "start": f"({x0:g}, {x1:g})",
                "start_distance": f.distance(start).item(),
                "optimizer": optimizer,
                "arm": name,
                "rule": arm.rule,
                "draws": " ".join(arm.draws),
                "ranges": "; ".join(f"{key} {plan.ranges[key]}" for key in arm.draws),
            }
            diverged = ~points.isfinite().all(-1) | ~(f.value(points) <= f.value(start))
            yield Descents(what, own, distances(f, points), diverged)


def _share(flags: Tensor) -> float:
    return flags.double().mean().item()
