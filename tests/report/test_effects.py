"""Effects per problem: pairs within an optimizer, rivals against the best additive arm."""

import pandas as pd
import pytest

from gofau.report.cells import prepare
from gofau.report.effects import effects, effects_of
from tests.report.records import runs, with_metric

BEST = {"additive": 0.80, "hybrid": 0.83, "multiplicative": 0.50}


def outcome(w):
    """SGD is 2 points better than Adam; both have a little noise that the seed decides."""
    return BEST[w["rule"]] + 0.02 * (w["optimizer"] == "sgd") + 0.001 * w["seed"]


def prepared(**axes):
    """Two optimizers with three rules; Lion has the additive rule only, and is a rival."""
    bases = runs(outcome, rule=("additive", "hybrid", "multiplicative"), **axes)
    rival = runs(lambda w: 0.85 + 0.002 * w["seed"], optimizer=("lion",), rule=("additive",))
    return prepare(pd.concat([bases, rival], ignore_index=True))


def test_a_rule_is_compared_within_its_optimizer_and_a_rival_with_the_best_additive_arm():
    found = {(e.arm, e.rule): e for e in effects_of(prepared())}
    assert found["adam", "hybrid"].comparison.mean == pytest.approx(0.03)
    assert found["sgd", "multiplicative"].comparison.mean == pytest.approx(-0.30)
    rival = found["lion", "additive"]
    assert (rival.against, rival.rival) == ("sgd", True)
    # 0.85 + 0.002·k against 0.82 + 0.001·k, for k = 0 … 4
    assert rival.comparison.mean == pytest.approx(0.032)
    assert rival.comparison.seeds == 5


def test_where_every_arm_has_one_rule_the_best_additive_one_is_what_the_others_are_compared_with():
    arms = {"adam": 0.9, "lion": 0.8, "nero": 0.7}
    made = [
        runs(
            lambda w: arms[w["optimizer"]] + 0.001 * w["seed"],
            optimizer=(name,),
            rule=("own" if name == "nero" else "additive",),
        )
        for name in arms
    ]
    found = list(effects_of(prepare(pd.concat(made, ignore_index=True))))
    assert [(e.arm, e.rule, e.against, e.rival) for e in found] == [
        ("lion", "additive", "adam", True),
        ("nero", "own", "adam", True),
    ]
    assert [e.comparison.mean for e in found] == pytest.approx([-0.1, -0.2])


def test_an_arm_with_a_post_step_is_a_rival_of_its_own():
    bases = runs(outcome, rule=("additive", "hybrid"))
    ham = runs(lambda w: 0.9, optimizer=("sgd",), rule=("additive",))
    both = pd.concat([bases, ham.assign(**{"post_step.name": "ham"})], ignore_index=True)
    found = {(e.arm, e.rule): e for e in effects_of(prepare(both))}
    assert found.keys() == {("sgd", "hybrid"), ("adam", "hybrid"), ("sgd+ham", "additive")}
    assert found["sgd+ham", "additive"].against == "sgd"
    assert found["sgd+ham", "additive"].comparison.mean == pytest.approx(0.078)


def test_a_tuned_value_of_a_post_step_is_no_part_of_its_name():
    bases = runs(outcome, rule=("additive", "hybrid"))
    ham = runs(lambda w: 0.9, rule=("additive",)).assign(**{"post_step.name": "ham"})
    ham["post_step.ham_alpha"] = [0.1 if name == "sgd" else 0.3 for name in ham["optimizer.name"]]
    found = {e.arm for e in effects_of(prepare(pd.concat([bases, ham], ignore_index=True)))}
    assert found == {"sgd", "adam", "sgd+ham", "adam+ham"}


def test_every_problem_has_its_own_rows_and_its_own_best_additive_arm():
    def other(w):
        return 0.9 + 0.01 * (w["optimizer"] == "adam") + 0.001 * w["seed"]

    axes = {"model": ("resnet8",), "rule": ("additive", "hybrid")}
    more = [
        runs(other, **axes),
        runs(other, model=("resnet8",), optimizer=("lion",), rule=("own",)),
    ]
    both = pd.concat([prepared(), *more], ignore_index=True)
    found = {(e.model, e.arm, e.rule): e for e in effects_of(prepare(both))}
    assert found["mlp", "lion", "additive"].against == "sgd"
    assert found["resnet8", "lion", "own"].against == "adam"
    assert found["resnet8", "lion", "own"].comparison.mean == pytest.approx(-0.01)


def test_tuned_values_that_differ_between_arms_and_problems_make_no_axis():
    """Every arm has another learning rate, η_in and γ; all runs of an arm have the same ones."""
    frame = runs(outcome, rule=("additive", "hybrid", "multiplicative"), model=("mlp", "resnet8"))
    keys = frame["optimizer.name"] + frame["rule.name"] + frame["model.name"]
    code = pd.Series(pd.factorize(keys)[0], frame.index)
    frame["optimizer.lr"], frame["rule.eta_in"] = 0.1 * (code + 1), 1.0 + code
    table = effects(prepare(frame))
    assert len(table.data) == 2 * 2 * 2
    assert set(table.data["pairs"]) == {5}
    assert set(table.data["rule"]) == {"hybrid", "multiplicative"}


def test_lower_is_better_turns_the_sign_and_the_margin_is_a_share():
    frame = with_metric(runs(outcome), "loss", lambda accuracy: 1 - accuracy)
    (first, *_) = effects_of(prepare(frame))
    assert first.comparison.mean == pytest.approx(0.03)
    mean = (1 - 0.82) - 0.002  # of the additive runs: the seeds' noise is 0 … 0.004
    assert first.margin == pytest.approx(0.01 * mean)


def test_the_verdicts_are_corrected_for_the_number_of_rows():
    table = effects(prepared()).data.set_index(["optimizer", "rule"])
    assert table.loc[("sgd", "hybrid"), "verdict"] == "supported"
    assert table.loc[("sgd", "multiplicative"), "verdict"] == "not supported"
