"""Every module is in a room, imports go one way, and files stay readable: what is not listed here
is an error. The imports are read by scripts/structure.py, which also draws them."""

import doctest
import sys
from pathlib import Path

import pytest

from scripts import structure
from tests.command_line import ROOT

MODULES = sorted(ROOT.glob("gofau/**/*.py"))
FILES = structure.sources()
ALLOWED: structure.Graph = {
    # Entries: train.py and every __main__.py. Nothing imports them.
    "cli": {"config", "engine", "errors", "measure", "report", "runs", "session", "toy"},
    # One run: the only room that knows both the training loop and concrete problems. It looks
    # whether the data is there, and records what it holds.
    "session": {"data", "engine", "errors", "loggers", "models", "optim", "problems", "runs"},
    "toy": {"config", "errors", "optim", "runs"},
    # It trains what a sweep would, and looks at the weights and at the loss around them.
    "measure": {"config", "errors", "optim", "problems", "runs", "session"},
    # A configuration is checked by the optimizer library's own ranges, and knows the hardware.
    "config": {"engine", "errors", "optim"},
    "report": {"errors", "runs"},
    # Checkpoints are written whole, as records are. Of a problem, only the contract is known.
    "engine": {"errors", "problems", "runs"},
    "problems": {"data", "errors"},
    "loggers": {"errors", "runs"},
    "runs": {"errors"},
    "data": {"errors"},
    "models": {"errors"},
    "optim": set(),
    "evaluate": set(),  # a command alone
    "errors": set(),
}
"""What each room may import. An arrow that is gone from the code must go from here, too."""
LOOSE = {"gofau/errors.py"}
"""Modules that may lie in gofau/ itself."""
FOREIGN = {"errors": set(), "optim": {"torch"}}
"""All that these rooms may import beside Python's own library and ours."""


def faults(
    files: structure.Sources,
    allowed: structure.Graph = ALLOWED,
    loose: set[str] = LOOSE,
    foreign: dict[str, set[str]] = FOREIGN,
) -> list[str]:
    """What is wrong with the structure of these files, one sentence each."""
    between = structure.rooms(files)
    strays = {p for p in files if structure.is_loose(p)}
    found = [f"{path} is in no room" for path in sorted(strays - loose)]
    found += [f"{path} is listed, and is not there" for path in sorted(loose - strays)]
    for room in sorted({*between, *allowed}):
        has, may = between.get(room, set()), allowed.get(room, set())
        if room not in allowed:
            found.append(f"the room {room} is not listed")
        if room not in between:
            found.append(f"the room {room} is listed, and is not there")
        found += [f"{room} → {other} is not listed" for other in sorted(has - may)]
        found += [f"{room} → {other} is listed, and is not there" for other in sorted(may - has)]
    for kind, graph in (("rooms", between), ("modules", structure.modules(files))):
        found += [f"a cycle of {kind}: {', '.join(group)}" for group in structure.cycles(graph)]
    for path, source in sorted(files.items()):
        names = {name.partition(".")[0] for name in structure.imported(path, source)}
        others = names - {structure.PACKAGE} - sys.stdlib_module_names
        may = foreign.get(structure.room_of(path), others)
        found += [f"{path} imports {name}" for name in sorted(others - may)]
    return found


def test_every_module_is_in_a_room_and_every_arrow_is_listed():
    assert faults(FILES) == []


TREE = {
    "gofau/__init__.py": "",
    "gofau/errors.py": "",
    "gofau/a/__init__.py": "",
    "gofau/a/x.py": "import torch\nfrom gofau.b.y import z\nfrom gofau.errors import UserError",
    "gofau/b/y.py": "from gofau import __version__\nfrom gofau.errors import UserError",
    "gofau/a/__main__.py": "import sys\nfrom gofau.a import x",
}
LISTED: structure.Graph = {
    "a": {"b", "errors"},
    "b": {"errors"},
    "cli": {"a"},
    "errors": set(),
}


def test_a_tree_as_listed_has_no_fault():
    assert faults(TREE, LISTED, foreign={"a": {"torch"}}) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"gofau/stray.py": ""}, ["gofau/stray.py is in no room", "the room stray is not listed"]),
        ({"gofau/c/z.py": ""}, ["the room c is not listed"]),
        (
            {"gofau/b/z.py": "def f():\n    import gofau.a.x"},
            ["b → a is not listed", "a cycle of rooms: a, b"],
        ),
        (
            {"gofau/b/p.py": "from gofau.b import q", "gofau/b/q.py": "from . import p"},
            ["a cycle of modules: gofau.b.p, gofau.b.q"],
        ),
        (
            {
                "gofau/b/__init__.py": "from gofau.b.y import f",
                "gofau/b/y.py": "from gofau.b import g",
            },
            ["b → errors is listed, and is not there", "a cycle of modules: gofau.b, gofau.b.y"],
        ),
        ({"gofau/a/x.py": "from gofau.errors import a"}, ["a → b is listed, and is not there"]),
        ({"gofau/b/y.py": ""}, ["b → errors is listed, and is not there"]),
        ({"gofau/a/w.py": "def f():\n    import numpy.linalg"}, ["gofau/a/w.py imports numpy"]),
        ({"gofau/b/w.py": "import gofau.a.__main__"}, ["b → cli is not listed"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else "+".join(value),
)
def test_a_fault_is_found(change, expected):
    found = faults(TREE | change, LISTED, foreign={"a": {"torch"}})
    assert [fault for fault in expected if fault not in found] == []


def test_the_package_itself_imports_nothing_of_ours():
    found = faults(TREE | {"gofau/__init__.py": "from gofau.b.y import z"}, LISTED)
    assert "a cycle of modules: gofau, gofau.b.y" in found
    assert structure.modules(FILES)["gofau"] == set()


def test_a_listed_module_or_room_that_is_gone_is_told():
    found = faults({k: v for k, v in TREE.items() if "errors" not in k}, LISTED)
    assert "gofau/errors.py is listed, and is not there" in found
    assert "the room errors is listed, and is not there" in found


def test_the_numbers_of_the_script():
    made = TREE | {
        "gofau/b/z.py": "from gofau.a import x",
        "gofau/stray.py": "from gofau.b import y",
        "train.py": "from gofau import stray",
    }
    assert structure.counts(made) == {
        "modules": 9,
        "rooms": 3,
        "loose modules": 2,
        "arrows between rooms": 7,
        "back arrows": 1,
        "cycles between rooms": 1,
        "cycles between modules": 0,
    }
    assert doctest.testmod(structure).failed == 0


def test_the_picture_leaves_out_what_follows():
    graph: structure.Graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert structure.picture(graph).splitlines()[1:] == ["  a --> b", "  b --> c"]


def test_the_engine_knows_the_contract_of_a_problem_and_no_problem():
    graph = structure.modules(FILES)
    engine = [module for module in graph if module.startswith("gofau.engine.")]
    known = {name for module in engine for name in graph[module] if ".problems" in name}
    assert known <= {"gofau.problems", "gofau.problems.problem"}
    names = {n for p, s in FILES.items() if "/engine/" in p for n in structure.imported(p, s)}
    of_problems = {name.rpartition(".")[2] for name in names if name.startswith("gofau.problems.")}
    assert of_problems <= {"Batch", "Loader", "Metric", "Problem", "problem"}


def test_one_module_knows_instantiate():
    knowing = [
        path
        for path, source in FILES.items()
        if any(name.startswith("hydra.utils") for name in structure.imported(path, source))
    ]
    assert knowing == ["gofau/session/construct.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_can_be_read_at_a_glance(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250
