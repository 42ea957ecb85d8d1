"""Whole numbers of any width, packed and back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gofau.optim.packing import WIDEST, pack, packed_size, unpack


def stream(numbers, width):
    """The bytes by the definition, through one long integer."""
    bits = sum(number << (i * width) for i, number in enumerate(numbers))
    return list(bits.to_bytes(packed_size(len(numbers), width), "little"))


@st.composite
def lists(draw):
    width = draw(st.integers(1, WIDEST))
    return width, draw(st.lists(st.integers(0, 2**width - 1), max_size=70))


@given(lists())
def test_numbers_of_any_width_and_count_are_packed_as_defined_and_come_back(case):
    width, numbers = case
    packed = pack(torch.tensor(numbers, dtype=torch.int32), width)
    assert packed.dtype == torch.uint8
    assert packed.tolist() == stream(numbers, width)
    assert unpack(packed, width, len(numbers)).tolist() == numbers


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.uint16, torch.int64])
def test_every_integer_dtype_and_shape_can_be_packed(dtype):
    numbers = torch.arange(60, dtype=torch.int32).to(dtype).view(3, 4, 5).transpose(0, 2)
    back = unpack(pack(numbers, 6), 6, 60)
    assert torch.equal(back, numbers.reshape(-1).to(torch.int32))


def test_bits_above_the_width_are_cut_off():
    assert unpack(pack(torch.tensor([9, -1]), 3), 3, 2).tolist() == [1, 7]


@pytest.mark.parametrize("width", [0, 25, -1])
def test_a_width_out_of_range_is_refused(width):
    with pytest.raises(ValueError, match=rf"width must be .* \[1, 24\], got {width}"):
        pack(torch.tensor([1]), width)
    with pytest.raises(ValueError, match=r"width must be"):
        unpack(torch.zeros(0, dtype=torch.uint8), width, 0)


def test_another_number_of_bytes_is_refused():
    with pytest.raises(ValueError, match=r"^9 numbers of 13 bits are 15 uint8, got \(14,\) of"):
        unpack(torch.zeros(14, dtype=torch.uint8), 13, 9)
    with pytest.raises(ValueError, match=r"uint8, got \(15,\) of torch.float32"):
        unpack(torch.zeros(15), 13, 9)
