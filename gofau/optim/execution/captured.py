"""Find the globals and closures that a registered rule's function reads besides its arguments.

A recorded step repeats what the function did when it was recorded. That is correct only if the
function depends on nothing but its arguments. So before a record is used, the values of all globals
and closures that the function and its helpers read are compared with those at recording. A function
that reads something which could change unnoticed (a list, an object, a clock) is not recorded: the
plain loop steps it.
"""

import dis
import math
import operator
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import torch

PURE_MODULES = ("torch", "math", "operator", "gofau")
"""Modules whose functions return the same result for the same arguments."""
PURE_BUILTINS = "abs bool complex divmod enumerate float int isinstance len list max min pow print"
PURE_BUILTINS += " range reversed round sorted str sum tuple type zip ValueError TypeError"
_VALUES = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
_WRITES = ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF", "IMPORT_NAME")


class Unknowable(Exception):
    """The function reads something that may change unnoticed."""


def captured(function: Callable[..., Any]) -> tuple[Any, ...]:
    """The outer values that ``function`` reads, as a key: equal keys mean equal results.

    Raises:
        Unknowable: the function reads something that may change while the key stays the same.

    >>> limit = 0.5
    >>> def rule(theta, d, eta):
    ...     return (eta * d).clamp(-limit, limit)
    >>> first = captured(rule)
    >>> limit = 0.1
    >>> captured(rule) == first
    False
    """
    found: dict[Any, Any] = {}
    _read(function, found)
    return tuple(found.values())


def _read(function: Any, found: dict[Any, Any]) -> None:
    if not isinstance(function, FunctionType):
        raise Unknowable(f"it is a {type(function).__name__}, not a plain function")
    if id(function) in found:
        return
    found[id(function)] = function
    if function.__dict__:  # the function could read them, and they may change
        raise Unknowable(f"{function.__name__} has attributes of its own")
    for i, value in enumerate(function.__defaults__ or ()):
        _note(f"a default of {function.__name__}", value, (id(function), i), found)
    for name, value in _outer(function):
        _note(name, value, (id(function), name), found)


def _note(name: str, value: Any, key: Any, found: dict[Any, Any]) -> None:
    if isinstance(value, _VALUES):
        found[key] = (name, type(value).__name__, repr(value))
    elif isinstance(value, tuple):
        for i, part in enumerate(value):
            _note(name, part, (key, i), found)
    elif isinstance(value, FunctionType):
        if not _is_pure(value.__module__):
            _read(value, found)
        found[key] = value
    elif _is_trusted(value):
        found[key] = value
    else:
        raise Unknowable(f"it reads '{name}', a {type(value).__name__} that may change")


def _is_trusted(value: Any) -> bool:
    """Whether ``value`` is a module, class or built-in function whose results never change."""
    if isinstance(value, ModuleType):
        return _is_pure(value.__name__)
    if isinstance(value, type):
        return _is_pure(value.__module__)
    owners = (torch, math, operator, torch.Tensor)
    name = getattr(value, "__name__", "")
    return isinstance(value, BuiltinFunctionType) and any(
        getattr(owner, name, None) is value for owner in owners
    )


def _outer(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Names and values of the globals and closures that a function's code reads."""
    free = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    for name, cell in free.items():
        try:
            yield name, cell.cell_contents
        except ValueError as e:
            raise Unknowable(f"it reads '{name}', which has no value yet") from e
    for code in _codes(function.__code__):
        for instruction in dis.get_instructions(code):
            name = instruction.argval
            if instruction.opname in _WRITES and code is function.__code__:
                if name in code.co_cellvars:  # its own variable, which an inner function reads
                    continue
                raise Unknowable(f"it writes '{name}'")
            if instruction.opname not in ("LOAD_GLOBAL", "LOAD_NAME"):
                continue
            if name in function.__globals__:
                yield name, function.__globals__[name]
            elif name not in PURE_BUILTINS.split():
                raise Unknowable(f"it calls '{name}'")


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of those defined inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_pure(module: str | None) -> bool:
    return (module or "").split(".")[0] in (*PURE_MODULES, "builtins")
