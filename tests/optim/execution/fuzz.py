"""Random steps of every optimizer, and an independent reference that says what may come out.

The reference is written from the formulas alone, in numpy, upon `Span`: a value with the interval
that rounding may put it in. It is computed in long double (80 bits where the processor has them),
from the weights and buffers that the path under test held before the step, so that nothing adds up.
What is ill-conditioned (v − mean² in a centered RMSprop, g + λ·θ, exp of a large number) gets a
wide interval by itself, and what overflows in the path's dtype is infinite here too; so no
tolerance is set by hand but the roundings of one operation.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import gofau.optim as optim

BASES = {"sgd": optim.SGD, "adagrad": optim.Adagrad, "rmsprop": optim.RMSprop}
BASES |= {"adam": optim.Adam, "adamw": optim.AdamW}
RULES = ("additive", "multiplicative", "hybrid", "exponential", "power")
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
PATHS = {
    "loop": {"foreach": False, "fused": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}

Wide = np.longdouble


class Format(NamedTuple):
    """A floating-point format: half an ulp of 1, its smallest and its largest number."""

    half: float
    tiny: float
    most: float


DOUBLE = Format(2.0**-53, 5e-324, 1.7976931348623157e308)
SINGLE = Format(2.0**-24, 2.0**-149, 3.4028234663852886e38)

OPERATION = {True: 2, False: 4}
"""Half ulps that one operation may be off, by whether it is literal (see `Mode`). Correctly rounded
it is one; another order of the same operations makes it somewhat more."""
FUNCTION = 6
"""The same of torch's and the C library's tanh and expm1,"""
FAST_FUNCTION = 1e-6 / SINGLE.half
"""and of those of a compiled step in float32: see `gofau.optim.execution.tanh` and its test."""


class Mode(NamedTuple):
    """How a path computes, as far as a reference has to know it.

    Attributes:
        format: what it computes in.
        function: half ulps that tanh and expm1 may be off.
        literal: it carries out the formulas' operations in their order. If not, what overflows in
            between need not, and the interval holds both outcomes.
    """

    format: Format
    function: float
    literal: bool


class Span:
    """What a value may be: from ``low`` to ``high``, or NaN where ``nan`` says so; ``mid`` is the
    value in exact arithmetic. NaN for certain is where ``low`` and ``high`` are NaN.

    ``peak`` is the largest that a product of some of a value's factors may be. Multiplied in
    another order, a partial product may overflow if that does, and is off by as much as the
    smallest number times that if it underflows. ``small`` is where an underflow may count for more
    than a rounding.
    """

    def __init__(
        self, ends: Any, mid: Any, nan: Any, small: Any, mode: Mode, peak: Any = None
    ) -> None:
        self.ends, self.mid, self.nan, self.small, self.mode = ends, mid, nan, small, mode
        self.peak = np.fmax(1, np.abs(ends).max(0)) if peak is None else peak

    @classmethod
    def exactly(cls, x: Any, mode: Mode) -> "Span":
        x = np.atleast_1d(np.asarray(x, dtype=Wide))
        return cls(np.stack([x, x]), x, np.isnan(x), False, mode)

    @property
    def low(self) -> Any:
        return self.ends[0]

    @property
    def high(self) -> Any:
        return self.ends[1]

    def rounded(self, sure: Any = False, half_ulps: float = 0) -> "Span":
        """After one operation in the format. ``sure`` is where that makes a NaN for certain."""
        form, literal = self.mode.format, self.mode.literal
        half_ulps = half_ulps or OPERATION[literal]
        tiny = form.tiny if literal else form.tiny * half_ulps * self.peak
        slack = np.abs(self.ends) * (form.half * half_ulps) + tiny
        exact = (self.ends == 0) | np.isinf(self.ends)
        ends = np.where(exact, self.ends, self.ends + OUTWARD * slack)
        outside = np.abs(ends) > form.most
        nan = self.nan | sure
        if outside.any():
            inner = np.copysign(np.inf if literal else form.most, ends)
            ends = np.where(outside, np.where(ends * OUTWARD > 0, OUTWARD * np.inf, inner), ends)
        over = self.peak > form.most
        if not literal and over.any():
            ends = np.where(over & (self.low != self.high), OUTWARD * np.inf, ends)
            nan = nan | over
        ends = np.where(sure, np.nan, ends)
        small = self.small | ((self.mid != 0) & (np.abs(self.mid) * form.half < tiny))
        return Span(ends, self.mid, nan, small, self.mode, self.peak)

    def to(self, mode: Mode) -> "Span":
        if self.mode.format.half >= mode.format.half:
            return self
        return Span(self.ends, self.mid, self.nan, self.small, mode, self.peak).rounded()

    def _with(self, other: Any) -> tuple["Span", "Span"]:
        other = other if isinstance(other, Span) else Span.exactly(other, self.mode)
        return self.to(other.mode), other.to(self.mode)

    def __add__(self, other: Any) -> "Span":
        a, b = self._with(other)
        ends = a.ends + b.ends
        unknown = np.isnan(ends) & ~np.isnan(a.low) & ~np.isnan(b.low)  # ∞ − ∞
        nan, sure = a.nan | b.nan, False
        if np.isinf(a.ends).any() and np.isinf(b.ends).any():
            nan = nan | ((a.high == -b.low) & np.isinf(a.high) & (a.high > 0))
            nan = nan | ((b.high == -a.low) & np.isinf(b.high) & (b.high > 0))
            ends = np.where(unknown, OUTWARD * np.inf, ends)
            sure = _infinite(a) & _infinite(b) & (a.low == -b.low) & a.mode.literal
        peak = np.fmax(a.peak, b.peak)
        return Span(ends, a.mid + b.mid, nan, a.small | b.small, a.mode, peak).rounded(sure)

    __radd__ = __add__

    def __neg__(self) -> "Span":
        return Span(-self.ends[::-1], -self.mid, self.nan, self.small, self.mode, self.peak)

    def __sub__(self, other: Any) -> "Span":
        return self + (-other)

    def __rsub__(self, other: Any) -> "Span":
        return -self + other

    def __mul__(self, other: Any) -> "Span":
        a, b = self._with(other)
        sure = _nothing(a) & _infinite(b) | _nothing(b) & _infinite(a)
        nan = a.nan | b.nan | (_has_zero(a) & _has_infinity(b)) | (_has_zero(b) & _has_infinity(a))
        ends = _hull(np.stack([a.ends * b.ends, a.ends * b.ends[::-1]]), a, b)
        rest = (nan, a.small | b.small, a.mode, a.peak * b.peak)
        return Span(ends, a.mid * b.mid, *rest).rounded(sure)

    __rmul__ = __mul__

    def __truediv__(self, other: "Span") -> "Span":
        """By a value that is not negative, nor −0."""
        a, b = self._with(other)
        below = np.maximum(b.ends, 0)
        sure = _nothing(a) & _nothing(b) | _infinite(a) & _infinite(b)
        nan = (
            a.nan | b.nan | (_has_zero(a) & (below[0] == 0)) | (_has_infinity(a) & _has_infinity(b))
        )
        ends = _hull(np.stack([a.ends / below, a.ends / below[::-1]]), a, b)
        rest = (nan, a.small | b.small, a.mode, a.peak * np.fmax(1, 1 / below[0]))
        return Span(ends, a.mid / b.mid, *rest).rounded(sure)

    def reciprocal(self) -> "Span":
        """1/x of a value that is not negative, nor −0."""
        ends = 1 / np.maximum(self.ends[::-1], 0)
        return Span(ends, 1 / self.mid, self.nan, self.small, self.mode).rounded()

    def sqrt(self) -> "Span":
        ends, nan = np.sqrt(np.maximum(self.ends, 0)), self.nan | (self.low < 0)
        root = Span(ends, np.sqrt(self.mid), nan, self.small, self.mode)
        return root.rounded(self.high < 0)

    def grows(self, function: Callable[[Any], Any], half_ulps: float = 0) -> "Span":
        """A function that never decreases."""
        ends, mid = function(self.ends), function(self.mid)
        result = Span(ends, mid, self.nan, self.small, self.mode)
        return result.rounded(False, half_ulps) if half_ulps else result

    def abs(self) -> "Span":
        inside = (self.low < 0) & (self.high > 0)
        sizes = np.abs(self.ends)
        ends = np.stack([np.where(inside, 0, sizes.min(0)), sizes.max(0)])
        return Span(ends, np.abs(self.mid), self.nan, self.small, self.mode)

    def maximum(self, other: "Span") -> "Span":
        ends, mid = np.maximum(self.ends, other.ends), np.maximum(self.mid, other.mid)
        return Span(ends, mid, self.nan | other.nan, self.small | other.small, self.mode)

    def either(self, other: "Span") -> "Span":
        """What this one may be, or the other."""
        low, high = np.fmin(self.low, other.low), np.fmax(self.high, other.high)
        either = (self.nan | other.nan, self.small | other.small)
        return Span(np.stack([low, high]), self.mid, *either, self.mode)

    def where(self, mask: Any, other: "Span") -> "Span":
        """This one where ``mask`` is, the other elsewhere."""

        def chosen(name: str) -> Any:
            return np.where(mask, getattr(self, name), getattr(other, name))

        return Span(chosen("ends"), chosen("mid"), chosen("nan"), chosen("small"), self.mode)


OUTWARD = np.array([[-1.0], [1.0]])


def _hull(x: Any, a: Span, b: Span) -> Any:
    """Least and largest of four numbers. One that is NaN stands for 0·∞, of which NaN is told apart
    from 0 elsewhere."""
    x = np.where(np.isnan(x) & ~np.isnan(a.low) & ~np.isnan(b.low), 0, x)
    return np.stack([x.min((0, 1)), x.max((0, 1))])


def _infinite(x: Span) -> Any:
    return np.isinf(x.low) & (x.low == x.high)


def _nothing(x: Span) -> Any:
    return (x.low == 0) & (x.high == 0)


def _has_zero(x: Span) -> Any:
    return (x.low <= 0) & (x.high >= 0)


def _has_infinity(x: Span) -> Any:
    return np.isinf(x.low) | np.isinf(x.high)


# The formulas, in their order; h holds the hyperparameters as Spans in double precision, and flags.

Buffers = dict[str, Span]


def direction(base: str, h: dict, g: Span, s: Buffers, t: Any) -> tuple[Span, Buffers]:
    """d = m·l of step t, and the buffers after it."""
    if base == "sgd":
        if not h["momentum"]:
            return g, {}
        b = h["momentum"] * s["momentum_buffer"] + (1 - h["dampening"]) * g
        b = g.where(t == 1, b)
        return (g + h["momentum"] * b if h["nesterov"] else b), {"momentum_buffer": b}
    if base == "adagrad":
        total = s["sum"] + g * g
        slow = 1 + Span.exactly(t - 1, h["lr"].mode) * h["lr_decay"]
        return g * (slow * (total.sqrt() + h["eps"])).reciprocal(), {"sum": total}
    if base == "rmsprop":
        return _rmsprop(h, g, s)
    beta1, beta2 = h["betas"]
    first = _mean(beta1, s["exp_avg"], g)
    v = beta2 * s["exp_avg_sq"] + (1 - beta2) * g * g
    new = {"exp_avg": first, "exp_avg_sq": v}
    if h["amsgrad"]:
        v = new["max_exp_avg_sq"] = s["max_exp_avg_sq"].maximum(v)
    unbias1, unbias2 = ((1 - _power(b, t)).reciprocal() for b in (beta1, beta2))
    return (first * unbias1) * (v.sqrt() * unbias2.sqrt() + h["eps"]).reciprocal(), new


def _mean(beta: Span, m: Span, g: Span) -> Span:
    """β·m + (1 − β)·g as torch writes it; torch.lerp starts from the nearer end, which only matters
    where g − m overflows."""
    mean = m + (1 - beta) * (g - m)
    return mean if m.mode.literal else mean.either(g - beta * (g - m))


def _power(b: Span, t: Any) -> Span:
    return b.grows(lambda x: x**t, FUNCTION)


def _rmsprop(h: dict, g: Span, s: Buffers) -> tuple[Span, Buffers]:
    v = new_v = h["alpha"] * s["square_avg"] + (1 - h["alpha"]) * g * g
    new = {"square_avg": new_v}
    if h["centered"]:
        mean = new["grad_avg"] = _mean(h["alpha"], s["grad_avg"], g)
        v = v - mean * mean
    size = v.sqrt() + h["eps"]
    if not h["momentum"]:
        return g * size.reciprocal(), new
    b = new["momentum_buffer"] = h["momentum"] * s["momentum_buffer"] + g / size
    return b, new


def change(rule: str, h: dict, theta: Span, d: Span, mode: Mode) -> Span:
    """ξ(θ, d)."""
    eta = h["lr"]
    eta_out = eta if h["eta_out"] is None else h["eta_out"]
    if rule == "additive":
        return eta * d
    if rule == "exponential":
        return _shrink(theta, -eta * d * theta.grows(np.sign), mode)
    bounded = (h["eta_in"] * d).grows(np.tanh, mode.function)
    if rule == "power":
        exponent = (Span.exactly(-math.log(2), eta.mode) * eta_out) * bounded
        return _shrink(theta, exponent * theta.grows(np.sign), mode)
    relative = eta_out * (theta.abs() * bounded)
    gamma = h["gamma"] if rule == "hybrid" else 1.0
    if isinstance(gamma, float):
        return relative if gamma else eta * d
    return gamma * relative + (1 - gamma) * (eta * d)


def _shrink(theta: Span, x: Span, mode: Mode) -> Span:
    """θ·(1 − eˣ), where eˣ is no less than half an ulp of 1: a weight never becomes zero."""
    least = Wide(mode.format.half) - 1
    shrunk = x.grows(np.expm1, mode.function).grows(lambda e: np.maximum(e, least))
    return -theta * shrunk


def reference(
    base: str, rule: str, h: dict, theta: Span, g: Span, s: Buffers, t: Any
) -> tuple[Span, Span, Buffers]:
    """θ after step t, the θ that the rule sees, and the buffers after the step."""
    mode = theta.mode
    g = -g if h["maximize"] else g
    if h["weight_decay"] and h["decoupled"]:
        theta = theta * (1 - h["lr"] * h["weight_decay"])
    elif h["weight_decay"]:
        g = g + h["weight_decay"] * theta
    d, buffers = direction(base, h, g, s, t)
    return theta - change(rule, h, theta, d, mode), theta, buffers


# Cases.

Tuples = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Program:
    """What decides which operations a step has: everything but numbers and shapes."""

    base: str
    rule: str
    dtype: torch.dtype
    fixed: Tuples
    spares: bool
    """Whether there may be tensors that are all zero and that the additive rule steps instead."""


@dataclass(frozen=True)
class Case:
    """Some tensors and some steps; ``print`` it and `run` it again."""

    program: Program
    numbers: Tuples
    shapes: tuple[tuple[tuple[int, ...], str, str], ...]
    """Shape, layout and kind of numbers of each tensor."""
    gradients: tuple[tuple[str, ...], ...]
    """For each step the kind of numbers of each gradient; "none" for a missing one."""
    seed: int

    @property
    def options(self) -> dict[str, Any]:
        """What the optimizer is made with."""
        rule = {"rule": self.program.rule}
        return dict(self.program.fixed) | dict(self.numbers) | rule

    @property
    def spares_zeros(self) -> bool:
        """Whether tensors that are all zero at the start are left to the additive rule."""
        rule, options = self.program.rule, self.options
        moves_zeros = rule == "additive" or (rule == "hybrid" and options["gamma"] != 1)
        return options["zero_init"] == "additive" and not moves_zeros


# Of each hyperparameter: usual values, extreme ones.
NUMBERS: dict[str, tuple[tuple, tuple]] = {
    "lr": ((1e-3, 0.1, 0.01, 0.5), (0.0, 1e-30, 1e30, 10.0, 1e-7, 3.0)),
    "eta_in": ((1.0, 10.0, 0.3), (1e-30, 1e30, 1e5, 1e-5)),
    "eta_out": ((0.1, 1e-3, 0.9), (1.0, 30.0, 1e-30, 1e30, 200.0)),
    "gamma": ((0.5, 0.9, 0.01), (1e-30, 1 - 2.0**-40)),
    "weight_decay": ((0.1, 1e-4), (10.0, 1e-30, 1e30, 1.0)),
    "momentum": ((0.9, 0.5), (1.0, 1e-30, 3.0, 0.9999)),
    "dampening": ((0.0, 0.5), (1.0, -1.0, 30.0)),
    "lr_decay": ((0.0, 0.1), (1e-30, 1e30)),
    "initial_accumulator_value": ((0.0, 0.1), (100.0, 1e-5)),
    "eps": ((1e-8, 1e-4), (0.0, 1e-30, 1e-45, 1.0, 1e30)),
    "alpha": ((0.99, 0.9), (0.0, 1.0, 0.999999, 1.5)),
    "betas": (
        ((0.9, 0.999), (0.8, 0.95)),
        ((0.0, 0.999), (0.9, 0.0), (0.0, 0.0), (0.999999, 0.9999999), (0.5, 0.25)),
    ),
}
OWN = {
    "sgd": ("momentum", "dampening"),
    "adagrad": ("lr_decay", "initial_accumulator_value", "eps"),
    "rmsprop": ("alpha", "eps", "momentum"),
    "adam": ("betas", "eps"),
    "adamw": ("betas", "eps"),
}
SWITCHES = {"sgd": ("nesterov",), "rmsprop": ("centered",), "adagrad": ()}
SWITCHES |= {"adam": ("amsgrad", "decoupled_weight_decay"), "adamw": ("amsgrad",)}
SHAPES = ((), (1,), (7,), (40,), (0,), (3, 0), (5, 7), (6, 8), (4, 3, 2, 2), (2, 3, 2, 2, 2))
KINDS = ("normal", "normal", "large and small", "any", "special", "tiny")
TAME = ("normal", "normal", "large and small")


def draw_program(
    rng: np.random.Generator,
    dtype: torch.dtype | None = None,
    base: str | None = None,
    rule: str | None = None,
) -> Program:
    """Any program of what is given."""
    base, rule = base or str(rng.choice(list(BASES))), rule or str(rng.choice(RULES))
    dtype = dtype or DTYPES[rng.integers(4)]
    fixed: dict[str, Any] = {name: bool(rng.random() < 0.4) for name in SWITCHES[base]}
    fixed["maximize"] = bool(rng.random() < 0.25)
    if rng.random() < 0.5:
        fixed["weight_decay"] = 0.0
    if "momentum" in OWN[base] and not fixed.get("nesterov") and rng.random() < 0.4:
        fixed["momentum"] = 0.0
    if fixed.get("nesterov"):
        fixed["dampening"] = 0.0
    if rng.random() < 0.5:
        fixed["eta_out"] = None
    if rule == "hybrid" and rng.random() < 0.3:
        fixed["gamma"] = float(rng.integers(2))
    fixed["zero_init"] = "additive" if rng.random() < 0.8 else "freeze"
    return Program(base, rule, dtype, tuple(fixed.items()), bool(rng.random() < 0.6))


def draw(rng: np.random.Generator, program: Program) -> Case:
    """A case of that program: two thirds with usual hyperparameters, a third with ordinary numbers
    as well."""
    tame = rng.random()
    numbers = {}
    for name in ("lr", "eta_in", "eta_out", "gamma", "weight_decay", *OWN[program.base]):
        if name not in dict(program.fixed):
            usual, extreme = NUMBERS[name]
            pool = usual if tame < 0.67 or rng.random() < 0.5 else (*usual, *extreme)
            numbers[name] = pool[rng.integers(len(pool))]
    kinds = TAME if tame < 0.33 else KINDS
    count, steps = int(rng.integers(1, 5)), int(rng.integers(2, 4))
    shapes = tuple(_draw_tensor(rng, kinds) for _ in range(count))
    gradients = tuple(
        tuple(str(rng.choice((*kinds, "zeros", "none", *kinds))) for _ in range(count))
        for _ in range(steps)
    )
    return Case(program, tuple(numbers.items()), shapes, gradients, int(rng.integers(2**31)))


def _draw_tensor(
    rng: np.random.Generator, kinds: tuple[str, ...]
) -> tuple[tuple[int, ...], str, str]:
    shape = SHAPES[rng.integers(len(SHAPES))]
    layouts = {1: ["plain", "holes"], 2: ["plain", "transposed", "holes"]}
    layout = str(rng.choice(layouts.get(len(shape), ["plain"])))
    if len(shape) in (4, 5):
        layout = str(rng.choice(["plain", "channels last"]))
    return shape, layout, str(rng.choice((*kinds, "zeros")))


def values(rng: np.random.Generator, kind: str, shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    """Numbers of a kind, in double precision; some are zero."""
    info = torch.finfo(dtype)
    x = rng.standard_normal(shape)
    if kind == "large and small":
        x = x * 10.0 ** rng.uniform(-3, 3, shape)
    elif kind == "any":
        low, high = math.log2(info.tiny), math.log2(info.max)
        x = np.sign(x) * 2.0 ** rng.uniform(low, high, shape)
    elif kind == "tiny":
        subnormal = rng.integers(1, 1000, shape) * info.smallest_normal * info.eps
        x = np.sign(x) * np.where(rng.random(shape) < 0.5, subnormal, info.tiny * (1 + x * x))
    elif kind == "special":
        known = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, info.max, -info.max, info.tiny]
        x = rng.choice(known, shape)
    return np.where((rng.random(shape) < 0.05) | (kind == "zeros"), 0.0, x)


def tensor(x: Any, layout: str, dtype: torch.dtype) -> Tensor:
    """A tensor of these values that lies in memory as ``layout`` says."""
    made = torch.from_numpy(np.array(x)).to(dtype)
    if layout == "transposed":
        return made.T.contiguous().T
    if layout == "holes":
        return made.repeat_interleave(2, dim=-1)[..., ::2]
    if layout == "channels last":
        kind = torch.channels_last if made.dim() == 4 else torch.channels_last_3d
        return made.contiguous(memory_format=kind)
    return made


# One case along one path.


@dataclass
class Outcome:
    """What was found.

    Attributes:
        failures: one line each.
        errors: of weights and of buffers, |new − exact| in eps of the dtype, relative to the
            largest of what was, what is and the change; where that is well-conditioned.
        other: how many elements are ill-conditioned, not finite or too small for that; there only
            the allowed interval counts.
    """

    failures: list[str] = field(default_factory=list)
    errors: dict[str, list[Any]] = field(default_factory=lambda: {"weights": [], "buffers": []})
    other: Counter[str] = field(default_factory=Counter)


def run(case: Case, path: str) -> Outcome:
    """Step the case along the path and hold every step to the reference."""
    trial = _Trial(case, path)
    with np.errstate(all="ignore"):
        for kinds in case.gradients:
            trial.step(kinds)
    return trial.outcome


def mode_of(path: str, dtype: torch.dtype) -> Mode:
    form = DOUBLE if dtype == torch.float64 else SINGLE
    fast = path == "fused" and form is SINGLE
    return Mode(form, FAST_FUNCTION if fast else FUNCTION, path != "foreach")


STATE = ("momentum_buffer", "sum", "square_avg", "grad_avg", "exp_avg", "exp_avg_sq")
STATE += ("max_exp_avg_sq",)


@dataclass
class _Item:
    """A parameter, and what its next step starts from."""

    p: Tensor
    steps: int = 0
    zero_start: bool = False
    held: dict[str, Any] = field(default_factory=dict)

    def begin(self, state: dict[str, Any]) -> None:
        zeros = np.zeros(self.p.numel(), Wide)
        self.held = {"p": _flat(self.p)}
        self.held |= {n: zeros if state.get(n) is None else _flat(state[n]) for n in STATE}
        if self.p.grad is not None:
            self.steps += 1
            if self.steps == 1:
                self.zero_start = self.p.numel() > 0 and not self.held["p"].any()


class _Trial:
    """A case on its way along a path."""

    def __init__(self, case: Case, path: str) -> None:
        self.case, self.dtype = case, case.program.dtype
        self.mode = mode_of(path, self.dtype)
        self.rng = np.random.default_rng(case.seed)
        self.items = [_Item(p) for p in self._parameters()]
        params = [item.p for item in self.items]
        self.optimizer = BASES[case.program.base](params, **case.options, **PATHS[path])
        self.h = _hyperparameters(case, self.mode)
        self.outcome = Outcome()

    def _parameters(self) -> Iterator[Tensor]:
        for shape, layout, kind in self.case.shapes:
            x = np.asarray(values(self.rng, kind, shape, self.dtype))
            if not self.case.program.spares and not x.any() and self.case.spares_zeros:
                x = x + 1.0
            yield tensor(x, layout, self.dtype).requires_grad_()

    def _gradient(self, p: Tensor, kind: str) -> Tensor | None:
        g = tensor(values(self.rng, kind, tuple(p.shape), p.dtype), "plain", p.dtype)
        layout = self.rng.random()
        if g.dim() == 2 and layout < 0.4:
            g = g.T.contiguous().T if layout < 0.2 else g[:, :1].expand(g.shape)
        return None if kind == "none" else g

    def step(self, kinds: tuple[str, ...]) -> None:
        for item, kind in zip(self.items, kinds, strict=True):
            item.p.grad = self._gradient(item.p, kind)
            item.begin(self.optimizer.state.get(item.p, {}))
        self.optimizer.step()
        for spared in (False, True):
            some = [
                item
                for item in self.items
                if item.p.grad is not None
                and (item.zero_start and self.case.spares_zeros) == spared
            ]
            if some:
                self._compare(some, "additive" if spared else self.case.program.rule)
        for item in self.items:
            if item.p.grad is None and not _same(item.held["p"], _flat(item.p)):
                self.outcome.failures.append("a tensor without a gradient has moved")

    def _compare(self, items: list[_Item], rule: str) -> None:
        """Hold what some tensors have become to the reference."""
        old = {n: np.concatenate([item.held[n] for item in items]) for n in ("p", *STATE)}
        g = np.concatenate([_flat(x) for x in (item.p.grad for item in items) if x is not None])
        t = np.concatenate([np.full(item.p.numel(), item.steps, Wide) for item in items])
        spans = {n: Span.exactly(x, self.mode) for n, x in old.items()}
        theta, seen, buffers = reference(
            self.case.program.base, rule, self.h, spans["p"], Span.exactly(g, self.mode), spans, t
        )

        def told(i: int) -> str:
            held = ", ".join(f"{n} {x[i]}" for n, x in old.items() if x[i] != 0 or n == "p")
            return f"step {t[i]:g}, g {g[i]}, {held}"

        new = np.concatenate([_flat(item.p) for item in items])
        if rule in ("exponential", "power"):
            self._keeps_signs(seen, new)
        self._judge("weights", theta, old["p"], new, told)
        for name, span in buffers.items():
            new = np.concatenate([_flat(self.optimizer.state[item.p][name]) for item in items])
            self._judge(name, span, old[name], new, told)

    def _keeps_signs(self, seen: Span, new: Any) -> None:
        """These rules keep the sign of every weight, which never becomes zero, unless the dtype has
        no number so small."""
        known = np.isfinite(new) & (seen.low * seen.high > 0)
        large = np.abs(seen.mid) * SINGLE.half > torch.finfo(self.dtype).tiny
        bad = known & ((new * seen.mid < 0) | (large & (new == 0)))
        for i in np.flatnonzero(bad)[:1]:
            self.outcome.failures.append(f"a weight of {seen.mid[i]} became {new[i]}")

    def _judge(self, name: str, span: Span, old: Any, new: Any, told: Callable[[int], str]) -> None:
        low, high = _stored(span.low, self.dtype), _stored(span.high, self.dtype)
        fine = ((low <= new) & (new <= high)) | (np.isnan(new) & span.nan)
        for i in np.flatnonzero(~fine)[:3]:
            may = f"{span.low[i]} to {span.high[i]}{' or nan' if span.nan[i] else ''}"
            self.outcome.failures.append(f"{name} {new[i]}, may be {may}; {told(i)}")
        self._measure("weights" if name == "weights" else "buffers", span, old, new)

    def _measure(self, what: str, span: Span, old: Any, new: Any) -> None:
        info, error = torch.finfo(self.dtype), np.abs(new - span.mid)
        size = np.maximum(np.maximum(np.abs(old), np.abs(span.mid)), np.abs(span.mid - old))
        size = np.maximum(size, info.tiny)
        well = np.isfinite(new) & (span.high - span.low <= WELL * self.mode.format.half * size)
        # Where the exact value is outside, something has left the range of the dtype on its way.
        well &= (span.low <= span.mid) & (span.mid <= span.high) & ~span.small
        self.outcome.errors[what].append((error / (info.eps * size))[well].astype(float))
        self.outcome.other[what] += int((~well).sum())


WELL = 128
"""Half ulps that an interval may be wide for its element to count as well-conditioned."""


def _hyperparameters(case: Case, mode: Mode) -> dict[str, Any]:
    """As the reference takes them: Spans, but for flags and values at which a term vanishes."""
    h: dict[str, Any] = {"momentum": 0.0, "maximize": False, "eta_out": None, "gamma": 0.5}
    h |= case.options
    h["decoupled"] = h.get("decoupled_weight_decay") or case.program.base == "adamw"
    ends = {"momentum": (0.0,), "weight_decay": (0.0,), "gamma": (0.0, 1.0)}
    scalar = mode._replace(format=DOUBLE)
    for name, x in h.items():
        if name == "betas":
            h[name] = tuple(Span.exactly(b, scalar) for b in x)
        elif isinstance(x, float) and x not in ends.get(name, ()):
            h[name] = Span.exactly(x, scalar)
    return h


def _flat(x: Tensor) -> Any:
    return x.detach().double().reshape(-1).numpy().astype(Wide)


def _same(a: Any, b: Any) -> bool:
    return np.array_equal(a, b, equal_nan=True)


def _stored(x: Any, dtype: torch.dtype) -> Any:
    """Rounded as a short float is when it is stored; others are not rounded again."""
    if dtype not in (torch.bfloat16, torch.float16):
        return x
    return _flat(torch.from_numpy(x.astype(np.float64)).to(dtype))
