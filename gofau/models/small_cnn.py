"""A small convolutional network for a CPU."""

from torch import nn

from gofau.models.checks import check_count, check_input
from gofau.models.pooling import GlobalAvgPool2d

MINIMUM = 8  # pixels: below, the third convolution would see almost nothing


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    # No bias: BatchNorm would subtract it again.
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


class SmallCNN(nn.Sequential):
    """Three 3×3 convolutions with BatchNorm, halving the image and doubling the channels between
    them, then global average pooling and one linear layer. The pooling lets it take any size.

    Args:
        shape: Channels, height and width (C, H, W) of one image, at least 8×8.
        num_classes: Number of logits.
        width: Channels after the first convolution; the others have 2 and 4 times as many.

    Shapes:
        (B, C, H, W) to (B, num_classes).

    Raises:
        UserError: The image is under 8 pixels, or a number is not an integer of at least 1.

    Source: our own; convolution and pooling after LeCun et al., Proc. IEEE 86, 1998; BatchNorm
    after Ioffe, Szegedy, arXiv 1502.03167; global average pooling after Lin, Chen, Yan, arXiv
    1312.4400.

    >>> import torch
    >>> SmallCNN((1, 8, 8), num_classes=10)(torch.zeros(4, 1, 8, 8)).shape
    torch.Size([4, 10])
    """

    def __init__(self, shape: tuple[int, int, int], num_classes: int, width: int = 32) -> None:
        channels, _, _ = check_input("small_cnn", shape, num_classes, minimum=MINIMUM)
        check_count("small_cnn", "width", width)
        super().__init__(
            *_block(channels, width),
            nn.MaxPool2d(2),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            *_block(2 * width, 4 * width),
            GlobalAvgPool2d(),
            nn.Flatten(),
            nn.Linear(4 * width, num_classes),
        )
