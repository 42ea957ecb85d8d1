"""One training step of any optimizer: gradients before it, or within it where it asks for more."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Stepper:
    """Gradients of a loss, clipped, and a step.

    Most optimizers find their gradients made. One that says it ``needs`` more is handed a closure,
    which makes them, and is called again for a "difference"; for "curvature" it only returns the
    loss with its graph. Such an optimizer calls its ``on_gradients`` before it uses the gradients
    (`gofau.optim.evidence`).

    Args:
        optimizer, model: whose parameters are stepped, and whose gradients are clipped.
        clip_norm: the largest norm of the whole gradient; None leaves it alone. Curvature is that
            of the loss as it is.
    """

    def __init__(
        self, optimizer: Optimizer, model: nn.Module, clip_norm: float | None = None
    ) -> None:
        self.optimizer, self.model, self.clip_norm = optimizer, model, clip_norm
        if clip_norm is not None and needs_of(optimizer):
            asked: Any = optimizer
            asked.on_gradients = (*asked.on_gradients, self._clip)

    def step(self, loss: Callable[[], Tensor]) -> None:
        """Take one step.

        Args:
            loss: computes the loss, with its graph. Called at least once; the model's buffers are
                those after the first call.
        """

        def backward() -> Tensor:
            value = loss()
            self.model.zero_grad(set_to_none=True)
            value.backward()
            return value

        needs = needs_of(self.optimizer)
        if not needs:
            backward()
            self._clip()
            self.optimizer.step()
        else:
            closure: Any = loss if "curvature" in needs else backward
            self.optimizer.step(_once_for_buffers(closure, self.model))

    def _clip(self, _: Optimizer | None = None) -> None:
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)


def needs_of(optimizer: Optimizer) -> Collection[str]:
    """What an optimizer asks for beyond gradients; of most, nothing."""
    return getattr(optimizer, "needs", ())


def _once_for_buffers(closure: Callable[[], Any], model: nn.Module) -> Callable[[], Any]:
    """The closure; from its second call on it leaves buffers as they are. A statistic of BatchNorm
    would count a batch twice, the second time with weights that are none of the run's."""
    called = False

    def guarded() -> Any:
        nonlocal called
        if not called:
            called = True
            return closure()
        with _kept(model):
            return closure()

    return guarded


@contextmanager
def _kept(model: nn.Module) -> Iterator[None]:
    kept = [(x, x.clone()) for x in model.buffers()]
    yield
    with torch.no_grad():
        for x, before in kept:
            x.copy_(before)
