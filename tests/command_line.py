"""train.py as a user types it, in this process: imports are paid once for the whole suite."""

import csv
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

ROOT = Path(__file__).parent.parent


class CommandLine:
    """Runs ``python train.py …`` in an empty folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
        self.folder, self.monkeypatch, self.capsys = folder, monkeypatch, capsys
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(ROOT))

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        from gofau.cli.entry import start

        GlobalHydra.instance().clear()
        train = importlib.import_module("train")
        self.monkeypatch.setattr(sys, "argv", ["train.py", *words])
        self.capsys.readouterr()
        code = 0
        try:
            start(train.main)
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 1
        out, err = self.capsys.readouterr()
        return code, out, err

    @staticmethod
    def status(folder: Path) -> dict[str, Any]:
        return json.loads((folder / "status.json").read_text(encoding="utf-8"))

    @staticmethod
    def rows(folder: Path) -> list[dict[str, str]]:
        return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))

    def runs(self) -> list[Path]:
        folder = self.folder / "runs"
        return sorted(p for p in folder.glob("*") if p.name != ".sweep")


@pytest.fixture
def train(tmp_path, monkeypatch, capsys) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch, capsys)
