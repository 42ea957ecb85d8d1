"""Imports go one way; files stay readable."""

import ast
from pathlib import Path

import pytest

from tests.cli import ROOT

MODULES = sorted(ROOT.glob("gofau/**/*.py"))
# What each part of the package may import of the package; the first match counts.
MAY = {
    "gofau/optim": ("gofau.optim",),
    "gofau/data": ("gofau.data", "gofau.errors"),
    "gofau/models": ("gofau.models", "gofau.errors"),
    "gofau/init.py": ("gofau.errors",),
    "gofau/errors.py": (),
    "gofau/schedulers.py": ("gofau.errors",),
    "gofau/sync_norm.py": (),
    "gofau/distributed.py": ("gofau.sync_norm",),
    "gofau/compiling.py": (),
    "gofau/compute.py": ("gofau.compiling",),
    "gofau/hardware.py": ("gofau.errors",),
    "gofau/evaluation.py": ("gofau.compute", "gofau.distributed"),
    "gofau/training.py": ("gofau.compute", "gofau.distributed", "gofau.evaluation"),
    "gofau/runs": ("gofau.runs", "gofau.errors", "gofau.cli"),
    "gofau/checkpoint.py": ("gofau.errors", "gofau.runs"),
    "gofau/signals.py": (),
    "gofau/failures.py": ("gofau.runs",),
    "gofau/keeper.py": ("gofau.checkpoint", "gofau.signals", "gofau.training"),
    "gofau/provenance.py": (),
    "gofau/progress.py": (),
    "gofau/loggers": ("gofau.loggers", "gofau.runs", "gofau.errors"),
    "gofau/cli.py": ("gofau.errors", "gofau.hardware", "gofau.runs"),
    "gofau/search.py": ("gofau.errors",),
    "gofau/config.py": ("gofau.errors", "gofau.hardware", "gofau.optim", "gofau.search"),
    "gofau/toy/problems.py": (),
    "gofau/toy/descent.py": ("gofau.toy",),
    "gofau/toy/__main__.py": ("gofau.toy", "gofau.cli"),
    "gofau/toy": ("gofau.toy", "gofau.optim", "gofau.errors", "gofau.config", "gofau.provenance"),
    "gofau/composing.py": (),
    "gofau/plugins": ("gofau.composing",),
    "gofau/sweeps.py": ("gofau.composing", "gofau.config"),
    "gofau/report/__main__.py": ("gofau.report", "gofau.cli", "gofau.errors", "gofau.sweeps"),
    "gofau/report/toy/__main__.py": ("gofau.report", "gofau.cli", "gofau.errors"),
    "gofau/report": ("gofau.report", "gofau.runs", "gofau.errors"),
}


def imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    name = str(path.relative_to(ROOT))
    for prefix, allowed in MAY.items():
        if name.startswith(prefix):
            ours = {m for m in imports(path) if m.startswith("gofau")}
            assert all(m.startswith(allowed) if allowed else False for m in ours), ours
            break


def test_only_the_builder_knows_instantiate():
    knowing = {p.name for p in MODULES if "hydra.utils" in set(imports(p))}
    assert knowing == {"build.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_can_be_read_at_a_glance(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250
