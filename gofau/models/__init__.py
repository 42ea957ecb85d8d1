"""Architectures, one per file.

Each file holds a class or a function that is called with what the problem builds a model from and
keys of its own. Image classifiers are called with ``shape = (C, H, W)`` and ``num_classes`` and
give an ``nn.Module`` from float images (B, C, H, W) to logits (B, num_classes); autoencoders with
``shape``, and give images of that shape. There is no registry: a new architecture is one file here
and one file in ``configs/model/`` whose ``_target_`` names it. Nothing is imported here, because
torchvision costs seconds and only the ResNets and VGGs need it.

>>> from gofau.models.small_cnn import SmallCNN
>>> model = SmallCNN((1, 8, 8), num_classes=10)
"""
