"""The arithmetic of training: device, precision, memory format, compiled or not."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gofau.engine.compilation import Compiled
from gofau.problems import Batch, Problem


@dataclass(frozen=True)
class Compute:
    """How outputs and losses are computed.

    Weights, optimizer state, losses and BatchNorm statistics are always float32. ``bf16`` is
    torch's autocast: convolutions and matrix products in bfloat16. In ``fp32`` on a GPU they may
    use TF32 (10 bits of mantissa), torch's own default for convolutions.

    Args:
        device: the device of model and batches.
        precision: fp32 or bf16.
        compiled: the compiled loss, for batches of one size; None for none.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "fp32"
    compiled: Compiled | None = None

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device, with channels last in memory: the batches have this format,
        and convolutions on CPUs and tensor cores prefer it for the weights as well."""
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        return model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def output(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """The model's output, as float32."""
        return _output(model, inputs, self.precision == "bf16")

    def loss(
        self, problem: Problem, model: nn.Module, batch: Batch, training: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mean loss and summed metrics of a batch, as `Problem.loss` returns them."""
        args = (problem, model, batch, training, self.precision == "bf16")
        if self.compiled is not None and self.compiled.takes(problem.count(batch)):
            return self.compiled(_loss, *args)
        return _loss(*args)


def _output(model: nn.Module, inputs: tuple[Tensor, ...], bf16: bool) -> Tensor:
    with torch.autocast(inputs[0].device.type, torch.bfloat16, enabled=bf16):
        return model(*inputs).float()


# A function of the module, not a method, so that the next run finds its compiled graphs again.
def _loss(
    problem: Problem, model: nn.Module, batch: Batch, training: bool, bf16: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    return problem.loss(_output(model, problem.inputs(batch), bf16), batch, training)
