"""Rewrite a recorded step into few operations, which `foreach` executes instead of the record.

A record has one operation per operator in a formula. torch has list operations that do several of
them at once (x + a·y, x + a·y·z, x + a·y/z, x + a·(y − x)), and two numbers can be multiplied with
each other before one of them is multiplied with a tensor. So a value is kept as a sum Σ c·x until
its elements are needed; x is a tensor, or a product or quotient of two, and c is computed once per
step.

Adam with the additive rule becomes lerp (m), mul and addcmul (v), sqrt, mul and add (√v̂ + ε),
addcdiv (θ), as in torch.optim. Near overflow the order of operations matters: an intermediate value
that is infinite in the plain loop may be finite here, or the other way round. torch's own paths
differ in the same way.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from gofau.optim.execution.foreach.coefficients import Coefficient, Coefficients, needed
from gofau.optim.execution.foreach.instructions import ON_LISTS, Atom, Form, Instruction, Pair
from gofau.optim.execution.program import BAKED, Operation, Program, Value


class Plan:
    """The operations of a program on tensors, rewritten into few instructions.

    Args:
        program: a recorded step.
        short: whether its tensors are short floats, to be computed in float32.
        numbers: names in `BAKED` whose values are numbers and inputs of the program. So their
            values are not those in `BAKED`, which would be constants of another program.

    Attributes:
        instructions: in an order in which they can be executed.
        inputs: the program's tensors, by name.
        stores: by name of an input, the tensor that is written to it at the end.
        coefficients: the 0-d values that the instructions use.
    """

    def __init__(self, program: Program, short: bool = False, numbers: Iterable[str] = ()) -> None:
        program = _without_known_choices(program, numbers)
        self.coefficients = Coefficients(program)
        self.instructions: list[Instruction] = []
        self.inputs = {name: Atom(v.number) for name, v in program.tensors.items()}
        self._program, self._short = program, short
        self._next = len(program.kinds)
        self._emitted: dict[Any, Atom] = {}
        self._forms: dict[Value, Form] = {}
        body = [op for op in program.operations if not program.is_scalar(op.out)]
        self._uses = Counter(a for op in body for a in op.args if isinstance(a, Value))
        targets = {value: name for name, value in program.stores.items()}
        for op in body:
            self._forms[op.out] = self._rewritten(op)
            if op.out in targets:
                target = next(iter(self._form(program.tensors[targets[op.out]]).terms))
                self._atom(op.out, target)
            elif self._uses[op.out] > 1:  # computed once, not in each sum that uses it
                c, x = self._single(op.out)
                self._forms[op.out] = Form({self._computed(x): c})
        self.stores = {name: self._atom(value) for name, value in program.stores.items()}
        self.coefficients.keep(a for i in self.instructions for a in i.args if isinstance(a, Value))

    def _whole(self, a: Any) -> bool:
        return isinstance(a, Value) and not self._program.is_scalar(a)

    def _rewritten(self, op: Operation) -> Form:
        name = op.name.split(".")[0]
        tensors = [a for a in (op.out, *op.args) if self._whole(a)]
        plain = op.options.keys() <= {"alpha"} and not any(map(self._program.is_boolean, tensors))
        if plain and name in _ALGEBRA:
            rewrite: Callable[..., Form] = getattr(self, f"_{name}")
            return rewrite(*op.args, **op.options)
        return self._as_recorded(name, op, plain)

    # One method per operation of `_ALGEBRA`, called with the arguments of the recorded operation.

    def _add(self, a: Any, b: Any, alpha: float = 1.0) -> Form:
        total, more = self._form(a), self._form(b)
        terms = dict(total.terms)
        for x, c in more.terms.items():
            c = self.coefficients.times(alpha, c)
            terms[x] = self.coefficients.plus(terms[x], c) if x in terms else c
        if more.constant is None:
            return Form(terms, total.constant)
        constant = self.coefficients.times(alpha, more.constant)
        if total.constant is not None:
            constant = self.coefficients.plus(total.constant, constant)
        return Form(terms, constant)

    def _sub(self, a: Any, b: Any, alpha: float = 1.0) -> Form:
        return self._add(a, b, -alpha)

    def _rsub(self, a: Any, b: Any, alpha: float = 1.0) -> Form:
        return self._add(b, a, -alpha)

    def _neg(self, a: Any) -> Form:
        return self._scaled(a, -1.0)

    def _mul(self, a: Any, b: Any) -> Form:
        if not self._whole(a) or not self._whole(b):
            return self._scaled(*((a, b) if self._whole(a) else (b, a)))
        (c, x), (k, y) = self._single(a), self._single(b)
        # x · (1/z) becomes the quotient x/z.
        if isinstance(y, Pair) and y.divides and y.a is None:
            x, y = y, x
        if isinstance(x, Pair) and x.divides and x.a is None:
            pair = Pair(True, self._computed(y), x.b)
        else:
            pair = Pair(False, self._computed(x), self._computed(y))
        return Form({pair: self.coefficients.times(c, k)})

    def _div(self, a: Any, b: Any) -> Form:
        if not self._whole(b):
            return self._scaled(a, self.coefficients.over(1.0, b))
        c, x = self._single(a) if self._whole(a) else (a, None)
        k, y = self._single(b)
        pair = Pair(True, None if x is None else self._computed(x), self._computed(y))
        return Form({pair: self.coefficients.over(c, k)})

    def _reciprocal(self, a: Any) -> Form:
        return self._div(1.0, a)

    def _scaled(self, a: Any, c: Coefficient) -> Form:
        form, times = self._form(a), self.coefficients.times
        constant = None if form.constant is None else times(c, form.constant)
        return Form({x: times(c, k) for x, k in form.terms.items()}, constant)

    def _as_recorded(self, name: str, op: Operation, plain: bool) -> Form:
        args = [self._atom(a) if self._whole(a) else a for a in op.args]
        if op.name == "clamp.default" and plain:
            x, *bounds = args
            for side, bound in zip(("clamp_min", "clamp_max"), bounds, strict=False):
                x = x if bound is None else self._emit(side, x, bound)
            return Form({x: 1.0})
        on_lists = plain and name in ON_LISTS and all(isinstance(a, Atom) for a in args)
        return Form({self._emit(name, *args, operation=None if on_lists else op): 1.0})

    # Forms of a value.

    def _form(self, a: Any) -> Form:
        if not self._whole(a):
            return Form(constant=a)
        if a not in self._forms:
            x = self.inputs[next(n for n, v in self._program.tensors.items() if v == a)]
            self._forms[a] = Form({self._emit("widen", x) if self._short else x: 1.0})
        return self._forms[a]

    def _single(self, a: Any) -> tuple[Coefficient, Atom | Pair]:
        """A value as (c, x) for c·x."""
        form = self._form(a)
        if len(form.terms) == 1 and form.constant is None:
            ((x, c),) = form.terms.items()
            return c, x
        if 1.0 not in form.terms.values() and -1.0 in form.terms.values():
            return -1.0, self._total(self._scaled(a, -1.0), None)
        return 1.0, self._total(form, None)

    def _atom(self, a: Any, target: Any = None) -> Atom:
        """Compute a value; from then on its form is the resulting tensor."""
        atom = self._total(self._form(a), target)
        self._forms[a] = Form({atom: 1.0})
        return atom

    def _total(self, form: Form, target: Any) -> Atom:
        """Compute a sum, starting from one of its terms: from ``target`` if it is one of them, else
        from a term with the coefficient 1, which saves a multiplication."""
        terms = dict(form.terms)
        first = [x for x in terms if x == target]
        first += [x for x, c in terms.items() if c == 1 and isinstance(x, Atom)]
        first += [x for x in terms if isinstance(x, Atom)]
        base = first[0] if first else next(iter(terms))
        c, x = terms.pop(base), self._computed(base)
        for y, k in terms.items():
            # (1 − k)·x + k·y is one lerp.
            rest = self.coefficients.plus(1.0, self.coefficients.times(-1.0, k))
            if len(terms) == 1 and c == rest and isinstance(c, Value) and isinstance(y, Atom):
                x, c, terms = self._emit("lerp", x, y, k), 1.0, {}
        x = x if c == 1 else self._emit("scale", x, c)
        # Tensors before products, because their memory may be free sooner.
        for y, k in sorted(terms.items(), key=lambda term: isinstance(term[0], Pair)):
            if isinstance(y, Pair) and y.a is not None:
                x = self._emit("addcdiv" if y.divides else "addcmul", x, y.a, y.b, k)
            else:
                x = self._emit("axpy", x, self._computed(y), k)
        return x if form.constant is None else self._emit("shift", x, form.constant)

    def _computed(self, x: Atom | Pair) -> Atom:
        if isinstance(x, Atom):
            return x
        if x.a is None:
            return self._emit("reciprocal", x.b)
        return self._emit("div" if x.divides else "mul", x.a, x.b)

    def _emit(self, name: str, *args: Any, operation: Operation | None = None) -> Atom:
        """Add an instruction and return its result; equal instructions are added once."""
        key = (name, args, operation and id(operation))
        if key not in self._emitted:
            out = self._emitted[key] = Atom(self._next)
            self._next += 1
            self.instructions.append(Instruction(name, args, out, operation))
        return self._emitted[key]


_ALGEBRA = ("add", "sub", "rsub", "neg", "mul", "div", "reciprocal")


def _without_known_choices(program: Program, numbers: Iterable[str]) -> Program:
    """The program without choices whose result is already known. The hyperparameters ``numbers``
    are not baked in, so the conditions "is it one of the values in `BAKED`?" are all false."""
    baked = {program.scalars[name]: BAKED[name] for name in numbers}
    false = {
        op.out
        for op in program.operations
        if op.name == "eq.Scalar" and op.args[1] in baked.get(op.args[0], ())
    }
    same: dict[Any, Any] = {}
    kept: list[Operation] = []
    for op in program.operations:
        args = tuple(same.get(a, a) if isinstance(a, Value) else a for a in op.args)
        if op.name == "where.self" and args[0] in false:
            same[op.out] = args[2]
        else:
            kept.append(replace(op, args=args))
    stores = {name: same.get(value, value) for name, value in program.stores.items()}
    return replace(program, operations=needed(kept, stores.values()), stores=stores)
