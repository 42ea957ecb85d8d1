"""Apply a rule to the steps of another optimizer: the computation of attached steps."""

from typing import Any

import torch
from torch import Tensor

from gofau.optim.directions import NONE, Direction, Group, State
from gofau.optim.execution.dispatch import pays
from gofau.optim.execution.loop import carry_out
from gofau.optim.execution.native import kernels
from gofau.optim.execution.sizing import Watch, size_and_move
from gofau.optim.rules import Rule
from gofau.optim.stepsize import BASE, Evidence, Layer, StepSize, get_stepsize
from gofau.optim.update import PLAIN, SHORT, Item, decayed

PIECE = 65536
"""Elements per thread of a large CPU tensor that are computed at a time if there is no kernel. The
temporaries of a rule then stay in the processor's cache, which halves the time of a step."""


_OF_THE_STEP = ("lr", "weight_decay", "decoupled_weight_decay")


def push(items: list[Item], settings: dict[str, Any], watch: Watch | None = None) -> None:
    """Compute p ← θ − ξ(θ, (θ − p)/η; η) for every item, in place and without own buffers; with
    decoupled weight decay θ·(1 − η·λ) takes the place of θ.

    Args:
        items: p holds the weights after the optimizer's step and is overwritten; θ, the weights
            before it, takes the place of the gradient and is not modified. Call under
            ``torch.no_grad()``.
        settings: the rules' hyperparameters by name, and η and λ: see
            `gofau.optim.attachment.settings.current`.
        watch: called with the d that each rule is given.

    >>> from gofau.optim import get_rule
    >>> theta, p = torch.tensor([2.0]), torch.tensor([1.5])
    >>> item = Item(p, theta, {}, get_rule("multiplicative"))
    >>> push([item], {"lr": 0.1, "eta_in": 100.0, "eta_out": 0.1})
    >>> p
    tensor([1.8000])
    """
    stepsize = get_stepsize(settings.get("stepsize", "base"))
    if stepsize is not BASE:
        _push_sized(stepsize, items, settings, watch)
        return
    for item in items if watch else ():
        watch(item.p, direction(item.g, item.p, settings), item.rule, settings)  # type: ignore[misc]
    if not torch.compiler.is_compiling() and pays(item.p for item in items):
        for name in {item.rule.name for item in items}:
            some = [item for item in items if item.rule.name == name]
            keys = (*some[0].rule.hyperparameters, *_OF_THE_STEP)
            own = {key: settings[key] for key in keys if key in settings}
            left = kernels.step(NONE, own, some, recovered)
            items = [item for item in items if item.rule.name != name] + left
    for p, theta, _, rule in items:
        for before, after in _pieces(theta, p):
            carry_out(NONE, BASE, rule, after, before, {}, settings, recovered)


def _push_sized(
    stepsize: StepSize, items: list[Item], settings: dict[str, Any], watch: Watch | None
) -> None:
    """`push` with a step size between d and the rule."""
    wide = [item.p.float() if item.p.dtype in SHORT else item.p for item in items]
    group = settings | {"params": wide, "differentiable": False, "foreach": None, "fused": None}
    layers: list[Layer] = []
    for p, item in zip(wide, items, strict=True):
        d = direction(item.g, item.p, settings)
        p.copy_(item.g)  # the step starts from θ, the weights before the optimizer's step
        g = d if item.p.grad is None else item.p.grad
        layers.append(Layer(p.detach(), d, g, {}))
    moves = [Item(x.theta, x.d, {}, item.rule) for x, item in zip(layers, items, strict=True)]
    told = None if watch is None else lambda i, *seen: watch(items[i].p, *seen)
    size_and_move(stepsize, layers, moves, group, Evidence(), told)
    for p, item in zip(wide, items, strict=True):
        if p is not item.p:
            item.p.copy_(p)


def recovered(
    direction: Direction,
    stepsize: StepSize,
    rule: Rule,
    p: Tensor,
    g: Tensor,
    state: State,
    h: Group,
) -> Tensor:
    """The definition of an attached step, with the signature of `gofau.optim.update.update`; g is
    θ, and p the weights after the optimizer's step."""
    theta = decayed(g, h)
    return theta - rule(theta, (theta - p) / h["lr"], h)


def direction(theta: Tensor, p: Tensor, settings: dict[str, Any]) -> Tensor:
    """d as `push` recovers it, for watchers and step sizes."""
    if p.dtype in SHORT:
        theta, p = theta.float(), p.float()
    return (decayed(theta, settings) - p) / settings["lr"]


def copied(p: Tensor, buffer: Tensor | None) -> Tensor:
    """A copy of p, in ``buffer`` if that fits: a model may be moved or cast between steps."""
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
