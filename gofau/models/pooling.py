"""Global average pooling whose gradient keeps the memory format of the images."""

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d


class GlobalAvgPool2d(nn.Module):
    """The mean of each channel over the image.

    ``nn.AdaptiveAvgPool2d(1)`` computes the same, but its gradient always has the channels first in
    memory. Images with channels last then meet such gradients in all layers up to the next
    convolution, and torch's kernels are many times slower on tensors of different memory formats.

    Shapes:
        (B, C, H, W) to (B, C, 1, 1).

    Source: Lin, Chen, Yan, *Network in network*, arXiv 1312.4400, §3.2.

    >>> import torch
    >>> GlobalAvgPool2d()(torch.arange(8.0).reshape(1, 2, 2, 2)).flatten()
    tensor([1.5000, 5.5000])
    """

    def forward(self, x: Tensor) -> Tensor:
        return avg_pool2d(x, x.shape[-2:])
