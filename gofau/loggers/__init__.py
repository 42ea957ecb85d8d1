"""Where a run's numbers go besides its own metrics.csv, which is always written.

base.py         what a logger does
tensorboard.py  event files in the run's folder
wandb.py        Weights & Biases: one run there for each run here, offline unless told otherwise
guard.py        a logger that fails never stops training
"""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from gofau.errors import UserError
from gofau.loggers.base import Logger, Nothing
from gofau.loggers.guard import Guarded

__all__ = ["Guarded", "Logger", "Nothing", "open_logger"]

# What each needs, and a name that only the real package has: a folder called wandb, which runs
# outside gofau leave behind, can be imported too.
NEEDS = {"tensorboard": ("torch.utils.tensorboard", "SummaryWriter"), "wandb": ("wandb", "init")}


def open_logger(
    config: dict[str, Any], folder: Path, *, resume: bool = False, writes: bool = True
) -> Guarded:
    """The logger that ``config["logger"]`` asks for, to be used as a context manager.

    Args:
        config: the settled configuration; without a ``logger`` there is metrics.csv alone.
        folder: the run's folder. It is written to when the context is entered, not before.
        resume: whether the run goes on with what is there, rather than beginning anew.
        writes: whether this process keeps the record; of several that train together, one does.

    Raises:
        UserError: the package that the logger needs is not installed.

    >>> with open_logger({"logger": {"name": "csv"}}, Path("runs/x")) as logger:
    ...     logger.log({"epoch": 1, "train/loss": 0.5}, step=1)
    ...     logger.finish("done", {"test/acc": 0.9})
    """
    name = (config.get("logger") or {}).get("name", "csv")
    _check_installed(name)
    make = {
        "csv": Nothing,
        "tensorboard": partial(_tensorboard, folder, resume),
        "wandb": partial(_wandb, config, folder, resume),
    }[name]
    return Guarded(name, make if writes else Nothing)


def _check_installed(name: str) -> None:
    if name not in NEEDS:
        return
    module, member = NEEDS[name]
    try:
        getattr(import_module(module), member)
    except (ImportError, AttributeError) as e:
        raise UserError(
            f'logger={name} needs the package {name}: pip install "gofau[loggers]" ({e})'
        ) from e


# Imported where used: the packages behind them are optional.
def _tensorboard(folder: Path, resume: bool) -> Logger:
    from gofau.loggers.tensorboard import TensorBoard

    return TensorBoard(folder, resume)


def _wandb(config: dict[str, Any], folder: Path, resume: bool) -> Logger:
    from gofau.loggers.wandb import WandB

    return WandB(config, folder, resume)
