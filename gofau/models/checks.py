"""Checks of the arguments of architectures, so that torch does not fail with an obscure error."""

from collections.abc import Sequence
from numbers import Integral

from gofau.errors import UserError


def check_count(model: str, key: str, value: object) -> int:
    """``value`` if it is an integer of at least 1, for a key that counts something.

    Args:
        model: Name of the architecture, for the message.
        key: Name of its argument, for the message.
        value: What the user gave.

    Raises:
        UserError: It is not an integer, or is below 1.

    >>> check_count("small_cnn", "width", 32)
    32
    """
    # bool is a subclass of int, but True counts nothing.
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise UserError(f"{model}: {key} must be an integer of at least 1, not {value!r}.")
    return int(value)


def check_input(
    model: str, shape: Sequence[int], num_classes: int, minimum: int = 1
) -> tuple[int, int, int]:
    """``shape`` as a tuple (C, H, W), if the architecture can take it.

    Args:
        model: Name of the architecture, for the message.
        shape: Channels, height and width of one image.
        num_classes: Number of logits.
        minimum: Smallest height and width that the architecture takes, in pixels.

    Raises:
        UserError: The shape is not three positive integers, the image is smaller than ``minimum``
            in height or width, or ``num_classes`` is not a positive integer.

    >>> check_input("vgg11", [3, 32, 32], num_classes=10, minimum=32)
    (3, 32, 32)
    """
    channels, height, width = check_shape(model, shape)
    check_count(model, "num_classes", num_classes)
    if min(height, width) < minimum:
        raise UserError(
            f"{model} needs images of at least {minimum}×{minimum} pixels, "
            f"but these are {height}×{width}."
        )
    return channels, height, width


def check_shape(model: str, shape: Sequence[int]) -> tuple[int, int, int]:
    """``shape`` as a tuple (C, H, W).

    Args:
        model: Name of the architecture, for the message.
        shape: Channels, height and width of one image.

    Raises:
        UserError: The shape is not three positive integers.

    >>> check_shape("mlp", [1, 8, 8])
    (1, 8, 8)
    """
    if len(shape) != 3:
        raise UserError(f"{model}: shape must be (channels, height, width), not {tuple(shape)!r}.")
    channels, height, width = (check_count(model, "every entry of shape", n) for n in shape)
    return channels, height, width


def check_widths(model: str, key: str, widths: object) -> list[int]:
    """``widths`` as a list of integers of at least 1, for a key that lists widths of layers.

    Args:
        model: Name of the architecture, for the message.
        key: Name of its argument, for the message.
        widths: What the user gave.

    Raises:
        UserError: It is not a sequence of such integers.

    >>> check_widths("mlp", "hidden", [256, 64])
    [256, 64]
    """
    if isinstance(widths, str) or not isinstance(widths, Sequence):
        raise UserError(f"{model}: {key} must be a list of widths such as [256], not {widths!r}.")
    return [check_count(model, f"every entry of {key}", n) for n in widths]
