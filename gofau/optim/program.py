"""A step as data: the operations that `update` performs on one tensor, recorded once.

The direction and the rule are run a single time on tiny tensors while a dispatch mode writes down
every elementwise operation. The record serves both fast paths (many tensors at once, or C code), so
the mathematics is stated once and a registered rule is fast without knowing it.

Hyperparameters are 0-d inputs of the record, so that their values can change freely. Only what
changes which operations there are is baked in: flags, and the values in `BAKED`.
"""

import functools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode  # documented; "Extending PyTorch"

from gofau.optim.checks import FLAGS, RANGES
from gofau.optim.directions import Direction, Group
from gofau.optim.rules import Rule
from gofau.optim.tanh import tanh
from gofau.optim.update import update

BAKED: Mapping[str, tuple[float, ...]] = {"weight_decay": (0,), "momentum": (0,), "alpha": (0, 1)}
"""Values at which a term of the step vanishes, so that it need not (and, as 0·inf is no zero, must
not) be computed. Crossing one is another program; every other change of value is not."""

SAME = ("detach", "alias", "lift_fresh", "clone", "_to_copy")
HARMLESS = ("dtype", "layout", "device", "pin_memory", "memory_format")


logger = logging.getLogger(__name__)


@functools.cache
def log_once(message: str) -> None:
    """Tell in the log, not as a warning, that a step goes a slower way than it might."""
    logger.info(message)


class Unsupported(Exception):
    """The step does something that is not an elementwise operation on tensors of one shape."""


class Value(NamedTuple):
    """An input or a result of an operation, by number."""

    number: int


@dataclass(frozen=True)
class Operation:
    """``out = function(*args, **options)``; args are Values and Python numbers.

    ``name`` is that of torch's operator and overload, as in "mul.Tensor".
    """

    name: str
    function: Any
    args: tuple[Any, ...]
    options: dict[str, float]
    out: Value


@dataclass(eq=False)  # known by identity, so that what is compiled of it can be found
class Program:
    """A recorded step.

    Attributes:
        tensors: inputs of the parameter's shape: "p", "g" and the direction's buffers.
        scalars: 0-d inputs: "t" and the names of hyperparameters ("betas.0" for a pair's first).
        operations: in order of execution.
        stores: what is left in which tensor at the end.
        kinds: of every value: (0-d?, boolean?).
    """

    tensors: dict[str, Value] = field(default_factory=dict)
    scalars: dict[str, Value] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    stores: dict[str, Value] = field(default_factory=dict)
    kinds: dict[Value, tuple[bool, bool]] = field(default_factory=dict)

    def is_scalar(self, value: Value) -> bool:
        return self.kinds[value][0]

    def is_boolean(self, value: Value) -> bool:
        return self.kinds[value][1]


def split(rule: Rule, group: Group) -> tuple[dict[str, Any], dict[str, Any]]:
    """The group's hyperparameters as (those a program has baked in, those it takes as inputs)."""
    baked: dict[str, Any] = {"decoupled_weight_decay": group.get("decoupled_weight_decay", False)}
    free: dict[str, Any] = {}
    for name in (*RANGES, *FLAGS, *rule.hyperparameters):
        if name not in group:
            continue
        value = group[name]
        if name == "betas":
            free |= {f"betas.{i}": beta for i, beta in enumerate(value)}
        elif isinstance(value, bool) or not isinstance(value, (int, float, Tensor)):
            baked[name] = value
        elif not isinstance(value, Tensor) and value in BAKED.get(name, ()):
            baked[name] = float(value)
        else:
            free[name] = value
    return baked, free


def join(baked: dict[str, Any], free: Mapping[str, Any]) -> Group:
    """`split` undone: a group again, of whatever ``free`` holds."""
    group = baked | {name: x for name, x in free.items() if "." not in name}
    if "betas.0" in free:
        group["betas"] = (free["betas.0"], free["betas.1"])
    return group


def record(
    direction: Direction,
    rule: Rule,
    baked: dict[str, Any],
    free: Iterable[str],
    dtype: torch.dtype = torch.float32,
    rational_tanh: bool = False,
) -> Program:
    """Run `update` once and write down what it does.

    Args:
        direction, rule: whose step.
        baked, free: as `split` gave them; of ``free`` only the names count.
        dtype: what is computed in.
        rational_tanh: write tanh down as the arithmetic of `gofau.optim.tanh`.

    Raises:
        Unsupported: the step cannot be written as such a program.
    """
    scalars = {name: torch.tensor(0.5, dtype=torch.float64) for name in ("t", *free)}
    group = join(baked, {name: x for name, x in scalars.items() if name != "t"})
    # Two elements, so that nothing is mistaken for a scalar; none that makes a branch special.
    names = ("p", "g", *direction.buffers(group))
    tensors = {name: torch.full((2,), 0.25 + i, dtype=dtype) for i, name in enumerate(names)}
    state = {name: tensors[name] for name in names[2:]}
    recorder = _Recorder(dtype, rational_tanh, tensors, scalars)
    try:
        with torch.no_grad(), recorder:
            h = group | direction.coefficients(scalars["t"], group)
            update(direction, rule, tensors["p"], tensors["g"], state, h)
    except Unsupported:
        raise
    except Exception as e:  # whatever a registered rule does that only real tensors can do
        raise Unsupported(f"{type(e).__name__}: {e}") from e
    if any(state[name] is not tensors[name] for name in state):
        raise Unsupported("a buffer is replaced, not updated")
    return recorder.finish(tensors)


class _Recorder(TorchDispatchMode):
    """Writes every operation down; a tensor is known by its identity, so all are kept alive."""

    def __init__(
        self,
        dtype: torch.dtype,
        rational_tanh: bool,
        tensors: dict[str, Tensor],
        scalars: dict[str, Tensor],
    ) -> None:
        super().__init__()
        self.program = Program()
        self.known: dict[int, Value] = {}
        self.alive: list[Tensor] = []
        self.dtype = dtype
        self.rational_tanh = rational_tanh
        self.program.tensors = {name: self._new(x) for name, x in tensors.items()}
        self.program.scalars = {name: self._new(x) for name, x in scalars.items()}
        self.start = dict(self.program.tensors)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten.tanh.default and self.rational_tanh and args[0].dim():
            with self:
                return tanh(args[0])
        out = func(*args, **kwargs)
        if not isinstance(out, Tensor):
            raise Unsupported(f"{func}")
        options = {name: x for name, x in kwargs.items() if name not in HARMLESS}
        if not all(isinstance(x, (bool, int, float)) for x in options.values()):
            raise Unsupported(f"{func} with {', '.join(options)}")
        self._write(func, args, options, out)
        return out

    def _write(self, func: Any, args: tuple[Any, ...], options: Any, out: Tensor) -> None:
        values = tuple(self._value(a) for a in args)
        name = func._schema.name.removeprefix("aten::")
        if name in SAME or name == "copy_":
            if out.dim() and out.dtype != args[0].dtype != torch.bool:
                raise Unsupported(f"a change of dtype to {out.dtype}")
            self.known[id(out)] = values[1 if name == "copy_" else 0]
            self.alive.append(out)
            return
        if func._schema.is_mutable:
            name = name.removesuffix("_")
            func = getattr(getattr(torch.ops.aten, name), func._overloadname)
        name = f"{name}.{func._overloadname}"
        self.program.operations.append(Operation(name, func, values, options, self._new(out)))

    def _new(self, x: Tensor) -> Value:
        if x.dim() and (x.shape != (2,) or x.dtype not in (self.dtype, torch.bool)):
            raise Unsupported(f"a tensor of shape {tuple(x.shape)} and {x.dtype}")
        value = Value(len(self.program.kinds))
        self.program.kinds[value] = (x.dim() == 0, x.dtype == torch.bool)
        self.known[id(x)] = value
        self.alive.append(x)
        return value

    def _value(self, x: Any) -> Any:
        if isinstance(x, Tensor):
            if id(x) not in self.known:  # made outside, a constant of a registered rule
                if x.numel() != 1:
                    raise Unsupported("a constant tensor")
                return x.item()
            return self.known[id(x)]
        if x is None or isinstance(x, (bool, int, float)):
            return x
        raise Unsupported(f"an argument {x!r}")

    def finish(self, tensors: dict[str, Tensor]) -> Program:
        ends = {name: self.known[id(x)] for name, x in tensors.items()}
        if ends["g"] != self.start["g"]:
            raise Unsupported("the gradient is modified")
        self.program.stores = {n: v for n, v in ends.items() if v != self.start[n]}
        return self.program
