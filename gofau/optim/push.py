"""The rule applied to steps that somebody else took: the one place where attached steps compute."""

from typing import Any

import torch
from torch import Tensor

from gofau.optim import native
from gofau.optim.directions import SGD, Direction, Group, State
from gofau.optim.paths import pays
from gofau.optim.rules import Rule
from gofau.optim.update import PLAIN, Item

PIECE = 65536
"""Elements of a large CPU tensor that are worked on at a time, for each thread, where no kernel is
to be had: the temporaries of a rule then stay in the cache, which halves the time of a step."""

_NO_DIRECTION = SGD()
"""Somebody else's it was; without momentum it has no buffers, and `recovered` does not ask it."""


def push(items: list[Item], settings: dict[str, Any]) -> None:
    """p ← θ − ξ(θ, θ − p) for every item, in place and without a buffer of its own.

    Args:
        items: with p the weights after the foreign step, to be overwritten, and in place of the
            gradient θ, the weights before it; θ is kept as it is. Call under ``torch.no_grad()``.
        settings: the rules' hyperparameters by name.

    >>> from gofau.optim import get_rule
    >>> theta, p = torch.tensor([2.0]), torch.tensor([1.5])
    >>> item = Item(p, theta, {}, get_rule("multiplicative"))
    >>> push([item], {"eta_in": 100.0, "eta_out": 0.1})
    >>> p
    tensor([1.8000])
    """
    if not torch.compiler.is_compiling() and pays(item.p for item in items):
        for name in {item.rule.name for item in items}:
            some = [item for item in items if item.rule.name == name]
            own = {key: settings[key] for key in some[0].rule.hyperparameters} | {"momentum": 0.0}
            left = native.step(_NO_DIRECTION, own, some, recovered)
            items = [item for item in items if item.rule.name != name] + left
    for p, theta, _, rule in items:
        for before, after in _pieces(theta, p):
            recovered(_NO_DIRECTION, rule, after, before, {}, settings)


def recovered(
    direction: Direction, rule: Rule, p: Tensor, g: Tensor, state: State, h: Group
) -> None:
    """The statement of an attached step, in the form of `gofau.optim.update.update`; g is θ."""
    p.copy_(g - rule(g, g - p, h))


def _pieces(theta: Tensor, p: Tensor) -> list[tuple[Tensor, Tensor]]:
    size = PIECE * torch.get_num_threads()
    cut = type(p) in PLAIN and p.device.type == "cpu" and p.numel() > size
    if not (cut and p.is_contiguous() and theta.is_contiguous()):
        return [(theta, p)]
    return list(zip(theta.view(-1).split(size), p.view(-1).split(size), strict=True))
