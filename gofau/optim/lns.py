"""Weights as integers and signs: the logarithmic number system of B-bit Madam.

    θ = sign · θ_max · exp(−base_lr · k),   k ∈ {0, …, levels − 1},   θ_max = p_scale · rms(θ_0)

Neighbouring weights differ by the factor exp(base_lr) everywhere, so adding to k multiplies a
weight. A weight never changes its sign and never becomes zero. There is one θ_max per tensor,
computed from its initial values (θ_0).

    >>> system = NumberSystem(base_lr=0.001, levels=4096)
    >>> code = system.encode(torch.tensor([1.0, -0.5, 0.0]))
    >>> code.k.tolist(), code.sign.tolist(), round(code.theta_max, 4)
    ([661, 1354, 4095], [1, -1, 1], 1.9365)
    >>> system.decode(code)
    tensor([ 0.9999, -0.5000,  0.0323])

``levels`` determines the bits of k: 256, 1024, 4096, 65536 levels are 8, 10, 12, 16 bits. The sign
takes one more bit and is stored with them: a "12-bit" weight has 13 bits in a file, 0.41 of a
float32. θ_max / θ_min = exp(base_lr · (levels − 1)): with fewer levels a larger base_lr keeps that
range. 0.016 with 256 levels, 0.004 with 1024 and 0.001 with 4096 have about the same range.

Source: Bernstein et al., *Learning compositional functions via multiplicative weight updates*,
arXiv 2006.14560.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gofau.optim.checks import Interval, check_number
from gofau.optim.packing import pack, unpack

POSITIVE = Interval(0, open_low=True, open_high=True)
MOST_LEVELS = 2**16


class Code(NamedTuple):
    """A tensor of weights in the number system.

    ``k`` has the smallest integer dtype that holds levels − 1 (uint8, int16, uint16), ``sign`` is
    int8, 1 or −1; both have the tensor's shape. ``theta_max`` is one number for the tensor.
    """

    k: Tensor
    sign: Tensor
    theta_max: float


@dataclass(frozen=True)
class NumberSystem:
    """The set of weights ±θ_max · exp(−base_lr · k) for k = 0 … levels − 1.

    Args:
        base_lr: > 0, the logarithm of the ratio of neighbouring weights.
        levels: whole number from 2 to 65536, the number of absolute values.

    Raises:
        ValueError: one of them is out of range.
    """

    base_lr: float = 0.001
    levels: int = 4096

    def __post_init__(self) -> None:
        check_number("base_lr", self.base_lr, POSITIVE)
        whole = isinstance(self.levels, int) and not isinstance(self.levels, bool)
        if not whole or not 2 <= self.levels <= MOST_LEVELS:
            raise ValueError(
                f"levels must be a whole number in [2, {MOST_LEVELS}], got {self.levels!r}"
            )

    @property
    def width(self) -> int:
        """Bits of a stored weight: those of k, and one for the sign."""
        return (self.levels - 1).bit_length() + 1

    @property
    def dtype(self) -> torch.dtype:
        """The smallest integer dtype for k."""
        if self.levels <= 2**8:
            return torch.uint8
        return torch.int16 if self.levels <= 2**15 else torch.uint16

    def encode(self, theta: Tensor, p_scale: float = 3.0) -> Code:
        """k = round(ln(θ_max / |θ|) / base_lr), half to even, clamped to [0, levels − 1].

        Values between θ_min = θ_max·exp(−base_lr·(levels − 1)) and θ_max are decoded with a
        relative error ≤ exp(base_lr/2) − 1 (plus the rounding of the dtype). Larger values become
        ±θ_max, smaller ones ±θ_min; a zero, which has no logarithm, becomes +θ_min.

        Args:
            theta: the weights, any shape, real floats.
            p_scale: θ_max in units of the weights' root mean square, > 0.

        Raises:
            ValueError: a weight is infinite or NaN, all of them are zero, or p_scale is not > 0.
        """
        check_number("p_scale", p_scale, POSITIVE)
        wide = _widest(theta)
        # In the widest dtype, because squares of small weights underflow in float32.
        rms = (torch.linalg.vector_norm(wide) / math.sqrt(max(wide.numel(), 1))).item()
        if not math.isfinite(rms):
            raise ValueError("a weight that is infinite or NaN has no logarithm to store")
        if rms == 0 and wide.numel() > 0:
            raise ValueError("weights that are all zero have no scale: θ_max would be 0")
        theta_max = p_scale * rms
        k = (math.log(theta_max or 1) - wide.abs().log()).div_(self.base_lr)
        k = k.round_().clamp_(0, self.levels - 1)
        sign = torch.where(wide < 0, -1, 1)
        return Code(_stored(k, self.dtype), _stored(sign, torch.int8), theta_max)

    def decode(self, code: Code, dtype: torch.dtype = torch.float32) -> Tensor:
        """θ = sign · (θ_max · exp(−base_lr · k)), rounded after each product.

        The exponentials come from a table, so the same integers give the same weights, bit for
        bit, on every device and in every memory layout. For dtypes shorter than float32 the
        float32 result is rounded.
        """
        wide = torch.promote_types(dtype, torch.float32)
        k, sign, theta_max = code
        values = self.look_up(k, wide).mul_(theta_max)
        return values.mul_(sign).to(dtype)

    def look_up(self, k: Tensor, dtype: torch.dtype) -> Tensor:
        """exp(−base_lr · k) in k's shape; NaN for k = levels, which stands for NaN."""
        table = _exponentials(self.base_lr, self.levels, dtype, k.device)
        return torch.index_select(table, 0, k.reshape(-1).to(torch.int32)).view(k.shape)

    def pack(self, code: Code) -> dict[str, Any]:
        """Pack k and the sign into `width` bits per weight: ``{"packed": flat uint8 tensor,
        "theta_max": number}``. The sign is the highest bit, 1 for negative."""
        negative = (code.sign < 0).to(torch.int32) << (self.width - 1)
        return {
            "packed": pack(code.k.to(torch.int32) | negative, self.width),
            "theta_max": code.theta_max,
        }

    def unpack(self, stored: Mapping[str, Any], shape: tuple[int, ...]) -> Code:
        """The exact inverse of `pack`.

        Raises:
            ValueError: the number of bytes does not match the shape, or a k is not below levels.
        """
        numbers = unpack(stored["packed"], self.width, math.prod(shape)).view(shape)
        k = numbers & (2 ** (self.width - 1) - 1)
        if k.numel() and int(k.max()) >= self.levels:
            raise ValueError(f"a stored k is {int(k.max())}, but there are {self.levels} levels")
        sign = torch.where(numbers >> (self.width - 1) > 0, -1, 1)
        return Code(_stored(k, self.dtype), _stored(sign, torch.int8), float(stored["theta_max"]))


def float_weights(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Tensor]:
    """Decode the result of `IntegerMadam.packed_weights` to float32 weights by name, for the
    ``load_state_dict`` of a model that is used without further training.

    Raises:
        ValueError: an entry is damaged.
    """
    weights = {}
    for name, entry in stored.items():
        if "values" in entry:
            weights[name] = entry["values"].to(torch.float32)
            continue
        system = NumberSystem(entry["base_lr"], entry["levels"])
        weights[name] = system.decode(system.unpack(entry, tuple(entry["shape"])))
    return weights


@functools.lru_cache(maxsize=32)
def _exponentials(base_lr: float, levels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """exp(−base_lr · k) for every k, rounded once from double precision, with a NaN at the end.
    Always computed on the CPU, so that the table is the same for every device."""
    k = torch.arange(levels, dtype=torch.float64, device="cpu")
    values = torch.exp(-base_lr * k).to(dtype)
    return torch.cat([values, values.new_full((1,), math.nan)]).to(device)


def _stored(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype).contiguous()


def _widest(theta: Tensor) -> Tensor:
    """The weights in the precision in which they are encoded; Apple's GPUs have no float64."""
    exact = torch.float32 if theta.device.type == "mps" else torch.float64
    return theta.detach().to(exact)
