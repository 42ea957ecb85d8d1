"""Every rule at every learning rate of a grid, from many starts: tasks scores, starts and paths.

``cells.csv`` has one row per problem, optimizer, region, rule and learning rate. A *region* is the
set of starts that a row is about; the best rate is chosen for each region, since one that suits the
whole box may not suit a quadrant of it. A grid of starts has the regions ``all`` and, where
those are not all, ``same signs``: the starts with a global minimum's signs in both coordinates.
Where single starts are listed, each is a region of its own.

A rule must not look bad only because the learning rate suits another rule, so two rows of each rule
and region are marked: ``best``, the learning rate with the lowest mean score, and ``default``,
the optimizer's own. ``edge`` says that the best is the first or last one tried, so that a better
one may lie outside.

Depending on ``toy.task`` there are also, at the best learning rates, ``starts_<problem>.csv.gz``
(one row per starting point) or ``paths.csv.gz`` (one row per step) with ``surface.csv.gz`` (f over
the problem's box).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gofau.config.schema import Config
from gofau.toy.descent import descend
from gofau.toy.score import Scores, score
from gofau.toy.settings import Case, cases, starts
from gofau.toy.tables import Result, Row

EARLY = 50
"""So many first steps of a path are all kept; of the others, every ``toy.every``-th."""


@dataclass(frozen=True)
class Region:
    """Starts that a learning rate is chosen for: their name, and which of the case's they are."""

    name: str
    inside: Tensor


def run(toy: Config) -> Result:
    """All cases of a checked section; the value is the mean score over regions and rules, each at
    its best learning rate.

    Raises:
        UserError: the section has a fault that its optimizers or problems find.
    """
    cells: list[dict[str, Any]] = []
    files: dict[str, list[Row]] = {}
    for case, points in [(case, starts(toy, case.problem)) for case in cases(toy)]:
        began = time.perf_counter()
        limits = {key: toy[key] for key in ("steps", "every", "tolerance")}
        scores = score(case.f, case.make, case.arms, points, **limits)
        found = [(r, list(_cells(case, r, scores))) for r in regions(toy, case, points)]
        seconds = time.perf_counter() - began
        facts = limits | {"dtype": toy["dtype"], "seconds": seconds}
        cells += [row | facts for _, rows in found for row in rows]
        for region, rows in found:
            best = [arm for arm, row in enumerate(rows) if row["best"]]
            if toy["task"] == "starts":
                name = f"starts_{case.problem}.csv.gz"
                files.setdefault(name, []).extend(_starts(case, points, scores, region, best))
            if toy["task"] == "paths":
                paths = _paths(case, points[region.inside], toy, region, best)
                files.setdefault("paths.csv.gz", []).extend(paths)
        if toy["task"] == "paths":
            files.setdefault("surface.csv.gz", []).extend(_surface(case))
        arms, n = scores.score.shape
        print(f"{case.problem}/{case.optimizer}: {arms} arms × {n} starts × {toy['steps']} steps"
              f" in {seconds:.1f} s", flush=True)  # fmt: skip
    lowest = [row["score"] for row in cells if row["best"]]
    label = "mean score at the best learning rates"
    return Result(cells, files, sum(lowest) / len(lowest), label)


def regions(toy: Config, case: Case, points: Tensor) -> list[Region]:
    """The regions of a case, each with a best learning rate of its own."""
    everywhere = torch.ones(len(points), dtype=torch.bool)
    if isinstance(toy["starts"], dict):
        one = torch.eye(len(points), dtype=torch.bool)
        return [Region(f"({x0:g}, {x1:g})", one[i]) for i, (x0, x1) in enumerate(points.tolist())]
    alike = case.f.same_signs(points)
    found = [Region("all", everywhere)]
    return found if alike.all() or not alike.any() else [*found, Region("same signs", alike)]


def _cells(case: Case, region: Region, scores: Scores) -> Iterator[dict[str, Any]]:
    """One row per arm; means and shares are over the region's starts."""

    def mean(values: Tensor) -> list[float]:
        return values[:, region.inside].double().mean(1).tolist()

    of_score, of_distance = mean(scores.score), mean(scores.distance)
    converged, diverged = mean(scores.converged), mean(scores.diverged)
    best = {
        rule: min((i for i, r in enumerate(case.rules) if r == rule), key=of_score.__getitem__)
        for rule in case.rules
    }
    for i, (rule, lr) in enumerate(zip(case.rules, case.lrs, strict=True)):
        arrived = scores.arrived[i][region.inside & scores.converged[i]]
        yield {
            "problem": case.problem,
            "minima": " ".join(f"{x0:.4g},{x1:.4g}" for x0, x1 in case.f.minima),
            "optimizer": case.optimizer,
            "region": region.name,
            "starts": int(region.inside.sum()),
            "rule": rule,
            "lr": lr,
            "best": i == best[rule],
            "default": lr == case.default_lr,
            "edge": i == best[rule] and lr in (min(case.lrs), max(case.lrs)),
            "score": of_score[i],
            "distance": of_distance[i],
            "converged": converged[i],
            "diverged": diverged[i],
            "steps_to_converge_median": arrived.median().item() if len(arrived) else None,
        }


def _what(case: Case, region: Region, arm: int) -> dict[str, Any]:
    named = {"problem": case.problem, "optimizer": case.optimizer, "region": region.name}
    return named | {"rule": case.rules[arm], "lr": case.lrs[arm]}


def _starts(
    case: Case, points: Tensor, scores: Scores, region: Region, arms: list[int]
) -> Iterator[Row]:
    for arm in arms:
        what = _what(case, region, arm)
        columns = (points, scores.score[arm], scores.arrived[arm], scores.diverged[arm])
        inside = (column[region.inside].tolist() for column in columns)
        for (x0, x1), value, arrived, lost in zip(*inside, strict=True):
            state = "diverged" if lost else "converged" if arrived < torch.inf else "under way"
            yield what | {"x0": x0, "x1": x1, "score": value, "state": state}


def _paths(
    case: Case, points: Tensor, toy: Config, region: Region, arms: list[int]
) -> Iterator[Row]:
    """One row per arm and kept step; points that are not finite are written as they are."""
    kept = {
        t: (now[:, 0].tolist(), case.f.distance(now)[:, 0].tolist())
        for t, now in descend(case.f, case.make, [case.arms[a] for a in arms], points, toy["steps"])
        if t <= EARLY or t % toy["every"] == 0 or t == toy["steps"]
    }
    for row, arm in enumerate(arms):
        what = _what(case, region, arm)
        for t, (now, distance) in kept.items():
            x0, x1 = now[row]
            yield what | {"step": t, "x0": x0, "x1": x1, "distance": distance[row]}


def _surface(case: Case, side: int = 101) -> Iterator[Row]:
    grid = torch.cartesian_prod(*(torch.linspace(*ends, side) for ends in case.f.box))
    for (x0, x1), value in zip(grid.tolist(), case.f.value(grid).tolist(), strict=True):
        yield {"problem": case.problem, "x0": x0, "x1": x1, "value": value}
