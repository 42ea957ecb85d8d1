"""One training step of any optimizer: gradients before it, or within it where it asks for more."""

from collections.abc import Callable, Collection
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer


class Stepper:
    """Gradients of a loss, clipped, and a step.

    Most optimizers find their gradients made. One that says it ``needs`` the "loss" is handed a
    closure which makes them; one that needs "curvature" makes them itself, of the loss that its
    closure returns, and calls its ``on_gradients`` before it uses them (`gofau.optim.evidence`).

    Args:
        optimizer, model: whose parameters are stepped, and whose gradients are clipped.
        clip_norm: the largest norm of the whole gradient; None leaves it alone. Curvature is that
            of the loss as it is.
    """

    def __init__(
        self, optimizer: Optimizer, model: nn.Module, clip_norm: float | None = None
    ) -> None:
        self.optimizer, self.model, self.clip_norm = optimizer, model, clip_norm
        if clip_norm is not None and "curvature" in needs_of(optimizer):
            asked: Any = optimizer
            asked.on_gradients = (*asked.on_gradients, self._clip)

    def step(self, loss: Callable[[], Tensor]) -> None:
        """Take one step.

        Args:
            loss: computes the loss, with its graph. Called once.
        """

        def backward() -> Tensor:
            value = loss()
            self.model.zero_grad(set_to_none=True)
            value.backward()
            self._clip()
            return value

        needs = needs_of(self.optimizer)
        if not needs:
            backward()
            self.optimizer.step()
        else:
            closure: Any = loss if "curvature" in needs else backward
            self.optimizer.step(closure)

    def _clip(self, _: Optimizer | None = None) -> None:
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)


def needs_of(optimizer: Optimizer) -> Collection[str]:
    """What an optimizer asks for beyond gradients; of most, nothing."""
    return getattr(optimizer, "needs", ())
