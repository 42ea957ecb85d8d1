"""The benchmark runs and says what it should; its numbers are for a quiet machine to make."""

import csv
import importlib

import pytest
import torch

from tests.cli import ROOT


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("bench_optim")


def test_the_workloads_are_what_they_say(bench):
    small, large = bench.resnet18_shapes(), bench.transformer_shapes()
    assert (len(small), sum(s.numel() for s in small) // 10**6) == (62, 11)
    assert sum(s.numel() for s in large) // 10**6 == 354


def test_it_writes_a_table_and_a_page(bench, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "resnet18_shapes", lambda: [torch.Size([40, 3]), torch.Size([])])
    monkeypatch.setattr(bench, "BASES", {name: bench.BASES[name] for name in ("SGD", "RMSprop")})
    monkeypatch.setattr("sys.argv", ["bench_optim.py", "--steps", "2", "--out", str(tmp_path)])
    monkeypatch.setattr("bench_report.import_seconds", lambda: 0.01)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    bench.main()
    rows = list(csv.DictReader((tmp_path / "bench.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["base"] for row in rows} == {"SGD", "RMSprop"}
    assert {row["variant"] for row in rows} > {"torch fused", "ours hybrid default"}
    assert all(float(row["ms"]) > 0 for row in rows)
    page = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert "| SGD, resnet18 | ours hybrid default | torch fused | ≤ 1.3 |" in page
    assert page in capsys.readouterr().out
