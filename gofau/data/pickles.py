"""Load pickles from elsewhere safely: they can call only what a list allows."""

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# What a pickled array calls, under the names that numpy used when Python 2 wrote the files. numpy's
# function that makes an empty array is private, so it is taken from an array.
_reconstruct: Any = np.empty(0).__reduce__()[0]
ARRAYS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def unpickle(raw: bytes, allowed: Mapping[tuple[str, str], Callable[..., Any]]) -> Any:
    """Load a pickle of Python 2 or 3 that refers only to allowed names.

    In general a pickle can name any function of any module and have it called; here a name is
    looked up in a table and never imported.

    Args:
        raw: the pickle's bytes. Strings of Python 2 are decoded as latin1, which numpy needs.
        allowed: (module, name) as the pickle spells them → the object to use.

    Raises:
        pickle.UnpicklingError: the pickle names something else.

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
