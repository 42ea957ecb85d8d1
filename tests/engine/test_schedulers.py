"""Schedules against their formulas."""

import math

import pytest
import torch

import gofau.optim
from gofau.engine import schedulers
from gofau.errors import UserError

TOTAL, PER_EPOCH = 40, 10


def rates(make, **own):
    """lr of both groups at each step."""
    params = [torch.ones(1, requires_grad=True) for _ in range(2)]
    groups = [{"params": params[:1], "lr": 0.5}, {"params": params[1:]}]
    optimizer = gofau.optim.SGD(groups, lr=2.0)
    scheduler = make(optimizer, total_steps=TOTAL, steps_per_epoch=PER_EPOCH, **own)
    seen = []
    for _ in range(TOTAL):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    for group in seen:
        assert group[1] == pytest.approx(4 * group[0])
    return [group[1] for group in seen]


def test_constant():
    assert rates(schedulers.constant) == [2.0] * TOTAL


def test_cosine():
    expected = [1 + math.cos(math.pi * t / TOTAL) for t in range(TOTAL)]
    assert rates(schedulers.cosine) == pytest.approx(expected)


def test_cosine_with_warmup_and_a_floor():
    got = rates(schedulers.cosine, warmup_epochs=1, final=0.1)
    assert got[:10] == pytest.approx([2 * (t + 1) / 11 for t in range(10)])
    assert got[10] == 2.0
    assert got[-1] == pytest.approx(2 * (0.1 + 0.9 * (1 + math.cos(math.pi * 29 / 30)) / 2))


def test_step():
    got = rates(schedulers.step, milestones=[0.5, 0.75], gamma=0.1)
    assert got == pytest.approx([2.0] * 20 + [0.2] * 10 + [0.02] * 10)


def test_one_cycle():
    got = rates(schedulers.one_cycle, warmup=0.25, initial_divisor=20, final_divisor=100)
    assert got[0] == pytest.approx(0.1)
    assert max(got) == pytest.approx(2.0)
    assert got.index(max(got)) == 9
    assert got[-1] == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("make", "own"),
    [
        (schedulers.cosine, {"warmup_epochs": 4}),
        (schedulers.cosine, {"warmup_epochs": -1}),
        (schedulers.step, {"milestones": [0.5, 1.5]}),
    ],
)
def test_what_does_not_fit_the_run_is_refused(make, own):
    with pytest.raises(UserError, match=f"scheduler.{next(iter(own))} must be"):
        rates(make, **own)
