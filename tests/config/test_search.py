"""Hyperparameters drawn from ranges: the same points for every arm, within what is written down."""

import math

import pytest
from hydra import compose, initialize_config_dir
from scipy.stats import qmc

from gofau.config.hydras import BASE
from gofau.config.schema import settle
from gofau.config.search import draw, point
from gofau.errors import UserError
from gofau.optim import RULES
from gofau.runs import identity
from tests.command_line import ROOT

BASES = ("sgd", "adagrad", "rmsprop", "adam", "adamw")
OWN = ("additive", "multiplicative", "hybrid", "exponential", "power")


@pytest.fixture(scope="module")
def config():
    with initialize_config_dir(str(ROOT / "configs"), **BASE):
        yield lambda *overrides: settle(compose("train", [*map(str, overrides)]))


def test_the_points_are_haltons():
    theirs = qmc.Halton(3, scramble=False).random(51)[1:]
    for k, row in enumerate(theirs):
        assert point(k) == pytest.approx(tuple(row))


def test_every_fifth_of_every_range_is_tried_about_equally_often():
    for axis in zip(*map(point, range(25)), strict=True):
        assert all(4 <= sum(int(5 * x) == fifth for x in axis) <= 6 for fifth in range(5))


@pytest.mark.parametrize("optimizer", BASES)
@pytest.mark.parametrize("rule", OWN)
def test_an_arm_gets_what_its_rule_has_and_within_its_ranges(config, optimizer, rule):
    settled = config(f"optimizer={optimizer}", f"rule={rule}", "search=wide", "search.trial=11")
    ranges = settled["search"]
    low, high = ranges["lr"][optimizer][rule]
    assert math.log10(high / low) == pytest.approx(3)
    assert low < settled["optimizer"]["lr"] < high
    own = {key: value for key, value in settled["rule"].items() if key in ("eta_in", "gamma")}
    assert own.keys() == {"eta_in", "gamma"} & RULES[rule].hyperparameters.keys()
    if "eta_in" in own:
        low, high = ranges["eta_in"][optimizer]
        assert low < own["eta_in"] < high
    assert 0 < own.get("gamma", 0.5) < 1
    assert settled["rule"].get("eta_out") is None  # it follows the learning rate


def test_every_arm_gets_the_same_shares_of_its_ranges(config):
    def share(optimizer, rule):
        settled = config(f"optimizer={optimizer}", f"rule={rule}", "search=wide", "search.trial=4")
        low, high = settled["search"]["lr"][optimizer][rule]
        return math.log(settled["optimizer"]["lr"] / low) / math.log(high / low)

    shares = [
        share(o, r) for o, r in (("sgd", "additive"), ("adam", "power"), ("adagrad", "hybrid"))
    ]
    assert shares == pytest.approx([point(4)[0]] * 3, abs=2e-3)  # they are rounded to three digits


def test_a_drawn_run_is_the_run_of_these_numbers(config):
    """How a number was come by is no part of what a run is."""
    drawn = config("search=wide", "search.trial=3")
    typed = [f"optimizer.lr={drawn['optimizer']['lr']}"]
    typed += [f"rule.{name}={drawn['rule'][name]}" for name in ("eta_in", "gamma")]
    assert identity(config(*typed)) == identity(drawn)
    assert identity(config("search=wide", "search.trial=4")) != identity(drawn)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trial": None}, "search.trial must be a whole number"),
        ({"trial": True}, "search.trial must be a whole number"),
        ({"lr": {"adam": {}}}, "search.lr has no range for sgd"),
        ({"lr": {"sgd": {"additive": [1, 2]}}}, "search.lr.sgd has no range for hybrid"),
        ({"lr": {"sgd": {"hybrid": [0, 1]}}}, "must be above 0"),
        ({"gamma": [0.5]}, "must be .low, high."),
        ({"eta_in": {"sgd": [2, 1]}}, "must be .low, high."),
    ],
)
def test_what_is_no_range_is_one_sentence(change, message):
    search = {"trial": 0, "lr": {"sgd": {"hybrid": [0.1, 1]}}, "eta_in": {"sgd": [1, 10]}}
    config = {
        "optimizer": {"name": "sgd"},
        "rule": {"name": "hybrid", "eta_in": 1.0, "gamma": 0.5},
        "stepsize": {"name": "base"},
        "post_step": {"name": "none"},
        "search": search | {"gamma": [0, 1]} | change,
    }
    with pytest.raises(UserError, match=message):
        draw(config)
