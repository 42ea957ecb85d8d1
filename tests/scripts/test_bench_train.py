"""The benchmark of training runs and says what it should; its numbers are for a quiet machine."""

import csv
import functools
import importlib

import pytest

from tests.command_line import ROOT

# Python 3.12 warns of every fork of a process with threads; data loaders fork, and torch has some.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
BASIC = "hydra/launcher=basic"


@pytest.fixture
def part(monkeypatch):
    """Imports a module of the benchmark."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return lambda name: importlib.import_module(f"bench_sections.{name}")


@pytest.fixture
def bench(part, monkeypatch, tmp_path):
    """Measures sections quickly; gives the table and the page."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # to be put back
    monkeypatch.setenv("GOFAU_CACHE", str(tmp_path / "cache"))

    def run(sections: str) -> tuple[list[dict[str, str]], str]:
        words = ["bench_train.py", "--quick", "--only", sections, "--out", str(tmp_path)]
        monkeypatch.setattr("sys.argv", words)
        importlib.import_module("bench_train").main()
        text = (tmp_path / "bench.csv").read_text(encoding="utf-8")
        return list(csv.DictReader(text.splitlines())), (tmp_path / "bench.md").read_text("utf-8")

    return run


def figures(rows: list[dict[str, str]]) -> dict[str, float]:
    return {row["name"]: float(row["value"]) for row in rows if row["value"]}


@pytest.mark.long
def test_training_is_measured_beside_a_plain_loop(bench):
    rows, page = bench("images,shares,status,accuracy,gpu")
    by = {name: [r for r in rows if r["section"] == name] for name in ("images", "shares")}
    speeds = figures([row for row in by["images"] if row["unit"] == "images/s"])
    assert {"mlp plain loop", "mlp fp32", "mlp bf16", "resnet8 bf16"} <= speeds.keys()
    assert all(speed > 0 for speed in speeds.values())
    left_out = [row for row in by["images"] if row["note"].startswith("left out")]
    assert {"mlp fp32 compiled", "mlp bf16 compiled"} <= {row["name"] for row in left_out}
    assert [r["ratio"] for r in by["images"] if r["name"] == "mlp plain loop"] == ["1.0"]
    shares = {name.split(": ")[1]: value for name, value in figures(by["shares"]).items()}
    whole = shares["forward and backward"] + shares["all but forward and backward"]
    assert whole == pytest.approx(1)
    assert min(shares["batches and augmentation"], shares["optimizer"]) > 0
    assert figures(rows)["status.json of 100 runs"] > 0
    assert all(row["torch"] and row["threads"] and row["commit"] for row in rows)
    assert "## Images per second" in page
    assert "| resnet8 best | ≥ 2.2 |" in page


@pytest.mark.long
def test_step_sizes_are_measured_beside_the_bases_own(bench):
    rows, page = bench("stepsizes")
    ratios = {row["name"].removesuffix(": a step"): float(row["ratio"]) for row in rows}
    assert len(ratios) == 8
    for optimizer in ("sgd", "adamw"):
        assert ratios[f"resnet8 {optimizer} stepsize=base"] == 1
        # How large it is, is for the benchmark to say, on a quiet machine.
        assert ratios[f"resnet8 {optimizer} stepsize=layerwise"] > 0
    assert {row["goal"] for row in rows if "layerwise:" in row["name"]} == {"× ≤ 2.5"}
    assert "## What a step size adds to a step" in page


@pytest.mark.long
def test_commands_are_measured_from_outside(bench, part, monkeypatch):
    startup, sweep = part("startup"), part("sweep")
    monkeypatch.setattr(startup, "IMPORTS", ("hydra", "gofau.optim"))
    # Either launcher runs in one process here: starting one is enough.
    once = functools.cache(lambda seeds, rates, epochs, *_: real(seeds, rates, epochs, BASIC))
    real = sweep.sweep
    monkeypatch.setattr(sweep, "sweep", lambda *words: once(*words[:3]))
    rows, page = bench("startup,sweep")
    found = figures(rows)
    further = found.pop("a further run: all but training and evaluation")
    assert abs(further) < 5  # a difference of two short sweeps: noise may take it below 0
    assert all(value > 0 for value in found.values())
    assert found["a run: the next one's composition"] < found["a run: Hydra's composition"]
    first, whole = "train.py to the end of the first step", "train.py, one step and all around it"
    assert found["train.py --help"] < found[first] < found[whole]
    assert rows[0]["section"] == "sweep"  # the order of the page
    assert "separate processes over the best sweep | ≥ 10 |" in page


def test_a_section_measured_again_replaces_its_own_rows(part, tmp_path):
    keep, row = part("page").keep, part("rows").Row
    path = tmp_path / "bench.csv"
    keep(path, "status", [row("10 runs", 1.0, "s"), row("100 runs", 2.0, "s")], {"commit": "a"})
    keep(path, "images", [row("mlp", 3.0, "images/s")], {"commit": "b"})
    table = keep(path, "status", [row("10 runs", 4.0, "s")], {"commit": "c", "dirty": False})
    assert [(r["name"], r["value"], r["commit"]) for r in table] == [
        ("mlp", "3.0", "b"),
        ("10 runs", "4.0", "c"),
    ]
    read = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert read == [{**table[0], "dirty": ""}, table[1]]


def test_goals_stand_beside_the_figures(part):
    rows, page = part("rows"), part("page")
    met = rows.Row("a|b", 3.14159, "×", goal=rows.at_least(3.14159, 3))
    missed = rows.Row("start", 12345.6, "s", goal=rows.at_most(12345.6, 3), note="slow")
    table = [
        {"section": "startup"} | {k: str(v) for k, v in row.cells().items()}
        for row in (met, missed)
    ]
    text = page.markdown(table, [])
    assert "1 of 2 goals met." in text
    assert r"| a\|b | ≥ 3 | 3.14 × | met |" in text
    assert "| start | 12,346 s |  |  | ≤ 3 | not met | slow |" in text


def test_an_unknown_section_is_a_mistake(bench, capsys):
    with pytest.raises(SystemExit):
        bench("images,speed")
    assert "speed: there is images, shares" in capsys.readouterr().err
