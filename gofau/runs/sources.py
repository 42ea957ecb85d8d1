"""What a piece of code says: a hash of its source, and of all that it reads.

Comments, docstrings, annotations and formatting do not count, nor in which file a definition
stands. A constant or a helper that the code reads does, in its own module and in those of the same
person: what comes with an installed package is known by its name alone, and its version stands in
the record's provenance.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache

from gofau.runs.modules import Module, exists, find, is_installed

FORMULAS = ("gofau.optim", "gofau.models", "gofau.problems", "gofau.engine.schedulers")
"""What of gofau is looked through where code of a configuration reads it. All other parts, such as
the training loop, are what `gofau.runs.identity.SCIENCE` is for."""
MACHINERY = tuple(
    f"gofau.optim.{name}"
    for name in (
        *("execution", "attachment", "optimizer", "registry", "checks", "groups", "diagnostics"),
        *("monitor", "hyperparameters", "evidence", "figures"),
    )
)
"""How a step is carried out, not what it is: the tests hold all ways equal."""


class Missing(LookupError):
    """There is no such module, or no such name in it."""


def digest(names: Iterable[str]) -> str:
    """Ten hexadecimal digits of the hash of what these import names say.

    Raises:
        Missing: there is no such name.

    >>> digest(["json.decoder.JSONDecoder"]) == digest(["json.JSONDecoder"])
    True
    """
    return hashed(text for name in names for text in _texts(name))


@cache
def _texts(name: str) -> frozenset[str]:
    """Once a process, which has imported what it has imported."""
    module, word = _split(name)
    return frozenset(closure(module, word)) if module is not None else frozenset([name])


def _split(name: str) -> tuple[Module | None, str]:
    """A module and a name in it; no module where there is one whose text cannot be read."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        where = ".".join(parts[:cut])
        if not exists(where):
            continue
        module = find(where)
        if module is not None and _has(module, parts[cut]):
            return module, parts[cut]
        if module is None or module.is_open():
            return None, ""
        break
    raise Missing(name)


def _has(module: Module, word: str) -> bool:
    return word in module.bound or word in module.imports


def closure(start: Module, word: str) -> Iterator[str]:
    """The texts of a definition and of all that it reads."""
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
            # Where the trail ends, the name says what is read.
            if isinstance(found, str):
                yield found
            else:
                todo.append(found)
        elif "." in name:
            todo.append((module, name.partition(".")[0]))


def _follow(module: Module, name: str) -> tuple[Module, str] | str:
    """Where an imported name leads: a module and a name in it, or a text where it leads away."""
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
    """Whether the trail may lead to a module; to one below it, where words are left to go."""
    if _below(where, ("gofau",)):
        formulas = any(_below(".".join([where, *words]), (package,)) for package in FORMULAS)
        return formulas and not _below(where, MACHINERY)
    if not is_installed(where):
        return True
    # An installed package that only hands on what a module of its own defines.
    own = where.partition(".")[0] == reader.name.partition(".")[0]
    return own and reader.path.name == "__init__.py"


def _below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _reads(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement reads, with what is asked of them: ``directions.Adam``."""
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
    """As `ast.walk`, parents first, without what `dump` leaves out."""
    yield node
    for child in _children(node):
        yield from _walk(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for _, value in _fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child


def _fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    """What counts of a node: of an error not what it says, for no result comes of it."""
    for name in () if isinstance(node, ast.Raise) else node._fields:
        value = getattr(node, name, None)
        if name in ("ctx", "type_comment", "kind", "annotation", "returns", "simple"):
            continue
        if isinstance(value, list):
            value = [child for child in value if not _is_text(child)]
        # Not None: a version of Python that knows more fields leaves those empty.
        if isinstance(node, ast.Constant) or (value is not None and value != []):
            yield name, value


def _is_text(node: object) -> bool:
    """A docstring, or a string that stands by itself in its place."""
    expression = node.value if isinstance(node, ast.Expr) else None
    return isinstance(expression, ast.Constant) and isinstance(expression.value, str)


def dump(node: object) -> str:
    """A syntax tree as text, the same under every version of Python (`ast.dump` is not).

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
    """Ten hexadecimal digits of the hash of some texts, in whatever order."""
    return hashlib.sha256("\n".join(sorted({*texts})).encode()).hexdigest()[:10]
