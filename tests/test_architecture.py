"""Imports go one way; files stay readable."""

import ast
from pathlib import Path

import pytest

from tests.command_line import ROOT

MODULES = sorted(ROOT.glob("gofau/**/*.py"))
# What each part of the package may import of the package; the first match counts.
MAY = {
    "gofau/optim": ("gofau.optim",),
    "gofau/data": ("gofau.data", "gofau.errors"),
    "gofau/models": ("gofau.models", "gofau.errors"),
    "gofau/models/init.py": ("gofau.errors",),
    "gofau/errors.py": (),
    "gofau/engine/schedulers.py": ("gofau.errors",),
    "gofau/engine/sync_batchnorm.py": (),
    "gofau/engine/distributed.py": ("gofau.engine.sync_batchnorm",),
    "gofau/engine/compilation.py": (),
    "gofau/engine/compute.py": ("gofau.engine.compilation", "gofau.problems"),
    "gofau/problems": ("gofau.problems", "gofau.data", "gofau.errors"),
    "gofau/engine/hardware.py": ("gofau.errors",),
    "gofau/engine/evaluation.py": (
        "gofau.engine.compute",
        "gofau.engine.distributed",
        "gofau.problems",
    ),
    "gofau/engine/trainer.py": (
        "gofau.engine.compute",
        "gofau.engine.distributed",
        "gofau.engine.evaluation",
        "gofau.problems",
    ),
    "gofau/runs": ("gofau.runs", "gofau.errors", "gofau.cli.entry"),
    "gofau/engine/checkpoint.py": ("gofau.errors", "gofau.runs"),
    "gofau/engine/signals.py": (),
    "gofau/cli/failures.py": ("gofau.runs",),
    "gofau/engine/checkpointer.py": (
        "gofau.engine.checkpoint",
        "gofau.engine.signals",
        "gofau.engine.trainer",
    ),
    "gofau/runs/provenance.py": (),
    "gofau/session/progress.py": ("gofau.problems",),
    "gofau/loggers": ("gofau.loggers", "gofau.runs", "gofau.errors"),
    "gofau/cli/entry.py": ("gofau.errors", "gofau.engine.hardware", "gofau.runs"),
    "gofau/config/search.py": ("gofau.errors",),
    "gofau/config/schema.py": (
        "gofau.errors",
        "gofau.engine.hardware",
        "gofau.optim",
        "gofau.config.search",
    ),
    "gofau/toy/problems.py": (),
    "gofau/toy/descent.py": ("gofau.toy",),
    "gofau/toy/__main__.py": ("gofau.toy", "gofau.cli.entry"),
    "gofau/toy": (
        "gofau.toy",
        "gofau.optim",
        "gofau.errors",
        "gofau.config.schema",
        "gofau.runs.provenance",
    ),
    "gofau/config/composer.py": (),
    "gofau/plugins": ("gofau.config.composer",),
    "gofau/config/grid.py": ("gofau.config.composer", "gofau.config.schema"),
    "gofau/report/__main__.py": (
        "gofau.report",
        "gofau.cli.entry",
        "gofau.errors",
        "gofau.config.grid",
    ),
    "gofau/report/toy/__main__.py": ("gofau.report", "gofau.cli.entry", "gofau.errors"),
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
