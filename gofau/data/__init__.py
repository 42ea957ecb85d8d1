"""Images: read → uint8 arrays → cached once → batches and augmentation on the device.

The data sets are functions in modules of their own name (``gofau.data.digits.digits``), so that a
config can point at one; they are not imported here, where they would hide those modules.
"""

from gofau.data.augment import Augment
from gofau.data.batches import Batches, channel_stats
from gofau.data.images import ImageData, Images
from gofau.data.split import hold_out, subset

__all__ = ["Augment", "Batches", "ImageData", "Images", "channel_stats", "hold_out", "subset"]
