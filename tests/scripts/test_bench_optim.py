"""The benchmarks run and say what they should; their numbers are for a quiet machine to make."""

import csv
import importlib
import math

import pytest
import torch

from gofau import optim
from tests.command_line import ROOT


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("bench_optim")


def test_the_workloads_are_what_they_say(bench):
    small = bench.resnet18_shapes()
    assert (len(small), sum(map(math.prod, small)) // 10**6) == (62, 11)
    assert sum(map(math.prod, bench.large_shapes())) // 10**6 == 352


def test_every_optimizer_of_the_package_is_measured(bench):
    found = [getattr(optim, name) for name in optim.__all__]
    classes = [x for x in found if isinstance(x, type) and issubclass(x, torch.optim.Optimizer)]
    assert {x.__name__ for x in classes} - {"RuleOptimizer"} == set(bench.OWN)


def test_what_torch_does_not_have_is_measured_beside_its_adam(bench):
    for name in [name for name in bench.OWN if not hasattr(torch.optim, name)]:
        made = {
            key: make(bench.parameters([(4, 3)], "cpu"))
            for key, make in bench.contenders(name).items()
        }
        assert type(made["torch default"]) is type(made["torch fused"]) is torch.optim.Adam
        ours = [x for key, x in made.items() if key.startswith("gofau")]
        assert {type(x) for x in ours} == {getattr(optim, name)}
        for optimizer in ours:
            optimizer.step()
    assert "gofau hypentropy fused" in bench.contenders("Adam")
    assert {"gofau", "gofau loop", "gofau foreach", "gofau fused"} <= set(bench.contenders("Madam"))


def test_it_writes_a_table_and_a_page(bench, monkeypatch, tmp_path, capsys):
    compiled: list[object] = []
    monkeypatch.setattr(bench, "resnet18_shapes", lambda: [(40, 3), ()])
    monkeypatch.setattr(bench, "OWN", {name: bench.OWN[name] for name in ("SGD", "RMSprop")})
    monkeypatch.setattr(bench, "import_ms", lambda: 10.0)
    monkeypatch.setattr(torch, "compile", lambda step: compiled.append(step) or step)
    arguments = ["bench_optim.py", "--rounds", "2", "--device", "cpu", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    bench.main()
    rows = list(csv.DictReader((tmp_path / "bench.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["base"] for row in rows} == {"SGD", "RMSprop"}
    sgd = [row for row in rows if row["base"] == "SGD"]
    attached = "torch default + attach hybrid"
    assert {"torch default", "torch fused", "gofau hybrid", attached} <= {
        row["optimizer"] for row in sgd
    }
    assert all(float(row["ms"]) > 0 for row in rows)
    of = {row["optimizer"]: row for row in rows if row["base"] == "RMSprop"}
    assert of["gofau additive foreach"]["list_operations"] == "6"
    assert of["torch foreach"]["list_operations"] == "6"
    assert of["gofau additive loop"]["list_operations"] == ""
    assert float(of["gofau additive foreach"]["temporary"]) == pytest.approx(1, abs=0.1)
    assert float(of["gofau hybrid foreach"]["temporary"]) == pytest.approx(2, abs=0.1)
    assert len(compiled) == 2
    assert of["gofau hybrid loop compiled"]["temporary"] == ""  # which nobody sees
    assert float(sgd[0]["x torch default"]) == 1  # to itself
    page = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert "## RMSprop, resnet18, cpu" in page
    assert "| lists | temporary |" in page
    assert page in capsys.readouterr().out
