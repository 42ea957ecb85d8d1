"""The best point of a grid, and the configuration that the committed ones became."""

import importlib
import shutil

import pandas as pd
import pytest

from gofau.report.cells import prepare
from gofau.report.choice import choice, choices
from gofau.report.types import Frame
from tests.cli import ROOT
from tests.report.records import runs


def grid():
    """Additive tries three rates and hybrid one rate with two values of α; 0.2 diverges."""

    def outcome(w):
        return None if w["lr"] == 0.2 else {0.05: 0.8, 0.1: 0.9}[w["lr"]] + 0.01 * w["seed"]

    frame: Frame = runs(outcome, lr=(0.05, 0.1, 0.2), optimizer=("sgd",))
    frame["val/loss"] = 1 - frame["test/acc"].fillna(0)
    frame = frame[(frame["rule.name"] == "additive") | (frame["optimizer.lr"] == 0.1)]
    twice = frame[frame["rule.name"] == "hybrid"].assign(**{"rule.alpha": 0.9, "val/loss": 0.01})
    return runs_together(frame, twice)


def runs_together(*frames):
    return pd.concat(frames, ignore_index=True)


def test_the_best_mean_wins_and_of_equals_the_lower_loss():
    additive, hybrid = choices(prepare(grid()))
    assert additive["values"] == {"optimizer.lr": 0.1}
    assert (additive["points"], additive["edges"]) == (3, ())
    assert additive["near"] == pytest.approx(1 / 3)
    assert hybrid["values"] == {"optimizer.lr": 0.1, "rule.alpha": 0.9}
    assert hybrid["near"] == 1


def test_the_end_of_a_list_is_marked():
    frame = prepare(grid())
    short = frame[(frame["optimizer.lr"] != 0.05) | (frame["rule.name"] == "hybrid")]
    longer = runs_together(short, short.assign(**{"optimizer.lr": 0.3, "choice": 0.1}))
    (found, _) = choices(longer)
    assert found["edges"] == ("optimizer.lr",)
    assert "0.1*" in [cell.text for cell in choice(longer).rows[0].cells]


def test_a_point_that_misses_a_seed_is_not_chosen():
    frame = prepare(grid())
    gone = (frame["optimizer.lr"] == 0.1) & (frame["seed"] == 2)
    additive, hybrid = choices(frame.assign(choice=frame["choice"].mask(gone)))
    assert additive["values"] == {"optimizer.lr": 0.05}
    assert hybrid["values"] == {}


def test_the_committed_defaults_are_what_the_committed_records_say(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("choose_defaults")
    shutil.copytree(ROOT / "configs" / "optimizer", tmp_path / "optimizer")
    for path in tmp_path.rglob("*.yaml"):
        text = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join("lr: 7" if t.startswith("lr:") else t for t in text) + "\n")
    script.write(tmp_path)
    for group, number in (("optimizer", 5), ("tuned", 15)):
        written = sorted((tmp_path / group).iterdir())
        assert len(written) == number
        for path in written:
            committed = ROOT / "configs" / group / path.name
            assert path.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")
