"""Data sets. Images are read as uint8 arrays, cached once, batched and augmented on the device.

Each data set is a function in a module of the same name (``gofau.data.digits.digits``), so that a
config can name it. None is imported here, because the function would hide its module.
"""

from gofau.data.augment import Augment
from gofau.data.batches import Batches, channel_stats
from gofau.data.images import ImageData, Images
from gofau.data.split import hold_out, subset

__all__ = ["Augment", "Batches", "ImageData", "Images", "channel_stats", "hold_out", "subset"]
