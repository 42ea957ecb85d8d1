"""What is set in a param group after construction is checked at the next step, which then changes
nothing."""

import pytest
import torch

from gofau import optim
from gofau.optim.checks import StepRefused

CHANGES = {
    "lr": (-1.0, "param_groups[0]: lr must be ≥ 0, got -1.0"),
    "weight_decay": (-1, "weight_decay must be ≥ 0, got -1"),
    "momentum": (float("nan"), "momentum must be ≥ 0"),
    "gamma": (5, "gamma must be in [0, 1], got 5"),
    "eta_in": (0, "eta_in must be > 0 and finite, got 0"),
    "rule": ("hybird", "Did you mean 'hybrid'?"),
    "zero_init": ("frozen", "zero_init must be one of"),
    "nesterov": ("yes", "nesterov must be true or false"),
}


@pytest.fixture
def p():
    p = torch.ones(3, requires_grad=True)
    p.grad = torch.ones(3)
    return p


@pytest.mark.parametrize("key", CHANGES)
@pytest.mark.parametrize("path", [{}, {"foreach": True}, {"fused": True}], ids=str)
def test_a_value_out_of_range_is_refused_and_nothing_is_changed(p, key, path):
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9, rule="hybrid", **path)
    optimizer.step()
    before, good = p.detach().clone(), optimizer.param_groups[0][key]
    value, sentence = CHANGES[key]
    optimizer.param_groups[0][key] = value
    for _ in range(2):  # refused again, not only when it is new
        with pytest.raises(StepRefused) as e:
            optimizer.step()
        assert sentence in str(e.value)
    assert torch.equal(p, before)
    optimizer.param_groups[0][key] = good
    optimizer.step()
    assert not torch.equal(p, before)


def test_a_schedule_below_zero_is_refused_where_it_gets_there(p):
    optimizer = optim.Adam([p], lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 2.0 - t)
    for _ in range(3):
        optimizer.step()
        schedule.step()
    with pytest.raises(StepRefused, match=r"lr must be ≥ 0, got -0\.1"):
        optimizer.step()


def test_the_settings_of_an_attached_rule_are_checked_as_well(p):
    optimizer = torch.optim.SGD([p], lr=0.1)
    optim.attach(optimizer, rule="hybrid")
    optimizer.step()
    optimizer.param_groups[0]["gofau_gamma"] = 5
    before = p.detach().clone()
    with pytest.raises(StepRefused, match=r"gamma must be in \[0, 1\], got 5"):
        optimizer.step()
    assert torch.equal(p, before)


def test_what_has_not_changed_is_not_checked_again(p, monkeypatch):
    optimizer = optim.SGD([p], lr=0.1, rule="hybrid")
    checked = []
    monkeypatch.setattr(type(optimizer), "_check", lambda self, group: checked.append(group))
    for t in range(5):
        optimizer.param_groups[0]["lr"] = 0.1 / (t + 1)
        optimizer.step()
    assert len(checked) == 1
