"""The character transformer: what it may see, where it starts, that it learns."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gofau.errors import UserError
from gofau.models.char_transformer import Block, CharTransformer
from gofau.models.init import SCHEMES, initialise

SMALL: dict[str, Any] = {"width": 16, "layers": 2, "heads": 4}


def text(batch: int = 3, length: int = 12, symbols: int = 7) -> torch.Tensor:
    return torch.randint(symbols, (batch, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("place", [0, 1, 6, 11])
def test_no_character_is_seen_before_its_place(place: int) -> None:
    model = CharTransformer(7, 12, **SMALL)
    initialise(model, "xavier_normal", seed=0)  # so that attention matters
    x = text()
    changed = x.clone()
    changed[:, place] = (x[:, place] + 1) % 7
    before, after = model(x), model(changed)
    assert torch.equal(before[:, :place], after[:, :place])
    # And at its place and all later ones it is.
    assert (before[:, place:] != after[:, place:]).any(dim=2).all()


def test_places_matter_and_texts_do_not_mix() -> None:
    model = CharTransformer(7, 12, **SMALL)
    same = torch.zeros(1, 12, dtype=torch.int64)
    logits = model(same)[0]
    assert not torch.allclose(logits[0], logits[5])
    x = text()
    torch.testing.assert_close(model(x)[1:2], model(x[1:2]))
    torch.testing.assert_close(model(x)[:, :5], model(x[:, :5]))


def test_attention_is_that_of_the_paper() -> None:
    model = CharTransformer(7, 12, **SMALL)
    initialise(model, "xavier_normal", seed=0)
    block, h = next(iter(model.blocks)), torch.randn(2, 5, 16)
    assert isinstance(block, Block)
    q, k, v = (
        layer(h).reshape(2, 5, 4, 4).permute(0, 2, 1, 3)
        for layer in (block.query, block.key, block.value)
    )
    scores = q @ k.transpose(2, 3) / 2  # √(16 / 4)
    scores.masked_fill_(torch.ones(5, 5).triu(1).bool(), -torch.inf)
    mixed = (scores.softmax(3) @ v).permute(0, 2, 1, 3).reshape(2, 5, 16)
    torch.testing.assert_close(block._attention(h), block.mix(mixed))


def test_it_can_be_differentiated_twice() -> None:
    """What step sizes from the curvature need: H·d agrees with the difference of two gradients."""
    model = CharTransformer(7, 12, **SMALL).double()
    initialise(model, "xavier_normal", seed=0)
    weights = list(model.parameters())
    step = [torch.randn_like(weight) for weight in weights]

    def gradient() -> tuple[torch.Tensor, ...]:
        loss = cross_entropy(model(text()).flatten(0, 1), text().flatten())
        return torch.autograd.grad(loss, weights, create_graph=True)

    def moved(by: float) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            for weight, direction in zip(weights, step, strict=True):
                weight.add_(direction, alpha=by)
        return gradient()

    found = torch.autograd.grad(gradient(), weights, step)
    ahead, behind = moved(1e-6), moved(-2e-6)
    for name, h, a, b in zip(model.state_dict(), found, ahead, behind, strict=True):
        assert torch.dist(h, (a - b) / 2e-6) <= 1e-6 * h.norm() + 1e-6, name


def test_half_precision() -> None:
    model = CharTransformer(7, 12, **SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(text())
    torch.testing.assert_close(logits.float(), model(text()), rtol=0.1, atol=0.01)
    logits.float().square().mean().backward()


@pytest.mark.parametrize(("layers", "width", "symbols", "context"), [(2, 96, 65, 64), (1, 8, 3, 5)])
def test_size(layers: int, width: int, symbols: int, context: int) -> None:
    model = CharTransformer(symbols, context, width=width, layers=layers)
    block = 12 * width**2 + 13 * width  # matrices; 9 widths of biases and two LayerNorms
    expected = layers * block + (symbols + context) * width + 2 * width + (width + 1) * symbols
    assert sum(p.numel() for p in model.parameters()) == expected
    assert expected == 242_561 or layers == 1


def test_it_starts_small_and_knowing_nothing() -> None:
    torch.manual_seed(0)
    model = CharTransformer(65, 64, width=96, layers=4)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert parameter.unique().tolist() == ([1] if name.endswith("weight") else [0])
        elif name.endswith("bias"):
            assert not parameter.any()
        else:
            adding = name.endswith(("mix.weight", "down.weight"))
            expected = 0.02 / math.sqrt(8) if adding else 0.02
            assert parameter.std().item() == pytest.approx(expected, rel=0.03), name
    x = text(4, 64, 65)
    loss = cross_entropy(model(x).flatten(0, 1), text(4, 64, 65).flatten())
    assert loss.item() == pytest.approx(math.log(65), rel=0.02)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_init_fills_the_matrices_and_leaves_the_embeddings(scheme: str) -> None:
    torch.manual_seed(0)
    model = CharTransformer(7, 12, **SMALL)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    report = initialise(model, scheme, seed=0)
    assert (report.weights, report.biases) == ((0, 0) if scheme == "default" else (13, 13))
    linear = {name for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    for name, parameter in model.named_parameters():
        filled = name.removesuffix(".weight") in linear and scheme != "default"
        assert torch.equal(parameter, before[name]) != filled, name
    logits = model(text())
    cross_entropy(logits.flatten(0, 1), text().flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A bias of the keys adds the same to all scores of a query, which softmax does not see.
        if not name.endswith("key.bias"):
            assert parameter.grad.any(), name


def test_it_learns_what_depends_on_more_than_the_last_character() -> None:
    torch.manual_seed(0)
    # After "a" comes "b" or "c", by turns: the character before it decides.
    x = torch.tensor([[0, 1, 0, 2] * 4])
    model = CharTransformer(3, 15, **SMALL)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def loss() -> torch.Tensor:
        return cross_entropy(model(x[:, :-1])[0, 1:], x[0, 2:])

    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.05


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"context": 0}, "context must be an integer of at least 1, not 0"),
        ({"symbols": 0}, "symbols"),
        ({"heads": 5}, "width must be a multiple of heads, but 96 is not one of 5"),
        ({"layers": 0}, "layers"),
    ],
)
def test_refusals(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=f"char_transformer: .*{words}"):
        CharTransformer(**({"symbols": 3, "context": 8} | keys))


def test_a_longer_block_is_refused() -> None:
    with pytest.raises(UserError, match="a block has 13 characters, but at most 12"):
        CharTransformer(7, 12, **SMALL)(text(length=13))
