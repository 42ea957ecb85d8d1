"""Simulates the error rates and the power of the verdict rule, for the tables of docs/verdicts.md.

``python scripts/verdict_power.py`` writes the tables between the marks of that page. In a simulated
comparison the difference in cell c and seed s is, in points,

    effect + σ·(a_s / 4 + w_c·e_cs) / √(1 + 1/16)

where a_s is shared by all cells of a seed (runs of one seed share initial weights and the order of
the data), w_c differs between cells (log-normal with spread 0.4, mean square 1), and a and e have
Student's t distribution with 5 degrees of freedom, scaled to variance 1, whose tails are heavier
than normal. σ is the standard deviation of one pair.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import stats

from gofau.report.statistics import MIN_SEEDS, half_width
from gofau.report.verdict import ALPHA

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "verdicts.md"
SEED, SIMULATIONS = 0, 20_000
LAYOUTS = (
    *((1, 5), (2, 5), (4, 5), (6, 5), (10, 5), (20, 5), (30, 5), (60, 5)),
    *((1, 10), (2, 10), (4, 10), (18, 10), (30, 10)),
)
"""(cells, seeds): the sizes of the experiments, and larger numbers of seeds."""
QUESTIONS = 23
"""The questions on the page of claims."""
MARGIN = 0.5
WORDS = {1: "supported", -1: "not supported", 2: "no difference", 0: "undecided"}
PROTOCOL = {
    "problems": (20, 10),
    "problems_full": (3, 10),
    "problems_longer": (4, 10),
    "problems_lr": (9, 10),
    "problems_init": (6, 10),
    "problems_horizons": (6, 30),
    "problems_control": (8, 30),
}
"""Experiment of experiments/problems/PROTOCOL.md → cells (problems with one metric × optimizers)
and seeds."""
CLAIMED = {
    "tab6_acceleration": ("trainer.epochs",),
    "tab2_cifar10_init": ("init", "init.scale"),
    "tab3_cifar10_lr": ("optimizer.lr",),
    "tab4_cifar100": (),
    "tab5_tiny_imagenet": (),
    "is_it_just_lr": ("optimizer.lr",),
}
"""Experiment of a claim → the axes that its effect is measured along; these make no cells."""


def seed_means(
    rng: np.random.Generator, shape: tuple[int, ...], cells: int, seeds: int, sigma: float
) -> np.ndarray:
    """Draw the seeds' means over the cells, without an effect; shape (*shape, seeds)."""
    scale = math.sqrt(3 / 5)  # scales Student's t with 5 degrees of freedom to variance 1
    weights = np.exp(0.4 * rng.standard_normal(cells))
    weights /= np.sqrt(np.mean(weights**2))
    own = np.zeros((*shape, seeds))
    for weight in weights:
        own += weight * scale * rng.standard_t(5, size=own.shape)
    shared = scale * rng.standard_t(5, size=own.shape) / 4
    return sigma * (shared + own / cells) / math.sqrt(1 + 1 / 16)


def coverage(cells: int, seeds: int, simulations: int = SIMULATIONS, seed: int = SEED) -> float:
    """The share of 95 % intervals that contain the true mean."""
    x = seed_means(np.random.default_rng(seed), (simulations,), cells, seeds, 1.0)
    half = half_width(1.0, seeds) * x.std(axis=-1, ddof=1)
    return float(np.mean(np.abs(x.mean(axis=-1)) <= half))


def decide_pages(x: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    """Decide many pages at once: verdicts as keys of `WORDS`; x is (pages, questions, seeds)."""
    mean, error = x.mean(axis=-1), x.std(axis=-1, ddof=1) / math.sqrt(x.shape[-1])
    differs = 2 * stats.t.sf(np.abs(mean) / error, x.shape[-1] - 1)
    room = margin - np.abs(mean)
    same = np.where(room > 0, 2 * stats.t.sf(room / error, x.shape[-1] - 1), 1.0)
    (sided, level), (within, level_same) = _holm(differs), _holm(same)
    half = stats.t.isf(level / 2, x.shape[-1] - 1) * error
    wide = stats.t.isf(np.minimum(level, level_same) / 2, x.shape[-1] - 1) * error
    small = np.abs(mean) + half <= margin  # then the wider interval decides the side
    sided &= np.abs(mean) > np.where(small, wide, half)
    return np.where(within, 2, np.where(sided, np.sign(mean).astype(int), 0))


def _holm(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which p Holm's method rejects on each page, and the level at which it judged each."""
    order = np.argsort(p, axis=1)
    levels = ALPHA / (p.shape[1] - np.arange(p.shape[1]))
    passed = np.logical_and.accumulate(np.take_along_axis(p, order, axis=1) <= levels, axis=1)
    first = levels[np.minimum(passed.sum(axis=1), p.shape[1] - 1)]
    rejected, level = np.zeros(p.shape, dtype=bool), np.zeros(p.shape)
    np.put_along_axis(rejected, order, passed, axis=1)
    judged = np.where(passed, levels, first[:, None])
    np.put_along_axis(level, order, judged, axis=1)
    return rejected, level


def verdicts(
    cells: int, seeds: int, sigma: float, effects: np.ndarray, pages: int, seed: int = SEED
) -> np.ndarray:
    """Simulate pages whose questions have these true effects, in points; verdicts of shape (pages,
    questions)."""
    rng = np.random.default_rng(seed)
    x = seed_means(rng, (pages, len(effects)), cells, seeds, sigma)
    return decide_pages(x + effects[:, None])


def any_of(found: np.ndarray, word: int) -> float:
    """The share of pages with at least one verdict ``word``."""
    return float(np.mean((found == word).any(axis=1)))


def power(cells: int, seeds: int, sigma: float, pages: int = 4000, effect: float = 3.0) -> float:
    """How often an effect is *supported* if no other question of the page has one (the hardest
    page)."""
    effects = np.zeros(QUESTIONS)
    effects[0] = effect
    return float(np.mean(verdicts(cells, seeds, sigma, effects, pages)[:, 0] == 1))


def designs() -> list[tuple[str, int, int]]:
    """Name, cells and seeds of every experiment that tests a claim, and of its twins."""
    found = [(name, *sizes) for name, sizes in PROTOCOL.items()]
    for claimed, along in CLAIMED.items():
        for name in (claimed, f"reduced_{claimed}", f"smoke_{claimed}"):
            path = ROOT / "configs" / "experiment" / f"{name}.yaml"
            if path.exists():
                swept = yaml.safe_load(path.read_text(encoding="utf-8"))["hydra"]["sweeper"]
                seeds = len(swept["params"]["seed"].split(","))
                found.append((name, _cells(swept, {"seed", "rule", *along}), seeds))
    return found


def _cells(sweeper: dict[str, Any], apart: set[str]) -> int:
    """The cells in which rules are compared; an arm with one rule has none. The axes ``apart`` make
    no cells."""
    cells = 0
    for arm in sweeper.get("arms", [{}]):
        sizes = {k: len(str(v).split(",")) for k, v in (sweeper["params"] | arm).items()}
        if sizes.get("rule", 1) > 1:
            cells += math.prod(n for axis, n in sizes.items() if axis not in apart)
    return cells


def tables() -> dict[str, str]:
    """Name of the mark → table."""
    covered = [["cells × seeds", "coverage (%)"]]
    covered += [[f"{c} × {s}", f"{100 * coverage(c, s):.1f}"] for c, s in LAYOUTS]
    errors = [["cells × seeds", "supported", "not supported", "no difference, at 0.5 points"]]
    for cells, seeds in LAYOUTS[1::2]:
        none = verdicts(cells, seeds, 1.0, np.zeros(QUESTIONS), 4000)
        edge = verdicts(cells, seeds, 1.0, np.full(QUESTIONS, MARGIN), 4000)
        shares = (any_of(none, 1), any_of(none, -1), any_of(edge, 2))
        errors.append([f"{cells} × {seeds}", *(f"{100 * share:.1f}" for share in shares)])
    sigmas = (0.5, 1.0, 2.0, 4.0)
    seen = [["experiment", "cells × seeds", *(f"σ = {s:g}" for s in sigmas)]]
    for name, cells, seeds in designs():
        for first, n in zip((f"`{name}`", ""), sorted({seeds, max(seeds, 10)}), strict=False):
            row = [f"{100 * power(cells, n, s):.0f}" for s in sigmas]
            seen.append([first, f"{cells} × {n}", *row])
    return {"coverage": _text(covered), "errors": _text(errors), "power": _text(seen)}


def _text(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Write the tables into the page."""
    assert all(seeds >= MIN_SEEDS for _, seeds in LAYOUTS)
    text = PAGE.read_text(encoding="utf-8")
    for name, table in tables().items():
        head, _, rest = text.partition(f"<!-- {name} -->\n")
        text = f"{head}<!-- {name} -->\n{table}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    PAGE.write_text(text, encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
