"""What a step size may ask of a step besides the gradients: the loss, and curvature.

Without such a step size a closure means what it means in torch. With one that needs the loss too:
it computes the gradients and returns the loss. With one that needs curvature it must *not* call
``backward``: it returns the loss with its graph, and the optimizer takes the gradients itself, so
that there can be a second backward pass through them.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from gofau.optim.stepsize import Evidence, Need

Hvp = Callable[[Sequence[Tensor], Sequence[Tensor]], Sequence[Tensor]]
"""Parameters and a vector for each → H·v, H the Hessian over these parameters."""


class Gathered:
    """What one call of a closure gave.

    Attributes:
        loss: what the closure returned.

    Args:
        closure: as ``step`` was given it.
        params: all parameters of the optimizer.
        needs: what the step sizes of its groups need.

    Raises:
        RuntimeError: something is needed, and there is no closure; or curvature, and the closure
            returned no loss with a graph.
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
        """For the step size of a group, of which ``params`` are stepped."""
        loss = self.loss
        loss = loss.detach() if isinstance(loss, Tensor) else None
        hvp = (lambda vectors: self._hvp(params, vectors)) if self._grads else None
        return Evidence(loss, hvp)

    def _hvp(self, params: Sequence[Tensor], vectors: Sequence[Tensor]) -> list[Tensor]:
        grads = [self._grads[p] for p in params]
        curved = [i for i, g in enumerate(grads) if g.requires_grad]  # else linear: H is 0 there
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
