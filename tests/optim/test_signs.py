"""The bases that step by a sign, Lion and SignSGD, equal short references on every path."""

import pytest
import torch

from tests.optim.reference import TABLE
from tests.optim.stepping import FOREACH, FUSED, LOOP

STEPS = 200
PATHS = {"loop": LOOP, "foreach": FOREACH, "fused": FUSED}


def walk(make, **options):
    generator = torch.Generator().manual_seed(0)
    shapes = ((7, 3), (5,), ())
    params = [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]
    optimizer = make(params, lr=0.003, weight_decay=0.1, **options)
    for t in range(STEPS):
        for p in params:
            # Not the same sign for long: the gradient's noise is larger than its mean.
            noise = torch.randn(p.shape, generator=generator, dtype=p.dtype)
            p.grad = torch.tanh(p.detach()) + noise
        optimizer.param_groups[0]["lr"] = 0.003 * (1 - t / STEPS)
        with torch.no_grad():
            optimizer.step()
    return [p.detach() for p in params]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("base", "own"),
    [
        ("lion", {}),
        ("lion", {"betas": (0.5, 0.8)}),
        ("signsgd", {}),
        ("signsgd", {"momentum": 0.9}),
    ],
    ids=["lion", "lion-betas", "signsgd", "signum"],
)
def test_200_steps_are_those_of_the_reference(base, own, path):
    ours, reference = TABLE[base][:2]
    expected = walk(reference, **own)
    for p, q in zip(walk(ours, **own, **PATHS[path]), expected, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)
