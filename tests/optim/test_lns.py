"""The logarithmic number system: what an encoding keeps, and how large its error is."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gofau.optim.lns import Code, NumberSystem, float_weights

SYSTEMS = [(0.016, 256), (0.004, 1024), (0.001, 4096), (0.0002, 65536), (0.5, 3)]


def reference(code, base_lr, levels):
    """SPEC's formula in double precision."""
    k, sign = code.k.to(torch.int64).numpy(), code.sign.numpy()
    assert ((k >= 0) & (k < levels)).all()
    assert (np.abs(sign) == 1).all()
    return sign * code.theta_max * np.exp(-base_lr * k)


weights = st.lists(
    st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-9), min_size=1, max_size=30
).filter(any)


@given(weights, st.sampled_from(SYSTEMS), st.floats(0.5, 4.0))
def test_the_round_trip_is_within_half_a_step_in_range_and_clamped_beyond(values, system, p_scale):
    base_lr, levels = system
    theta = torch.tensor(values, dtype=torch.float64)
    numbers = NumberSystem(base_lr, levels)
    code = numbers.encode(theta, p_scale)
    largest = p_scale * math.sqrt(np.mean(np.square(values)))
    assert code.theta_max == pytest.approx(largest, rel=1e-14)
    smallest = largest * math.exp(-base_lr * (levels - 1))
    back = numbers.decode(code, torch.float64).numpy()
    np.testing.assert_allclose(back, reference(code, base_lr, levels), rtol=1e-12)
    size = np.abs(values)
    within = (size >= smallest) & (size <= largest)
    error = np.abs(back / np.where(size == 0, 1, values) - 1)
    assert (error[within] <= math.expm1(base_lr / 2) + 1e-12).all()
    np.testing.assert_allclose(np.abs(back[size > largest]), largest, rtol=1e-12)
    np.testing.assert_allclose(np.abs(back[size < smallest]), smallest, rtol=1e-12)
    assert (np.sign(back) == np.where(np.less(values, 0), -1, 1)).all()  # a zero becomes +θ_min


@pytest.mark.parametrize(("base_lr", "levels"), SYSTEMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_weight_of_the_system_encodes_to_itself(base_lr, levels, dtype):
    numbers = NumberSystem(base_lr, levels)
    k = torch.arange(levels, dtype=torch.int32).to(numbers.dtype).repeat(2)
    sign = torch.ones(2 * levels, dtype=torch.int8)
    sign[levels:] = -1
    theta = numbers.decode(Code(k, sign, 0.3), dtype)
    rms = theta.double().square().mean().sqrt().item()
    code = numbers.encode(theta, p_scale=0.3 / rms)
    assert code.theta_max == pytest.approx(0.3, rel=1e-12)
    assert torch.equal(code.k.to(torch.int32), k.to(torch.int32))
    assert torch.equal(code.sign, sign)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_short_floats_are_encoded_exactly_and_decoded_with_their_own_rounding(dtype):
    theta = torch.randn(1000).to(dtype)
    numbers = NumberSystem()
    code = numbers.encode(theta)
    assert all(map(torch.equal, code[:2], numbers.encode(theta.double())[:2]))
    back = numbers.decode(code, dtype)
    assert back.dtype == dtype
    exact = torch.from_numpy(reference(code, 0.001, 4096))
    error = (back.double() / exact - 1).abs().max().item()
    assert error <= torch.finfo(dtype).eps / 2 + 1.3e-7  # of two products in float32


@pytest.mark.parametrize(
    ("levels", "dtype", "width"),
    [
        (2, torch.uint8, 2),
        (256, torch.uint8, 9),
        (257, torch.int16, 10),
        (1024, torch.int16, 11),
        (4096, torch.int16, 13),
        (32768, torch.int16, 16),
        (32769, torch.uint16, 17),
        (65536, torch.uint16, 17),
    ],
)
def test_k_has_the_smallest_dtype_and_is_stored_in_its_bits_and_one_for_the_sign(
    levels, dtype, width
):
    numbers = NumberSystem(4 / levels, levels)
    code = numbers.encode(torch.randn(7, 11))
    assert (code.k.dtype, code.sign.dtype) == (dtype, torch.int8)
    stored = numbers.pack(code)
    assert stored["packed"].nbytes == math.ceil(77 * width / 8)
    back = numbers.unpack(stored, (7, 11))
    assert (back.k.dtype, back.sign.dtype) == (dtype, torch.int8)
    assert torch.equal(back.k, code.k)
    assert torch.equal(back.sign, code.sign)
    assert back.theta_max == code.theta_max


@pytest.mark.parametrize("shape", [(0,), (3, 0), ()])
def test_tensors_without_elements_and_without_dimensions(shape):
    numbers = NumberSystem()
    code = numbers.encode(torch.full(shape, -2.0))
    back = numbers.unpack(numbers.pack(code), shape)
    assert numbers.decode(back).shape == shape
    if shape == ():
        assert numbers.decode(back).item() == pytest.approx(-2, rel=6e-4)


def test_the_memory_layout_changes_no_bit():
    theta = torch.randn(2, 8, 5, 3)
    numbers = NumberSystem()
    plain = numbers.encode(theta)
    other = numbers.encode(theta.contiguous(memory_format=torch.channels_last))
    assert torch.equal(plain.k, other.k)
    assert torch.equal(numbers.decode(plain), numbers.decode(other))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"base_lr": 0.0}, r"base_lr must be > 0 and finite, got 0.0"),
        ({"base_lr": math.nan}, r"base_lr must be > 0"),
        ({"levels": 1}, r"levels must be a whole number in \[2, 65536\], got 1"),
        ({"levels": 65537}, r"levels must be .* got 65537"),
        ({"levels": 256.0}, r"levels must be .* got 256.0"),
        ({"levels": True}, r"levels must be .* got True"),
    ],
)
def test_a_system_out_of_range_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        NumberSystem(**arguments)


@pytest.mark.parametrize(
    ("theta", "p_scale", "sentence"),
    [
        ([1.0, math.nan], 3.0, "infinite or NaN"),
        ([math.inf, 1.0], 3.0, "infinite or NaN"),
        ([0.0, -0.0], 3.0, "all zero have no scale"),
        ([1.0], 0.0, "p_scale must be > 0 and finite, got 0.0"),
    ],
)
def test_what_has_no_code_is_refused(theta, p_scale, sentence):
    with pytest.raises(ValueError, match=sentence):
        NumberSystem().encode(torch.tensor(theta), p_scale)


def test_bytes_of_other_weights_are_refused():
    stored = NumberSystem(0.1, 64).pack(NumberSystem(0.1, 64).encode(torch.tensor([1e-9, 1.0])))
    with pytest.raises(ValueError, match="a stored k is 63, but there are 33 levels"):
        NumberSystem(0.1, 33).unpack(stored, (2,))
    with pytest.raises(ValueError, match="3 numbers of 7 bits are 3 uint8"):
        NumberSystem(0.1, 64).unpack(stored, (3,))


def test_float_weights_need_no_optimizer():
    numbers, theta = NumberSystem(0.004, 1024), torch.randn(4, 3)
    code = numbers.encode(theta)
    entry = numbers.pack(code) | {"base_lr": 0.004, "levels": 1024, "shape": [4, 3]}
    found = float_weights({"w": entry, "b": {"values": torch.zeros(3, dtype=torch.float64)}})
    assert torch.equal(found["w"], numbers.decode(code))
    assert found["b"].dtype == torch.float32
