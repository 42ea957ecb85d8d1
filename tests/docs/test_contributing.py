"""CONTRIBUTING, CHANGELOG and the commit hook name what there is."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.command_line import ROOT
from tests.docs.pages import FENCE, pages

PAGES = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *(ROOT / "docs" / page for page in pages()),
]


def targets() -> set[str]:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(re.findall(r"^  make ([a-z-]+)", listed.stdout, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_make_targets_exist(page: Path):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", FENCE.sub("", text))
    targets_ = [page.parent / link for link in links if "://" not in link]
    assert [path for path in targets_ if not (path.exists() or is_to_be_made(path))] == []
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))
    assert named <= targets()


def is_to_be_made(path: Path) -> bool:
    """Whether it is a result of an experiment of which there are no records yet."""
    what, name, *_ = path.resolve().relative_to(ROOT).parts
    experiment = ROOT / "configs" / "experiment" / f"{name}.yaml"
    return what == "results" and experiment.exists() and not (ROOT / what / name).exists()


def test_files_that_contributing_names_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:gofau|tests|\.ci)/[\w./]+)`", text)
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_hook_runs_make_check():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (hook,) = repo["hooks"]
    assert (repo["repo"], hook["language"], hook["entry"]) == ("local", "system", "make check")
    assert "check" in targets()
