"""The distribution of log|θ| of a network's layers at moments of its training.

``moments.csv`` has one row per layer, and one for all layers together; ``histogram.csv.gz`` has the
histogram of all layers. Sizes are relative to the root mean square of the weight's own layer, so
that layers of different scale can be put together.
"""

from typing import Any

import torch

from gofau.config.schema import Config
from gofau.optim.log_weights import layer_weights, log_moments, relative
from gofau.session.build import Built

ALL = "all"
LOW, HIGH, PER_DECADE = -6, 2, 8
"""Range of log10(|θ|/rms) that the histogram covers, and its bins per factor of ten. What is
outside, exact zeros included, is in no bin."""


def measure(built: Built, config: Config) -> dict[str, list[dict[str, Any]]]:
    """The rows of ``moments.csv`` and ``histogram.csv.gz`` at the current weights."""
    layers = layer_weights(built.trainer.model)
    groups = {ALL: list(layers.values())} | {name: [p] for name, p in layers.items()}
    rows = [{"layer": name} | log_moments(some)._asdict() for name, some in groups.items()]
    x = relative(groups[ALL])
    edges = torch.linspace(LOW, HIGH, (HIGH - LOW) * PER_DECADE + 1, dtype=x.dtype)
    counts = torch.histogram(x[x > 0].log10().cpu(), edges).hist.tolist()
    bins = zip(edges.tolist(), edges[1:].tolist(), counts, strict=False)
    shares = [{"low": low, "high": high, "share": n / len(x)} for low, high, n in bins]
    return {"moments.csv": rows, "histogram.csv.gz": shares}
