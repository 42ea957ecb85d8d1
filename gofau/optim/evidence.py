"""Loss and curvature for step sizes that need more than the gradients.

If no step size needs curvature, the closure is torch's: it computes the gradients and returns the
loss. If one needs curvature, the closure must *not* call ``backward``: it returns the loss with its
graph, and the optimizer computes the gradients itself, so that a second backward pass through them
is possible.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from gofau.optim.stepsize import Evidence, Need

Hvp = Callable[[Sequence[Tensor], Sequence[Tensor]], Sequence[Tensor]]
"""Function of parameters and one vector per parameter: H·v, with H the Hessian over them."""


class Gathered:
    """Calls the closure once and keeps the results.

    Attributes:
        loss: what the closure returned.

    Args:
        closure: the argument of ``step``.
        params: all parameters of the optimizer.
        needs: what the step sizes of its groups need.

    Raises:
        RuntimeError: there is no closure; or curvature is needed, and the closure did not return a
            loss with a graph.
    """

    def __init__(
        self, closure: Callable[[], Any] | None, params: Sequence[Tensor], needs: Collection[Need]
    ) -> None:
        self._grads: dict[Tensor, Tensor] = {}
        if closure is None:
            words = " and ".join(sorted(needs))
            raise RuntimeError(f"the step size needs the {words}: call step(closure)")
        with torch.enable_grad():
            self.loss: Any = closure()
            if "curvature" in needs:
                self._differentiate(params)

    def _differentiate(self, params: Sequence[Tensor]) -> None:
        loss = self.loss
        if not isinstance(loss, Tensor) or not loss.requires_grad:
            raise RuntimeError("for curvature the closure must return the loss, without backward()")
        some = [p for p in params if p.requires_grad]
        grads = torch.autograd.grad(loss, some, create_graph=True, allow_unused=True)
        for p, g in zip(some, grads, strict=True):
            p.grad = None if g is None else g.detach()
            if g is not None:
                self._grads[p] = g
        self.loss = loss.detach()

    def evidence(self, params: Sequence[Tensor]) -> Evidence:
        """The evidence for the step size of a group; ``params`` are the parameters stepped."""
        loss = self.loss
        loss = loss.detach() if isinstance(loss, Tensor) else None
        hvp = (lambda vectors: self._hvp(params, vectors)) if self._grads else None
        return Evidence(loss, hvp)

    def _hvp(self, params: Sequence[Tensor], vectors: Sequence[Tensor]) -> list[Tensor]:
        grads = [self._grads[p] for p in params]
        # A gradient without a graph does not depend on the parameters: its part of H is 0.
        curved = [i for i, g in enumerate(grads) if g.requires_grad]
        with torch.enable_grad():
            products = torch.autograd.grad(
                [grads[i] for i in curved],
                list(params),
                [vectors[i].to(grads[i].dtype) for i in curved],
                retain_graph=True,
                allow_unused=True,
            )
        pairs = zip(products, params, strict=True)
        return [torch.zeros_like(p) if x is None else x for x, p in pairs]
