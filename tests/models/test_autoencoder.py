"""The autoencoder: what goes through it, its size, and what it refuses."""

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gofau.errors import UserError
from gofau.models.autoencoder import Autoencoder
from tests.models.test_models import CONFIGS, size


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 5, 7)])
def test_images_come_back_in_their_shape_and_range(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    model = Autoencoder(shape, hidden=(16, 8), code=3)
    out = model(100 * torch.randn(4, *shape))
    assert out.shape == (4, *shape)
    assert 0 <= out.min() < out.max() <= 1
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_everything_goes_through_the_code() -> None:
    """A linear layer gives `code` numbers, and no activation follows: a code may be negative."""
    model = Autoencoder((1, 4, 4), hidden=(16, 8), code=3)
    linear = [m for m in model if isinstance(m, nn.Linear)]
    assert [m.out_features for m in linear] == [16, 8, 3, 8, 16, 16]
    after = [*model][[*model].index(linear[2]) + 1]
    assert after is linear[3]


def test_its_size() -> None:
    expected = (65 * 16 + 17 * 3) + (4 * 16 + 17 * 64)
    assert size(Autoencoder((1, 8, 8), hidden=(16,), code=3)) == expected
    assert size(Autoencoder((1, 8, 8), hidden=(), code=3)) == 65 * 3 + 4 * 64


@pytest.mark.parametrize("name", ["autoencoder", "small_autoencoder"])
def test_its_configs_build_it(name: str) -> None:
    config = OmegaConf.load(CONFIGS / f"{name}.yaml")
    assert isinstance(config, DictConfig)
    assert config.pop("name") == name
    assert instantiate(config, shape=(1, 8, 8))(torch.zeros(2, 1, 8, 8)).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("shape", "keys", "words"),
    [
        ((8, 8), {}, ["autoencoder", "(channels, height, width)"]),
        ((1, 8, 8), {"code": 0}, ["code", "not 0"]),
        ((1, 8, 8), {"hidden": 16}, ["hidden", "list of widths", "16"]),
        ((1, 8, 8), {"hidden": [16, 0.5]}, ["every entry of hidden", "0.5"]),
    ],
)
def test_refusals(shape: tuple[int, ...], keys: dict[str, object], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        Autoencoder(shape, **keys)  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words)
