"""Reads Python modules as text: where a name is defined, and what it reads, without importing.

Importing would run code, and take the seconds that a result from a record should save.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

INSTALLED = ("site-packages", "dist-packages")


class Module:
    """The top level of a source file.

    Args:
        name: its import name.
        path: its file.

    Attributes:
        bound: name → the statements that define or change it.
        imports: name → (module, name in it), or (module, "") for the module itself.
        stars: modules imported from with ``*``.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        tree = ast.parse(text_of(path))
        self.bound: dict[str, list[ast.stmt]] = {}
        for statement in tree.body:
            for word in _bound(statement):
                self.bound.setdefault(word, []).append(statement)
        self.imports: dict[str, tuple[str, str]] = {}
        self.stars: list[str] = []
        for node in ast.walk(tree):  # imports inside functions count too
            if isinstance(node, ast.Import):
                for alias in node.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    self.imports[alias.asname or whole] = (whole, "")
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)

    def _import_from(self, node: ast.ImportFrom) -> None:
        source = node.module or ""
        if node.level:
            parts = self.name.split(".")
            # One dot means the own package, which for __init__.py is the module itself.
            up = node.level - (self.path.name == "__init__.py")
            source = ".".join([*parts[: len(parts) - up], *filter(None, [source])])
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(source)
            else:
                self.imports[alias.asname or alias.name] = (source, alias.name)

    def is_open(self) -> bool:
        """Whether the module may have names that its text does not show."""
        return bool(self.stars) or "__getattr__" in self.bound


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a top-level statement defines, or whose value it changes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    if isinstance(statement, ast.Expr):  # such as TABLE.update(…)
        call = statement.value
        target = call.func if isinstance(call, ast.Call) else None
        if isinstance(target, ast.Attribute):
            yield from _base(target)
        return
    # Assignments, and what is under `if`, `try` or `with` at the top level.
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and isinstance(
            node.ctx, ast.Store
        ):
            yield from _base(node)


def _base(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def text_of(path: Path) -> bytes:
    """The bytes of a source file."""
    return path.read_bytes()


def find(name: str) -> Module | None:
    """Find a module by its import name; None if there is no such file, or it is not Python source.

    >>> find("json.decoder").path.name
    'decoder.py'
    >>> find("json.no_such_module") is None
    True
    """
    path = _locate(name)
    return None if path is None else _read(name, path, path.stat().st_mtime_ns)


@cache
def _read(name: str, path: Path, modified: int) -> Module | None:
    try:
        return Module(name, path)
    except (SyntaxError, ValueError, OSError):
        return None


def exists(name: str) -> bool:
    """Whether there is a module of that name of any kind; it need not be Python source."""
    return _spec(name) is not None


def is_folder(name: str) -> bool:
    """Whether this is a folder without ``__init__.py``, which has modules but no names."""
    spec = _spec(name)
    places = getattr(spec, "submodule_search_locations", None)
    return places is not None and getattr(spec, "origin", None) is None


@cache
def is_installed(name: str) -> bool:
    """Whether a module belongs to Python or an installed package, not to the user's own code."""
    top = name.partition(".")[0]
    path = None if top in sys.stdlib_module_names else _locate(top)
    return path is None or any(part in INSTALLED for part in path.parts)


def _locate(name: str) -> Path | None:
    origin = getattr(_spec(name), "origin", None)
    path = Path(origin) if origin else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def _spec(name: str) -> object | None:
    top, *rest = name.split(".")
    spec = getattr(sys.modules.get(top), "__spec__", None) or _first(top)
    whole = top
    # Part by part: importlib's find_spec would import the parent packages.
    for part in rest:
        places = getattr(spec, "submodule_search_locations", None)
        if not places:
            return None
        whole = f"{whole}.{part}"
        spec = PathFinder.find_spec(whole, list(places))
    return spec


def _first(top: str) -> object | None:
    """The spec of a top-level package or module; looking for it imports nothing."""
    for finder in sys.meta_path:
        look = getattr(finder, "find_spec", None)
        spec = look(top, None) if look and top else None
        if spec is not None:
            return spec
    return None
