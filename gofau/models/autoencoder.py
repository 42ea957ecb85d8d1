"""Autoencoder: a multi-layer perceptron that reconstructs an image from a short code."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from gofau.models.checks import check_count, check_shape, check_widths


class Autoencoder(nn.Sequential):
    """Flatten, fully connected layers down to a linear code, the same widths in reverse, sigmoid;
    ReLU between the layers, no normalisation.

    Args:
        shape: Channels, height and width (C, H, W) of one image.
        hidden: Width of each hidden layer of the encoder; the decoder has them in reverse.
        code: Size of the code: the numbers that an image is reduced to.

    Shapes:
        (B, C, H, W) to (B, C, H, W), every value in (0, 1).

    Raises:
        UserError: A width, an entry of the shape or the size of the code is not an integer of at
            least 1.

    Source: Hinton, Salakhutdinov, *Reducing the dimensionality of data with neural networks*,
    Science 313, 2006: a linear code and logistic outputs; ReLU, which needs no pretraining, in
    place of their logistic hidden units.

    >>> import torch
    >>> Autoencoder((1, 8, 8), hidden=(32,), code=4)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(
        self, shape: tuple[int, int, int], hidden: Sequence[int] = (256, 64), code: int = 32
    ) -> None:
        image = check_shape("autoencoder", shape)
        widths = [math.prod(image), *check_widths("autoencoder", "hidden", hidden)]
        size = check_count("autoencoder", "code", code)
        encoder, decoder = _layers([*widths, size]), _layers([size, *reversed(widths)])
        super().__init__(nn.Flatten(), *encoder, *decoder, nn.Sigmoid(), nn.Unflatten(1, image))


def _layers(widths: Sequence[int]) -> list[nn.Module]:
    """Linear layers with ReLU between them, and none after the last."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU(inplace=True)]
    return layers[:-1]
