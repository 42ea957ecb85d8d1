"""Multi-layer perceptron."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from gofau.models.checks import check_input, check_widths


class MLP(nn.Sequential):
    """Flatten, then fully connected layers with ReLU between them; no normalisation.

    Args:
        shape: Channels, height and width (C, H, W) of one image.
        num_classes: Number of logits.
        hidden: Width of each hidden layer; an empty list is multinomial logistic regression.

    Shapes:
        (B, C, H, W) to (B, num_classes).

    Raises:
        UserError: A width, an entry of the shape or the number of classes is not an integer of at
            least 1.

    Source: Rumelhart, Hinton, Williams, *Learning representations by back-propagating errors*,
    Nature 323, 1986; ReLU after Nair, Hinton, ICML 2010.

    >>> import torch
    >>> MLP((1, 8, 8), num_classes=10, hidden=(32,))(torch.zeros(4, 1, 8, 8)).shape
    torch.Size([4, 10])
    """

    def __init__(
        self, shape: tuple[int, int, int], num_classes: int, hidden: Sequence[int] = (256, 256)
    ) -> None:
        inputs = math.prod(check_input("mlp", shape, num_classes))
        widths = [inputs, *check_widths("mlp", "hidden", hidden)]
        layers: list[nn.Module] = [nn.Flatten()]
        for fan_in, fan_out in pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.Linear(widths[-1], num_classes))
