"""The default of each arm: two stages, judged by the validation loss; and the committed ones."""

import importlib
import math
import shutil
from typing import Any

import pandas as pd
import pytest

from gofau.report.choice import best, choice, choices, finalists
from gofau.report.types import Frame
from tests.command_line import ROOT


def record(trial, task, seed, loss, rule="hybrid", state="done"):
    row: dict[str, Any] = {"trial": trial, "dataset.name": task, "seed": seed, "state": state}
    row |= {"optimizer.name": "adam", "rule.name": rule, "val/loss": loss}
    row |= {"optimizer.lr": 10.0 ** (trial - 4), "rule.eta_in": 1.0 + trial}
    return row | {"rule.gamma": trial / 8 if rule == "hybrid" else None}


def searched(losses, fresh):
    """First stage from {trial: (loss on a, loss on b)}, second from {trial: [per-seed pairs]}."""
    rows = [record(k, task, 0, x) for k, pair in losses.items() for task, x in zip("ab", pair)]  # noqa: B905
    rows += [
        record(k, task, seed, x)
        for k, pairs in fresh.items()
        for seed, pair in enumerate(pairs, start=1)
        for task, x in zip("ab", pair)  # noqa: B905
    ]
    return pd.DataFrame(rows)


def test_the_finalists_are_those_of_the_lowest_mean_rank_over_the_tasks():
    losses = {0: (9.0, 0.1), 1: (2.0, 0.2), 2: (1.0, 0.3), 3: (3.0, 0.9), 4: (4.0, 0.8)}
    assert finalists(searched(losses, {}), 3) == [1, 2, 0]


def test_a_diverged_trial_comes_last_and_one_without_a_result_is_none():
    part = searched({0: (1.0, 1.0), 1: (2.0, 2.0), 2: (3.0, 3.0)}, {})
    part.loc[(part["trial"] == 0) & (part["dataset.name"] == "a"), "state"] = "diverged"
    part.loc[part["trial"] == 1, "state"] = "pending"
    assert finalists(part) == [2, 0]


def test_fresh_seeds_decide_and_no_task_outweighs_another_by_its_unit():
    losses = {0: (1.0, 1.0), 1: (1.1, 1.1)}
    fresh = {0: [(100.0, 2.0), (100.0, 2.0)], 1: [(110.0, 1.5), (110.0, 1.5)]}
    part = searched(losses, fresh)
    assert best(part, [0, 1]) == 1, "10 % worse on one, 33 % better on the other"
    assert best(part, [0]) == 0
    assert best(searched(losses, {}), [0, 1]) is None


def test_a_trial_that_misses_or_loses_a_fresh_seed_is_not_chosen():
    losses = {0: (1.0, 1.0), 1: (2.0, 2.0), 2: (3.0, 3.0)}
    fresh = {k: [(1.0 + k, 1.0), (1.0 + k, 1.0)] for k in losses}
    part = searched(losses, fresh)
    part.loc[(part["trial"] == 0) & (part["seed"] == 2), "state"] = "failed"
    part.loc[(part["trial"] == 1) & (part["seed"] == 2), "state"] = "diverged"
    assert best(part, [0, 1, 2]) == 2


def test_values_and_ends():
    losses = {k: (1.0 + abs(k - 4), 1.0) for k in range(9)}
    (found,) = choices(searched(losses, {4: [(1.0, 1.0)], 8: [(2.0, 1.0)]}))
    assert (found.points, found.edges) == (9, ())
    assert found.values == {"optimizer.lr": 1.0, "rule.eta_in": 5.0, "rule.gamma": 0.5}
    losses = {k: (9.0 - k, 1.0) for k in range(9)}
    runs = searched(losses, {8: [(1.0, 1.0), (2.0, 3.0), (1.5, 1.0), (1.5, 1.0), (1.5, 1.0)]})
    (found,) = choices(runs)
    assert found.edges == ("optimizer.lr", "rule.eta_in", "rule.gamma")
    texts = [cell.text for cell in choice(runs).rows[0].cells]
    assert texts[:6] == ["adam", "hybrid", "9", "10000*", "9*", "1*"]
    half = 2.7764 * math.sqrt(0.125) / math.sqrt(5)
    assert texts[6] == f"1.500 ± {half:.3f} (5)"


def test_the_committed_defaults_are_what_the_committed_records_say(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("choose_defaults")
    searched = set(pd.read_csv(ROOT / "results" / "defaults" / "runs.csv")["optimizer.name"])
    others = [p.name for p in (ROOT / "configs" / "optimizer").iterdir() if p.stem not in searched]
    ignore = shutil.ignore_patterns(*others)
    shutil.copytree(ROOT / "configs" / "optimizer", tmp_path / "optimizer", ignore=ignore)
    for path in tmp_path.rglob("*.yaml"):
        text = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join("lr: 7" if t.startswith("lr:") else t for t in text) + "\n")
    script.write(tmp_path)
    for group, number in (("optimizer", 5), ("tuned", 20)):
        written = sorted((tmp_path / group).iterdir())
        assert len(written) == number
        for path in written:
            committed = ROOT / "configs" / group / path.name
            assert path.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")


@pytest.mark.parametrize("task", ["digits", "cifar10_jpeg"])
def test_no_choice_has_seen_the_test_set(task):
    runs: Frame = pd.read_csv(ROOT / "results" / "defaults" / "runs.csv")
    assert (runs["dataset.name"] == task).any()
    assert "test/acc" not in runs
