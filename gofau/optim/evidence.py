"""Loss and curvature for step sizes that need more than the gradients.

If no step size needs anything, the closure is torch's: it computes the gradients and returns the
loss. The same if one needs the "loss". If one needs a "difference" of gradients, the closure is
called twice: the second time with the weights moved, and with the same random numbers of torch, so
that dropout drops the same. If one needs "curvature", the closure must *not* call ``backward``: it
returns the loss with its graph, and the optimizer computes the gradients itself, so that a second
backward pass through them is possible.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
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
            loss with a graph, or used an operation without a second derivative.
    """

    def __init__(
        self, closure: Callable[[], Any] | None, params: Sequence[Tensor], needs: Collection[Need]
    ) -> None:
        self._grads: dict[Tensor, Tensor] = {}
        if closure is None:
            words = " and ".join(sorted(needs))
            raise RuntimeError(f"the step size needs the {words}: call step(closure)")
        self._closure, self._params, self._needs = closure, params, needs
        self._random = RandomState(params) if "difference" in needs else None
        self.loss: Any = self._evaluate()
        self._first = {p: p.grad for p in params}

    def keep(self) -> None:
        """Make copies of the gradients that are compared, for they are about to be overwritten."""
        if self._random is not None:
            self._first = {p: None if g is None else g.clone() for p, g in self._first.items()}

    def _evaluate(self) -> Any:
        with torch.enable_grad():
            self.loss = self._closure()
            if "curvature" in self._needs:
                self._differentiate(self._params)
        return self.loss

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
        if self._random is None:
            return Evidence(loss, hvp)
        return Evidence(loss, hvp, lambda shifts: self._difference(params, shifts))

    def _difference(self, params: Sequence[Tensor], shifts: Sequence[Tensor]) -> list[Tensor]:
        assert self._random is not None
        grads = [(p, p.grad) for p in self._params]
        weights = [p.detach().clone() for p in params]
        known, loss = self._grads, self.loss
        try:
            for p, shift in zip(params, shifts, strict=True):
                p.data.add_(shift)  # unseen by autograd: it is undone before anybody looks
            for p in self._params:
                p.grad = None  # what is there must not be added to, nor set to zero in place
            with self._random.again():
                self._evaluate()
            return [_change(p.grad, self._first[p], p) for p in params]
        finally:
            for p, weight in zip(params, weights, strict=True):
                p.data.copy_(weight)
            for p, grad in grads:
                p.grad = grad
            self._grads, self.loss = known, loss

    def _hvp(self, params: Sequence[Tensor], vectors: Sequence[Tensor]) -> list[Tensor]:
        grads = [self._grads[p] for p in params]
        # A gradient without a graph does not depend on the parameters: its part of H is 0.
        curved = [i for i, g in enumerate(grads) if g.requires_grad]
        with torch.enable_grad(), _told_apart():
            products = torch.autograd.grad(
                [grads[i] for i in curved],
                list(params),
                [vectors[i].to(grads[i].dtype) for i in curved],
                retain_graph=True,
                allow_unused=True,
            )
        pairs = zip(products, params, strict=True)
        return [torch.zeros_like(p) if x is None else x for x, p in pairs]


def _change(now: Tensor | None, before: Tensor | None, p: Tensor) -> Tensor:
    """Of a gradient; none is zero."""
    if now is None or before is None:
        now, before = (torch.zeros_like(p) if g is None else g for g in (now, before))
    return now.detach() - before


class RandomState:
    """Where torch's random numbers are now, on the CPU and where the parameters are."""

    def __init__(self, params: Sequence[Tensor]) -> None:
        devices = {p.device for p in params if p.device.type == "cuda"}
        self._devices = sorted(device.index or 0 for device in devices)
        self._cpu = torch.get_rng_state()
        self._cuda = [torch.cuda.get_rng_state(device) for device in self._devices]

    @contextmanager
    def again(self) -> Iterator[None]:
        """The same numbers once more; afterwards those come that would have come."""
        with torch.random.fork_rng(self._devices):
            torch.set_rng_state(self._cpu)
            for device, state in zip(self._devices, self._cuda, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield


@contextmanager
def _told_apart() -> Iterator[None]:
    """Around a second backward pass: say what the matter is where torch names but an operation."""
    try:
        yield
    except RuntimeError as e:
        reason = str(e).strip().splitlines()[0]
        if "not implemented" not in reason and "double backward" not in reason:
            raise
        raise RuntimeError(
            "the step size needs curvature, and the model uses an operation without a second"
            f" derivative: {reason}"
        ) from e
