"""The rule applied to steps that somebody else took: the one place where attached steps compute."""

from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import Direction, Group, State
from gofau.optim.execution.dispatch import pays
from gofau.optim.execution.loop import carry_out
from gofau.optim.execution.native import kernels
from gofau.optim.rules import Rule
from gofau.optim.update import PLAIN, SHORT, Item, decayed

PIECE = 65536
"""Elements of a large CPU tensor that are worked on at a time, for each thread, where no kernel is
to be had: the temporaries of a rule then stay in the cache, which halves the time of a step."""


class Foreign(Direction):
    """In place of the direction of an optimizer that is not gofau's: it is never asked."""

    def init(self, p: Tensor, group: Group) -> State:
        return {}

    def buffers(self, group: Group) -> tuple[str, ...]:
        return ()

    def __call__(self, g: Tensor, state: State, group: Group) -> tuple[Tensor, Tensor | None]:
        raise NotImplementedError


FOREIGN = Foreign()
_OF_THE_STEP = ("lr", "weight_decay", "decoupled_weight_decay")


def push(items: list[Item], settings: dict[str, Any]) -> None:
    """p ← θ − ξ(θ, (θ − p)/η; η) for every item, in place and without a buffer of its own; where
    the weight decay is decoupled, with θ·(1 − η·λ) for θ.

    Args:
        items: with p the weights after the foreign step, to be overwritten, and in place of the
            gradient θ, the weights before it; θ is kept as it is. Call under ``torch.no_grad()``.
        settings: the rules' hyperparameters by name, and η and λ: see
            `gofau.optim.attachment.settings.today`.

    >>> from gofau.optim import get_rule
    >>> theta, p = torch.tensor([2.0]), torch.tensor([1.5])
    >>> item = Item(p, theta, {}, get_rule("multiplicative"))
    >>> push([item], {"lr": 0.1, "eta_in": 100.0, "eta_out": 0.1})
    >>> p
    tensor([1.8000])
    """
    if not torch.compiler.is_compiling() and pays(item.p for item in items):
        for name in {item.rule.name for item in items}:
            some = [item for item in items if item.rule.name == name]
            keys = (*some[0].rule.hyperparameters, *_OF_THE_STEP)
            own = {key: settings[key] for key in keys if key in settings}
            left = kernels.step(FOREIGN, own, some, recovered)
            items = [item for item in items if item.rule.name != name] + left
    for p, theta, _, rule in items:
        for before, after in _pieces(theta, p):
            carry_out(FOREIGN, rule, after, before, {}, settings, recovered)


def recovered(
    direction: Direction, rule: Rule, p: Tensor, g: Tensor, state: State, h: Group
) -> Tensor:
    """The statement of an attached step, in the form of `gofau.optim.update.update`; g is θ."""
    theta = decayed(g, h)
    return theta - rule(theta, (theta - p) / h["lr"], h)


def direction(theta: Tensor, p: Tensor, settings: dict[str, Any]) -> Tensor:
    """d as `push` recovers it, for whoever wants to look at it."""
    if p.dtype in SHORT:
        theta, p = theta.float(), p.float()
    return (decayed(theta, settings) - p) / settings["lr"]


def copied(p: Tensor, buffer: Tensor | None) -> Tensor:
    """A copy of p, in ``buffer`` where that fits: a model may be moved or cast between steps."""
    if buffer is None or not _alike(buffer, p):
        buffer = torch.empty_like(p, requires_grad=False)
    return buffer.copy_(p)


def _alike(a: Tensor, b: Tensor) -> bool:
    same = a.shape == b.shape and a.dtype == b.dtype and a.device == b.device
    return same and a.stride() == b.stride()


def _pieces(theta: Tensor, p: Tensor) -> list[tuple[Tensor, Tensor]]:
    size = PIECE * torch.get_num_threads()
    cut = type(p) in PLAIN and p.device.type == "cpu" and p.numel() > size
    if not (cut and p.is_contiguous() and theta.is_contiguous()):
        return [(theta, p)]
    return list(zip(theta.view(-1).split(size), p.view(-1).split(size), strict=True))
