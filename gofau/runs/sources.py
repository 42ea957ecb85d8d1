"""Fingerprints of code: a hash of its source and of everything that it reads.

Comments, docstrings, annotations, formatting and the file that holds a definition do not count.
Constants and helpers that the code reads do count, in its own module and in the user's other
modules. Parts of installed packages are identified by name only; their versions are in the record's
provenance.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache

from gofau.runs.modules import Module, exists, find, is_folder, is_installed

FORMULAS = ("gofau.optim", "gofau.models", "gofau.problems", "gofau.engine.schedulers")
"""The parts of gofau that are followed when code of a configuration reads them. Changes of other
parts, such as the training loop, are covered by `gofau.runs.identity.SCIENCE`."""
MACHINERY = tuple(
    f"gofau.optim.{name}"
    for name in (
        *("execution", "attachment", "optimizer", "registry", "checks", "groups", "diagnostics"),
        *("group_keys", "monitor", "hyperparameters", "evidence", "figures"),
    )
)
"""Parts that decide how a step is executed, not its result: tests show all paths to be equal. If a
change here does change results, raise `gofau.runs.identity.SCIENCE`."""


class Missing(LookupError):
    """There is no such module, or no such name in it."""


def digest(names: Iterable[str]) -> str:
    """Ten hexadecimal digits of the hash of the code behind these import names.

    Raises:
        Missing: there is no such name.

    >>> digest(["json.decoder.JSONDecoder"]) == digest(["json.JSONDecoder"])
    True
    """
    return hashed(text for name in names for text in _texts(name))


@cache
def _texts(name: str) -> frozenset[str]:
    """The texts behind an import name; cached, as imported code does not change in a process."""
    module, word = _split(name)
    return frozenset(closure(module, word)) if module is not None else frozenset([name])


def _split(name: str) -> tuple[Module | None, str]:
    """Split an import name into a module and a name in it; the module is None if it exists but its
    text cannot be read."""
    parts = name.split(".")
    # The longest prefix that is a module, since a package and an object may share a name.
    for cut in range(len(parts) - 1, 0, -1):
        where = ".".join(parts[:cut])
        if not exists(where):
            continue
        module = find(where)
        if module is not None and _has(module, parts[cut]):
            return module, parts[cut]
        if is_folder(where):
            break
        if module is None or module.is_open():
            return None, ""
        break
    raise Missing(name)


def _has(module: Module, word: str) -> bool:
    return word in module.bound or word in module.imports


def closure(start: Module, word: str) -> Iterator[str]:
    """Yield the texts of a definition and of everything that it reads, directly or not."""
    # `seen` also ends the walk where definitions read each other.
    todo, seen = [(start, word)], set()
    while todo:
        module, name = todo.pop()
        if (module.name, name) in seen:
            continue
        seen.add((module.name, name))
        if name in module.bound:
            for statement in module.bound[name]:
                yield dump(statement)
                todo += [(module, read) for read in _reads(statement)]
        elif name.partition(".")[0] in module.imports:
            found = _follow(module, name)
            # What is not followed further is represented by its name.
            if isinstance(found, str):
                yield found
            else:
                todo.append(found)
        elif "." in name:
            todo.append((module, name.partition(".")[0]))


def _follow(module: Module, name: str) -> tuple[Module, str] | str:
    """Follow an imported name: to a module and a name in it, or to a text if it is not followed."""
    first, *asked = name.split(".")
    where, word = module.imports[first]
    words = [word, *asked] if word else asked
    if _is_followed(where, words, module):
        while words and exists(f"{where}.{words[0]}") and not _defined(where, words[0]):
            where = f"{where}.{words.pop(0)}"  # from package import module
        target = find(where) if _is_followed(where, [], module) else None
        if target is not None and words and _has(target, words[0]):
            return target, words[0]
    return ".".join([where, *words])


def _defined(where: str, word: str) -> bool:
    module = find(where)
    return module is not None and word in module.bound


def _is_followed(where: str, words: list[str], reader: Module) -> bool:
    """Whether to follow a name into module ``where``, or into a module below it if ``words`` are
    left."""
    if _below(where, ("gofau",)):
        formulas = any(_below(".".join([where, *words]), (package,)) for package in FORMULAS)
        return formulas and not _below(where, MACHINERY)
    if not is_installed(where):
        return True
    # Inside an installed package, only an __init__.py that re-exports names is followed.
    own = where.partition(".")[0] == reader.name.partition(".")[0]
    return own and reader.path.name == "__init__.py"


def _below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _reads(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement reads, with their attributes: ``directions.Adam``."""
    skip: set[int] = set()
    for node in _walk(statement):
        if isinstance(node, ast.Attribute) and id(node) not in skip:
            words, inner = [node.attr], node.value
            skip.add(id(inner))
            while isinstance(inner, ast.Attribute):
                words.append(inner.attr)
                inner = inner.value
                skip.add(id(inner))
            if isinstance(inner, ast.Name):
                yield ".".join([inner.id, *reversed(words)])
        elif isinstance(node, ast.Name) and id(node) not in skip:
            yield node.id


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Like `ast.walk`, parents first, but without what `dump` leaves out."""
    yield node
    for child in _children(node):
        yield from _walk(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for _, value in _fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child


def _fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Yield the fields of a node that count. ``raise`` has none, as an error gives no result."""
    for name in () if isinstance(node, ast.Raise) else node._fields:
        value = getattr(node, name, None)
        if name in ("ctx", "type_comment", "kind", "annotation", "returns", "simple"):
            continue
        if isinstance(value, list):
            value = [child for child in value if not _is_text(child)]
        # None and [] are left out: newer versions of Python have more fields, which are then empty.
        if isinstance(node, ast.Constant) or (value is not None and value != []):
            yield name, value


def _is_text(node: object) -> bool:
    """Whether a statement is only a string, such as a docstring."""
    expression = node.value if isinstance(node, ast.Expr) else None
    return isinstance(expression, ast.Constant) and isinstance(expression.value, str)


def dump(node: object) -> str:
    """Write a syntax tree as text, equal in all versions of Python (`ast.dump` is not).

    >>> dump(ast.parse("x = 1  # one")) == dump(ast.parse("x=(1)"))
    True
    """
    if isinstance(node, ast.AST):
        inner = ",".join(f"{name}={dump(value)}" for name, value in _fields(node))
        return f"{type(node).__name__}({inner})"
    if isinstance(node, list):
        return f"[{','.join(map(dump, node))}]"
    return repr(node)


def hashed(texts: Iterable[str]) -> str:
    """Ten hexadecimal digits of the hash of a set of texts; their order does not count."""
    # Sorted, as moving a definition within a file or to another one must not change the hash.
    return hashlib.sha256("\n".join(sorted({*texts})).encode()).hexdigest()[:10]
