"""Measured against predicted decrease of the loss, for additive and multiplicative steps.

At a moment of a training, its optimizer gives d from its state and the gradient of the batch that
comes next. Two steps along it are compared at the same weights: Δθ ∝ −d (the additive rule's) and
Δθ ∝ −|θ|·tanh(η_in·d) (the multiplicative rule's). Each is scaled to equal relative sizes,
‖Δθ‖/‖θ‖, once of the whole network and once in every layer. Only the weights of layers move: biases
and shifts begin at zero, where there is no relative size and the multiplicative rule stands still.

``steps.csv.gz`` has one row per loss (that of the batch, and of the whole training set), scaling,
direction and size.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gofau.config.schema import Config
from gofau.optim.descent import LossAround, of_relative_size
from gofau.optim.diagnostics import directions_of
from gofau.optim.log_weights import layer_weights
from gofau.optim.rules import multiplicative
from gofau.problems import Batch
from gofau.session.build import Built

SCALINGS: Mapping[str, bool] = {"network": False, "layer": True}
"""Over what the relative size is taken: the argument ``per_tensor`` of `of_relative_size`."""


def measure(built: Built, config: Config) -> dict[str, list[dict[str, Any]]]:
    """The rows of ``steps.csv.gz`` at the current weights. The training is not changed."""
    settings, trainer = config["measure"], built.trainer
    eta_in = settings["eta_in"][config["optimizer"]["name"]]
    twin = copy.deepcopy(trainer.model).train()  # BatchNorm of the model would count what we do
    theta = list(layer_weights(twin).values())
    batches = list(trainer.train.epoch(trainer.epoch))
    directions = _directions(built, twin, batches[0], eta_in)
    rows = []
    for loss, part in (("batch", batches[:1]), ("training set", batches)):
        around = LossAround(_loss(built, twin, part), theta)
        for direction, change in directions.items():
            about = {"loss": loss, "value": around.value, "direction": direction}
            rows += [about | row for row in _decreases(around, change, theta, settings["sizes"])]
    return {"steps.csv.gz": rows}


def _directions(
    built: Built, twin: nn.Module, batch: Batch, eta_in: float
) -> dict[str, list[Tensor]]:
    """Δθ of each rule for the weights of the layers, of any size."""
    with _gradients(built, twin, batch):
        d = directions_of(built.optimizer)
    weights = layer_weights(built.trainer.model).values()
    return {
        "additive": [-d[p] for p in weights],
        "multiplicative": [
            -multiplicative(p.detach(), d[p], 1.0, eta_in=eta_in, eta_out=1.0) for p in weights
        ],
    }


@contextmanager
def _gradients(built: Built, twin: nn.Module, batch: Batch) -> Iterator[None]:
    """Give the optimizer's parameters the gradient of a batch, computed on the twin."""
    params, twins = list(built.trainer.model.parameters()), list(twin.parameters())
    kept = [p.grad for p in params]
    value = _loss(built, twin, [batch])()
    for p, g in zip(params, torch.autograd.grad(value, twins), strict=True):
        p.grad = g
    try:
        yield
    finally:
        for p, g in zip(params, kept, strict=True):
            p.grad = g


def _loss(built: Built, model: nn.Module, batches: Sequence[Batch]) -> Callable[[], Tensor]:
    """The training loss as the mean over the examples of some batches, each with its own statistics
    in BatchNorm, as in a training step: the loss whose gradient the optimizer follows. In double
    precision from the model's output on; the same random numbers (of dropout) at every call."""
    problem = built.trainer.problem
    counts = [problem.count(batch) for batch in batches]

    def loss() -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            losses = [
                problem.loss(model(*problem.inputs(batch)).double(), batch, training=True)[0]
                for batch in batches
            ]
        return sum(n * f for n, f in zip(counts, losses, strict=True)) / sum(counts)  # type: ignore[return-value]

    return loss


def _decreases(
    around: LossAround, change: Sequence[Tensor], theta: Sequence[Tensor], sizes: Sequence[float]
) -> Iterator[dict[str, Any]]:
    for scaling, per_tensor in SCALINGS.items():
        for size in sizes:
            step = of_relative_size(change, theta, size, per_tensor)
            found = around.decrease(step)._asdict()
            yield {"scaling": scaling, "size": size, "cosine": around.cosine(step)} | found
