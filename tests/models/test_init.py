"""Initialisation schemes: spread, orthogonality, seeds, what is touched, refusals."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from gofau.errors import UserError
from gofau.models.init import SCHEMES, InitReport, initialise
from gofau.models.small_cnn import SmallCNN

CONFIGS = Path(__file__).parents[2] / "configs" / "init"
FILLING = [scheme for scheme in SCHEMES if scheme != "default"]

# std of the weights at scale s, by the definition of each scheme
STD: dict[str, Callable[[float, int, int], float]] = {
    "kaiming_normal": lambda s, fan_in, fan_out: s * (2 / fan_in) ** 0.5,
    "kaiming_uniform": lambda s, fan_in, fan_out: s * (2 / fan_in) ** 0.5,
    "xavier_normal": lambda s, fan_in, fan_out: s * (2 / (fan_in + fan_out)) ** 0.5,
    "xavier_uniform": lambda s, fan_in, fan_out: s * (2 / (fan_in + fan_out)) ** 0.5,
    "normal": lambda s, fan_in, fan_out: s,
    "uniform": lambda s, fan_in, fan_out: s / 3**0.5,
}
LAYERS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "linear": (lambda: nn.Linear(300, 200), 300, 200),
    "conv": (lambda: nn.Conv2d(60, 100, 3), 540, 900),
    "conv1d": (lambda: nn.Conv1d(120, 100, 5), 600, 500),
    "grouped": (lambda: nn.Conv2d(120, 100, 3, groups=2), 540, 900),
    "transposed": (lambda: nn.ConvTranspose2d(60, 100, 3), 900, 540),  # swapped, as torch counts
}


def mixed() -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.Flatten(),
        nn.Linear(8, 6, bias=False),
        nn.LayerNorm(6),
        nn.Linear(6, 5),
    )


def weight_of(layer: nn.Module) -> Tensor:
    assert isinstance(layer.weight, Tensor)
    return layer.weight.detach()


def flat(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("scheme", STD)
@pytest.mark.parametrize("scale", [None, 0.3])
def test_spread(scheme: str, layer: str, scale: float | None) -> None:
    build, fan_in, fan_out = LAYERS[layer]
    module = build()
    report = initialise(module, scheme, scale=scale, seed=1)
    weight = weight_of(module)
    usual = 0.05 if scheme in ("normal", "uniform") else 1.0
    std = STD[scheme](usual if scale is None else scale, fan_in, fan_out)
    # 54,000 draws or more: the sampling error of a std is under 0.4 %, of a mean std / 230.
    assert weight.std().item() == pytest.approx(std, rel=0.02)
    assert abs(weight.mean().item()) < std / 40
    half_width = std * 3**0.5
    if scheme.endswith("uniform"):
        assert 0.99 * half_width < weight.abs().max().item() <= half_width * (1 + 1e-6)
    else:
        assert weight.abs().max().item() > 1.5 * half_width
    assert report == InitReport(scheme, usual if scale is None else scale, 1, 1)


@pytest.mark.parametrize("shape", [(40, 20), (20, 40), (30, 30)])
@pytest.mark.parametrize("gain", [None, 1.7])
def test_orthogonal_linear(shape: tuple[int, int], gain: float | None) -> None:
    layer = nn.Linear(shape[1], shape[0])
    initialise(layer, "orthogonal", scale=gain, seed=1)
    w = weight_of(layer)
    gram = w.T @ w if shape[0] >= shape[1] else w @ w.T
    torch.testing.assert_close(gram, (gain or 1.0) ** 2 * torch.eye(min(shape)))


def test_orthogonal_convolution() -> None:
    layer = nn.Conv2d(4, 16, 3)
    initialise(layer, "orthogonal", scale=2.0, seed=1)
    w = weight_of(layer).flatten(1)
    torch.testing.assert_close(w @ w.T, 4 * torch.eye(16))


@settings(derandomize=True, deadline=None)
@given(
    scheme=st.sampled_from(FILLING),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 2**32),
)
def test_scale_only_scales(scheme: str, scale: float, seed: int) -> None:
    one, scaled = nn.Linear(6, 4), nn.Linear(6, 4)
    initialise(one, scheme, scale=1.0, seed=seed)
    initialise(scaled, scheme, scale=scale, seed=seed)
    torch.testing.assert_close(
        weight_of(scaled), weight_of(one) * scale, rtol=1e-5, atol=1e-6 * scale
    )


@pytest.mark.parametrize("scheme", FILLING)
def test_only_linear_and_convolutions_are_touched(scheme: str) -> None:
    model, before = mixed(), mixed()
    for norm in (model[1], model[4], before[1], before[4]):
        nn.utils.vector_to_parameters(torch.full_like(flat(norm), 0.7), norm.parameters())
    report = initialise(model, scheme, seed=0)
    assert (report.weights, report.biases) == (3, 2)
    for index in (1, 4):
        assert torch.equal(flat(model[index]), flat(before[index]))
    for index in (0, 3, 5):
        assert not torch.equal(weight_of(model[index]), weight_of(before[index]))
    for index in (0, 5):
        assert not dict(model[index].named_parameters())["bias"].any()
    assert all(p.requires_grad for p in model.parameters())
    assert all(p.grad_fn is None for p in model.parameters())


def test_default_leaves_the_bits() -> None:
    model = SmallCNN((1, 8, 8), 10)
    before, state = flat(model).clone(), torch.get_rng_state()
    assert initialise(model, seed=4) == InitReport("default", None, 0, 0)
    assert torch.equal(flat(model), before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("scheme", FILLING)
def test_seed(scheme: str) -> None:
    a, b, c = mixed(), mixed(), mixed()
    state = torch.get_rng_state()
    initialise(a, scheme, seed=1)
    torch.rand(3)
    initialise(b, scheme, seed=1)
    initialise(c, scheme, seed=2)
    assert torch.equal(flat(a), flat(b))
    assert not torch.equal(flat(a), flat(c))
    torch.set_rng_state(state)
    before = torch.get_rng_state()
    initialise(a, scheme, seed=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("scheme", FILLING)
def test_without_a_seed_the_global_generator_draws(scheme: str) -> None:
    a, b = mixed(), mixed()
    torch.manual_seed(9)
    initialise(a, scheme)
    first = torch.get_rng_state()
    torch.manual_seed(9)
    initialise(b, scheme)
    assert torch.equal(flat(a), flat(b))
    initialise(b, scheme)
    assert not torch.equal(flat(a), flat(b))
    assert not torch.equal(torch.get_rng_state(), first)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("scheme", FILLING)
def test_other_dtypes(scheme: str, dtype: torch.dtype) -> None:
    model = mixed().to(dtype)
    initialise(model, scheme, seed=0)
    weight = weight_of(model[0])
    assert weight.dtype == dtype
    assert weight.isfinite().all()
    assert weight.any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("scheme", FILLING)
def test_a_seed_means_the_same_weights_on_the_gpu(scheme: str) -> None:
    a, b = mixed(), mixed().cuda()
    initialise(a, scheme, seed=3)
    initialise(b, scheme, seed=3)
    assert torch.equal(flat(a), flat(b).cpu())


def test_model_without_such_layers() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
    assert initialise(model, "normal", seed=0) == InitReport("normal", 0.05, 0, 0)


def test_tied_weights_are_drawn_once() -> None:
    a, b = nn.Linear(6, 6), nn.Linear(6, 6)
    b.weight = a.weight
    alone = nn.Linear(6, 6)
    report = initialise(nn.Sequential(a, b), "normal", seed=0)
    initialise(alone, "normal", seed=0)
    assert (report.weights, report.biases) == (1, 2)
    assert torch.equal(a.weight, alone.weight)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf"), True, "0.1"])
@pytest.mark.parametrize("scheme", FILLING)
def test_bad_scale(scheme: str, scale: float) -> None:
    model, before = mixed(), mixed()
    with pytest.raises(UserError, match=rf"'{scheme}': scale must be a finite number > 0, not "):
        initialise(model, scheme, scale=scale)
    assert torch.equal(flat(model), flat(before))


def test_default_takes_no_scale() -> None:
    with pytest.raises(UserError, match=r"'default' takes no scale, but scale is 0\.1"):
        initialise(mixed(), "default", scale=0.1)


def test_unknown_scheme_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"not 'kaiming_norml'\. Did you mean 'kaiming_normal'\?"):
        initialise(mixed(), "kaiming_norml")


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (lambda: nn.LazyLinear(3), "holds no numbers yet"),
        (lambda: nn.Linear(4, 3, device="meta"), "holds no numbers yet"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), "is parametrised"),
    ],
    ids=["lazy", "meta", "parametrised"],
)
def test_weights_that_cannot_be_filled(layer: Callable[[], nn.Module], why: str) -> None:
    first = nn.Linear(4, 4)
    before = flat(first).clone()
    with pytest.raises(UserError, match=rf"layer '1' \(.*Linear\) {why}"):
        initialise(nn.Sequential(first, layer()), "normal")
    assert torch.equal(flat(first), before)


def test_configs() -> None:
    assert sorted(path.stem for path in CONFIGS.glob("*.yaml")) == sorted(SCHEMES)
    for path in CONFIGS.glob("*.yaml"):
        config = OmegaConf.load(path)
        assert isinstance(config, DictConfig)
        assert set(config) == {"name", "scale"}
        assert config.name == path.stem
        report = initialise(mixed(), config.name, scale=config.scale, seed=0)
        assert report == initialise(mixed(), config.name, seed=0)  # the config states the default
