"""Report the figures of `gofau.optim.diagnostics` every n-th step, in any training loop."""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer

from gofau.optim.diagnostics import Observation
from gofau.optim.figures import Row


class Monitor:
    """The handle that `monitor` returns: `remove` ends the monitoring. Also a context manager.

    Attributes:
        step: number of steps that the optimizer has taken; set it when a run is resumed.
        every: n, to measure every n-th step; may be changed at any time.
    """

    def __init__(
        self, optimizer: Optimizer, make: Callable[[int], Observation], every: int, step: int
    ) -> None:
        self.every, self.step, self._make = every, step, make
        self._now: Observation | None = None
        self._hooks = [
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        ]

    def remove(self) -> None:
        """Remove the hooks. May be called again."""
        for hook in self._hooks:
            hook.remove()

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _before(self, optimizer: Optimizer, args: Any, kwargs: dict[str, Any]) -> Any:
        self.step += 1
        if self.step % self.every:
            return None
        self._now = self._make(self.step)
        return self._now.before(optimizer, args, kwargs)

    def _after(self, optimizer: Optimizer, args: Any, kwargs: dict[str, Any]) -> None:
        if self._now is not None:
            self._now.after(optimizer, args, kwargs)
            self._now = None


def monitor(
    optimizer: Optimizer,
    write: Callable[[int, Row], Any],
    every: int = 100,
    *,
    model: nn.Module | None = None,
    per_layer: bool = True,
    start: int = 0,
) -> Monitor:
    """Measure every n-th step of an optimizer and pass the figures to ``write``.

    The training loop does not change: it calls ``optimizer.step()``. A step that is not measured
    only advances a counter; a measured one waits for the device once.

    Args:
        optimizer: one of gofau's, one with an attached rule, or any other.
        write: called as ``write(step, row)`` right after a measured step, with the row of
            `gofau.optim.diagnostics`: flat keys, plain floats, suitable for a csv file or
            wandb.log.
        every: n ≥ 1; the steps n, 2·n, … are measured. Steps that a GradScaler skips do not
            count.
        model, per_layer: as in `observe`.
        start: number of steps already taken, in a resumed run.

    Raises:
        ValueError: every is not a whole number ≥ 1.

    Example:
        >>> import torch, gofau.optim
        >>> model = torch.nn.Linear(2, 2)
        >>> optimizer = gofau.optim.SGD(model.parameters(), rule="multiplicative")
        >>> steps = []
        >>> with monitor(optimizer, lambda step, row: steps.append(step), every=2, model=model):
        ...     for _ in range(5):
        ...         optimizer.zero_grad()
        ...         model(torch.ones(1, 2)).square().sum().backward()
        ...         optimizer.step()
        >>> steps
        [2, 4]
    """
    given: Any = every
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ValueError(f"every must be a whole number ≥ 1, got {given!r}")

    def make(step: int) -> Observation:
        return Observation(optimizer, model, per_layer, lambda seen: write(step, seen.result()))

    return Monitor(optimizer, make, every, start)
