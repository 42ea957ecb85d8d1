"""VGG-11 and VGG-16 with BatchNorm and the head used on CIFAR."""

from collections import OrderedDict

from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from gofau.errors import UserError
from gofau.models.checks import check_input
from gofau.models.pooling import GlobalAvgPool2d

MINIMUM = 32  # pixels: five poolings by 2 must leave one


def vgg11(shape: tuple[int, int, int], num_classes: int, dropout: float = 0.0) -> nn.Sequential:
    """VGG-11 (configuration A) with BatchNorm; global average pooling and one linear layer.

    The layers are torchvision's, so their convolutions have a bias although BatchNorm follows: the
    bias has no effect in training and its gradient is rounding noise. Weights start from torch's
    own scheme for each layer.

    Args:
        shape: Channels, height and width (C, H, W) of one image, at least 32×32.
        num_classes: Number of logits.
        dropout: Probability in [0, 1) of dropping a feature before the linear layer.

    Shapes:
        (B, C, H, W) to (B, num_classes).

    Raises:
        UserError: The image is under 32 pixels, ``dropout`` is outside [0, 1), or an entry of the
            shape or the number of classes is not an integer of at least 1.

    Source: Simonyan, Zisserman, *Very deep convolutional networks for large-scale image
    recognition*, ICLR 2015, table 1.

    >>> import torch
    >>> vgg11((3, 32, 32), num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    return _vgg("vgg11", "A", shape, num_classes, dropout)


def vgg16(shape: tuple[int, int, int], num_classes: int, dropout: float = 0.0) -> nn.Sequential:
    """VGG-16 (configuration D) with BatchNorm; everything else as in :func:`vgg11`.

    Args:
        shape: Channels, height and width (C, H, W) of one image, at least 32×32.
        num_classes: Number of logits.
        dropout: Probability in [0, 1) of dropping a feature before the linear layer.

    Shapes:
        (B, C, H, W) to (B, num_classes).

    Raises:
        UserError: As for :func:`vgg11`.

    >>> import torch
    >>> vgg16((3, 32, 32), num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    return _vgg("vgg16", "D", shape, num_classes, dropout)


def _vgg(
    name: str, letter: str, shape: tuple[int, int, int], num_classes: int, dropout: float
) -> nn.Sequential:
    channels, _, _ = check_input(name, shape, num_classes, minimum=MINIMUM)
    if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise UserError(f"{name}: dropout must be a number in [0, 1), not {dropout!r}.")
    features = make_layers(cfgs[letter], batch_norm=True)
    if channels != 3:  # make_layers knows RGB only
        features[0] = nn.Conv2d(channels, 64, 3, padding=1)
    return nn.Sequential(
        OrderedDict(
            features=features,
            pool=GlobalAvgPool2d(),
            flatten=nn.Flatten(),
            dropout=nn.Dropout(dropout),
            classifier=nn.Linear(512, num_classes),
        )
    )
