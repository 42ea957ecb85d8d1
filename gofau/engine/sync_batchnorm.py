"""BatchNorm with the statistics of the whole batch when several processes share it."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _Sum(torch.autograd.Function):
    """The sum over all processes, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        # Summed as well: x contributes to the result in every process.
        grad = grad.clone()
        dist.all_reduce(grad)
        return grad


class SyncBatchNorm(nn.BatchNorm2d):
    """BatchNorm2d over all processes, on any device; torch's SyncBatchNorm is for GPUs only.

    Two sums are exchanged, first of x and then of (x − mean)², since E[x²] − mean² would lose
    digits. Shares may differ in size.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.float()
        dims, view = (0, 2, 3), (1, -1, 1, 1)
        # The number of values is summed along with them, since shares may differ in size.
        here = torch.cat([x.sum(dims), x.new_tensor([x.numel() / x.shape[1]])])
        sums = _Sum.apply(here)
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = x - mean.view(view)
        variance = _Sum.apply(centred.square().sum(dims)) / count
        # As in torch, the running variance is the unbiased one.
        self._track(mean.detach(), variance.detach() * count / (count - 1))
        out = centred * (variance + self.eps).rsqrt().view(view)
        return (out * self.weight.view(view) + self.bias.view(view)).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def synchronised(model: nn.Module) -> nn.Module:
    """Make the BatchNorm2d layers of a model share their statistics. Parameters, buffers and their
    names do not change, so a checkpoint is the same with and without."""
    if next(model.parameters()).is_cuda:
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for layer in model.modules():
        if type(layer) is nn.BatchNorm2d:
            layer.__class__ = SyncBatchNorm  # keeps parameters and buffers as they are
    return model
