"""``python -m gofau.toy`` as a user types it, in this process."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from gofau.cli.entry import start


@pytest.fixture
def toy(tmp_path, monkeypatch, capsys):
    """Runs ``python -m gofau.toy …`` in an empty folder: exit code, stdout, stderr."""
    from gofau.toy.__main__ import main

    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[Any, str, str]:
        return outcome(main, capsys, "python -m gofau.toy", *words)

    return call


def outcome(main: Callable[[], Any], capsys, *argv: str) -> tuple[Any, str, str]:
    """Exit code, stdout, stderr of a command.

    Args:
        argv: what ``sys.argv`` is meanwhile, so that the command never reads pytest's own words.
    """
    GlobalHydra.instance().clear()
    code: Any = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*(argv or ["python -m gofau"])])
        try:
            start(main)
        except SystemExit as e:
            code = e.code
    return code, *capsys.readouterr()
