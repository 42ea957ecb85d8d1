"""The table of all arms, beside what others published."""

import pandas as pd
import pytest

from gofau.config.grid import grid
from gofau.report.cells import prepare
from gofau.report.published import published, quoted
from gofau.report.render import markdown
from tests.command_line import ROOT
from tests.report.records import runs


def records(dataset):
    """Ours: 60 % everywhere, hybrid one point better."""
    parts = [
        runs(lambda w: 0.6 + 0.01 * (w["rule"] == "hybrid"), model=("resnet18", "vgg11")),
        runs(lambda w: 0.6, optimizer=("nero",), rule=("own",), model=("resnet18", "vgg11")),
        runs(lambda w: 0.6, optimizer=("adamw",), rule=("additive",), model=("resnet18",)),
    ]
    found = pd.concat(parts, ignore_index=True)
    found["stepsize.name"] = [
        "trust_ratio" if o == "adamw" else "base" for o in found["optimizer.name"]
    ]
    return prepare(found.assign(**{"dataset.name": dataset}))


def test_published_values_stand_in_a_column_of_their_own(tmp_path):
    table = published(records("cifar100"), tmp_path / "tab4_cifar100")
    assert table.columns[-1] == "published [T], resnet18"
    beside = {tuple(c.text for c in row.cells[:3]): row.cells[-1].text for row in table.rows}
    assert beside == {
        ("sgd", "additive", "base"): "–",
        ("sgd", "hybrid", "base"): "Hybrid SGD: 61.58 ± 1.11",
        ("adam", "additive", "base"): "–",
        ("adam", "hybrid", "base"): "Hybrid Adam: 67.10 ± 0.35",
        ("nero", "own", "base"): "Nero: 64.23 ± 0.81",
        ("adamw", "additive", "trust_ratio"): "LAMB: 61.50 ± 0.64",
    }
    ours = {row.cells[3].text for row in table.rows}
    assert ours == {"60.00 ± 0.00 (0.00; 5)", "61.00 ± 0.00 (0.00; 5)"}, "not mixed with theirs"
    assert table.rows[-1].cells[4].text == "–", "an arm that this model was not trained with"
    assert "eakirtas/wcci26_on_difficulty_of_nnn, sections/5_mult" in table.note


@pytest.mark.parametrize("name", ["tab4_cifar100", "smoke_tab4_cifar100"])
def test_on_other_data_nothing_is_quoted(tmp_path, name):
    text = markdown(published(records("digits"), tmp_path / name))
    assert "67.10" not in text
    assert "published table is of resnet18 on cifar100, so there is nothing to quote" in text


@pytest.mark.long
def test_every_published_arm_is_one_that_the_experiment_runs():
    """So that no value is left out by a misspelt name."""
    swept = {
        tuple(config[part]["name"] for part in ("optimizer", "rule", "stepsize"))
        for _, config in grid(ROOT / "configs", ["experiment=tab4_cifar100", "seed=0"])
    }
    theirs = quoted("tab4_cifar100")["values"]
    arms = {(v["optimizer"], v["rule"], v.get("stepsize", "base")) for v in theirs}
    assert arms <= swept
    assert len(arms) == len(theirs) == 13
