"""The best point per arm: on validation, ties by loss; a part of the points chooses nothing."""

import pandas as pd
import yaml

from gofau.config.search import draw
from gofau.report.cells import prepare
from gofau.report.chosen import as_config, best_points


def record(
    trial: int,
    result: float | None,
    loss: float | None = 1.0,
    state="done",
    arm=("adam", "base", "hybrid"),
):
    optimizer, stepsize, rule = arm
    return {
        "identity": f"{arm}{trial}",
        "dataset.name": "digits",
        "model.name": "mlp",
        "seed": 0,
        "optimizer.name": optimizer,
        "stepsize.name": stepsize,
        "rule.name": rule,
        "trial": trial,
        "state": state,
        "classes": 10,
        "optimizer.lr": 0.1 * (trial + 1),
        "val/acc": result,
        "val/loss": loss,
        "rule.gamma": trial / 10 if rule == "hybrid" else None,
    }


def chosen(*rows, points):
    return list(best_points(prepare(pd.DataFrame(rows)), points))


def test_the_best_validation_result_then_the_lowest_loss_then_the_first():
    rows = [record(0, 0.8), record(1, 0.9, 0.5), record(2, 0.9, 0.4), record(3, 0.9, 0.4)]
    (found,) = chosen(*rows, points=4)
    assert found == ("adam", "hybrid", {"lr": 0.1 * 3, "gamma": 0.2})


def test_a_diverged_point_is_a_result_at_chance_level():
    rows = [record(0, None, None, "diverged"), record(1, 0.2)]
    assert chosen(*rows, points=2)[0][2] == {"lr": 0.2, "gamma": 0.1}


def test_an_arm_with_a_missing_point_has_no_choice():
    rows = [record(0, 0.8), record(1, None, None, "pending")]
    assert chosen(*rows, points=2) == [("adam", "hybrid", None)]


def test_the_file_gives_every_arm_its_values():
    lamb = ("adamw", "trust_ratio", "additive")
    rows = [
        record(k, 0.5 + 0.1 * k, arm=arm)
        for k in (0, 1)
        for arm in (lamb, ("sgd", "base", "hybrid"))
    ]
    text = as_config("digits_cnn", prepare(pd.DataFrame(rows)), 2)
    search = yaml.safe_load(text)
    assert search["arms"] == {
        "adamw+trust_ratio": {"additive": {"lr": 0.2}},
        "sgd": {"hybrid": {"lr": 0.2, "gamma": 0.1}},
    }
    config = {
        "optimizer": {"name": "sgd", "lr": 1.0},
        "rule": {"name": "hybrid", "eta_in": 3.0, "gamma": 0.5},
        "stepsize": {"name": "base"},
        "post_step": {"name": "none"},
        "search": search | {"lr_factor": 4},
    }
    draw(config)
    assert config["optimizer"]["lr"] == 0.8
    assert config["rule"] == {"name": "hybrid", "eta_in": 3.0, "gamma": 0.1}
