"""Independent implementations of the bases, and the table of cases that is held against them.

torch.optim is the independent implementation of the bases that it has; of another one there is a
short one here, in the form of a torch optimizer.
"""

import math
from typing import Any, NamedTuple

import torch

import gofau.optim as ours


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of arXiv 2302.06675, line by line."""

    def __init__(
        self,
        params,
        lr=1e-4,
        betas=(0.9, 0.99),
        weight_decay=0,
        *,
        maximize=False,
        foreach=None,
        capturable=False,
        differentiable=False,
        fused=None,
    ):
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):  # type: ignore[override]
        for group in self.param_groups:
            (beta1, beta2), lr = group["betas"], group["lr"]
            for p in (p for p in group["params"] if p.grad is not None):
                g = -p.grad if group["maximize"] else p.grad
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                c = beta1 * m + (1 - beta1) * g
                p.sub_(lr * (c.sign() + group["weight_decay"] * p))
                m.copy_(beta2 * m + (1 - beta2) * g)


class Base(NamedTuple):
    """A base optimizer in the table of tests.

    Attributes:
        ours, reference: the two classes.
        lr: a rate at which 200 steps go somewhere.
        options: each set of them is tested, with and without weight decay and ``maximize``.
        rich: every option that makes a step longer.
        decay: the default of a decoupled weight decay; None where the decay is of the L2 kind.
    """

    ours: Any
    reference: Any
    lr: float
    options: list[dict[str, Any]]
    rich: dict[str, Any]
    decay: float | None = None


class SignSGD(torch.optim.Optimizer):
    """signSGD, and Signum with the momentum as an average: arXiv 1802.04560, line by line."""

    def __init__(
        self,
        params,
        lr=1e-4,
        momentum=0,
        weight_decay=0,
        *,
        maximize=False,
        foreach=None,
        capturable=False,
        differentiable=False,
        fused=None,
    ):
        own = {"momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, {"lr": lr, "maximize": maximize} | own)

    @torch.no_grad()
    def step(self, closure=None):  # type: ignore[override]
        for group in self.param_groups:
            mu, lr = group["momentum"], group["lr"]
            for p in (p for p in group["params"] if p.grad is not None):
                m = -p.grad if group["maximize"] else p.grad
                if mu:
                    b = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                    m = b.copy_(mu * b + (1 - mu) * m)
                p.sub_(lr * (m.sign() + group["weight_decay"] * p))


TABLE = {
    "sgd": Base(
        ours.SGD,
        torch.optim.SGD,
        0.05,
        [
            {"momentum": 0.0},
            {"momentum": 0.9},
            {"momentum": 0.9, "dampening": 0.5},
            {"momentum": 0.9, "nesterov": True},
        ],
        {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1, "maximize": True},
    ),
    "signsgd": Base(
        *(ours.SignSGD, SignSGD, 0.003),
        [{}, {"momentum": 0.9}],
        {"momentum": 0.9, "weight_decay": 0.1},
        0.0,
    ),
    "adagrad": Base(
        ours.Adagrad,
        torch.optim.Adagrad,
        0.05,
        [{}, {"lr_decay": 0.1}, {"initial_accumulator_value": 0.1, "eps": 1e-6}],
        {"lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 0.1},
    ),
    "rmsprop": Base(
        ours.RMSprop,
        torch.optim.RMSprop,
        0.003,
        [
            {},
            {"alpha": 0.9},
            {"momentum": 0.9},
            {"centered": True},
            {"momentum": 0.9, "centered": True, "eps": 1e-6},
        ],
        {"momentum": 0.9, "centered": True, "eps": 1e-4, "weight_decay": 0.1},
    ),
    "adam": Base(
        ours.Adam,
        torch.optim.Adam,
        0.01,
        [{}, {"betas": (0.8, 0.95)}, {"amsgrad": True}, {"eps": 1e-4}],
        {"amsgrad": True, "weight_decay": 0.1},
    ),
    "adamw": Base(
        ours.AdamW,
        torch.optim.AdamW,
        0.01,
        [{}, {"betas": (0.8, 0.95)}, {"amsgrad": True}],
        {"betas": (0.8, 0.95)},
        decay=0.01,
    ),
    "lion": Base(ours.Lion, Lion, 0.003, [{}, {"betas": (0.8, 0.95)}], {"weight_decay": 0.1}, 0.0),
}
COMMON = [{}, {"weight_decay": 0.1}, {"maximize": True}, {"weight_decay": 0.1, "maximize": True}]

BASES = {name: (base.ours, base.reference) for name, base in TABLE.items()}
IN_TORCH = [name for name, base in TABLE.items() if base.reference.__module__.startswith("torch.")]
CASES = [
    (name, own | common)
    for name, base in TABLE.items()
    for own in base.options
    for common in COMMON
]
LR = {name: base.lr for name, base in TABLE.items()}
RICH = {name: base.rich for name, base in TABLE.items()}


def decay_of(base, options):
    """λ of a decoupled weight decay; 0 where there is none, or it is of the L2 kind."""
    default = TABLE[base].decay
    return 0.0 if default is None else options.get("weight_decay", default)


def pair(base, options, ours_params, torch_params, **rule):
    make, make_torch = BASES[base]
    return (
        make(ours_params, lr=LR[base], **options, **rule),
        make_torch(torch_params, lr=LR[base], **options, foreach=False),
    )


def scalar_rule(name, theta, d, eta, eta_in, eta_out, gamma):
    """The rules again, on Python floats, by the formulas of the papers alone."""
    eta_out = eta if eta_out is None else eta_out
    bounded = eta_out * math.tanh(eta_in * d)
    sign = (theta > 0) - (theta < 0)
    return {
        "additive": eta * d,
        "multiplicative": abs(theta) * bounded,
        "hybrid": gamma * abs(theta) * bounded + (1 - gamma) * eta * d,
        "exponential": theta * (1 - math.exp(-eta * d * sign)),
        "power": theta * (1 - 2 ** (-bounded * sign)),
        "hypentropy": theta - 0.1 * math.sinh(math.asinh(theta / 0.1) - eta * d),
    }[name]
