"""Architectures, one per file.

Each file holds a class or a function that is called with the arguments that the problem supplies
and keys of its own. Image classifiers are called with ``shape = (C, H, W)`` and ``num_classes``;
the ``nn.Module`` maps float images (B, C, H, W) to logits (B, num_classes). Autoencoders are called
with ``shape`` and return images of that shape. There is no registry: a new architecture is one file
here and one file in ``configs/model/`` whose ``_target_`` names it. Nothing is imported here,
because importing torchvision takes seconds and only the ResNets and VGGs need it.

>>> from gofau.models.small_cnn import SmallCNN
>>> model = SmallCNN((1, 8, 8), num_classes=10)
"""
