"""What goes into which group, and what is said of it."""

import copy

import pytest
import torch
from torch import nn

import gofau.optim as optim
from gofau.optim import attach, param_groups


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
        self.body = nn.Linear(4, 4)
        self.head = nn.Linear(4, 2, bias=False)


def placed(groups):
    """{name: settings} of every parameter."""
    return {
        name: {k: v for k, v in g.items() if k not in ("params", "param_names")}
        for g in groups
        for name in g["param_names"]
    }


def test_without_overrides_there_is_one_group_in_the_models_order():
    net = Net()
    (group,) = param_groups(net, rule="hybrid", lr=0.1)
    assert group["param_names"] == [name for name, _ in net.named_parameters()]
    assert all(a is b for a, b in zip(group["params"], net.parameters(), strict=True))
    assert (group["rule"], group["lr"]) == ("hybrid", 0.1)
    assert set(param_groups(net)[0]) == {"params", "param_names"}


def test_types_and_patterns_choose_and_later_ones_win():
    groups = param_groups(
        Net(),
        rule="hybrid",
        overrides={
            nn.BatchNorm2d: {"rule": "additive", "weight_decay": 0.0},
            "*.bias": {"rule": "multiplicative"},
            "head.*": {"lr": 1e-2},
            nn.modules.batchnorm._NormBase: {"eta_in": 3.0},
        },
    )
    hybrid, norm = {"rule": "hybrid"}, {"weight_decay": 0.0, "eta_in": 3.0}
    assert placed(groups) == {
        "stem.0.weight": hybrid,
        "stem.0.bias": {"rule": "multiplicative"},
        "stem.1.weight": {"rule": "additive"} | norm,
        "stem.1.bias": {"rule": "multiplicative"} | norm,
        "body.weight": hybrid,
        "body.bias": {"rule": "multiplicative"},
        "head.weight": hybrid | {"lr": 1e-2},
    }
    assert [g["param_names"] for g in groups] == [  # equal settings are merged, order is stable
        ["stem.0.weight", "body.weight"],
        ["stem.0.bias", "body.bias"],
        ["stem.1.weight"],
        ["stem.1.bias"],
        ["head.weight"],
    ]
    swapped = {"*.bias": {"rule": "multiplicative"}, nn.BatchNorm2d: {"rule": "additive"}}
    assert placed(param_groups(Net(), overrides=swapped))["stem.1.bias"] == {"rule": "additive"}


def test_settings_that_come_to_the_same_are_one_group():
    same = {nn.BatchNorm2d: {"a": 1, "b": 2}, "*.bias": {"b": 2, "a": 1}}
    assert len(param_groups(Net(), overrides=same)) == 2


def test_tied_parameters_appear_once_and_answer_to_all_names():
    net = Net()
    net.tied = nn.Linear(4, 2, bias=False)
    net.tied.weight = net.head.weight
    groups = param_groups(net, overrides={"tied.*": {"lr": 1.0}})
    assert placed(groups)["head.weight"] == {"lr": 1.0}
    assert "tied.weight" not in placed(groups)
    net.again = net.body  # a whole module, twice
    (group,) = param_groups(net)
    assert group["param_names"] == [name for name, _ in net.named_parameters()]
    assert set(placed(param_groups(net, overrides={"again.*": {"lr": 2.0}}))) == set(
        group["param_names"]
    )


def test_frozen_parameters_are_left_out_and_reported():
    net = Net()
    net.stem.requires_grad_(False)
    groups = param_groups(net, overrides={"stem.*": {"lr": 1.0}})
    assert groups.frozen == ["stem.0.weight", "stem.0.bias", "stem.1.weight", "stem.1.bias"]
    assert set(placed(groups)) == {"body.weight", "body.bias", "head.weight"}
    assert str(groups).splitlines()[-1].split()[:3] == ["frozen", "4", "48"]
    with pytest.raises(ValueError, match="Net has no parameter that needs a gradient"):
        param_groups(net.requires_grad_(False))


def test_the_report_is_a_small_aligned_table_and_stays_what_it_was():
    groups = param_groups(Net(), rule="hybrid", overrides={"stem.0.*": {"rule": "additive"}})
    expected = [
        "group  tensors  elements  settings       parameters",
        "0            2        40  rule=additive  stem.0.weight, stem.0.bias",
        "1            5        36  rule=hybrid    "
        + "stem.1.weight, stem.1.bias, body.weight, … 2 more",
    ]
    assert str(groups).splitlines() == expected
    optim.SGD(groups)  # torch writes an optimizer's defaults into the groups it is given
    assert str(groups).splitlines() == expected
    assert "… 4 more" in str(param_groups(Net()))


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ("haed.*", r"'haed\.\*' matches no parameter of Net\. Did you mean 'head\.\*'\?"),
        ("*.biass", r"Did you mean '\*\.bias'"),
        ("body.wieght", r"Did you mean 'body\.weight'"),
        (nn.BatchNorm1d, "'BatchNorm1d' matches no parameter of Net. Did you mean 'BatchNorm2d'"),
    ],
)
def test_an_override_that_matches_nothing_names_the_nearest(selector, hint):
    with pytest.raises(ValueError, match=hint):
        param_groups(Net(), overrides={selector: {"lr": 1.0}})


@pytest.mark.parametrize("selector", [3, int, None])
def test_a_selector_of_another_kind_is_refused(selector):
    with pytest.raises(TypeError, match="a name pattern or a module class"):
        param_groups(Net(), overrides={selector: {}})


@pytest.mark.parametrize("base", [optim.SGD, optim.Adam, optim.AdamW, torch.optim.SGD])
def test_the_groups_fit_the_optimizers_names_included(base):
    net = Net()
    biases = {"*.bias": {"weight_decay": 0.0}}
    optimizer = base(param_groups(net, overrides=biases), lr=0.1, weight_decay=0.1)
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.1, 0.0]
    saved = optimizer.state_dict()
    assert saved["param_groups"][1]["param_names"] == ["stem.0.bias", "stem.1.bias", "body.bias"]
    again = base(param_groups(copy.deepcopy(net), overrides=biases))
    again.load_state_dict(saved)
    assert [g["lr"] for g in again.param_groups] == [0.1, 0.1]


def test_settings_nobody_knows_are_refused_by_the_optimizer():
    groups = param_groups(Net(), overrides={"*.bias": {"eta_inn": 1.0}})
    with pytest.raises(ValueError, match="Did you mean 'eta_in'"):
        optim.SGD(groups)
    with pytest.raises(ValueError, match="Did you mean 'hybrid'"):
        optim.SGD(param_groups(Net(), rule="hybird"))


def test_groups_for_an_attached_rule():
    groups = param_groups(Net(), overrides={nn.BatchNorm2d: {"gofau_rule": "additive"}})
    optimizer = torch.optim.SGD(groups)
    attach(optimizer, rule="multiplicative")
    assert [g["gofau_rule"] for g in optimizer.param_groups] == ["multiplicative", "additive"]
