"""The runs of a sweep with arms, and what typed overrides make of them."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gofau.config.arms import expand
from gofau.config.grid import grid
from gofau.errors import UserError
from gofau.runs import folder_name
from tests.command_line import ROOT

PARAMS = {"model": "mlp,small_cnn", "seed": 0}
ARMS = {
    "bases": {"optimizer": "sgd,adam", "rule": "additive,hybrid"},
    "nero": {"optimizer": "nero"},
    "lamb": {"optimizer": "adamw", "rule": "additive", "stepsize": "trust_ratio"},
    "tuned": {"optimizer": "lion", "rule": "additive", "optimizer.lr": "0.001,0.01"},
}


def runs(*typed, params=PARAMS, arms=ARMS):
    parser = OverridesParser.create()
    found = expand(parser, params, arms, parser.parse_overrides([*typed]))
    return [" ".join(word for word in run if word != "seed=0") for run in found]


def test_the_runs_are_those_of_the_arms_for_each_value_of_the_rest():
    mlp = [
        "model=mlp optimizer=sgd rule=additive",
        "model=mlp optimizer=sgd rule=hybrid",
        "model=mlp optimizer=adam rule=additive",
        "model=mlp optimizer=adam rule=hybrid",
        "model=mlp optimizer=nero",
        "model=mlp optimizer=adamw rule=additive stepsize=trust_ratio",
        "model=mlp optimizer=lion rule=additive optimizer.lr=0.001",
        "model=mlp optimizer=lion rule=additive optimizer.lr=0.01",
    ]
    assert runs() == [*mlp, *(line.replace("mlp", "small_cnn") for line in mlp)]


def test_without_arms_it_is_the_product():
    assert runs(arms=None) == ["model=mlp", "model=small_cnn"] == runs(arms={"bases": None})
    assert runs("rule=power,hybrid", "model=mlp", arms={}) == [
        "model=mlp rule=power",
        "model=mlp rule=hybrid",
    ]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["optimizer=nero"], ["optimizer=nero"]),
        (["optimizer=adam,nero", "rule=hybrid"], ["optimizer=adam rule=hybrid"]),
        (["rule=hybrid"], ["optimizer=sgd rule=hybrid", "optimizer=adam rule=hybrid"]),
        # A rule that no arm has goes to the arm that varies the rule, and to no rival.
        (
            ["optimizer=sgd,adamw", "rule=additive,mine"],
            [
                "optimizer=sgd rule=additive",
                "optimizer=sgd rule=mine",
                "optimizer=adamw rule=additive stepsize=trust_ratio",
            ],
        ),
        (["optimizer.lr=1e-3"], ["optimizer=lion rule=additive optimizer.lr=1e-3"]),
        (["stepsize=trust_ratio"], ["optimizer=adamw rule=additive stepsize=trust_ratio"]),
    ],
)
def test_typed_values_select_the_arms_that_take_them(typed, expected):
    assert runs("model=mlp", *typed) == [f"model=mlp {line}" for line in expected]


def test_a_typed_key_of_no_arm_holds_for_all_arms():
    assert runs("trainer.epochs=2") == [
        line.replace(" optimizer", " trainer.epochs=2 optimizer", 1) for line in runs()
    ]
    assert len(runs("trainer.epochs=2,4")) == 2 * len(runs())


def test_what_two_arms_share_is_run_once():
    arms = {"a": {"optimizer": "sgd,adam"}, "b": {"optimizer": "adam,lion"}}
    assert runs("model=mlp", arms=arms) == [
        f"model=mlp optimizer={o}" for o in ("sgd", "adam", "lion")
    ]


def test_an_axis_of_an_arm_goes_before_the_shared_one():
    arms = {"a": {"optimizer": "sgd"}, "b": {"optimizer": "adam", "model": "mlp"}}
    assert runs(arms=arms) == [
        "model=mlp optimizer=sgd",
        "model=mlp optimizer=adam",
        "model=small_cnn optimizer=sgd",
    ]


def test_a_value_that_no_arm_takes_is_one_sentence():
    with pytest.raises(UserError) as e:
        runs("stepsize=trust_ration")
    assert str(e.value) == (
        "stepsize=trust_ration, with what else is typed, selects no arm of this sweep; stepsize in"
        " its arms: trust_ratio. Did you mean 'trust_ratio'?"
    )
    with pytest.raises(UserError, match=r"^rule=hybrid, with .*; rule in its arms: additive, hy"):
        runs("optimizer=nero", "rule=hybrid")


@pytest.mark.parametrize("arms", [["sgd"], {"lamb": "adamw"}, 3])
def test_arms_that_have_no_axes_are_one_sentence(arms):
    with pytest.raises(UserError, match=r"^hydra\.sweeper\.arms must name arms, each with"):
        runs(arms=arms)


def test_the_multirun_runs_the_arms(train):
    arms = "{bases: {optimizer: sgd, rule: 'additive,hybrid'}, n: {optimizer: nero}}"
    quick = ["debug=fast", "model=mlp", "model.hidden=[8]"]
    words = [*quick, f"hydra.sweeper.arms={arms}", "seed=0,1"]
    assert train("-m", *words)[0] == 0
    cells = list(grid(ROOT / "configs", words))
    assert sorted(folder_name(c) for _, c in cells) == [f.name for f in train.runs()]
    assert [point for point, _ in cells[:3]] == [
        {"seed": "0", "optimizer": "sgd", "rule": "additive"},
        {"seed": "0", "optimizer": "sgd", "rule": "hybrid"},
        {"seed": "0", "optimizer": "nero"},
    ]
    assert len(cells) == 6
