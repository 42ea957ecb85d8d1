"""A way to run one operation through a compiled kernel, and bits of float32 to run it on."""

import torch

import gofau.optim as optim
from gofau.optim import rules


def through_kernel(monkeypatch, function, x):
    """``function(x)``, elementwise, as the fused step computes it: of zero weights, θ − (−f(d)) is
    f(d) bit for bit, and without momentum d is the gradient."""
    rule = rules.Rule("probe", lambda theta, d, eta: -function(d), {})
    monkeypatch.setitem(rules.RULES, "probe", rule)
    p = torch.zeros_like(x).requires_grad_()
    p.grad = x.clone()
    optimizer = optim.SGD([p], rule="probe", zero_init="freeze", fused=True)
    optimizer.step()
    return p.detach()


def float32_bits(*ranges):
    """float32 tensors of bit patterns: range(start, stop, step) over the unsigned 32 bits."""
    patterns = torch.cat([torch.arange(r.start, r.stop, r.step, dtype=torch.int64) for r in ranges])
    return (
        torch.where(patterns < 2**31, patterns, patterns - 2**32)
        .to(torch.int32)
        .view(torch.float32)
    )


def every_exponent(mantissas, generator):
    """All exponents (subnormals, infinities and NaN too), both signs, random mantissas."""
    exponent = torch.arange(256).repeat_interleave(mantissas)
    mantissa = torch.randint(0, 2**23, (256 * mantissas,), generator=generator)
    positive = (exponent << 23 | mantissa).to(torch.int32).view(torch.float32)
    return torch.cat([positive, -positive])
