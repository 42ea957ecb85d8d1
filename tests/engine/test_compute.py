"""Precision, memory format and compilation: what they are, and that they change no result."""

import logging

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gofau.config.schema import _pin_precision
from gofau.engine import compilation
from gofau.engine.compilation import Compiled, operations, pays
from gofau.engine.compute import Compute, has_formats
from gofau.engine.hardware import best_precision, device_of, processor_flags
from gofau.errors import UserError
from gofau.models.resnet18 import resnet18
from gofau.models.small_cnn import SmallCNN
from gofau.problems.image_classification import ImageClassification

X = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(6) % 4
SHARP, SMOOTH = ImageClassification(), ImageClassification(label_smoothing=0.1)


def net(seed=0):
    torch.manual_seed(seed)
    return SmallCNN((3, 8, 8), 4, width=8)


def gradients(model):
    return [p.grad.clone() for p in model.parameters()]


def test_a_device_that_is_not_there():
    assert device_of("cpu").type == "cpu"
    with pytest.raises(UserError, match="torch cannot use 'tpu'"):
        device_of("tpu")


def test_several_processes_take_a_gpu_each(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch, "empty", lambda *a, **k: None)
    assert device_of("cuda") == torch.device("cuda:1")
    assert device_of("cuda:0") == torch.device("cuda:0")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [({"amx_bf16", "fma"}, "bf16"), ({"avx512_bf16"}, "bf16"), ({"avx2"}, "fp32"), ({}, "fp32")],
)
def test_auto_is_bf16_where_the_hardware_has_it(monkeypatch, flags, expected):
    monkeypatch.setattr("gofau.engine.hardware.processor_flags", lambda: set(flags))
    assert best_precision("cpu") == expected


def test_auto_is_fp32_for_a_perceptron_on_a_cpu(monkeypatch):
    monkeypatch.setattr("gofau.engine.hardware.processor_flags", lambda: {"amx_bf16"})
    monkeypatch.setattr("gofau.engine.hardware.has_gpu", lambda: False)
    for model, expected in (("mlp", "fp32"), ("autoencoder", "fp32"), ("small_cnn", "bf16")):
        config = {"model": {"name": model}, "trainer": {"precision": "auto", "device": "auto"}}
        _pin_precision(config)
        assert config["trainer"]["precision"] == expected


def test_the_processor_is_read_as_torch_reads_it():
    told = torch.cpu.get_capabilities()
    for flag in ("amx_bf16", "avx512_bf16", "avx2"):
        assert (flag in processor_flags()) == bool(told.get(flag))


def test_fp32_is_the_plain_loss():
    model = net()
    loss, (right,) = Compute().loss(SMOOTH, model, (X, Y), training=True)
    logits = model(X)
    assert loss == cross_entropy(logits, Y, label_smoothing=0.1)
    assert right == (logits.argmax(1) == Y).sum()
    assert Compute().loss(SMOOTH, model, (X, Y), training=False)[0] == cross_entropy(logits, Y)


def test_bf16_is_near_and_keeps_float32_weights():
    model = net()
    exact, _ = Compute().loss(SHARP, model, (X, Y), training=True)
    compute = Compute(precision="bf16")
    loss, _ = compute.loss(SHARP, model, (X, Y), training=True)
    assert loss.dtype == compute.output(model, (X,)).dtype == torch.float32
    assert loss != exact
    torch.testing.assert_close(loss, exact, rtol=0.03, atol=0.03)
    loss.backward()
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}


def test_channels_last_changes_the_order_and_nothing_else():
    plain, placed = net(), Compute().place(net())
    weight, same = (next(model.parameters()) for model in (placed, plain))
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(weight, same)
    torch.testing.assert_close(placed(X), plain(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_first_is_the_same_up_to_rounding(channels):
    """Also for gray images, whose strides do not tell the formats apart unless they are set."""
    torch.manual_seed(0)
    model = SmallCNN((channels, 8, 8), 4, width=8)
    seen = []
    model[0].register_forward_hook(lambda _, inputs, out: seen.append((inputs[0], out)))
    x = torch.randn(6, 8, 8, channels).permute(0, 3, 1, 2)  # as loaders make it
    last, first = Compute(), Compute(memory_format="channels_first")
    expected, _ = last.loss(SHARP, last.place(model), (x, Y), training=False)
    found, _ = first.loss(SHARP, first.place(model), (x, Y), training=False)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    (taken, out), plain = seen[1], torch.empty(x.shape)
    assert taken.stride() == plain.stride()
    assert out.is_contiguous()
    assert seen[0][1].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(taken, x)


def test_only_weights_of_images_have_formats():
    assert has_formats(net())
    assert not has_formats(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Conv1d(2, 2, 1)))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiled_is_equal_and_made_once_for_all_runs_of_an_architecture(precision):
    from torch._dynamo.utils import counters

    plain = Compute(precision=precision)
    compute = Compute(precision=precision, compiled=Compiled(len(X)))
    made = []
    for seed in (0, 1, 2):
        one, other = net(seed), net(seed)
        problem = ImageClassification(label_smoothing=0.1)  # each run makes its own
        loss, right = compute.loss(problem, one, (X, Y), training=True)
        expected, expected_right = plain.loss(SMOOTH, other, (X, Y), training=True)
        loss.backward()
        expected.backward()
        tolerance = 1e-4 if precision == "fp32" else 0.05
        torch.testing.assert_close(loss, expected, rtol=tolerance, atol=tolerance)
        assert precision == "bf16" or right == expected_right
        for p, q in zip(gradients(one), gradients(other), strict=True):
            torch.testing.assert_close(
                p, q, rtol=tolerance, atol=10 * tolerance * q.abs().max().item()
            )
        made.append(counters["stats"]["unique_graphs"])
    assert made[0] == made[1] == made[2] > 0


def test_other_sizes_and_evaluations_are_not_compiled():
    compiled = Compiled(6)
    assert compiled.takes(6)
    assert not compiled.takes(2)
    with torch.no_grad():
        assert not compiled.takes(6)


def test_without_a_compiler_training_goes_on_and_says_so_once(monkeypatch, caplog):
    from torch._dynamo.exc import BackendCompilerFailed

    def broken(function):
        def fails(*args):
            raise BackendCompilerFailed(function, RuntimeError("no C++ compiler"), None)

        return fails

    monkeypatch.setattr(compilation, "_compile", broken)
    monkeypatch.setattr(compilation, "_broken", set())
    compute = Compute(compiled=Compiled(len(X)))
    with caplog.at_level(logging.WARNING):
        first, _ = compute.loss(SHARP, net(), (X, Y), training=True)
        second, _ = compute.loss(SHARP, net(), (X, Y), training=True)
    assert first == second == Compute().loss(SHARP, net(), (X, Y), training=True)[0]
    assert [r.message.split(",")[0] for r in caplog.records] == ["torch.compile does not work here"]


def test_an_error_of_the_model_is_not_taken_for_one_of_the_compiler(monkeypatch):
    def broken(function):
        return lambda *args: 1 / 0

    monkeypatch.setattr(compilation, "_compile", broken)
    with pytest.raises(ZeroDivisionError):
        Compute(compiled=Compiled(len(X))).loss(SHARP, net(), (X, Y), training=True)


def test_operations_are_counted():
    model = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Flatten(), nn.Linear(5 * 16, 7))
    model.train()
    assert operations(model, (torch.zeros(1, 3, 4, 4),)) == 6 * (5 * 16 * 27 + 7 * 80)
    assert model.training
    # 0.56 GMAC an image: He et al.'s network with a CIFAR stem.
    image = (torch.zeros(1, 3, 32, 32),)
    assert operations(resnet18((3, 32, 32), 10), image) == pytest.approx(3.34e9, rel=0.01)


def test_long_runs_compile_and_short_ones_do_not():
    cpu, large = torch.device("cpu"), resnet18((3, 32, 32), 10)
    image = (torch.zeros(1, 3, 32, 32),)
    assert pays(cpu, large, image, 30 * 45_000)
    assert not pays(cpu, large, image, 10 * 100)
    assert not pays(torch.device("meta"), large, image, 10**12)


def test_on_a_cpu_max_pooling_is_not_compiled():
    pooled = net()
    assert any(isinstance(m, nn.MaxPool2d) for m in pooled.modules())
    assert not pays(torch.device("cpu"), pooled, (X,), 10**12)
    without = nn.Sequential(*(m for m in pooled if not isinstance(m, nn.MaxPool2d)))
    assert pays(torch.device("cpu"), without, (X,), 10**12)
