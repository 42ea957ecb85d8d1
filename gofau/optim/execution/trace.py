"""Record the operations of `update` on one tensor, so that they can be run on many.

The direction and the rule run on tiny tensors while a dispatch mode records every elementwise
operation. All fast paths (lists of tensors, C code) use the record. So the mathematics is written
once, and a registered rule is fast without further code.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode  # documented: "Extending PyTorch"

from gofau.optim.directions import Direction
from gofau.optim.execution.program import Operation, Program, Unsupported, Value, join
from gofau.optim.execution.tanh import tanh
from gofau.optim.rules import Rule
from gofau.optim.stepsize import BASE
from gofau.optim.update import Statement, update

SAME = ("detach", "alias", "lift_fresh", "clone", "_to_copy")
HARMLESS = ("dtype", "layout", "device", "pin_memory", "memory_format")


def record(
    direction: Direction,
    rule: Rule,
    baked: dict[str, Any],
    free: Iterable[str],
    dtype: torch.dtype = torch.float32,
    rational_tanh: bool = False,
    statement: Statement = update,
) -> Program:
    """Run a step's statement once and record its operations.

    Args:
        direction, rule: the direction and the rule of the step.
        baked, free: the result of `split`; only the names of ``free`` are used.
        dtype: the dtype in which the step is computed.
        rational_tanh: record tanh as the arithmetic of `gofau.optim.execution.tanh`.
        statement: the definition of the step of one tensor, with the signature of `update`.

    Raises:
        Unsupported: the step cannot be written as such a program.
    """
    names = list(free)
    # Twice, with tensors of different sizes: a rule that depends on the size is found out.
    two, three = (
        _run(statement, direction, rule, baked, names, _Recorder(dtype, rational_tanh, size))
        for size in (2, 3)
    )
    if two.operations != three.operations:
        raise Unsupported("what it does depends on the size of the tensor")
    return two


def _run(
    statement: Statement,
    direction: Direction,
    rule: Rule,
    baked: dict[str, Any],
    free: list[str],
    recorder: "_Recorder",
) -> Program:
    buffers = direction.buffers(join(baked, dict.fromkeys(free, 1.0)))
    tensors, scalars = recorder.inputs(("p", "g", *buffers), ("t", *free))
    group = join(baked, {name: scalars[name] for name in free})
    state = {name: tensors[name] for name in buffers}
    try:
        with torch.no_grad(), recorder:
            h = group | direction.coefficients(scalars["t"], group)
            # Only with the base's step size: others need more than elementwise operations.
            new = statement(direction, BASE, _watched(rule), tensors["p"], tensors["g"], state, h)
    except Unsupported:
        raise
    except Exception as e:  # a registered rule may raise anything when it gets these tensors
        raise Unsupported(f"{type(e).__name__}: {e}") from e
    if any(state[name] is not tensors[name] for name in state):
        raise Unsupported("a buffer is replaced, not updated")
    return recorder.finish(tensors, new)


def _watched(rule: Rule) -> Rule:
    """The rule, with an error if it reads anything of a tensor except its values and dtype."""

    @wraps(rule.xi)
    def xi(*args: Any, **kwargs: Any) -> Tensor:
        with _ValuesOnly():
            return rule.xi(*args, **kwargs)

    return replace(rule, xi=xi)


class _ValuesOnly(TorchFunctionMode):
    """Refuses to tell a tensor's shape, layout or device, which differ between the tensors that use
    the record. The dtype is allowed: there is one record per dtype."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        what = getattr(getattr(func, "__self__", None), "__name__", "")  # of a property's getter
        if name in _QUESTIONS or (name == "__get__" and what != "dtype"):
            raise Unsupported(f"it asks for {what or name} of a tensor")
        return func(*args, **(kwargs or {}))


_QUESTIONS = (
    "size dim numel nelement ndimension stride storage_offset data_ptr is_contiguous __len__"
)
_QUESTIONS = tuple(_QUESTIONS.split())


class _Recorder(TorchDispatchMode):
    """Records every operation. Tensors are identified by id(), so all are kept alive: the id of a
    freed one could be used again."""

    def __init__(self, dtype: torch.dtype, rational_tanh: bool, size: int) -> None:
        super().__init__()
        self.program = Program()
        self.known: dict[int, Value] = {}
        self.alive: list[Tensor] = []
        self.dtype = dtype
        self.rational_tanh = rational_tanh
        self.size = size

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # No step is recorded while dynamo traces; skipping dynamo would import it, for seconds.
        return False

    def inputs(
        self, tensors: Iterable[str], scalars: Iterable[str]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The program's inputs. Their values are ordinary ones: 0 or 1 would be special cases of
        some formulas."""
        of_size = {n: torch.full((self.size,), 0.25, dtype=self.dtype) for n in tensors}
        single = {name: torch.tensor(0.5, dtype=torch.float64) for name in scalars}
        self.program.tensors = {name: self._new(x) for name, x in of_size.items()}
        self.program.scalars = {name: self._new(x) for name, x in single.items()}
        return of_size, single

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
        # A copy is no operation of the record: its result is the same value.
        if name in SAME or name == "copy_":
            if out.dim() and out.dtype != args[0].dtype != torch.bool:
                raise Unsupported(f"a change of dtype to {out.dtype}")
            self.known[id(out)] = values[1 if name == "copy_" else 0]
            self.alive.append(out)
            return
        if func._schema.returns[0].alias_info is not None and not func._schema.is_mutable:
            raise Unsupported(f"a view, {name}")
        if func._schema.is_mutable:  # recorded as the operation that returns a new tensor
            name = name.removesuffix("_")
            func = getattr(getattr(torch.ops.aten, name), func._overloadname)
        name = f"{name}.{func._overloadname}"
        if not out.dim() and any(isinstance(a, Tensor) and a.dim() for a in args):
            raise Unsupported(f"{name}, which makes one number of a tensor")
        tensors = tuple(str(a.type) == "Tensor" for a in func._schema.arguments[: len(args)])
        operation = Operation(name, func, values, options, tensors, self._new(out))
        self.program.operations.append(operation)

    def _new(self, x: Tensor) -> Value:
        if x.dim() and (x.shape != (self.size,) or x.dtype not in (self.dtype, torch.bool)):
            raise Unsupported(f"a tensor of shape {tuple(x.shape)} and {x.dtype}")
        value = Value(len(self.program.kinds))
        self.program.kinds[value] = (x.dim() == 0, x.dtype == torch.bool)
        self.known[id(x)] = value
        self.alive.append(x)
        return value

    def _value(self, x: Any) -> Any:
        if isinstance(x, Tensor):
            if id(x) not in self.known:  # made outside the step: a constant of a registered rule
                if x.numel() != 1:
                    raise Unsupported("a constant tensor")
                return x.item()
            return self.known[id(x)]
        if x is None or isinstance(x, (bool, int, float)):
            return x
        raise Unsupported(f"an argument {x!r}")

    def finish(self, tensors: dict[str, Tensor], new: Tensor) -> Program:
        """The finished program. ``new`` are the weights that the statement returned."""
        ends = {name: self.known[id(x)] for name, x in tensors.items()}
        if ends["p"] != self.program.tensors["p"]:
            raise Unsupported("the weights are modified")
        ends["p"] = self.known[id(new)]
        start = self.program.tensors
        if ends["g"] != start["g"]:
            raise Unsupported("the gradient is modified")
        self.program.stores = {n: v for n, v in ends.items() if v != start[n]}
        return self.program
