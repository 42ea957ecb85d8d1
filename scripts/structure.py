"""Counts the structure of gofau from its imports: ``python scripts/structure.py [--at REV …]``.

A *room* is a folder of ``gofau/``. Entries (``train.py`` and every ``__main__.py``) belong to the
room ``cli``, since nothing may import them. A *loose* module lies in ``gofau/`` itself and counts
as its own room. An *arrow* goes from one room to another that it imports; imports inside functions
count. *Back arrows* are the smallest set of arrows without which all others point one way. A
*cycle* is a group of rooms, or of modules, that all import each other, directly or indirectly.

``--at`` reads the files of a commit, and may be given several times: one column per commit, and one
for the working tree. ``--picture`` prints the graph of the rooms as a mermaid flowchart, without
the arrows that follow from others; ``--arrows`` lists all arrows.
"""

import argparse
import ast
import io
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "gofau"
Sources = Mapping[str, str]
"""Path, such as ``gofau/optim/rules.py`` → text of the file."""
Graph = dict[str, set[str]]


def sources(root: Path = ROOT, revision: str | None = None) -> Sources:
    """Read the package's Python files and ``train.py``, from the working tree or from a commit.

    Raises:
        subprocess.CalledProcessError: there is no such commit.
    """
    if revision is None:
        paths = [*root.glob(f"{PACKAGE}/**/*.py"), *root.glob("train.py")]
        return {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8") for p in paths}
    command = ["git", "archive", "--format=tar", revision, PACKAGE, "train.py"]
    packed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        members = [m for m in tar if m.isfile() and m.name.endswith(".py")]
        files = {m.name: tar.extractfile(m) for m in members}
        return {name: file.read().decode() for name, file in files.items() if file is not None}


def module_of(path: str) -> str:
    """The import name of a file.

    >>> module_of("gofau/optim/rules.py"), module_of("gofau/optim/__init__.py")
    ('gofau.optim.rules', 'gofau.optim')
    """
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def room_of(path: str) -> str:
    """The room of a file.

    >>> [room_of(p) for p in ("gofau/optim/rules.py", "gofau/runs/__main__.py", "train.py")]
    ['optim', 'cli', 'cli']
    >>> room_of("gofau/errors.py"), room_of("gofau/__init__.py")
    ('errors', 'gofau')
    """
    if path == "train.py" or path.endswith("/__main__.py"):
        return "cli"
    parts = module_of(path).split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def is_loose(path: str) -> bool:
    """Whether a file lies in ``gofau/`` itself, and is neither an entry nor ``__init__.py``."""
    return path.count("/") == 1 and not path.endswith(("/__init__.py", "/__main__.py"))


def imported(path: str, source: str) -> Iterator[str]:
    """Yield the full names that a file imports, also inside functions.

    >>> [*imported("gofau/a.py", "from gofau.b import c")]
    ['gofau.b.c']
    """
    package = path.split("/")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def modules(files: Sources) -> Graph:
    """Module of gofau → the modules of gofau that it imports."""
    known = {module_of(path) for path in files}
    graph: Graph = {}
    for path, source in files.items():
        found = {_longest(name, known) for name in imported(path, source)}
        graph[module_of(path)] = found - {None, module_of(path)}  # type: ignore[assignment]
    return graph


def _longest(name: str, known: set[str]) -> str | None:
    """The module that ``name`` names, or that contains ``name``."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def rooms(files: Sources) -> Graph:
    """Room → the rooms that it imports. The package itself, which has only the version, is none:
    importing any module imports it."""
    room = {module_of(path): room_of(path) for path in files}
    graph: Graph = {name: set() for name in room.values()}
    for module, targets in modules(files).items():
        graph[room[module]] |= {room[target] for target in targets} - {room[module], PACKAGE}
    return {name: targets for name, targets in sorted(graph.items()) if name != PACKAGE}


def reachable(graph: Graph, start: str) -> set[str]:
    """Everything that ``start`` imports, directly or indirectly."""
    seen: set[str] = set()
    todo = [*graph.get(start, ())]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += graph.get(node, ())
    return seen


def cycles(graph: Graph) -> list[list[str]]:
    """The groups of two or more nodes that all reach each other.

    >>> cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    [['b', 'c']]
    """
    beyond = {node: reachable(graph, node) for node in graph}
    groups = {
        tuple(sorted({node} | {other for other in beyond[node] if node in beyond.get(other, ())}))
        for node in graph
    }
    return sorted([*group] for group in groups if len(group) > 1)


def back_arrows(graph: Graph) -> list[tuple[str, str]]:
    """A smallest set of arrows without which the graph has no cycle.

    >>> back_arrows({"a": {"b", "c"}, "b": {"a", "c"}, "c": set()})
    [('a', 'b')]
    """
    inside = [(a, b) for group in cycles(graph) for a in group for b in sorted(graph[a] & {*group})]
    for n in range(len(inside) + 1):
        for gone in combinations(inside, n):
            left = {a: {b for b in to if (a, b) not in gone} for a, to in graph.items()}
            if not cycles(left):
                return [*gone]
    raise AssertionError("a graph without arrows has no cycle")


def reduced(graph: Graph) -> Graph:
    """An acyclic graph without the arrows that a longer path replaces (transitive reduction)."""
    beyond = {node: reachable(graph, node) for node in graph}
    return {
        node: {to for to in targets if not any(to in beyond[other] for other in targets - {to})}
        for node, targets in graph.items()
    }


def picture(graph: Graph) -> str:
    """The rooms as a mermaid flowchart."""
    arrows = [f"  {a} --> {b}" for a, to in reduced(graph).items() for b in sorted(to)]
    return "\n".join(["flowchart TD", *arrows])


def counts(files: Sources) -> dict[str, int]:
    """The numbers of the table: what is counted → number."""
    between = rooms(files)
    return {
        "modules": len(files),
        "rooms": len({room_of(p) for p in files if not is_loose(p)} - {PACKAGE}),
        "loose modules": sum(map(is_loose, files)),
        "arrows between rooms": sum(map(len, between.values())),
        "back arrows": len(back_arrows(between)),
        "cycles between rooms": len(cycles(between)),
        "cycles between modules": len(cycles(modules(files))),
    }


def table(columns: Mapping[str, dict[str, int]]) -> str:
    """A Markdown table: one column per state of the code."""
    lines = [["", *columns], ["---", *("---:" for _ in columns)]]
    for what in next(iter(columns.values())):
        lines.append([what, *(str(column[what]) for column in columns.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(words: Iterable[str] | None = None) -> None:
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=about, epilog=more)
    parser.add_argument("--at", action="append", default=[], metavar="REV", help="a commit")
    parser.add_argument("--picture", action="store_true", help="the rooms as a mermaid flowchart")
    parser.add_argument("--arrows", action="store_true", help="every room and what it imports")
    options = parser.parse_args(None if words is None else [*words])
    now = sources()
    columns = {revision: counts(sources(revision=revision)) for revision in options.at}
    print(table(columns | {"now": counts(now)}))
    if options.picture:
        print(f"\n{picture(rooms(now))}")
    if options.arrows:
        print("\n" + "\n".join(f"{a} → {', '.join(sorted(to))}" for a, to in rooms(now).items()))


if __name__ == "__main__":
    main()
