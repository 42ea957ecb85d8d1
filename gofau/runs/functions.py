"""Fingerprints of functions that no configuration names by file: rules that the user registered.

The source alone is not enough. A function may be made by another function, or read a constant that
is set at run time; then the values it reads count as well. (They are found in the same way as in
`gofau.optim.execution.captured`.)
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from gofau.runs.modules import Module
from gofau.runs.sources import closure, hashed

PLAIN = (type(None), bool, int, float, complex, str, bytes)


def digest_function(function: Any) -> str:
    """Ten hexadecimal digits of the hash of a function's source, of what it reads in its module,
    and of the plain values that it reads from outside.

    >>> limit = 0.5
    >>> def rule(theta, d, eta):
    ...     return (eta * d).clamp(-limit, limit)
    >>> first = digest_function(rule)
    >>> limit = 0.1
    >>> digest_function(rule) == first
    False
    """
    return hashed(_texts(function, set()))


def _texts(function: Any, seen: set[int]) -> Iterator[str]:
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType) or id(function) in seen:
        return
    seen.add(id(function))
    yield from _source(function)
    yield from map(repr, (function.__defaults__, function.__kwdefaults__))
    for name, value in _outer(function):
        if _is_plain(value):
            yield f"{name}={value!r}"
        elif getattr(value, "__module__", "").partition(".")[0] not in ("torch", "gofau"):
            yield from _texts(value, seen)


def _source(function: FunctionType) -> Iterator[str]:
    """The source of the top-level definition that contains the function; without a source file, its
    byte code."""
    path = Path(function.__code__.co_filename)
    if path.suffix == ".py" and path.is_file():
        module = Module(function.__module__ or "", path)
        yield from closure(module, function.__qualname__.partition(".")[0])
    else:
        for code in _codes(function.__code__):
            constants = [value for value in code.co_consts if not isinstance(value, CodeType)]
            yield repr((code.co_code.hex(), constants, code.co_names))


def _outer(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # the variable is not set yet
            continue
    for code in _codes(function.__code__):
        for name in code.co_names:
            if name in function.__globals__:
                yield name, function.__globals__[name]


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, PLAIN)
