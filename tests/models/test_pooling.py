"""Global average pooling, and the order in memory of what flows back through every model."""

from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from gofau.models.pooling import GlobalAvgPool2d
from tests.models.test_models import CONFIGS


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 3)])
def test_it_is_the_mean_over_the_image(size: tuple[int, int], order: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 6, *size, dtype=torch.float64).contiguous(memory_format=order)
    weights = torch.randn(4, 6, 1, 1, dtype=torch.float64)
    grads = []
    for pool in (GlobalAvgPool2d(), lambda x: adaptive_avg_pool2d(x, 1)):
        leaf = x.clone().requires_grad_()
        out = pool(leaf)
        torch.testing.assert_close(out, x.mean((2, 3), keepdim=True))
        (out * weights).sum().backward()
        grads.append(leaf.grad)
    torch.testing.assert_close(grads[0], grads[1])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["small_cnn", "resnet8", "resnet18", "vgg11"])
def test_gradients_have_the_order_of_the_images(name: str, precision: str) -> None:
    config = OmegaConf.load(CONFIGS / f"{name}.yaml")
    keys: dict[str, Any] = {k: v for k, v in config.items() if k != "name"}  # type: ignore[misc]
    torch.manual_seed(0)
    model = instantiate(keys, shape=(3, 32, 32), num_classes=10)
    model = model.to(memory_format=torch.channels_last)
    wrong, seen = [], []

    def look(layer: nn.Module, _: Any, out: Tensor) -> None:
        if out.dim() == 4 and out.shape[2] > 1:
            seen.append(layer)
            out.register_hook(
                lambda grad: wrong.append(layer) if grad.stride() != out.stride() else None
            )

    for layer in model.modules():
        if not list(layer.children()):
            layer.register_forward_hook(look)
    x = torch.randn(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        model(x).float().square().sum().backward()
    assert len(seen) > 5
    assert not wrong
