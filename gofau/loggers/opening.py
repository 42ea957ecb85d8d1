"""Opens the logger that a configuration names by its ``_target_``."""

import inspect
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from gofau.errors import UserError
from gofau.loggers.base import Logger, Nothing
from gofau.loggers.guard import Guarded

CSV = {"name": "csv", "_target_": "gofau.loggers.Nothing"}
EXTRA = ("tensorboard", "wandb")
"""The packages that the extra ``gofau[loggers]`` installs."""


def open_logger(
    config: dict[str, Any], folder: Path, *, resume: bool = False, writes: bool = True
) -> Guarded:
    """Open the logger that ``config["logger"]`` asks for, as a context manager.

    Args:
        config: the settled configuration. Its section ``logger`` holds ``_target_``, the import
            name of a `Logger`; ``name``, for messages; and further keys, which are passed to the
            class. Without this section there is only metrics.csv.
        folder: the run's folder. Nothing is written before the context is entered.
        resume: whether the run resumes from a checkpoint.
        writes: whether this process writes the record; of several that train together, one does.

    Raises:
        UserError: there is no such class, it does not accept these keys, or a package that it needs
            is not installed.

    >>> section = {"name": "csv", "_target_": "gofau.loggers.Nothing"}
    >>> with open_logger({"logger": section}, Path("runs/x")) as logger:
    ...     logger.log({"epoch": 1, "train/loss": 0.5}, step=1)
    ...     logger.finish("done", {"test/acc": 0.9})
    """
    section = dict(config.get("logger") or CSV)
    target = section.pop("_target_", "")
    name = section.pop("name", target)
    kind = _class(name, target)
    make = partial(kind, config=config, folder=folder, resume=resume, **section)
    # Checked now, so that a wrong key ends the command; once the run has begun, an error of the
    # logger would only drop it.
    try:
        inspect.signature(kind).bind(**make.keywords)
    except TypeError as e:
        raise UserError(f"logger={name}: {target} does not accept its keys: {e}") from e
    return Guarded(name, make if writes else Nothing)


def _class(name: str, target: str) -> type[Logger]:
    module, _, member = str(target).rpartition(".")
    try:
        kind = getattr(import_module(module), member)
    except (ImportError, AttributeError, ValueError) as e:
        # Two kinds of error: a wrong _target_, or a right one whose package is not installed.
        package = _missing(e)
        if package is None or package == target.partition(".")[0]:
            raise UserError(f"logger={name}: there is no logger._target_ {target!r} ({e})") from e
        extra = "gofau[loggers]" if package in EXTRA else package
        raise UserError(
            f'logger={name} needs the package {package}: pip install "{extra}" ({e})'
        ) from e
    if not (isinstance(kind, type) and issubclass(kind, Logger)):
        raise UserError(f"logger={name}: logger._target_ must be a Logger, {target} is not")
    return kind


def _missing(error: Exception) -> str | None:
    """The package that an import error is about. Also for an AttributeError: a folder with the name
    of a package, such as the ``wandb`` that W&B leaves behind, can be imported but is empty."""
    package = error.name if isinstance(error, ImportError) else None
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        package = error.obj.__name__
    return package and package.partition(".")[0]
