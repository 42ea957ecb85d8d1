"""Counts the torch operations of a step, and measures its peak temporary memory."""

import weakref
from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode  # documented: "Extending PyTorch"
from torch.utils._pytree import tree_leaves


class Meter(TorchDispatchMode):
    """A context manager that counts torch's operations; work inside your own kernels is not seen.

    Attributes:
        operations: operation, such as "_foreach_add_.List" → number of calls.
        peak: the most bytes held at once in tensors that were made inside the block.

    >>> with Meter() as meter:
    ...     x = torch.ones(256) + 1
    >>> meter.operations["add.Tensor"], meter.peak
    (1, 2048)
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.peak = 0
        self._held = 0
        self._known: dict[int, Any] = {}

    @property
    def on_lists(self) -> int:
        """How many of the operations were on lists of tensors."""
        return sum(n for name, n in self.operations.items() if name.startswith("_foreach_"))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func._schema.name.removeprefix("aten::")
        self.operations[f"{name}.{func._overloadname}"] += 1
        before = {id(x.untyped_storage()) for x in tree_leaves((args, kwargs)) if _holds(x)}
        out = func(*args, **(kwargs or {}))
        for x in tree_leaves(out):
            if _holds(x) and id(x.untyped_storage()) not in before:
                self._hold(x.untyped_storage())
        return out

    def _hold(self, storage: torch.UntypedStorage) -> None:
        if id(storage) in self._known:
            return
        key, size = id(storage), storage.nbytes()
        self._known[key] = weakref.finalize(storage, self._let_go, key, size)
        self._held += size
        self.peak = max(self.peak, self._held)

    def _let_go(self, key: int, size: int) -> None:
        del self._known[key]
        self._held -= size


def _holds(x: Any) -> bool:
    return isinstance(x, Tensor) and x.layout == torch.strided


def sizes(peak: int, params: list[Tensor]) -> float:
    """A number of bytes as a multiple of the size of all parameters."""
    return peak / sum(p.numel() * p.element_size() for p in params)
