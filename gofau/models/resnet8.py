"""ResNet-8, the smallest of the CIFAR ResNets."""

from torch import nn
from torchvision.models.resnet import BasicBlock

from gofau.models.checks import check_input
from gofau.models.pooling import GlobalAvgPool2d

STAGES = (16, 32, 64)


def _stage(inputs: int, outputs: int) -> BasicBlock:
    if inputs == outputs:
        return BasicBlock(inputs, outputs)
    shortcut = nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs)
    )
    return BasicBlock(inputs, outputs, stride=2, downsample=shortcut)


def resnet8(shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
    """ResNet of depth 6n + 2 with n = 1: a 3×3 stem, then one basic block each of 16, 32 and 64
    channels, the last two halving the image, global average pooling and one linear layer.

    Where the channels double, the shortcut is a 1×1 convolution with BatchNorm (the paper's option
    B, as in torchvision), not the zero padding (option A) of the paper's CIFAR experiments.
    Convolutions start from He's normal scheme over the fan-out, as in torchvision's ResNets.

    Args:
        shape: Channels, height and width (C, H, W) of one image, any size.
        num_classes: Number of logits.

    Shapes:
        (B, C, H, W) to (B, num_classes).

    Raises:
        UserError: An entry of the shape or the number of classes is not an integer of at least 1.

    Source: He, Zhang, Ren, Sun, *Deep residual learning for image recognition*, CVPR 2016, §4.2.

    >>> import torch
    >>> resnet8((3, 32, 32), num_classes=10)(torch.zeros(4, 3, 32, 32)).shape
    torch.Size([4, 10])
    """
    channels, _, _ = check_input("resnet8", shape, num_classes)
    first, second, third = STAGES
    model = nn.Sequential(
        nn.Conv2d(channels, first, 3, padding=1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(inplace=True),
        _stage(first, first),
        _stage(first, second),
        _stage(second, third),
        GlobalAvgPool2d(),
        nn.Flatten(),
        nn.Linear(third, num_classes),
    )
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return model
