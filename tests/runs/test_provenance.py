"""What a record says about where it comes from."""

import subprocess
from collections.abc import Iterator

import pytest

from gofau.runs import provenance as module


@pytest.fixture(autouse=True)
def _asked_again() -> Iterator[None]:
    """The answers are kept per process."""
    module._of_process.cache_clear()
    yield
    module._of_process.cache_clear()


def commit_and_dirty() -> tuple[object, object]:
    found = module.provenance("cpu")
    return found["commit"], found["dirty"]


def test_without_git_a_variable_names_the_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "module.py"))
    assert commit_and_dirty() == (None, None)
    module._of_process.cache_clear()
    monkeypatch.setenv(module.COMMIT, "0123abc")
    assert commit_and_dirty() == ("0123abc", None)


def test_git_knows_better_than_the_variable(monkeypatch, tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "module.py"))
    monkeypatch.setenv(module.COMMIT, "0123abc")
    assert commit_and_dirty() == (head.stdout.strip(), False)
