"""Invariant 8: multiplicative and hybrid are the steps of the authors' own code, torch_mult_optim
0.0.1, by its description in SPEC; written here again, in numpy, with its names:

    θ ← θ − g·lr_out·|θ|·tanh(lr_in·direction) − (1 − g)·lr·direction

Two numbers stand elsewhere. It divides Adam's first moment by 1 − β1^t outside tanh; the authors'
slides of 2026 do so inside, and so do we. Its lr_decay of Adagrad divides lr_out; ours, as torch's,
is part of the step size, and so inside tanh. With β1 = 0 and without lr_decay there is nothing to
tell them apart; with them the difference is measured, and explained.
"""

import numpy as np
import pytest
import torch

import gofau.optim as optim

STEPS = 300
OWN = {
    "sgd": (optim.SGD, {"lr": 0.05}, 10.0),
    "sgd with momentum": (optim.SGD, {"lr": 0.01, "momentum": 0.9}, 10.0),
    "adagrad": (optim.Adagrad, {"lr": 0.05}, 1.0),
    "adagrad with decay": (optim.Adagrad, {"lr": 0.05, "lr_decay": 0.02}, 1.0),
    "rmsprop": (optim.RMSprop, {"lr": 0.003, "alpha": 0.9}, 0.5),
    "adam, beta1 = 0": (optim.Adam, {"lr": 0.01, "betas": (0.0, 0.999)}, 1.0),
    "adam": (optim.Adam, {"lr": 0.01, "betas": (0.9, 0.999)}, 1.0),
}
"""Ours, what it is given, and lr_in."""
RULES = {"multiplicative": 1.0, "hybrid": 0.3}
"""And g."""
EQUAL = [name for name in OWN if name not in ("adam", "adagrad with decay")]


class Logistic:
    """Logistic regression with a penalty: 40 points, 6 features of unlike scales."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((40, 6)) * [1, 2, 0.5, 1, 3, 0.1]
        self.y = np.sign(self.x @ rng.standard_normal(6) + rng.standard_normal(40))
        self.start = rng.standard_normal(6)

    def gradient(self, theta):
        margin = self.y * (self.x @ theta)
        return -(self.y / (1 + np.exp(margin))) @ self.x / 40 + 0.01 * theta

    def loss(self, theta):
        return np.log1p(np.exp(-self.y * (self.x @ theta))).mean() + 0.005 * theta @ theta


class Authors:
    """Their step. With ``inside`` what they divide tanh by divides its argument."""

    def __init__(self, name, g, lr_out=None, inside=False):
        _, own, self.lr_in = OWN[name]
        self.base, self.own, self.g, self.inside = name.split()[0].strip(","), own, g, inside
        self.lr_out = own["lr"] if lr_out is None else lr_out
        self.m = self.v = 0.0
        self.t = 0

    def direction(self, grad):
        """What lr and tanh are given, and what the outcome is divided by."""
        own, t = self.own, self.t
        if self.base == "sgd":  # the first step with momentum uses the bare gradient
            self.m = grad if t == 1 else own.get("momentum", 0.0) * self.m + grad
            return self.m, 1.0
        if self.base == "adagrad":
            self.v = self.v + grad**2
            return grad / (np.sqrt(self.v) + 1e-10), 1 + (t - 1) * own.get("lr_decay", 0.0)
        if self.base == "rmsprop":
            self.v = own["alpha"] * self.v + (1 - own["alpha"]) * grad**2
            return grad / (np.sqrt(self.v) + 1e-8), 1.0
        beta1, beta2 = own["betas"]
        self.m = beta1 * self.m + (1 - beta1) * grad
        self.v = beta2 * self.v + (1 - beta2) * grad**2
        return self.m / (np.sqrt(self.v / (1 - beta2**t)) + 1e-8), 1 - beta1**t

    def step(self, theta, grad):
        self.t += 1
        direction, by = self.direction(grad)
        if self.inside:
            bounded = np.tanh(self.lr_in * direction / by)
        else:
            bounded = np.tanh(self.lr_in * direction) / by
        multiplicative = self.lr_out * np.abs(theta) * bounded
        return theta - self.g * multiplicative - (1 - self.g) * self.own["lr"] * direction / by


def our_path(name, rule, lr_out=None):
    """θ before the first and after every step."""
    make, own, lr_in = OWN[name]
    problem = Logistic()
    p = torch.tensor(problem.start, requires_grad=True)
    ours = make([p], **own, rule=rule, eta_in=lr_in, eta_out=lr_out, gamma=RULES[rule])
    path = [problem.start]
    for _ in range(STEPS):
        p.grad = torch.from_numpy(problem.gradient(p.detach().numpy()))
        ours.step()
        path.append(p.detach().numpy().copy())
    return np.array(path)


def their_path(name, rule, lr_out=None, inside=False):
    problem, authors = Logistic(), Authors(name, RULES[rule], lr_out, inside)
    path = [problem.start]
    for _ in range(STEPS):
        path.append(authors.step(path[-1], problem.gradient(path[-1])))
    return np.array(path)


def apart(ours, theirs):
    """After each step, relative to the weights."""
    return np.abs(ours - theirs).max(1) / np.abs(theirs).max(1)


@pytest.mark.parametrize("lr_out", [None, 0.02])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", EQUAL)
def test_the_authors_steps(name, rule, lr_out, record_property):
    ours = our_path(name, rule, lr_out)
    worst = apart(ours, their_path(name, rule, lr_out)).max()
    record_property("from_the_authors", (f"{name}, {rule}", float(worst)))
    assert worst <= 1e-12
    problem = Logistic()
    assert problem.loss(ours[-1]) < 0.9 * problem.loss(ours[0])  # it is not standing still


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["adam", "adagrad with decay"])
def test_the_other_two_differ_in_one_place(name, rule, record_property):
    ours = our_path(name, rule)
    assert apart(ours, their_path(name, rule, inside=True)).max() <= 1e-12
    away = apart(ours, their_path(name, rule))
    for what, value in (("worst", away.max()), ("last", away[-1])):
        record_property("from_the_authors", (f"{name}, {rule}, {what}", float(value)))
    assert away.max() > 1e-3


@pytest.mark.parametrize("rule", RULES)
def test_where_adams_bias_is_corrected_matters_at_the_start_alone(rule):
    """tanh bends towards 0, so for b = 1 − β1^t ≤ 1 and x ≥ 0: tanh x ≤ tanh(x/b) ≤ tanh(x)/b. From
    the same weights and gradients theirs is the longer step, by no more than the part 1/b − 1 of
    γ·η_out·|θ|: 9 of it at first (so theirs is not bounded by η_out), nothing in the end."""
    ours, problem, g = our_path("adam", rule), Logistic(), RULES[rule]
    outside, inside = (Authors("adam", g, inside=place) for place in (False, True))
    lr_out, excess = outside.lr_out, []
    for t, theta in enumerate(ours[:-1], 1):
        grad = problem.gradient(theta)
        more = np.abs(outside.step(theta, grad) - inside.step(theta, grad))
        most = g * lr_out * np.abs(theta) * (1 / (1 - 0.9**t) - 1)
        assert (more <= most + 1e-15).all()
        excess.append((more / (g * lr_out * np.abs(theta))).max())
    assert excess[0] > 0.01
    assert max(excess[200:]) < 1e-9
