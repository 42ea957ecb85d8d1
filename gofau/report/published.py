"""The authors' published accuracies, quoted to stand beside ours.

Source: the authors' slides of 2026 (``eakirtas/wcci26_on_difficulty_of_nnn``, ``sections/5_mult``):
ResNet18 on CIFAR-100, final accuracy. The table there has no additive Adam, RMSprop, Adagrad or
SGD: the comparison that the claim is about is missing from it. What ± is, and over how many runs,
is not given.

Those of problems in two variables are in `gofau.report.toy.published`.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Published(NamedTuple):
    """A published accuracy in per cent, what stands behind its ±, and our names for the arm: its
    optimizer, rule and step size; None where we have no such arm."""

    mean: float
    spread: float
    arm: tuple[str, str, str] | None = None


CIFAR100: Mapping[str, Published] = {
    "Hybrid Adam": Published(67.10, 0.35, ("adam", "hybrid", "base")),
    "Hybrid RMSprop": Published(65.15, 0.90, ("rmsprop", "hybrid", "base")),
    "Hybrid Adagrad": Published(64.54, 0.74, ("adagrad", "hybrid", "base")),
    "Nero": Published(64.23, 0.81, ("nero", "additive", "neuron")),
    "Fromage": Published(63.42, 0.82, ("fromage", "additive", "trust_ratio")),
    "Mult. Adagrad": Published(62.98, 0.45, ("adagrad", "multiplicative", "base")),
    "Hybrid SGD": Published(61.58, 1.11, ("sgd", "hybrid", "base")),
    "LAMB": Published(61.50, 0.64, ("adamw", "additive", "trust_ratio")),
    "Mult. Adam": Published(61.44, 0.50, ("adam", "multiplicative", "base")),
    "Mult. RMSprop": Published(61.12, 1.27, ("rmsprop", "multiplicative", "base")),
    "SignSGD": Published(56.26, 1.48, ("signsgd", "additive", "base")),
    "Mult. SGD": Published(54.52, 1.59, ("sgd", "multiplicative", "base")),
    "MAdam": Published(52.53, 5.67, ("madam", "exponential", "base")),
}
"""Of the published arms, in the order of the published table."""
