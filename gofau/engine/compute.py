"""In what arithmetic a model is trained: device, precision, order in memory, compiled or not."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gofau.engine.compilation import Compiled


@dataclass(frozen=True)
class Compute:
    """How logits and losses are computed.

    Weights, optimizer state, losses and statistics of BatchNorm are float32 always. ``bf16`` is
    torch's autocast: convolutions and matrix products in bfloat16. In ``fp32`` on a GPU they may
    use TF32 (10 bits of mantissa), torch's own default for convolutions.

    Args:
        device: where everything happens.
        precision: fp32 or bf16.
        compiled: the compiled loss, for batches of one shape; None for none.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "fp32"
    compiled: Compiled | None = None

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device. Its images come channels last, which is also how the
        convolutions of CPUs and tensor cores like their weights."""
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        return model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, model: nn.Module, x: Tensor) -> Tensor:
        """float32, shape (B, classes)."""
        return _logits(model, x, self.precision == "bf16")

    def loss(
        self, model: nn.Module, x: Tensor, y: Tensor, smoothing: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy (nats) of a batch, and how many were right; both 0-dimensional."""
        args = (model, x, y, smoothing, self.precision == "bf16")
        if self.compiled is not None and self.compiled.takes(x):
            return self.compiled(_loss, *args)
        return _loss(*args)


def _logits(model: nn.Module, x: Tensor, bf16: bool) -> Tensor:
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
        return model(x).float()


def _loss(
    model: nn.Module, x: Tensor, y: Tensor, smoothing: float, bf16: bool
) -> tuple[Tensor, Tensor]:
    logits = _logits(model, x, bf16)
    return cross_entropy(logits, y, label_smoothing=smoothing), (logits.argmax(1) == y).sum()
