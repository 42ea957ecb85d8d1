"""The arithmetic of training: device, precision, memory format, compiled or not."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gofau.engine.compilation import Compiled
from gofau.problems import Batch, Problem

LAST = "channels_last"
FORMATS = {LAST: torch.channels_last, "channels_first": torch.contiguous_format}
"""The order in memory of images (B, C, H, W) and of the weights of convolutions."""


@dataclass(frozen=True)
class Compute:
    """How outputs and losses are computed.

    Weights, optimizer state, losses and BatchNorm statistics are always float32. ``bf16`` is
    torch's autocast: convolutions and matrix products in bfloat16. In ``fp32`` on a GPU they may
    use TF32 (10 bits of mantissa), torch's own default for convolutions.

    Args:
        device: the device of model and batches.
        precision: fp32 or bf16.
        memory_format: a name of `FORMATS`; it changes results in rounding only.
        compiled: the compiled loss, for batches of one size; None for none.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "fp32"
    memory_format: str = LAST
    compiled: Compiled | None = None

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device, its weights in the memory format."""
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        kind = FORMATS[self.memory_format]
        return model.to(self.device, memory_format=kind)  # type: ignore[call-overload]

    def output(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """The model's output, as float32."""
        return _output(model, inputs, self.precision == "bf16")

    def loss(
        self, problem: Problem, model: nn.Module, batch: Batch, training: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mean loss and summed metrics of a batch, as `Problem.loss` returns them."""
        args = (problem, model, self._arranged(batch), training, self.precision == "bf16")
        if self.compiled is not None and self.compiled.takes(problem.count(batch)):
            return self.compiled(_loss, *args)
        return _loss(*args)

    def _arranged(self, batch: Batch) -> Batch:
        """The batch in the memory format; it comes with channels last."""
        if self.memory_format == LAST:
            return batch
        # Not contiguous(): gray images of either format count as contiguous, but a convolution goes
        # by their strides.
        return tuple(
            x.clone(memory_format=FORMATS[self.memory_format]) if x.dim() == 4 else x for x in batch
        )


def has_formats(model: nn.Module) -> bool:
    """Whether a memory format makes a difference to a model: it has weights of images."""
    return any(p.dim() == 4 for p in model.parameters())


def _output(model: nn.Module, inputs: tuple[Tensor, ...], bf16: bool) -> Tensor:
    with torch.autocast(inputs[0].device.type, torch.bfloat16, enabled=bf16):
        return model(*inputs).float()


# A function of the module, not a method, so that the next run finds its compiled graphs again.
def _loss(
    problem: Problem, model: nn.Module, batch: Batch, training: bool, bf16: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    return problem.loss(_output(model, problem.inputs(batch), bf16), batch, training)
