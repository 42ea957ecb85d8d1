"""Calls what a config group names: its ``_target_``, with its keys. The only module that knows
Hydra's instantiate.
"""

import copy
import functools
import inspect
import sys
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from gofau.errors import UserError
from gofau.runs.fingerprint import check_target, targets

Config = dict[str, Any]
TARGET = "_target_"


def make(section: str, config: Config, *args: Any, **more: Any) -> Any:
    """Call the ``_target_`` of a config group with its keys (all but ``name``) and the arguments
    given here.

    Raises:
        UserError: there is no such target, or it does not take these keys.
    """
    return finish(section, config, call_of(section, config), *args, **more)


def finish(
    section: str, config: Config, call: functools.partial[Any], *args: Any, **more: Any
) -> Any:
    """Call what `call_of` has returned, with arguments that are given here.

    Raises:
        UserError: it does not take its keys and these arguments.
    """
    # Checked before the call: a TypeError from within it is not about the keys.
    try:
        inspect.signature(call.func).bind(*args, **call.keywords, **more)
    except (TypeError, ValueError) as e:  # ValueError: it has no signature, and is no part
        raise UserError(f"{section}: {config['_target_']} refuses its keys: {e}") from e
    return call(*args, **more)


def call_of(section: str, config: Config) -> functools.partial[Any]:
    """The ``_target_`` of a config group, with its keys."""
    keys = {key: value for key, value in config.items() if key != "name"}
    try:
        if _is_plain(keys):
            given = {key: value for key, value in keys.items() if key != TARGET}
            return functools.partial(_found(keys[TARGET]), **copy.deepcopy(given))
        return _instantiated(keys)
    except InstantiationException as e:
        # Whoever looks first, a target that does not exist is told in the same words.
        check_target(section, config[TARGET])
        said = str(e).splitlines()[0].partition(", set env var")[0]
        raise UserError(f"{section}._target_: {said}{_reason(e)}") from e


def _is_plain(keys: Config) -> bool:
    """Whether Hydra would leave the keys as they are: none of them builds another object, asks for
    something else of Hydra, is an interpolation, or has no value."""
    return isinstance(keys.get(TARGET), str) and all(
        _is_value(value) and not key.startswith("_") for key, value in keys.items() if key != TARGET
    )


def _is_value(x: Any) -> bool:
    if isinstance(x, dict):
        return all(_is_value(v) and not str(key).startswith("_") for key, v in x.items())
    if isinstance(x, list):
        return all(_is_value(v) for v in x)
    return not (isinstance(x, str) and ("${" in x or x == "???"))


_known: dict[str, Any] = {}
"""Import name → what Hydra has found under it, and allowed to call."""


def _found(target: str) -> Any:
    """What a target names. Hydra is asked once per process, which takes a millisecond, and again if
    the name stands for something else by now."""
    module, _, name = target.rpartition(".")
    present = getattr(sys.modules.get(module), name, None)
    if present is None or _known.get(target) is not present:
        _known[target] = _instantiated({TARGET: target}).func
    return _known[target]


def _instantiated(keys: Config) -> functools.partial[Any]:
    # Hydra's two flags among the keys, since merging them with the keys would take as long again.
    return instantiate(keys | {"_partial_": True, "_convert_": "all"}, **_allowed(keys))


def _allowed(config: Config) -> dict[str, list[str]]:
    """What Hydra 1.4 asks for, and 1.3 does not know: the targets that may be called. They are what
    the configuration names, except for Python's own library, where ``os.system`` is; and torch,
    because some of our names stand for its classes."""
    if "_execution_whitelist_" not in inspect.signature(instantiate).parameters:
        return {}
    named = {t for t in targets(config) if t.partition(".")[0] not in sys.stdlib_module_names}
    return {"_execution_whitelist_": ["torch.*", "torchvision.*", *sorted(named)]}


def _reason(error: BaseException) -> str:
    """The first cause of an error, which Hydra leaves out, in brackets."""
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    return "" if first is error else f" ({first})"
