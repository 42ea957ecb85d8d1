"""Every torch LR scheduler drives ours as it drives torch's own."""

import copy

import pytest
import torch
from torch.optim import lr_scheduler as torch_schedulers
from torch.optim.swa_utils import SWALR

import gofau.optim
from tests.optim.reference import BASES

STEPS = 12


def sequential(o):
    parts = [torch_schedulers.ConstantLR(o, 0.5, 4), torch_schedulers.ExponentialLR(o, 0.8)]
    return torch_schedulers.SequentialLR(o, parts, milestones=[5])


def chained(o):
    parts = [torch_schedulers.ConstantLR(o, 0.5, 4), torch_schedulers.ExponentialLR(o, 0.8)]
    return torch_schedulers.ChainedScheduler(parts, o)


SCHEDULERS = {
    "LambdaLR": lambda o: torch_schedulers.LambdaLR(o, lambda t: 0.9**t),
    "MultiplicativeLR": lambda o: torch_schedulers.MultiplicativeLR(o, lambda t: 0.9),
    "StepLR": lambda o: torch_schedulers.StepLR(o, 3),
    "MultiStepLR": lambda o: torch_schedulers.MultiStepLR(o, [2, 7]),
    "ConstantLR": lambda o: torch_schedulers.ConstantLR(o, 0.5, 4),
    "LinearLR": lambda o: torch_schedulers.LinearLR(o, 0.1, 1.0, 6),
    "ExponentialLR": lambda o: torch_schedulers.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: torch_schedulers.PolynomialLR(o, STEPS),
    "CosineAnnealingLR": lambda o: torch_schedulers.CosineAnnealingLR(o, STEPS),
    "CosineAnnealingWarmRestarts": lambda o: torch_schedulers.CosineAnnealingWarmRestarts(o, 4),
    "CyclicLR": lambda o: torch_schedulers.CyclicLR(o, 0.01, 0.1, 3),  # drives momentum too
    "OneCycleLR": lambda o: torch_schedulers.OneCycleLR(o, 0.1, STEPS + 1),  # and this one
    "ReduceLROnPlateau": lambda o: torch_schedulers.ReduceLROnPlateau(o, patience=1),
    "SequentialLR": sequential,
    "ChainedScheduler": chained,
    "SWALR": lambda o: SWALR(o, 0.01, anneal_epochs=5),
}
BASE_CLASSES = {"LRScheduler", "_LRScheduler"}


def walk(make, make_scheduler, **own):
    torch.manual_seed(0)
    p = torch.randn(5, requires_grad=True)
    optimizer = make([p], lr=0.1, **own)
    scheduler = make_scheduler(optimizer)
    rates = []
    for t in range(STEPS):
        p.grad = torch.tanh(p.detach() - 0.1 * t)
        optimizer.step()
        loss = [1.0] if isinstance(scheduler, torch_schedulers.ReduceLROnPlateau) else []
        scheduler.step(*loss)
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return rates, p.detach()


def test_none_of_torchs_schedulers_is_missing():
    theirs = {
        name
        for name, value in vars(torch_schedulers).items()
        if isinstance(value, type) and issubclass(value, torch_schedulers.LRScheduler)
    }
    assert theirs - BASE_CLASSES <= set(SCHEDULERS)


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("base", BASES)
def test_it_drives_ours_as_it_drives_torchs(base, name):
    ours, theirs = BASES[base]
    own = {"momentum": 0.9} if base in ("sgd", "rmsprop") else {}
    if base == "adagrad" and name in ("CyclicLR", "OneCycleLR"):
        pytest.skip("cycles a momentum that Adagrad does not have; torch's own refuses as well")
    rates, weights = walk(ours, SCHEDULERS[name], rule="additive", **own)
    expected_rates, expected = walk(theirs, SCHEDULERS[name], **own)
    assert rates == pytest.approx(expected_rates)
    torch.testing.assert_close(weights, expected, rtol=1e-5, atol=1e-6)


def test_a_scheduler_of_ones_own_can_drive_the_blend():
    """η_in, η_out and γ live in the groups as lr does."""
    p = torch.ones(3, requires_grad=True)
    optimizer = gofau.optim.SGD([p], lr=1.0, momentum=0, rule="hybrid", gamma=0.0)
    before = copy.deepcopy(optimizer.state_dict())
    for t in range(5):
        optimizer.param_groups[0]["gamma"] = t / 4
        p.grad = torch.full((3,), 0.01)
        optimizer.step()
    assert optimizer.state_dict()["param_groups"][0]["gamma"] == 1.0
    assert before["param_groups"][0]["gamma"] == 0.0
