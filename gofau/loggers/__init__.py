"""Where a run's numbers go besides its own metrics.csv, which is always written.

base.py         what a logger does
opening.py      the logger that a configuration names by its ``_target_``
guard.py        a logger that fails never stops training
tensorboard.py  event files in the run's folder
wandb.py        Weights & Biases: one run there for each run here, offline unless told otherwise

docs/adding_a_logger.md adds one: a class and a yaml.
"""

from gofau.loggers.base import Logger, Nothing
from gofau.loggers.guard import Guarded
from gofau.loggers.opening import open_logger

__all__ = ["Guarded", "Logger", "Nothing", "open_logger"]
