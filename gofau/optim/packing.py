"""Bit packing: store whole numbers of a fixed width without unused bits between them."""

import math

import torch
from torch import Tensor

WIDEST = 24
"""Most bits per number: shifted by up to 7 bits it must fit 32 bits."""


def pack(numbers: Tensor, width: int) -> Tensor:
    """Pack numbers into bytes, one after another, ``width`` bits each, lowest bit first.

    Number i takes the bits i·width … (i+1)·width − 1 of the stream, and bit b of the stream is bit
    b mod 8 of byte ⌊b/8⌋; the last byte is filled up with zeros.

    Args:
        numbers: whole numbers in [0, 2^width − 1], any shape and integer dtype. Higher bits are
            cut off.
        width: bits per number, 1 to 24.

    Returns:
        ⌈numel·width / 8⌉ bytes: a flat uint8 tensor on the same device.

    Raises:
        ValueError: the width is out of range.

    >>> pack(torch.tensor([5, 1, 7]), 3).tolist()  # 101, 001, 111, the lowest bit first
    [205, 1]
    """
    _check(width)
    eights = _in_eights(numbers.reshape(-1).to(torch.int32) & (2**width - 1))
    # Eight numbers fill exactly ``width`` bytes, so the pattern of shifts repeats after eight. Byte
    # j of every group of eight is computed at once from the same rows with the same shifts.
    stream = eights.new_zeros((width, eights.shape[1]), dtype=torch.uint8)
    for i, j, shift in _overlaps(width):
        part = eights[i] << shift if shift >= 0 else eights[i] >> -shift
        stream[j] |= (part & 255).to(torch.uint8)
    return stream.t().reshape(-1)[: packed_size(numbers.numel(), width)].clone()


def unpack(packed: Tensor, width: int, count: int) -> Tensor:
    """The inverse of `pack`: ``count`` numbers as a flat int32 tensor.

    Raises:
        ValueError: the width is out of range, or ``packed`` has the wrong size for ``count``.

    >>> unpack(torch.tensor([205, 1], dtype=torch.uint8), 3, 3)
    tensor([5, 1, 7], dtype=torch.int32)
    """
    _check(width)
    size = packed_size(count, width)
    if packed.dtype != torch.uint8 or packed.shape != (size,):
        found = f"{tuple(packed.shape)} of {packed.dtype}"
        raise ValueError(f"{count} numbers of {width} bits are {size} uint8, got {found}")
    eights = -(-count // 8)
    filled = packed.new_zeros(eights * width)
    filled[:size] = packed
    stream = filled.view(eights, width).t().contiguous()
    numbers = packed.new_zeros((8, eights), dtype=torch.int32)
    for i, j, shift in _overlaps(width):
        part = stream[j].to(torch.int32)
        numbers[i] |= part >> shift if shift >= 0 else part << -shift
    return (numbers & (2**width - 1)).t().reshape(-1)[:count].clone()


def packed_size(count: int, width: int) -> int:
    """The number of bytes that ``count`` numbers of ``width`` bits take.

    >>> packed_size(3, 13)
    5
    """
    return math.ceil(count * width / 8)


def _check(width: int) -> None:
    if not 1 <= width <= WIDEST:
        raise ValueError(f"width must be a whole number in [1, {WIDEST}], got {width!r}")


def _in_eights(numbers: Tensor) -> Tensor:
    """Flat numbers as 8 rows, padded with zeros: column c is the c-th group of eight."""
    filled = numbers.new_zeros(-(-numbers.numel() // 8) * 8)
    filled[: numbers.numel()] = numbers
    return filled.view(-1, 8).t().contiguous()


def _overlaps(width: int) -> list[tuple[int, int, int]]:
    """(i, j, shift) for every number i of eight that has bits in byte j of them; ``shift`` is how
    far left it is shifted there."""
    return [
        (i, j, i * width - 8 * j)
        for i in range(8)
        for j in range(i * width // 8, ((i + 1) * width - 1) // 8 + 1)
    ]
