"""torch.optim as the independent implementation, and the table of cases that is held against it."""

import math

import torch

import gofau.optim as ours

BASES = {
    "sgd": (ours.SGD, torch.optim.SGD),
    "adagrad": (ours.Adagrad, torch.optim.Adagrad),
    "rmsprop": (ours.RMSprop, torch.optim.RMSprop),
    "adam": (ours.Adam, torch.optim.Adam),
    "adamw": (ours.AdamW, torch.optim.AdamW),
}
COMMON = [{}, {"weight_decay": 0.1}, {"maximize": True}, {"weight_decay": 0.1, "maximize": True}]
OWN = {
    "sgd": [
        {"momentum": 0.0},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.5},
        {"momentum": 0.9, "nesterov": True},
    ],
    "adagrad": [{}, {"lr_decay": 0.1}, {"initial_accumulator_value": 0.1, "eps": 1e-6}],
    "rmsprop": [
        {},
        {"alpha": 0.9},
        {"momentum": 0.9},
        {"centered": True},
        {"momentum": 0.9, "centered": True, "eps": 1e-6},
    ],
    "adam": [{}, {"betas": (0.8, 0.95)}, {"amsgrad": True}, {"eps": 1e-4}],
    "adamw": [{}, {"betas": (0.8, 0.95)}, {"amsgrad": True}],
}
CASES = [(base, own | common) for base in BASES for own in OWN[base] for common in COMMON]
LR = {"sgd": 0.05, "adagrad": 0.05, "rmsprop": 0.003, "adam": 0.01, "adamw": 0.01}


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
    }[name]
