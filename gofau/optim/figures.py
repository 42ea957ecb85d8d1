"""The figures of one parameter in one step, as `gofau.optim.diagnostics` reports them."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

SATURATED = 0.99
"""|tanh(η_in·d)| above this counts as saturated: doubling d would hardly change ξ."""
METRICS = ("saturation", "frozen", "sign_flips", "update_ratio", "update_rms")
Row = dict[str, float]


@dataclass
class Seen:
    """A parameter in the observed step; counts and norms are 0-d tensors on its device."""

    name: str
    before: Tensor
    saturated: Tensor | None = None
    stuck: bool = False
    figures: Tensor | None = None
    sizes: tuple[int, int] = (0, 0)
    """Number of elements, and number of elements whose rule has a tanh."""


def measured(seen: Seen, after: Tensor) -> Tensor:
    """(saturated, frozen, sign flips, ‖Δθ‖², ‖θ‖²) as one small tensor on the parameter's
    device."""
    before, none = seen.before, torch.zeros((), device=after.device)
    wide = torch.promote_types(before.dtype, torch.float32)
    exact = torch.float32 if after.device.type == "mps" else torch.float64
    figures = [
        none if seen.saturated is None else seen.saturated,
        (before == 0).sum() if seen.stuck else none,
        (before.sign() * after.sign() < 0).sum(),
        torch.linalg.vector_norm(after.to(wide) - before.to(wide)).to(exact).square(),
        torch.linalg.vector_norm(before, dtype=wide).to(exact).square(),
    ]
    return torch.stack([_whole(figure).to(exact) for figure in figures])


def _whole(figure: Any) -> Tensor:
    """The figure of a sharded parameter (DTensor), summed over the processes that hold it."""
    return figure.full_tensor() if hasattr(figure, "full_tensor") else figure


def row_of(name: str, numbers: list[float]) -> Row:
    """The row of one parameter, or of all. ``numbers`` are the number of elements, the number of
    elements whose rule has a tanh, and the values that `measured` returns."""
    n, tanh, saturated, frozen, flips, change, size = numbers

    def over(a: float, b: float) -> float:
        return a / b if b else math.nan

    shares = over(saturated, tanh), over(frozen, n), over(flips, n)
    values = (*shares, math.sqrt(over(change, size)), math.sqrt(over(change, n)))
    return {f"{metric}/{name}": value for metric, value in zip(METRICS, values, strict=True)}
