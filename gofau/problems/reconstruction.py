"""Reconstruction of images by an autoencoder, without labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor
from torch.nn.functional import mse_loss

from gofau.problems import images
from gofau.problems.problem import Batch, Loading, Metric, Problem, Task


@final
@dataclass(frozen=True)
class Reconstruction(Problem):
    """Reconstruct an image from a short code. A batch is (x, y): images, float32 of shape
    (B, C, H, W) with pixels in [0, 1], and labels, which are not used; a model returns images of
    the same shape. The target is the image as it was augmented.

    Loss and metric: the squared error per pixel, averaged over pixels and images; lower is better,
    and there is no chance level. Papers on such autoencoders (Hinton and Salakhutdinov, Science
    313, 2006; Martens, ICML 2010) report the squared error, and many train on binary cross-entropy.
    We train on what we report: the cross-entropy of gray pixels has a floor that is far from zero,
    beside which differences between optimizers would look small.

    >>> import torch
    >>> x = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    >>> Reconstruction().loss(torch.full_like(x, 0.5), (x,), training=True)
    (tensor(0.2500), ())
    """

    unit = "images"
    dataset_keys = images.KEYS

    def task(self, data: Any, keys: Mapping[str, Any], loading: Loading) -> Task:
        splits = images.split("reconstruction", data, keys)
        stats = images.unit_range(splits.train)
        return Task(
            *images.batches(splits, stats, keys["augment"], loading),
            metric=Metric("loss", "reconstruction loss", False, format=".5f"),
            model={"shape": data.shape},
            example=images.example(data),
            facts={"images": splits.counts()},
        )

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        return batch[:1]

    def count(self, batch: Batch) -> int:
        return len(batch[0])

    def loss(
        self, output: Tensor, batch: Batch, training: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        return mse_loss(output, batch[0]), ()
