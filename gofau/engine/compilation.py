"""Compiled training steps: when they pay, and how one is shared by all runs of a process."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

PAYS_FROM = {"cpu": 3e13, "cuda": 3e16}
"""Floating point operations of a run from which ``trainer.compile=auto`` compiles: some minutes of
work. A compilation takes 10 to 30 s on two cores and saves a fifth of a step of resnet8 and a sixth
of resnet18's (results/bench_train)."""


def operations(model: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Floating point operations to train on these inputs once: two for each multiplication and
    addition of the convolutions and linear layers, once forward and twice backward.

    Args:
        model: left as it was.
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
            model.eval()(*inputs)
    finally:
        model.train(was)
        for hook in hooks:
            hook.remove()
    return 3 * 2 * counted


def pays(
    device: torch.device, model: nn.Module, example: tuple[Tensor, ...], examples: int
) -> bool:
    """Whether compiling pays for a run. It depends on the configuration alone, never on a clock, so
    that a resumed run goes the way it came.

    With max-pooling it does not on a CPU: the compiler makes its backward a scatter, which costs
    more than all that is fused saves (small_cnn and vgg11 in results/bench_train).

    Args:
        device: where the run is to train.
        model, example: the network and its inputs for one example, both on one device.
        examples: that the run trains on, over all its epochs.
    """
    if device.type == "cpu" and any(isinstance(m, nn.MaxPool2d) for m in model.modules()):
        return False
    least = PAYS_FROM.get(device.type)
    return least is not None and examples * operations(model, example) >= least


class Compiled:
    """A loss compiled for batches of one size; whatever else comes, a short last batch or an
    evaluation, is not worth a graph of its own and is computed without.

    Graphs belong to the process: a second run with the same architecture finds them made. Where
    they cannot be made (no C++ compiler, no Triton) that is told once, and the plain loss is used.

    Args:
        examples: in a batch of this process (see `Problem.count`).
    """

    def __init__(self, examples: int) -> None:
        self.examples = examples

    def takes(self, examples: int) -> bool:
        """Whether a batch of so many examples is for the compiled loss."""
        return examples == self.examples and torch.is_grad_enabled()

    def __call__(self, loss: Callable[..., Any], *args: Any) -> Any:
        """``loss(*args)``."""
        if loss not in _broken:
            try:
                return _compile(loss)(*args)
            except Exception as e:
                if not _is_the_compilers(e):
                    raise
                _broken.add(loss)
                reason = str(e).strip().splitlines()[0]
                log.warning("torch.compile does not work here, going on without: %s", reason)
        return loss(*args)


_broken: set[Any] = set()


@functools.cache
def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    import torch._dynamo

    # A graph for every architecture, batch size and precision of a sweep, not for eight of them.
    torch._dynamo.config.recompile_limit = 256
    return torch.compile(function, dynamic=False)


def _is_the_compilers(error: Exception) -> bool:
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.exc import InductorError

    return isinstance(error, (TorchDynamoException, InductorError))
