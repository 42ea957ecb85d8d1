"""The graph convolutional network against its formula in dense matrices."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gofau.errors import UserError
from gofau.models.gcn import GCN
from gofau.models.init import SCHEMES, initialise


def graph(nodes: int = 9, features: int = 6) -> tuple[Tensor, Tensor]:
    """Features and a symmetric matrix, float64, half of them zeros."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(nodes, features, generator=generator, dtype=torch.float64)
    a = torch.rand(nodes, nodes, generator=generator, dtype=torch.float64)
    return (x * (x > 0.5)).to_sparse(), ((a + a.T) * (a + a.T > 1)).to_sparse()


def dense(model: GCN, x: Tensor, a: Tensor) -> Tensor:
    return a @ (a @ x @ model.first.weight.T).relu() @ model.second.weight.T


def test_it_is_the_formula_and_so_are_its_gradients() -> None:
    model = GCN(6, 3, width=5).double().eval()
    x, a = graph()
    found, expected = model(x, a), dense(model, x.to_dense(), a.to_dense())
    torch.testing.assert_close(found, expected)
    weights = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), weights),
        torch.autograd.grad(expected.square().sum(), weights),
    )


def test_gradients_of_gradients_exist_and_are_right() -> None:
    """What step sizes from the curvature need."""
    model = GCN(6, 3, width=5, dropout=0).double()
    x, a = graph()

    def output(first: Tensor, second: Tensor) -> Tensor:
        weights = {"first.weight": first, "second.weight": second}
        return torch.func.functional_call(model, weights, (x, a))

    weights = [weight.detach().clone().requires_grad_() for weight in model.parameters()]
    assert torch.autograd.gradcheck(output, weights)
    assert torch.autograd.gradgradcheck(output, weights)


def test_dropout_draws_for_what_is_there() -> None:
    model = GCN(6, 3, dropout=0.25)
    x = torch.zeros(400, 6)
    x[:, :3] = 2.0
    dropped = model._dropped(x.to_sparse()).to_dense()
    assert not dropped[:, 3:].any()
    kept = dropped[:, :3]
    assert kept.unique().tolist() == pytest.approx([0, 2 / 0.75])
    # 1,200 draws: the standard error of the share is 0.0125.
    assert (kept == 0).float().mean().item() == pytest.approx(0.25, abs=0.05)
    model.eval()
    assert torch.equal(model._dropped(x.to_sparse()).to_dense(), x)


def test_dropout_of_the_hidden_layer_too() -> None:
    model = GCN(6, 3).double()
    x, a = graph()
    model._dropped = lambda features: features  # type: ignore[method-assign]
    assert not torch.equal(model(x, a), model(x, a))
    assert torch.equal(model.eval()(x, a), model(x, a))


def test_the_generator_decides_dropout() -> None:
    model = GCN(6, 3).double()
    x, a = graph()
    torch.manual_seed(1)
    first = model(x, a)
    torch.manual_seed(1)
    assert torch.equal(first, model(x, a))


def test_it_starts_after_glorot() -> None:
    model = GCN(1000, 7, width=16)
    for weight in model.parameters():
        limit = (6 / sum(weight.shape)) ** 0.5
        assert 0.9 * limit < weight.abs().max().item() <= limit
    assert sum(weight.numel() for weight in model.parameters()) == 1000 * 16 + 16 * 7


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_init_knows_both_layers(scheme: str) -> None:
    model = GCN(6, 3)
    report = initialise(model, scheme, seed=0)
    assert (report.weights, report.biases) == ((0, 0) if scheme == "default" else (2, 0))
    x, a = graph()
    logits = model(x.float(), a.float())
    assert logits.isfinite().all()
    assert logits.std() > 0


def test_half_precision_leaves_the_sparse_products_whole() -> None:
    model = GCN(6, 3).eval()
    x, a = (tensor.float() for tensor in graph())
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x, a)
    torch.testing.assert_close(logits, model(x, a), rtol=0.05, atol=0.05)
    logits.sum().backward()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"features": 0}, "features must be an integer of at least 1, not 0"),
        ({"classes": 0}, "classes"),
        ({"width": 1.5}, r"width must be an integer of at least 1, not 1\.5"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), not 1\.0"),
        ({"dropout": True}, "dropout must be a number"),
        ({"dropout": "half"}, "not 'half'"),
    ],
)
def test_refusals(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=f"gcn: .*{words}"):
        GCN(**({"features": 6, "classes": 3} | keys))
