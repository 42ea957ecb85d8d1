"""Every classifier: shapes, parameter counts, gradients, refusals, configs, import cost."""

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gofau.errors import UserError
from gofau.models.mlp import MLP
from gofau.models.resnet8 import resnet8
from gofau.models.resnet18 import resnet18
from gofau.models.small_cnn import SmallCNN
from gofau.models.vgg import vgg11, vgg16

CONFIGS = Path(__file__).parents[2] / "configs" / "model"
BUILT: dict[str, Callable[..., nn.Module]] = {
    path.stem: get_object(str(OmegaConf.select(OmegaConf.load(path), "_target_")))
    for path in CONFIGS.glob("*.yaml")
}
MODELS = {  # the others are not for labels, and have tests of their own
    name: build
    for name, build in sorted(BUILT.items())
    if "num_classes" in inspect.signature(build).parameters
}
SHAPES = [(1, 8, 8), (3, 32, 32), (3, 64, 64), (3, 96, 96)]
CASES = [
    pytest.param(name, shape, id=f"{name}-{'x'.join(map(str, shape))}")
    for name in MODELS
    for shape in SHAPES
    if not (name.startswith("vgg") and shape[1] < 32)
]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    # Batches of two: more threads gain nothing, and on a busy machine they wait for each other.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def load(name: str) -> DictConfig:
    config = OmegaConf.load(CONFIGS / f"{name}.yaml")
    assert isinstance(config, DictConfig)
    return config


def cancelled(model: nn.Module) -> set[str]:
    """Biases of convolutions, which BatchNorm subtracts: their exact gradient is zero."""
    return {f"{name}.bias" for name, m in model.named_modules() if isinstance(m, nn.Conv2d)}


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_logits_and_gradients(name: str, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    model = MODELS[name](shape, 7)
    logits = model(torch.randn(2, *shape))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()
    nn.functional.cross_entropy(logits, torch.tensor([1, 4])).backward()
    without_effect = cancelled(model)
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        if key not in without_effect:
            assert parameter.grad.count_nonzero() > 0, key


@pytest.mark.parametrize("name", MODELS)
def test_any_channels_and_images_that_are_not_square(name: str) -> None:
    model = MODELS[name]((4, 32, 48), 5).eval()
    assert model(torch.zeros(1, 4, 32, 48)).shape == (1, 5)


@pytest.mark.parametrize("name", MODELS)
def test_same_seed_same_weights(name: str) -> None:
    def weights() -> torch.Tensor:
        torch.manual_seed(3)
        return nn.utils.parameters_to_vector(MODELS[name]((1, 32, 32), 4).parameters())

    assert torch.equal(weights(), weights())


@pytest.mark.parametrize("size_in", [8, 9, 11, 15])
def test_small_cnn_takes_any_size_from_8(size_in: int) -> None:
    model = SmallCNN((1, size_in, size_in), 10)
    assert model(torch.zeros(2, 1, size_in, size_in)).shape == (2, 10)


def resnet_size(channels: int, widths: list[int], blocks: int, kernel: int, classes: int) -> int:
    """Parameters of a ResNet of basic blocks, from its definition."""

    def conv_norm(inputs: int, outputs: int, k: int) -> int:
        return inputs * outputs * k * k + 2 * outputs

    total, inputs = conv_norm(channels, widths[0], kernel), widths[0]
    for width in widths:
        for block in range(blocks):
            total += conv_norm(inputs, width, 3) + conv_norm(width, width, 3)
            if block == 0 and inputs != width:
                total += conv_norm(inputs, width, 1)
            inputs = width
    return total + inputs * classes + classes


@pytest.mark.parametrize(("channels", "classes"), [(1, 10), (3, 10), (3, 200)])
def test_resnet8_size(channels: int, classes: int) -> None:
    expected = resnet_size(channels, [16, 32, 64], 1, 3, classes)
    assert size(resnet8((channels, 32, 32), classes)) == expected
    if (channels, classes) == (3, 10):
        assert expected == 78_042


@pytest.mark.parametrize(
    ("stem", "side", "kernel"),
    [("cifar", 64, 3), ("imagenet", 32, 7), ("auto", 32, 3), ("auto", 33, 7), ("auto", 8, 3)],
)
def test_resnet18_stem(stem: str, side: int, kernel: int) -> None:
    model = resnet18((3, side, side), 10, stem=stem)
    small = kernel == 3
    expected = resnet_size(3, [64, 128, 256, 512], 2, kernel, 10)
    assert size(model) == expected == (11_173_962 if small else 11_181_642)
    assert isinstance(model.maxpool, nn.Identity if small else nn.MaxPool2d)
    stemmed = model.maxpool(model.conv1(torch.zeros(1, 3, side, side)))
    assert stemmed.shape[-1] == (side if small else (side + 3) // 4)


def test_resnets_start_from_he_over_the_fan_out() -> None:
    torch.manual_seed(0)
    for model in (resnet18((3, 32, 32), 10), resnet8((3, 32, 32), 10)):
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 1000:
                fan_out = layer.out_channels * layer.kernel_size[0] * layer.kernel_size[1]
                assert layer.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)


# Sizes quoted for the CIFAR-10 versions with BatchNorm and a 512 → 10 head.
@pytest.mark.parametrize(("build", "expected"), [(vgg11, 9_231_114), (vgg16, 14_728_266)])
def test_vgg_size(build: Callable[..., nn.Module], expected: int) -> None:
    assert size(build((3, 32, 32), 10)) == expected


def test_vgg_dropout() -> None:
    model = vgg11((1, 32, 32), 10, dropout=0.5)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.5]


def test_mlp_and_small_cnn_sizes() -> None:
    assert size(MLP((3, 4, 5), 7, hidden=(11, 13))) == 61 * 11 - 11 + 11 + 12 * 13 + 14 * 7
    assert size(MLP((1, 8, 8), 10, hidden=())) == 65 * 10
    w = 6
    convolutions = 9 * (3 * w + w * 2 * w + 2 * w * 4 * w)
    assert size(SmallCNN((3, 9, 9), 5, width=w)) == convolutions + 2 * 7 * w + (4 * w + 1) * 5


@pytest.mark.parametrize(
    ("name", "shape", "classes", "keys", "words"),
    [
        ("vgg11", (3, 28, 32), 10, {}, ["vgg11", "32×32", "28×32"]),
        ("vgg16", (1, 8, 8), 10, {}, ["vgg16", "32×32", "8×8"]),
        ("vgg16", (3, 32, 32), 10, {"dropout": 1.0}, ["vgg16", "dropout", "1.0"]),
        ("vgg16", (3, 32, 32), 10, {"dropout": "x"}, ["vgg16", "dropout", "'x'"]),
        ("small_cnn", (1, 8, 7), 10, {}, ["small_cnn", "8×8", "8×7"]),
        ("small_cnn", (1, 8, 8), 10, {"width": 0}, ["small_cnn", "width", "not 0"]),
        ("mlp", (1, 8, 8), 10, {"hidden": [16, -1]}, ["mlp", "hidden", "-1"]),
        ("mlp", (1, 8, 8), 10, {"hidden": 16}, ["mlp", "hidden", "list", "16"]),
        ("resnet8", (0, 8, 8), 10, {}, ["resnet8", "shape", "not 0"]),
        ("resnet8", (8, 8), 10, {}, ["resnet8", "(channels, height, width)", "(8, 8)"]),
        ("resnet8", (3, 8, 8), True, {}, ["resnet8", "num_classes", "True"]),
        ("resnet18", (3, 8, 8), 10, {"stem": "cifer"}, ["resnet18", "'cifer'", "mean 'cifar'"]),
    ],
)
def test_refusals(
    name: str, shape: tuple[int, ...], classes: int, keys: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        MODELS[name](shape, classes, **keys)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_the_configs_are_found() -> None:
    assert {"mlp", "small_cnn", "resnet8", "resnet18", "vgg11", "vgg16"} <= MODELS.keys()
    assert "autoencoder" in BUILT.keys() - MODELS.keys()


@pytest.mark.parametrize("name", MODELS)
def test_config_builds_the_model(name: str) -> None:
    config = load(name)
    assert config.pop("name") == name
    model = instantiate(config, shape=(3, 32, 32), num_classes=10)
    assert size(model) == size(MODELS[name]((3, 32, 32), 10))


def test_config_lists_can_be_overridden() -> None:
    config = load("mlp")
    config.pop("name")
    config.hidden = [5]
    assert size(instantiate(config, shape=[1, 2, 2], num_classes=3)) == 5 * 5 + 6 * 3


def test_torchvision_is_imported_only_where_used() -> None:
    code = (
        "import sys, gofau.models, gofau.models.small_cnn, gofau.models.mlp, gofau.models.init\n"
        "sys.exit('torchvision' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
