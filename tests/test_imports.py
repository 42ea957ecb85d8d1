"""Importing a module of gofau changes nothing but what is imported."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import structure
from tests.command_line import ROOT

LOOK = """
import importlib, json, logging, os, signal, sys, warnings
import matplotlib, torch
from omegaconf.basecontainer import BaseContainer

def look():
    loggers = {None: logging.getLogger(), **logging.root.manager.loggerDict}
    loggers = {n: x for n, x in loggers.items() if isinstance(x, logging.Logger)}
    loggers = {n: (x.level, list(x.handlers)) for n, x in loggers.items()}
    return {
        "sys.path": list(sys.path),
        "sys.excepthook": sys.excepthook,
        "os.environ": dict(os.environ),
        "matplotlib.rcParams": dict(matplotlib.rcParams),
        "warnings.filters": list(warnings.filters),
        "OmegaConf's resolvers": set(BaseContainer._resolvers),
        "logging": {n: what for n, what in loggers.items() if any(what)},
        "signals": [signal.getsignal(s) for s in sorted(signal.valid_signals())],
        "torch's settings": (torch.get_num_threads(), torch.get_default_dtype()),
        "torch's random numbers": torch.get_rng_state().tolist(),
        "the working folder": os.getcwd(),
    }

foreign, ours = json.loads(sys.argv[1])
for name in foreign:  # what they change is theirs
    while name:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:  # a member, not a module
            name = name.rpartition(".")[0]
        else:
            break
before = look()
for name in ours:
    importlib.import_module(name)
    now = look()
    for what in before:
        if now[what] != before[what]:
            print(f"importing {name} changes {what}")
    before = now
"""


def changes(ours: list[str], foreign: set[str], folder: Path) -> str:
    """What importing our modules changes, in a fresh interpreter, after those of others."""
    code = [sys.executable, "-W", "ignore", "-c", LOOK, json.dumps([sorted(foreign), ours])]
    done = subprocess.run(code, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _foreign(path: str, source: str) -> set[str]:
    """The names of others that a file imports when it is imported, and not in a function later:
    those are often optional."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = structure.imported(path, ast.unparse(tree))
    return {name for name in names if not name.startswith(structure.PACKAGE)}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What importing all of our modules changes, and then a module that does what it should not; in
    one interpreter, as the imports of all others take seconds."""
    folder = tmp_path_factory.mktemp("imports")
    (folder / "meddler.py").write_text(
        "import os, sys, matplotlib\n"
        "sys.path.append('elsewhere')\n"
        "os.environ['X_GOFAU'] = '1'\n"
        "matplotlib.rcParams['font.size'] = 3\n"
    )
    files = structure.sources(ROOT)
    ours = sorted(structure.module_of(path) for path in files)
    foreign = {name for path in files for name in _foreign(path, files[path])}
    return changes([*ours, "meddler"], foreign, folder).splitlines()


def test_importing_any_module_changes_nothing(found):
    assert [line for line in found if not line.startswith("importing meddler ")] == []


def test_a_change_is_found(found):
    assert [line for line in found if line.startswith("importing meddler ")] == [
        f"importing meddler changes {what}"
        for what in ("sys.path", "os.environ", "matplotlib.rcParams")
    ]


def test_looking_at_records_needs_neither_torch_nor_hydra(tmp_path):
    """So that ``python -m gofau.runs`` answers at once, and on a machine without them."""
    code = (
        "import sys, gofau.runs.__main__; print({'hydra', 'omegaconf', 'torch'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
