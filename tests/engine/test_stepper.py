"""One step of an optimizer that asks for nothing, and of those that ask for more."""

from typing import Any

import pytest
import torch
from torch import nn

from gofau.engine.stepper import Stepper


class Asking(torch.optim.SGD):
    """Calls its closure as its need wants it, and notes what came of that."""

    on_gradients = ()

    def __init__(self, params, need):
        super().__init__(params, lr=1.0)
        self.needs, self.losses, self.grads = {need}, [], []

    def step(self, closure: Any = None):
        params = self.param_groups[0]["params"]
        for _ in range(2 if self.needs == {"difference"} else 1):
            loss = closure()
            if self.needs == {"curvature"}:
                assert all(p.grad is None for p in params)
                for p, g in zip(params, torch.autograd.grad(loss, params), strict=True):
                    p.grad = g
            self.losses.append(loss.item())
            self.grads.append(params[0].grad.norm().item())
        for call in self.on_gradients:
            call(self)
        super().step()


def parts():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    x = torch.randn(6, 3)
    return model, lambda: (model(x) - 5).square().mean()


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("need", ["loss", "difference", "curvature"])
def test_what_is_asked_for_is_given_and_the_step_is_the_plain_one(need, clip):
    plain, loss = parts()
    Stepper(torch.optim.SGD(plain.parameters(), lr=1.0), plain, clip).step(loss)
    model, loss = parts()
    optimizer = Asking(model.parameters(), need)
    Stepper(optimizer, model, clip).step(loss)
    for p, q in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.equal(p, q)
    for x, y in zip(plain.buffers(), model.buffers(), strict=True):
        assert torch.equal(x, y)
    if need == "difference":
        assert optimizer.losses[0] == optimizer.losses[1]
        assert optimizer.grads[0] == optimizer.grads[1]  # neither clipped nor added to


def test_nothing_is_handed_to_an_optimizer_that_asks_for_nothing():
    model, loss = parts()

    class Plain(torch.optim.SGD):
        def step(self, closure=None):
            assert closure is None
            return super().step()

    before = loss().item()
    Stepper(Plain(model.parameters(), lr=0.1), model).step(loss)
    assert loss().item() < before
