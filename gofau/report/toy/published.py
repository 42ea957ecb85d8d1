"""The authors' published numbers for problems in two variables, quoted to stand beside ours.

Source: the authors' slides of 2026 (``eakirtas/wcci26_on_difficulty_of_nnn``, ``sections/5_mult``).
Not given there: the two problems' exact form, the starts, the ranges of the random configurations
and how many configurations were tried.
"""

from collections.abc import Mapping

SOURCE = "the authors' slides of 2026 (eakirtas/wcci26_on_difficulty_of_nnn, sections/5_mult)"
CONVEX, ROSENBROCK = "convex 2-D", "Rosenbrock"
OURS: Mapping[str, str] = {"bowl": CONVEX, "tilted": CONVEX, "rosenbrock": ROSENBROCK}
"""Our problem → the authors' problem that it stands beside."""

RULES = ("additive", "multiplicative", "hybrid")
Cell = tuple[str, str]

TUNED: Mapping[Cell, tuple[float, float, float]] = {
    (CONVEX, "sgd"): (8.61e-1, 2.92e-5, 3.57e-7),
    (CONVEX, "adagrad"): (5.80e-4, 1.35e-4, 1.68e-7),
    (CONVEX, "adam"): (3.75e-2, 7.44e-3, 4.47e-3),
    (CONVEX, "rmsprop"): (1.82e-5, 7.58e-6, 1.68e-7),
    (ROSENBROCK, "sgd"): (1.38, 7.70e-2, 2.04e-2),
    (ROSENBROCK, "adagrad"): (4.60e-1, 1.88e-1, 1.26e-2),
    (ROSENBROCK, "adam"): (8.24e-1, 7.84e-2, 5.73e-2),
    (ROSENBROCK, "rmsprop"): (4.58e-1, 1.85e-1, 5.06e-2),
}
"""Distance to the minimum after 100 iterations, best configuration; one number per rule of `RULES`.
The starts lie at 69.26 and 2.06 from it."""

RANDOM: Mapping[Cell, tuple[tuple[float, float], ...]] = {
    (CONVEX, "sgd"): ((1.48e-2, 8.1e-3), (1.82e-3, 5.2e-3), (8.37e-4, 2.4e-3)),
    (CONVEX, "adagrad"): ((7.61e-5, 1.7e-4), (2.30e-3, 7.2e-3), (1.79e-9, 1.3e-9)),
    (CONVEX, "adam"): ((4.28e-3, 4.3e-3), (3.95e-3, 4.9e-3), (1.26e-3, 1.5e-3)),
    (CONVEX, "rmsprop"): ((8.26e-6, 2.3e-5), (2.24e-3, 2.2e-3), (2.01e-8, 9.6e-8)),
    (ROSENBROCK, "sgd"): ((0.588, 0.219), (0.175, 0.236), (0.0742, 0.153)),
    (ROSENBROCK, "adagrad"): ((0.353, 0.359), (0.203, 0.213), (0.198, 0.268)),
    (ROSENBROCK, "adam"): ((0.412, 0.169), (0.168, 0.255), (0.148, 0.158)),
    (ROSENBROCK, "rmsprop"): ((0.316, 0.308), (0.143, 0.167), (0.201, 0.251)),
}
"""Distance relative to the start's over 100 random configurations: mean and standard deviation."""


def tuned(problem: str, optimizer: str, rule: str) -> float | None:
    """The published distance beside ours; None where there is none."""
    found = TUNED.get((OURS.get(problem, ""), optimizer))
    return found[RULES.index(rule)] if found and rule in RULES else None


def random(problem: str, optimizer: str, rule: str) -> tuple[float, float] | None:
    """The published mean and standard deviation beside ours; None where there are none."""
    found = RANDOM.get((OURS.get(problem, ""), optimizer))
    return found[RULES.index(rule)] if found and rule in RULES else None


def tuned_falls(problem: str, optimizer: str) -> bool | None:
    """Whether the published distances fall from additive over multiplicative to hybrid."""
    found = TUNED.get((OURS.get(problem, ""), optimizer))
    return found[0] > found[1] > found[2] if found else None


def random_falls(problem: str, optimizer: str) -> bool | None:
    """Whether the published means fall from additive over multiplicative to hybrid."""
    found = RANDOM.get((OURS.get(problem, ""), optimizer))
    return found[0][0] > found[1][0] > found[2][0] if found else None
