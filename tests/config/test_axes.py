"""A sweep of arms: a union of small grids, crossed with axes."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gofau.config.axes import Point, points

PARAMS = {"seed": "0,1"}
ARMS = [
    {"optimizer": "sgd,adam", "rule": "additive,hybrid"},
    {"optimizer": "madam"},
    {"optimizer": "adamw", "rule": "additive", "stepsize": "trust_ratio"},
]


def expand(*typed: str) -> tuple[Point, list[Point]]:
    return points(OverridesParser.create(), PARAMS, ARMS, typed)


def test_the_union_of_the_arms_is_crossed_with_the_axes():
    fixed, swept = expand("trainer.epochs=3")
    assert fixed == {"trainer.epochs": "3"}
    assert len(swept) == 2 * (4 + 1 + 1)
    assert [p["seed"] for p in swept] == ["0"] * 6 + ["1"] * 6
    assert swept[0] == {"seed": "0", "optimizer": "sgd", "rule": "additive"}
    assert swept[4] == {"seed": "0", "optimizer": "madam"}
    assert swept[5]["stepsize"] == "trust_ratio"


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        ("optimizer=adam", 2),
        ("optimizer=adam,madam", 3),
        ("rule=hybrid", 2),
        ("rule=additive", 3),
        ("stepsize=trust_ratio", 1),
    ],
)
def test_a_typed_key_keeps_the_arms_that_have_its_value(typed: str, count: int):
    assert len(expand(typed)[1]) == 2 * count


def test_two_typed_keys_choose_one_arm():
    fixed, swept = expand("optimizer=adam", "rule=hybrid", "seed=7")
    assert fixed == {"seed": "7"}
    assert swept == [{"optimizer": "adam", "rule": "hybrid"}]


def test_a_typed_value_that_no_arm_has_replaces_the_key_once():
    fixed, swept = expand("optimizer=mine", "seed=0")
    assert fixed == {"optimizer": "mine", "seed": "0"}
    assert swept == [
        {"rule": "additive"},
        {"rule": "hybrid"},
        {},
        {"rule": "additive", "stepsize": "trust_ratio"},
    ]


def test_a_new_value_beside_a_known_one_is_not_dropped():
    _, swept = expand("rule=hybrid,mine", "seed=0")
    assert swept == [
        {"optimizer": "sgd", "rule": "hybrid"},
        {"optimizer": "adam", "rule": "hybrid"},
        {"optimizer": "sgd", "rule": "mine"},
        {"optimizer": "adam", "rule": "mine"},
        {"optimizer": "madam", "rule": "mine"},
        {"optimizer": "adamw", "stepsize": "trust_ratio", "rule": "mine"},
    ]


def test_without_arms_it_is_a_product():
    _, swept = points(OverridesParser.create(), {"a": "1,2"}, [], ["b=range(3)", "a=5,6"])
    assert [(p["a"], p["b"]) for p in swept] == [(a, str(b)) for a in "56" for b in range(3)]
