"""One step of B-bit Madam for one parameter."""

import math
from typing import Any

import torch
from torch import Tensor

from gofau.optim.integer.weights import number_system

State = dict[str, Any]
Group = dict[str, Any]


def scaled_direction(g: Tensor, state: State, group: Group) -> Tensor:
    """Compute lr_factor · ĝ in a new tensor; advances v and the step number."""
    beta, v = group["beta"], state["exp_avg_sq"]
    g = g.to(v.dtype).contiguous()
    state["step"] += 1
    v.mul_(beta).addcmul_(g, g, value=1 - beta)
    # √v̂ = √v / u. The lower bound of √v makes 0/0 zero, and keeps ĝ small where g² underflows.
    u = math.sqrt(1 - beta ** state["step"].item())
    root = v.sqrt().clamp_(min=math.sqrt(torch.finfo(v.dtype).tiny))
    bound = group["g_bound"] / u
    factor = max(float(group["lr"]), group["min_lr_factor"])
    return (
        torch.div(g, root, out=root)
        .clamp_(-bound, bound)
        .mul_(-u * factor if group["maximize"] else u * factor)
    )


def advance(p: Tensor, move: Tensor, state: State, group: Group) -> None:
    """Set k ← clamp(k + sign · round(move), 0, levels − 1), and the parameter to its value.

    Args:
        move: lr_factor · ĝ; overwritten. Where it is NaN the parameter becomes NaN.
    """
    system = number_system(group)
    last = system.levels - 1
    sign = state["sign"].to(move.dtype)
    k = move.round_().mul_(sign).add_(state["k"].to(move.dtype)).clamp_(0, last)
    index = k.nan_to_num_(nan=system.levels).to(torch.int32)
    # The same products in the same order as in `NumberSystem.decode`: equal weights, bit for bit.
    p.copy_(system.look_up(index, move.dtype).mul_(state["theta_max"]).mul_(sign))
    state["k"].copy_(index.clamp_(max=last))
