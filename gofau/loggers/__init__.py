"""Loggers: where a run's numbers go in addition to its metrics.csv, which is always written.

base.py         the interface of a logger
opening.py      opens the logger that a configuration names by its ``_target_``
guard.py        keeps training going when a logger fails
tensorboard.py  event files in the run's folder
wandb.py        Weights & Biases: one W&B run per run, offline by default

docs/adding_a_logger.md shows how to add one: a class and a yaml.
"""

from gofau.loggers.base import Logger, Nothing
from gofau.loggers.guard import Guarded
from gofau.loggers.opening import open_logger

__all__ = ["Guarded", "Logger", "Nothing", "open_logger"]
