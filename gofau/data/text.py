"""Text at character level: its encoding, its parts, and batches of blocks to predict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gofau.data.batches import seeded
from gofau.errors import UserError

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class TextData:
    """A text in three consecutive parts, each character encoded as a number.

    Args:
        name: for display.
        symbols: every character that occurs, sorted; a character's number is its index.
        train, validation, test: uint8, shape (characters,).
        source: the file or folder it was read from, or several; not part of the content.

    >>> data = split_text("toy", "abab" * 5, val_fraction=0.2, test_fraction=0.2)
    >>> data.symbols, len(data.train), data.test
    ('ab', 12, array([0, 1, 0, 1], dtype=uint8))
    """

    name: str
    symbols: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    source: Path | Sequence[Path] | None = field(default=None, compare=False)


def split_text(name: str, text: str, val_fraction: float, test_fraction: float) -> TextData:
    """Split a text into training, validation and test part, in this order.

    The parts are consecutive, not drawn at random, since neighbouring passages of a text resemble
    each other. The symbols are those of the whole text, so that no part has an unknown one.

    Args:
        name: for display.
        text: at most 256 different characters.
        val_fraction, test_fraction: shares of the characters, in (0, 1), together below 1.

    Raises:
        UserError: more different characters than that, or a part of fewer than 2 characters.
    """
    symbols = "".join(sorted(set(text)))
    if len(symbols) > 256:
        raise UserError(
            f"{name} has {len(symbols)} different characters; at most 256 are possible."
        )
    number = {symbol: place for place, symbol in enumerate(symbols)}
    codes = np.fromiter((number[symbol] for symbol in text), np.uint8, len(text))
    test = round(len(codes) * test_fraction)
    validation = round(len(codes) * val_fraction)
    train = len(codes) - test - validation
    if min(train, validation, test) < 2:
        raise UserError(
            f"{name}: val_fraction {val_fraction} and test_fraction {test_fraction} divide"
            f" {len(codes)} characters into parts of {train}, {validation} and {test}; each needs"
            " at least 2."
        )
    parts = np.split(codes, [train, train + validation])
    return TextData(name, symbols, parts[0], parts[1], parts[2])


class Blocks:
    """Batches of blocks of one part, for predicting the next character at every place of a block.

    Args:
        codes: uint8, shape (characters,).
        context: characters per block, T.
        batch_size: blocks per batch, B; the last batch may be short.
        blocks: blocks per epoch, from random places that are drawn again for each epoch (a place
            may occur twice); None for all blocks of the part, in order, without overlap. Then the
            characters at the end that do not fill a block, at most T − 1, are left out.
        device: where the blocks are made.
        seed: with the epoch's number it determines the random places, the same on all devices.
        share: (rank, processes): of each batch this process gets the blocks rank, rank +
            processes, rank + 2·processes and so on.

    Raises:
        UserError: context, batch_size or blocks < 1, seed < 0, a part too short for one block, or
            fewer blocks in a batch than processes.

    >>> blocks = Blocks(np.arange(10, dtype=np.uint8), context=4, batch_size=8)
    >>> next(blocks.epoch())[1]
    tensor([[1, 2, 3, 4],
            [5, 6, 7, 8]])
    """

    def __init__(
        self,
        codes: np.ndarray,
        *,
        context: int,
        batch_size: int,
        blocks: int | None = None,
        device: str | torch.device = "cpu",
        seed: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        counts = {"context": context, "batch_size": batch_size, "blocks": blocks or 1}
        for key, value in counts.items():
            if not isinstance(value, int) or value < 1:
                raise UserError(f"{key} is {value!r}; it must be an integer ≥ 1.")
        if seed < 0:
            raise UserError(f"The seed of the blocks is {seed}; it must be at least 0.")
        # − 1: after the last character of a part there is none to predict.
        self._whole = (len(codes) - 1) // context
        if not self._whole:
            raise UserError(
                f"A block of {context} characters and the one after it do not fit into a part of"
                f" {len(codes)}: choose a smaller context."
            )
        self._codes = torch.from_numpy(codes).to(device)
        self._within = torch.arange(context, device=self._codes.device)
        self.context, self.batch_size, self.blocks = context, batch_size, blocks
        self.seed, self.share = seed, share
        if self.count(len(self) - 1) < share[1]:
            raise UserError(
                f"The smallest batch has {self.count(len(self) - 1)} block(s), fewer than the"
                f" {share[1]} processes: choose another batch size."
            )

    @property
    def _count(self) -> int:
        return self.blocks or self._whole

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-self._count // self.batch_size)

    def count(self, batch: int) -> int:
        """Blocks in batch number ``batch``, over all processes."""
        return min(self.batch_size, self._count - batch * self.batch_size)

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one epoch from batch ``start`` on; an epoch always gives the same batches.

        Yields:
            x and y, int64 of shape (B, T); y is the text shifted by one character.
        """
        places = torch.arange(self._whole) * self.context
        if self.blocks is not None:
            # The last place, end − 1, leaves room for a block and the character after it.
            end = len(self._codes) - self.context
            places = torch.randint(end, (self.blocks,), generator=seeded(self.seed, epoch))
        rank, processes = self.share
        for batch in places.split(self.batch_size)[start:]:
            mine = batch[rank::processes].to(self._codes.device)
            text = mine[:, None] + self._within
            yield self._codes[text].long(), self._codes[text + 1].long()
