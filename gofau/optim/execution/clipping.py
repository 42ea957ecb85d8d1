"""Bounds that a compiled step clips the weights to, while they are in the processor's cache.

`Clamp` itself would read and write all weights once more, which costs a fifth of Madam's step. It
knows nothing of this module: its code is part of Madam's fingerprint (`gofau.runs.sources`), and
how a step is executed must not be.
"""

import math
from collections.abc import Callable

from gofau.optim.directions import Group
from gofau.optim.post_steps import NOTHING, get_post_step
from gofau.optim.projection import Clamp, Projection
from gofau.optim.update import Item

Bound = Callable[[Item], float]
"""The largest |θ| of an item after its step; infinity if there is none."""


def bound_of(projection: Projection | None, group: Group) -> Bound | None:
    """The bound to which the optimizer's projection would clip the weights directly after the step;
    None if it does something else, or if a post step comes between.

    Example:
        >>> import torch
        >>> group = {"p_scale": 3.0, "post_step": "none"}
        >>> bound = bound_of(Clamp(), group)
        >>> bound(Item(torch.ones(2), torch.ones(2), {"theta_rms": 0.5}, None))
        1.5
    """
    # A subclass may do anything.
    if type(projection) is not Clamp or get_post_step(group["post_step"]) is not NOTHING:
        return None

    def bound(item: Item) -> float:
        size = item.state["theta_rms"]
        return float(group["p_scale"] * size) if size > 0 else math.inf

    return bound
