"""torchvision's ResNet-18, with a stem for small images."""

import torchvision
from torch import nn

from gofau.errors import UserError, nearest
from gofau.models.checks import check_input
from gofau.models.pooling import GlobalAvgPool2d

STEMS = ("auto", "cifar", "imagenet")
CIFAR_SIZE = 32  # the longest side, in pixels, for which `auto` takes the CIFAR stem


def resnet18(
    shape: tuple[int, int, int], num_classes: int, stem: str = "auto"
) -> torchvision.models.ResNet:
    """ResNet-18 from torchvision, untrained, with a first layer that fits the data.

    The ImageNet stem divides the size by 4 before the first block, which would leave a CIFAR image
    at 8×8; the CIFAR stem keeps it. Convolutions, the new stem included, start from torchvision's
    own scheme (He's normal, over the fan-out).

    Args:
        shape: Channels, height and width (C, H, W) of one image, any size and number of channels.
            BatchNorm cannot train on one value per channel, so batches of one image need more than
            8 pixels (more than 32 under the ImageNet stem).
        num_classes: Number of logits.
        stem: ``cifar`` (3×3, stride 1, no max-pooling), ``imagenet`` (7×7, stride 2, then
            max-pooling), or ``auto``: ``cifar`` up to 32 pixels on the longer side, else
            ``imagenet``.

    Shapes:
        (B, C, H, W) to (B, num_classes).

    Raises:
        UserError: The stem is unknown, or an entry of the shape or the number of classes is not an
            integer of at least 1.

    Source: He, Zhang, Ren, Sun, *Deep residual learning for image recognition*, CVPR 2016, table 1.

    >>> import torch
    >>> resnet18((3, 32, 32), num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    channels, height, width = check_input("resnet18", shape, num_classes)
    if stem not in STEMS:
        raise UserError(
            f"resnet18: stem must be one of {', '.join(STEMS)}, not {stem!r}.{nearest(stem, STEMS)}"
        )
    if stem == "auto":
        stem = "cifar" if max(height, width) <= CIFAR_SIZE else "imagenet"
    model = torchvision.models.resnet18(weights=None, num_classes=num_classes)
    if stem == "cifar":
        model.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()  # type: ignore[assignment]
    else:
        model.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    model.avgpool = GlobalAvgPool2d()  # type: ignore[assignment]
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    return model
