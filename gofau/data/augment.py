"""Random crop, flip and cutout, different for each sample, as a few tensor operations per batch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gofau.errors import UserError


@dataclass(frozen=True)
class Augment:
    """Which augmentations to apply; all off by default.

    Args:
        crop: width in pixels of the black (0) border that is added around the image before a window
            of the original size is cut out at a random position; 0 is off.
        flip: mirror left to right with probability 1/2.
        cutout: side in pixels of a square around a random centre that is set to the mean; it is
            clipped at the border of the image, as in DeVries & Taylor (2017); 0 is off.

    Raises:
        UserError: a negative size.

    >>> Augment(crop=4, flip=True).moves
    True
    """

    crop: int = 0
    flip: bool = False
    cutout: int = 0

    def __post_init__(self) -> None:
        for name in ("crop", "cutout"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise UserError(f"augment.{name} is {value!r}; it must be an integer ≥ 0 (pixels).")

    def check(self, height: int, width: int) -> None:
        """Raise a UserError if a crop could lose the whole image, or a cutout is larger than it."""
        side = min(height, width)
        for name, most in (("crop", side - 1), ("cutout", side)):
            if getattr(self, name) > most:
                raise UserError(
                    f"dataset.augment.{name} must be at most {most} for images of {height}×{width}"
                    f" pixels, got {getattr(self, name)}"
                )

    @property
    def moves(self) -> bool:
        """Whether an augmentation that moves pixels is on."""
        return self.crop > 0 or self.flip


@dataclass(frozen=True)
class Draws:
    """The random numbers of n samples, each of shape (n,): crop offset, mirrored, cutout centre."""

    top: Tensor
    left: Tensor
    mirrored: Tensor
    centre_y: Tensor
    centre_x: Tensor

    def to(self, device: torch.device) -> "Draws":
        return Draws(*(value.to(device) for value in self._values()))

    def __getitem__(self, part: slice) -> "Draws":
        return Draws(*(value[part] for value in self._values()))

    def _values(self) -> tuple[Tensor, ...]:
        return self.top, self.left, self.mirrored, self.centre_y, self.centre_x


def draw(augment: Augment, n: int, height: int, width: int, generator: torch.Generator) -> Draws:
    """Draw the random numbers of n samples. All of them are always drawn, so that switching one
    augmentation on or off does not change the random numbers of the others."""

    def integers(high: int) -> Tensor:
        return torch.randint(high, (n,), generator=generator)

    window = 2 * augment.crop + 1
    mirrored = integers(2).bool() & augment.flip
    return Draws(integers(window), integers(window), mirrored, integers(height), integers(width))


def gather_moved(pixels: Tensor, take: Tensor, draws: Draws, crop: int) -> Tensor:
    """Select samples, cropped and mirrored, in one gather, without making a padded copy.

    Args:
        pixels: uint8, shape (N, H, W, C), the whole split.
        take: int64, shape (B,), indices of the samples.
        draws: their random numbers.
        crop: the padding that ``draws`` was drawn for.

    Returns:
        uint8, shape (B, H, W, C).
    """
    count, height, width, channels = pixels.shape
    y = torch.arange(height, device=pixels.device)
    x = torch.arange(width, device=pixels.device)
    rows = y + (draws.top - crop)[:, None]
    columns = torch.where(draws.mirrored[:, None], width - 1 - x, x) + (draws.left - crop)[:, None]
    # Clamped indices are valid outside the image as well; what they fetch is set to black below.
    lines = take[:, None] * height + rows.clamp(0, height - 1)
    flat = (lines * width)[:, :, None] + columns.clamp(0, width - 1)[:, None, :]
    # index_select copies whole pixels; indexing with [flat] is twice as slow on a CPU.
    picked = pixels.view(count * height * width, channels).index_select(0, flat.view(-1))
    moved = picked.view(len(take), height, width, channels)
    if crop == 0:
        return moved
    inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None, :]
    return moved.mul_(inside[..., None])


def cut_out(x: Tensor, draws: Draws, side: int) -> Tensor:
    """Set a square in each normalised image of x, shape (B, C, H, W), to 0, the mean, in place."""
    height, width = x.shape[-2:]
    y0 = (draws.centre_y - side // 2)[:, None]
    x0 = (draws.centre_x - side // 2)[:, None]
    rows = _within(torch.arange(height, device=x.device) - y0, side)
    columns = _within(torch.arange(width, device=x.device) - x0, side)
    return x.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def _within(values: Tensor, end: int) -> Tensor:
    return (values >= 0) & (values < end)
