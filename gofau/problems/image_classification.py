"""Classification of images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor
from torch.nn.functional import cross_entropy

from gofau.problems import images
from gofau.problems.problem import Batch, Loading, Metric, Problem, Task


@final
@dataclass(frozen=True)
class ImageClassification(Problem):
    """Predict the class of an image. A batch is (x, y): normalised images, float32 of shape
    (B, C, H, W), and labels, int64 of shape (B,); a model returns logits of shape (B, classes).

    Loss: cross-entropy in nats. Metric: ``acc``, the share of images whose largest logit is that of
    their class; guessing gives 1/classes.

    Args:
        label_smoothing: ε in [0, 1), as in torch's cross_entropy; only of the training loss, not in
            evaluation.

    >>> import torch
    >>> logits, labels = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    >>> loss, (right,) = ImageClassification().loss(logits, (logits, labels), training=True)
    >>> round(loss.item(), 4), right.item()
    (1.1269, 1)
    """

    label_smoothing: float = 0.0
    unit = "images"
    metrics = ("acc",)
    dataset_keys = images.KEYS

    def task(self, data: Any, keys: Mapping[str, Any], loading: Loading) -> Task:
        splits = images.split("image_classification", data, keys)
        stats = images.standard(splits.train)
        classes = len(data.classes)
        return Task(
            *images.batches(splits, stats, keys["augment"], loading),
            metric=Metric("acc", "accuracy", True, chance=1 / classes, format=".2%"),
            model={"shape": data.shape, "num_classes": classes},
            example=images.example(data),
            facts={"classes": classes, "images": splits.counts()},
        )

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        return batch[:1]

    def count(self, batch: Batch) -> int:
        return len(batch[1])

    def loss(
        self, output: Tensor, batch: Batch, training: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        labels = batch[1]
        smoothing = self.label_smoothing if training else 0.0
        loss = cross_entropy(output, labels, label_smoothing=smoothing)
        return loss, ((output.argmax(1) == labels).sum(),)
