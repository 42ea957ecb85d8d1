"""A small model, its data, and the plain loop that every framework is compared with."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import gofau.optim


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3))


def data(n=32):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 6, generator=generator)
    return x, torch.randint(3, (n,), generator=generator)


def optimizer(net, **more):
    return gofau.optim.Adam(net.parameters(), **{"lr": 0.05, "rule": "hybrid", **more})


def plain(net, opt, batches):
    """Train on the batches in turn; the weights at the end."""
    for x, y in batches:
        opt.zero_grad()
        cross_entropy(net(x), y).backward()
        opt.step()
    return weights(net)


def weights(net):
    return {name: p.detach().clone() for name, p in net.named_parameters()}


def batches(size=8, n=32, epochs=2):
    x, y = data(n)
    return list(zip(x.split(size), y.split(size), strict=True)) * epochs


def assert_same(got, expected, **tolerance):
    assert got.keys() == expected.keys()
    for name in got:
        torch.testing.assert_close(got[name], expected[name], **tolerance, msg=name)
