"""The rule applied to a step that somebody else took: the one place where attached steps compute.

A faster elementwise step, where there is one, replaces the body of `push` and nothing else.
"""

from typing import Any

import torch
from torch import Tensor

from gofau.optim.rules import Rule

PIECE = 65536
"""Elements of a large CPU tensor that are worked on at a time, for each thread: the temporaries of
a rule then stay in the cache, which makes a step on ResNet18's tensors twice as fast."""


def push(theta: Tensor, p: Tensor, rule: Rule, settings: dict[str, Any]) -> None:
    """p ← θ − ξ(θ, θ − p), in place and without a buffer of its own.

    Args:
        theta: θ, the weights before the step; kept as they are.
        p: the weights after it, same shape; overwritten. Call this under ``torch.no_grad()``.
        rule: ξ, elementwise.
        settings: its hyperparameters by name.

    >>> from gofau.optim import get_rule
    >>> theta, p = torch.tensor([2.0]), torch.tensor([1.5])
    >>> push(theta, p, get_rule("multiplicative"), {"eta_in": 100.0, "eta_out": 0.1})
    >>> p
    tensor([1.8000])
    """
    for before, after in _pieces(theta, p):
        torch.sub(before, after, out=after)  # u, where p was
        torch.sub(before, rule(before, after, settings), out=after)


def _pieces(theta: Tensor, p: Tensor) -> list[tuple[Tensor, Tensor]]:
    size = PIECE * torch.get_num_threads()
    plain = type(p) in (Tensor, torch.nn.Parameter)  # a DTensor cannot be cut
    cut = plain and p.device.type == "cpu" and p.numel() > size
    if not (cut and p.is_contiguous() and theta.is_contiguous()):
        return [(theta, p)]
    return list(zip(theta.view(-1).split(size), p.view(-1).split(size), strict=True))
