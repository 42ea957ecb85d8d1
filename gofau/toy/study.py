"""An experiment in two variables from its configuration to its csv files.

``cells.csv`` has one row for each problem, optimizer, rule and learning rate, with provenance. A
rule must not look bad merely because of a learning rate that suits another, so two rows of each
rule are marked: ``best``, the learning rate with the lowest mean score, and ``default``, the
optimizer's own. ``edge`` says that the best is the first or last one tried, so that a better one
may lie outside.

Depending on ``toy.task`` there are also, at these two learning rates, ``starts_<problem>.csv.gz``
(one row a starting point) or ``paths.csv.gz`` (one row a step) with ``surface.csv.gz`` (f over the
problem's box).
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from gofau.config import Config
from gofau.errors import UserError
from gofau.provenance import provenance
from gofau.toy.descent import descend
from gofau.toy.score import Scores, score
from gofau.toy.settings import Case, cases, check, starts
from gofau.toy.tables import Row, write

EARLY = 50
"""The first steps of a path are all kept, however few of the others are."""


def run(cfg: DictConfig) -> float:
    """Do what the ``toy`` section of ``cfg`` says and write it to ``<results_dir>/<name>/``.

    Returns:
        The mean score over cases and rules, each at its best learning rate.

    Raises:
        UserError: the configuration has a fault; nothing is written.
    """
    try:
        toy: Config = OmegaConf.to_container(cfg.toy, resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException as e:
        raise UserError(f"the configuration has a fault: {str(e).splitlines()[0]}") from e
    check(toy)
    todo = [(case, starts(toy, case.problem)) for case in cases(toy)]
    folder = Path(toy["results_dir"]).expanduser() / toy["name"]
    cells: list[dict[str, Any]] = []
    files: dict[str, list[Row]] = {}
    for case, points in todo:
        began = time.perf_counter()
        limits = {key: toy[key] for key in ("steps", "every", "tolerance")}
        scores = score(case.f, case.make, case.arms, points, **limits)
        rows = list(_cells(case, points, scores))
        seconds = time.perf_counter() - began
        cells += [row | limits | {"seconds": seconds} for row in rows]
        shown = [(i, s) for s in ("best", "default") for i, row in enumerate(rows) if row[s]]
        if toy["task"] == "starts":
            name = f"starts_{case.problem}.csv.gz"
            files.setdefault(name, []).extend(_starts(case, points, scores, shown))
        if toy["task"] == "paths":
            files.setdefault("paths.csv.gz", []).extend(_paths(case, points, toy, shown))
            files.setdefault("surface.csv.gz", []).extend(_surface(case))
        arms, n = scores.score.shape
        print(f"{case.problem}/{case.optimizer}: {arms} arms × {n} starts × {toy['steps']} steps"
              f" in {seconds:.1f} s", flush=True)  # fmt: skip
    facts = _provenance()
    # The cells come last: where they are, the rest is.
    for name, rows in (files | {"cells.csv": [row | facts for row in cells]}).items():
        write(folder / name, rows, digits=3 if name.startswith("starts_") else 4)
    best = [row["score"] for row in cells if row["best"]]
    print(f"{folder}: {len(cells)} cells, mean score at the best learning rates "
          f"{sum(best) / len(best):.3g}")  # fmt: skip
    return sum(best) / len(best)


def _cells(case: Case, points: Tensor, scores: Scores) -> Iterator[dict[str, Any]]:
    """One row an arm; shares are of all starts but where the name says otherwise."""
    converged, mean = scores.converged, scores.score.double().mean(1)
    best = {
        rule: min(
            (i for i, name in enumerate(case.rules) if name == rule), key=mean.tolist().__getitem__
        )
        for rule in case.rules
    }
    alike = case.f.same_signs(points)
    for i, (rule, lr) in enumerate(zip(case.rules, case.lrs, strict=True)):
        arrived = scores.arrived[i][converged[i]]
        yield {
            "problem": case.problem,
            "minima": " ".join(f"{x0:.4g},{x1:.4g}" for x0, x1 in case.f.minima),
            "optimizer": case.optimizer,
            "rule": rule,
            "lr": lr,
            "best": i == best[rule],
            "default": lr == case.default_lr,
            "edge": i == best[rule] and lr in (min(case.lrs), max(case.lrs)),
            "starts": len(points),
            "score": mean[i].item(),
            "distance": scores.distance[i].double().mean().item(),
            "converged": converged[i].double().mean().item(),
            "diverged": scores.diverged[i].double().mean().item(),
            "same_signs": alike.double().mean().item(),
            "score_of_same_signs": scores.score[i][alike].double().mean().item(),
            "converged_of_same_signs": converged[i][alike].double().mean().item(),
            "steps_to_converge_median": arrived.median().item() if len(arrived) else None,
        }


def _what(case: Case, arm: int, setting: str) -> dict[str, Any]:
    named = {"problem": case.problem, "optimizer": case.optimizer}
    return named | {"rule": case.rules[arm], "setting": setting, "lr": case.lrs[arm]}


def _starts(
    case: Case, points: Tensor, scores: Scores, shown: list[tuple[int, str]]
) -> Iterator[Row]:
    for arm, setting in shown:
        what = _what(case, arm, setting)
        columns = (points, scores.score[arm], scores.arrived[arm], scores.diverged[arm])
        for (x0, x1), value, arrived, lost in zip(*(c.tolist() for c in columns), strict=True):
            state = "diverged" if lost else "converged" if arrived < torch.inf else "under way"
            yield what | {"x0": x0, "x1": x1, "score": value, "state": state}


def _paths(case: Case, points: Tensor, toy: Config, shown: list[tuple[int, str]]) -> Iterator[Row]:
    """One row an arm, start and step looked at; where it is no longer finite it says so."""
    arms = [case.arms[arm] for arm, _ in shown]
    kept = {
        t: (now.tolist(), case.f.distance(now).tolist())
        for t, now in descend(case.f, case.make, arms, points, toy["steps"])
        if t <= EARLY or t % toy["every"] == 0 or t == toy["steps"]
    }
    for row, (arm, setting) in enumerate(shown):
        what = _what(case, arm, setting)
        for start in range(len(points)):
            for t, (now, distance) in kept.items():
                x0, x1 = now[row][start]
                place = {"x0": x0, "x1": x1, "distance": distance[row][start]}
                yield what | {"start": start, "step": t} | place


def _surface(case: Case, side: int = 101) -> Iterator[Row]:
    grid = torch.cartesian_prod(*(torch.linspace(*ends, side) for ends in case.f.box))
    for (x0, x1), value in zip(grid.tolist(), case.f.value(grid).tolist(), strict=True):
        yield {"problem": case.problem, "x0": x0, "x1": x1, "value": value}


def _provenance() -> dict[str, Any]:
    facts = provenance("cpu")
    facts |= {f"versions.{name}": version for name, version in facts.pop("versions").items()}
    facts["threads"] = torch.get_num_threads()
    return {f"provenance.{key}": value for key, value in facts.items()}
