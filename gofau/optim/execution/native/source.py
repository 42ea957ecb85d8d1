"""Write a recorded step as C: one loop that reads every tensor once, computes, and writes once.

Arithmetic is IEEE, operation by operation as recorded, so that the result does not depend on the
compiler. Contraction to fused multiply-add is off, and used explicitly in one case only, where a
product is added to a constant (the polynomials of tanh). What depends only on 0-d values is
computed in double, outside the loop.
"""

import math
import re
from collections import Counter
from typing import Any

import torch

from gofau.optim.execution.native.bounds import bounds_of
from gofau.optim.execution.native.template import TEMPLATE, TYPES
from gofau.optim.execution.program import Operation, Program, Unsupported, Value

_INFIX = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_INFIX |= {"mul": "*", "div": "/", "logical_and": "&", "logical_or": "|", "logical_xor": "^"}
_INFIX |= {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}
_CALLS = "sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh"
_CALLS += " asinh acosh atanh erf erfc floor ceil trunc copysign fmod atan2 hypot pow"
_PAIRS = ("copysign", "fmod", "atan2", "hypot", "pow")
_FORMS = {
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "rsub": "({1} - {0})",
    "neg": "(-{0})",
    "abs": "{fabs}({0})",
    "reciprocal": "(1 / {0})",
    "rsqrt": "(1 / {sqrt}({0}))",
    "square": "({0} * {0})",
    "sign": "(({T})(({0} > 0) - ({0} < 0)))",
    "sgn": "(({T})(({0} > 0) - ({0} < 0)))",
    "sigmoid": "(1 / (1 + {exp}(-{0})))",
    "relu": "({0} < 0 ? 0 : {0})",
    "round": "{rint}({0})",
    "isnan": "({0} != {0})",
    "logical_not": "(!{0})",
    "bitwise_not": "(!{0})",
    "maximum": "(({0} > {1}) | ({0} != {0}) ? {0} : {1})",
    "minimum": "(({0} < {1}) | ({0} != {0}) ? {0} : {1})",
    "clamp_min": "({0} < {1} ? {1} : {0})",
    "clamp_max": "({0} > {1} ? {1} : {0})",
    "where": "({0} ? {1} : {2})",
    "scalar_tensor": "{0}",
    "zeros_like": "0",
    "ones_like": "1",
    "full_like": "{1}",
    "addcmul": "({0} + {value} * {1} * {2})",
    "addcdiv": "({0} + {value} * ({1} / {2}))",
    "lerp": "({2} < 0.5 ? {0} + {2} * ({1} - {0}) : {1} - ({1} - {0}) * (1 - {2}))",
}
_FORMS |= {name: f"({{0}} {sign} {{1}})" for name, sign in _INFIX.items()}
_FORMS |= {name: f"{{{name}}}({{0}})" for name in _CALLS.split()}
_FORMS |= {name: f"{{{name}}}({{0}}, {{1}})" for name in _PAIRS}


def source(program: Program, dtype: torch.dtype) -> str:
    """The C source of ``gofau_step``, a function that steps many tensors of ``dtype``.

    Raises:
        Unsupported: for an operation, this module has no form in C.
    """
    if dtype not in TYPES:
        raise Unsupported(f"parameters of {dtype}")
    kind = TYPES[dtype]
    writer = _Writer(program, kind.compute)
    names = list(program.tensors)
    const = {name: "" if name in program.stores else "const " for name in names}
    return TEMPLATE.format(
        compute=kind.compute,
        stored=kind.stored,
        integer=kind.integer,
        access=kind.access,
        streams=len(names),
        parameters=", ".join(f"{const[n]}S *restrict x{i}" for i, n in enumerate(names)),
        arguments=", ".join(f"(S *)x[{i}] + at" for i in range(len(names))),
        scalars="\n    ".join(writer.scalars),
        small=" && ".join(writer.small) or "0",
        passed=", ".join(f"x{i}" for i in range(len(names))),
        loads="\n        ".join(
            f"const T v{program.tensors[n].number} = LOAD(x{i}[i]);" for i, n in enumerate(names)
        ),
        body="\n        ".join(writer.body),
        stores="\n        ".join(
            f"x{names.index(n)}[i] = STORE({writer.name(v)});" for n, v in program.stores.items()
        ),
    )


def _functions(kind: str) -> dict[str, str]:
    """Names of the math.h functions for a C type, to be inserted into the forms above."""
    suffix = "f" if kind == "float" else ""
    names = {name: f"{name}{suffix}" for name in (*_CALLS.split(), "fabs", "rint")}
    return (
        names
        | {"T": kind}
        | ({n: f"quick_{n}" for n in ("expm1", "sinh")} if kind == "float" else {})
    )


class _Writer:
    """Writes the statements of the loop (``body``), those before it (``scalars``), and the
    conditions under which all arguments with a bound are small (``small``)."""

    def __init__(self, program: Program, compute: str) -> None:
        self.program = program
        self.compute = compute
        self.made_by = {op.out: op for op in program.operations}
        uses = [a for op in program.operations for a in op.args if isinstance(a, Value)]
        self.uses = Counter(uses) + Counter(program.stores.values())
        self.bounds = bounds_of(program)
        self.small: list[str] = []
        self.body: list[str] = []
        self.scalars = [
            f"const double v{value.number} = {'t' if name == 't' else f'h[{i - 1}]'};"
            for i, (name, value) in enumerate(program.scalars.items())
        ]
        for op in program.operations:
            self._statement(op)
        inside = " ".join(self.body)
        self.scalars += [
            f"const T c{v.number} = (T)v{v.number};"
            for v, (scalar, _) in program.kinds.items()
            if scalar and re.search(rf"\bc{v.number}\b", inside)
        ]

    def name(self, value: Value) -> str:
        """The C name of a value inside the loop. 0-d values have a second name there, for their
        conversion to the type of the loop."""
        return f"{'c' if self.program.is_scalar(value) else 'v'}{value.number}"

    def _statement(self, op: Operation) -> None:
        scalar, boolean = self.program.kinds[op.out]
        kind = "int" if boolean else ("double" if scalar else "T")
        line = f"const {kind} v{op.out.number} = {self._expression(op, scalar)};"
        (self.scalars if scalar else self.body).append(line)

    def _expression(self, op: Operation, scalar: bool) -> str:
        base = op.name.split(".")[0]
        args = [self._operand(a, scalar) for a in op.args]
        if base == "add" and not scalar and not op.options and self._is_product(op):
            product = self.made_by[op.args[0]]
            return f"FMA({', '.join(self._operand(a, False) for a in product.args)}, {args[1]})"
        if base == "where" and not scalar and self.program.is_scalar(op.args[0]):
            return f"pick(-(I)v{op.args[0].number}, {args[1]}, {args[2]})"
        if base == "expm1" and not scalar and self.compute == "float" and op.args[0] in self.bounds:
            self.small.append(f"{self.bounds[op.args[0]]} <= SMALL")
            return "(small ? short_expm1({0}) : quick_expm1({0}))".format(*args)
        if base == "pow" and op.args[1] in (0.5, 2, 3):
            form = {0.5: "{sqrt}({0})", 2: "({0} * {0})", 3: "({0} * {0} * {0})"}[op.args[1]]
        else:
            form = self._form(op, base, args)
        functions = _functions("double" if scalar else self.compute)
        numbers = {name: self._operand(x, scalar) for name, x in op.options.items()}
        return form.format(*args, **functions, **({"value": "1"} | numbers))

    def _form(self, op: Operation, base: str, args: list[str]) -> str:
        if base == "clamp":
            below, above = (*args[1:], "None")[:2]
            form = "{0}" if below == "None" else f"({{0}} < {below} ? {below} : {{0}})"
            return form if above == "None" else f"({form} > {above} ? {above} : {form})"
        if "alpha" in op.options and base in ("add", "sub"):
            return f"({{0}} {'+' if base == 'add' else '-'} {{alpha}} * {{1}})"
        if base not in _FORMS or op.options.keys() - {"value"}:
            raise Unsupported(f"the operation {op.name}")
        return _FORMS[base]

    def _is_product(self, op: Operation) -> bool:
        """Whether the sum is a product, used nowhere else, plus a constant of the formula. If so,
        the statement of the product is removed, because it becomes a part of the FMA."""
        term, constant = op.args[:2]
        if isinstance(constant, Value) or not isinstance(term, Value) or self.uses[term] != 1:
            return False
        made = self.made_by.get(term)
        if made is None or made.name.split(".")[0] != "mul" or self.program.is_scalar(term):
            return False
        self.body.remove(next(line for line in self.body if f" v{term.number} =" in line))
        return True

    def _operand(self, x: Any, scalar: bool) -> str:
        if isinstance(x, Value):
            return f"v{x.number}" if scalar else self.name(x)
        if x is None:
            return "None"
        kind = "double" if scalar else "T"
        if not math.isfinite(x):
            return f"(({kind}){'NAN' if math.isnan(x) else 'INFINITY' if x > 0 else '-INFINITY'})"
        return f"(({kind}){float(x)!r})"
