"""The table of measured speed says what the records of the benchmarks say."""

import pandas as pd
import pytest

from docs._ext import speed

ROWS = [row.strip("| ").split(" | ") for row in speed.measured().splitlines()[2:]]
BENCH = {row[0]: row[1:] for row in ROWS}


def test_every_row_has_a_value_with_a_unit_and_its_hardware():
    assert len(ROWS) == len(BENCH) >= 6
    for measured, *_, hardware in BENCH.values():
        assert measured.split()[-1] in ("ms", "s", "images/s")
        assert " cores of " in hardware


@pytest.fixture
def benches(tmp_path, monkeypatch):
    """The committed records, to be changed."""
    for name in ("STEPS", "TRAINING"):
        path = getattr(speed, name)
        bench = pd.read_csv(path)
        monkeypatch.setattr(speed, name, tmp_path / f"{name}.csv")
        bench.to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def change(path, where, **values):
    bench = pd.read_csv(path)
    for column, value in values.items():
        bench.loc[where(bench), column] = value
    bench.to_csv(path, index=False)


def test_a_step_is_that_of_the_hybrid_rule_beside_torch(benches):
    mine = lambda b: (b["model"] == "resnet18") & (b["optimizer"] == "gofau hybrid")  # noqa: E731
    ratios = {"x torch default": 0.5, "x torch fused": 1.25, "cpu": "A CPU", "rounds": 7}
    change(benches / "STEPS.csv", mine, ms=3.0, **ratios)
    change(benches / "STEPS.csv", lambda b: mine(b) & (b["base"] == "SGD"), ms=123.4)
    change(benches / "STEPS.csv", lambda b: mine(b) & (b["base"] == "Lion"), ms=0.1)
    row = speed.measured().splitlines()[2]
    assert (
        "| 3.0 to 123 ms | 0.50 to 0.50 × torch's default step, 1.2 to 1.2 × torch's fused" in row
    )
    assert row.endswith("| 7 | 2 cores of A CPU |")


def test_a_training_is_the_one_that_is_chosen_automatically(benches):
    auto = lambda b: b["name"] == "resnet18 auto"  # noqa: E731
    change(benches / "TRAINING.csv", auto, value=3.21, note="fp32")
    change(benches / "TRAINING.csv", lambda b: b["name"] == "resnet18 fp32", value=1234.5, cpu="B")
    (row,) = [row for row in speed.measured().splitlines() if "training ResNet18" in row]
    assert "batch 128, fp32 | 1,234 images/s | 3.2 times as fast as a plain fp32" in row
    assert row.endswith("cores of B |")
