"""Parameters and gradients of all sorts, stepped along one path or another."""

import torch

from tests.optim.reference import BASES, LR

RULES = ["additive", "multiplicative", "hybrid", "exponential", "power", "hypentropy"]
LOOP, FOREACH, FUSED = {"foreach": False, "fused": False}, {"foreach": True}, {"fused": True}
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-13}


def parameters(dtype, seed=0):
    """All sorts: two pieces of work for a thread, 0-d, empty, all zero, channels-last, with holes,
    transposed."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(40_000,), (33, 17), (), (0,), (4, 3, 2, 2), (6, 8), (5, 7)]
    values = [torch.randn(s, generator=generator).to(dtype) for s in shapes]
    values[4] = values[4].contiguous(memory_format=torch.channels_last)
    values[5], values[6] = values[5][:, ::2], values[6].T
    return [v.requires_grad_() for v in (*values, torch.zeros(9, dtype=dtype))]


def set_gradients(params, t):
    """Some missing at some steps, one laid out otherwise than its parameter, one expanded."""
    generator = torch.Generator().manual_seed(t)
    for i, p in enumerate(params):
        g = torch.randn(p.shape, generator=generator).to(p.dtype)
        p.grad = g.T.contiguous().T if i == 1 else g[:, :1].expand(p.shape) if i == 6 else g
    params[2].grad = None if t % 3 == 0 else params[2].grad


def steady(base):
    """Options with which no short float is divided by next to nothing."""
    has_eps = "eps" in BASES[base][0]([torch.zeros(1)]).defaults
    return {"eps": 1e-4} if has_eps else {}


def run(base, options, params, steps=5):
    optimizer = BASES[base][0](params, **{"lr": LR[base], "rule": "hybrid"} | options)
    for t in range(steps):
        set_gradients(params, t)
        optimizer.step()
    return optimizer


def assert_same(ours, others, tolerance):
    for p, q in zip(ours, others, strict=True):
        if p.numel():
            scale = q.detach().abs().max()
            assert ((p - q).abs().max() <= tolerance * scale).item()


def compare(base, options, dtype, path):
    plain, fast = parameters(dtype), parameters(dtype)
    one, other = run(base, options | LOOP, plain), run(base, options | path, fast)
    assert_same(fast, plain, TOLERANCE[dtype])
    for p, q in zip(plain, fast, strict=True):
        states = one.state.get(p, {}), other.state.get(q, {})
        assert states[0].keys() == states[1].keys()
        for name, x in states[0].items():
            torch.testing.assert_close(states[1][name], x, rtol=1e-4, atol=1e-5)
