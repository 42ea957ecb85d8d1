"""Compiled training steps: when they pay off, and how all runs of a process share them."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

PAYS_FROM = {"cpu": 3e13, "cuda": 3e16}
"""The fewest floating point operations of a run that ``trainer.compile=auto`` may compile: a few
minutes of work. Compiling takes 10 to 30 s on two cores and saves a fifth of the time of a step of
resnet8, a sixth of that of resnet18 (results/bench_train)."""


def operations(model: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Floating point operations of one training step on these inputs: two for each multiply-add of
    the convolutions and linear layers, counted once for the forward pass and twice for the backward
    pass.

    Args:
        model: not changed.
        inputs: what the model is called with, on its device.

    >>> operations(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), (torch.zeros(1, 3, 2, 2),))
    360
    """
    counted = 0

    def count(layer: Any, _: Any, out: Tensor) -> None:
        nonlocal counted
        counted += out.numel() * layer.weight[0].numel()

    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    was = model.training
    try:
        with torch.no_grad():
            model.eval()(*inputs)  # in training mode BatchNorm would update its statistics
    finally:
        model.train(was)
        for hook in hooks:
            hook.remove()
    return 3 * 2 * counted  # 1 forward + 2 backward; a multiplication and an addition each


def pays(
    device: torch.device, model: nn.Module, example: tuple[Tensor, ...], examples: int
) -> bool:
    """Whether compiling may pay off for a run, so that it is worth measuring
    (`gofau.engine.choice`). It depends on the configuration alone, never on a clock.

    On a CPU it does not with max-pooling: the compiler turns its backward pass into a scatter,
    which costs more than fusion saves (small_cnn and vgg11 in results/bench_train).

    Args:
        device: the device that the run trains on.
        model, example: the network and its inputs for one example, both on one device.
        examples: number of training examples of the run, over all epochs.
    """
    if device.type == "cpu" and any(isinstance(m, nn.MaxPool2d) for m in model.modules()):
        return False
    least = PAYS_FROM.get(device.type)
    return least is not None and examples * operations(model, example) >= least


class Compiled:
    """A loss compiled for batches of one size. Other calls, for a short last batch or in
    evaluation, are not worth a graph of their own and use the plain loss.

    The process keeps the graphs: a second run with the same architecture uses them again. Where
    compiling fails (no C++ compiler, no Triton), a warning is logged once, and the plain loss is
    used.

    Args:
        examples: examples per batch of this process (see `Problem.count`).
    """

    def __init__(self, examples: int) -> None:
        self.examples = examples

    def takes(self, examples: int) -> bool:
        """Whether the compiled loss is for a batch of this many examples."""
        return examples == self.examples and torch.is_grad_enabled()

    def __call__(self, loss: Callable[..., Any], *args: Any) -> Any:
        """Compute ``loss(*args)``, compiled where possible."""
        if loss not in _broken:
            try:
                return _compile(loss)(*args)
            except Exception as e:
                if not _is_compiler_error(e):
                    raise
                _broken.add(loss)
                reason = str(e).strip().splitlines()[0]
                log.warning("torch.compile does not work here, continuing without it: %s", reason)
        return loss(*args)


_broken: set[Any] = set()  # what could not be compiled in this process, so as not to try again


@functools.cache
def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    import torch._dynamo

    # A graph for every architecture, batch size and precision of a sweep; torch's limit is 8.
    torch._dynamo.config.recompile_limit = 256
    return torch.compile(function, dynamic=False)


def _is_compiler_error(error: Exception) -> bool:
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.exc import InductorError

    return isinstance(error, (TorchDynamoException, InductorError))
