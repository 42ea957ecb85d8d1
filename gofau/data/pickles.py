"""Pickles of others, opened without calling anything but what a list names."""

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# What a pickled array calls, by the names that it had when Python 2 wrote the files; numpy's own
# function that makes an empty array is private, so an array is asked for it.
_reconstruct: Any = np.empty(0).__reduce__()[0]
ARRAYS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def unpickle(raw: bytes, allowed: Mapping[tuple[str, str], Callable[..., Any]]) -> Any:
    """The object in a pickle of Python 2 or 3 that names nothing but what is allowed.

    A pickle may name any function of any module and have it called; here a name is looked up in a
    table and never imported.

    Args:
        raw: the pickle's bytes. Strings of Python 2 are read as latin1, as numpy needs it.
        allowed: (module, name) as the pickle spells them → what stands for it.

    Raises:
        pickle.UnpicklingError: it names something else.

    >>> unpickle(b"\\x80\\x02]K\\x01a.", ARRAYS)
    [1]
    >>> unpickle(b"cos\\nsystem\\n.", ARRAYS)
    Traceback (most recent call last):
    _pickle.UnpicklingError: os.system is not allowed
    """
    return _Restricted(raw, allowed).load()


class _Restricted(pickle.Unpickler):
    def __init__(self, raw: bytes, allowed: Mapping[tuple[str, str], Callable[..., Any]]) -> None:
        super().__init__(io.BytesIO(raw), encoding="latin1")
        self._allowed = allowed

    def find_class(self, module_name: str, global_name: str, /) -> Callable[..., Any]:
        try:
            return self._allowed[module_name, global_name]
        except KeyError:
            message = f"{module_name}.{global_name} is not allowed"
            raise pickle.UnpicklingError(message) from None
