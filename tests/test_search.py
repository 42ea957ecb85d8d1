"""Ranges of hyperparameters, drawn from alike for every arm."""

import math
from itertools import pairwise

import pytest
from hydra import compose, initialize_config_dir

from gofau.config import settle
from gofau.errors import UserError
from gofau.search import draw, point
from tests.cli import ROOT


@pytest.fixture(scope="module")
def config():
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        yield lambda *words: settle(compose("train", ["search=wide", *words]))


@pytest.mark.parametrize("coordinate", [0, 1, 2])
def test_any_number_of_points_covers_every_range(coordinate):
    for count in (10, 25, 60):
        xs = sorted(point(k)[coordinate] for k in range(count))
        assert 0 < xs[0] <= xs[-1] < 1
        ends = [0.0, *xs, 1.0]
        widest = max(b - a for a, b in pairwise(ends))
        assert widest <= 4 / count, "an even grid has 1 / count"


def test_halton_by_its_first_members():
    expected = [(1 / 2, 1 / 3, 1 / 5), (1 / 4, 2 / 3, 2 / 5), (3 / 4, 1 / 9, 3 / 5)]
    expected += [(1 / 8, 4 / 9, 4 / 5), (5 / 8, 7 / 9, 1 / 25)]
    for k, x in enumerate(expected):
        assert point(k) == pytest.approx(x)


def test_every_arm_has_ranges_and_only_what_its_rule_has_is_drawn(config):
    for optimizer in ("sgd", "adagrad", "rmsprop", "adam", "adamw"):
        for rule in ("additive", "multiplicative", "hybrid", "exponential", "power"):
            found = config(f"optimizer={optimizer}", f"rule={rule}", "search.trial=7")
            low, high = found["search"]["lr"][optimizer][rule]
            assert math.log10(high / low) == pytest.approx(3), "three decades for each"
            expected = low * 1000 ** point(7)[0]
            assert found["optimizer"]["lr"] == pytest.approx(expected, rel=5e-3)
            own = {"multiplicative": {"eta_in"}, "power": {"eta_in"}, "hybrid": {"eta_in", "gamma"}}
            assert found["rule"].keys() & {"eta_in", "gamma"} == own.get(rule, set())
            if "gamma" in found["rule"]:
                assert found["rule"]["gamma"] == pytest.approx(point(7)[2], rel=5e-3)
            assert found["rule"].get("eta_out") is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search.trial=-1"], "search.trial must be a whole number ≥ 0, got -1"),
        (["search.trial=null"], "search.trial must be a whole number ≥ 0, got None"),
        (["search.lr.sgd.hybrid=[1,0.1]"], r"must be \[low, high\], got \[1, 0.1\]"),
        (["search.lr.sgd.hybrid=[0,1]"], "logarithmic scale must be above 0"),
        (["search.gamma=1"], r"must be \[low, high\], got 1"),
        (["~search.lr.sgd.hybrid"], "search.lr.sgd has no range for hybrid"),
        (["~search.eta_in.sgd"], "search.eta_in has no range for sgd"),
    ],
)
def test_what_is_wrong_with_a_search_is_told(config, words, message):
    with pytest.raises(UserError, match=message):
        config("optimizer=sgd", "rule=hybrid", *words)


def test_drawing_changes_nothing_else(config):
    found = config("search.trial=3")
    again = {key: dict(value) if isinstance(value, dict) else value for key, value in found.items()}
    draw(again)
    assert again == found
