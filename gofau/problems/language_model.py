"""Prediction of the next character of a text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gofau.data.text import PARTS, Blocks, TextData
from gofau.errors import UserError
from gofau.problems.problem import Batch, Loading, Metric, Problem, Task


@final
@dataclass(frozen=True)
class LanguageModel(Problem):
    """Predict the next character at every place of a block of text. A batch is (x, y): blocks, and
    the same shifted by one character, int64 of shape (B, T); a model returns logits of shape
    (B, T, symbols).

    An example is a block: ``trainer.batch_size`` counts blocks. An epoch is not the whole text but
    ``blocks`` blocks from random places, so that schedules and curves advance within minutes; the
    other parts are read completely, block by block. A character is predicted only from the
    characters before it in its block, so the first ones of a block from few or none.

    Loss: cross-entropy in nats per character. Metric: ``bpc``, the same in bits per character, loss
    / ln 2; lower is better, and guessing gives log₂(symbols).

    Args:
        context: characters per block, T.
        blocks: blocks per epoch of training.

    >>> y = torch.tensor([[0, 1]])
    >>> loss, (bits,) = LanguageModel().loss(torch.zeros(1, 2, 4), (y, y), training=True)
    >>> round(loss.item(), 4), bits.item()
    (1.3863, 2.0)
    """

    context: int = 64
    blocks: int = 2048
    unit = "blocks"
    metrics = ("bpc",)

    def task(self, data: Any, keys: Mapping[str, Any], loading: Loading) -> Task:
        if not isinstance(data, TextData):
            raise UserError(
                f"problem=language_model needs a data set of text, not a {type(data).__name__}"
            )
        symbols = len(data.symbols)
        return Task(
            self._blocks(data.train, loading, training=True),
            self._blocks(data.validation, loading, training=False),
            self._blocks(data.test, loading, training=False),
            metric=Metric("bpc", "bits per character", False, math.log2(symbols), ".3f"),
            model={"symbols": symbols, "context": self.context},
            example=(torch.zeros(1, self.context, dtype=torch.int64),),
            facts={
                "symbols": symbols,
                "characters": {part: len(getattr(data, part)) for part in PARTS},
            },
        )

    def _blocks(self, codes: Any, loading: Loading, training: bool) -> Blocks:
        return Blocks(
            codes,
            context=self.context,
            batch_size=loading.batch_size if training else loading.eval_batch_size,
            blocks=self.blocks if training else None,
            device=loading.device,
            seed=loading.seed,
            share=loading.share,
        )

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        return batch[:1]

    def count(self, batch: Batch) -> int:
        return len(batch[0])

    def loss(
        self, output: Tensor, batch: Batch, training: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        y = batch[1]
        loss = cross_entropy(output.flatten(0, 1), y.flatten())
        # From nats to bits; times the number of blocks, since metrics are sums over examples.
        return loss, (loss * (len(y) / math.log(2)),)
