"""Reports the failed runs at the end of a sweep, as a callback of Hydra."""

import sys
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from gofau.runs.invocation import failures

SHOWN = 3
"""How many of the runs that failed in the same way are named."""


class Failures(Callback):
    """Prints one line per kind of failure at the end of a sweep, and sets the exit code."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Exit with 2 where the user's input caused all failures, else with 1."""
        # From the file, not from memory: the runs were in other processes.
        found = failures(config.paths.runs_dir)
        if not found:
            return
        print(f"{len(found)} run(s) of this sweep failed:", file=sys.stderr)
        for line in lines(found):
            print(f"  {line}", file=sys.stderr)
        sys.exit(2 if all(failure["users"] for failure in found) else 1)


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Group failures by sentence: one line each, with its runs.

    >>> lines([{"what": f"seed={i}", "sentence": "The disk is full."} for i in range(9)])
    ['9 runs (seed=0; seed=1; seed=2; and 6 more): The disk is full.']
    """
    groups: dict[str, list[str]] = {}
    for failure in found:
        groups.setdefault(failure["sentence"], []).append(failure["what"])
    return [f"{_which(runs)}: {sentence}" for sentence, runs in groups.items()]


def _which(runs: list[str]) -> str:
    if len(runs) == 1:
        return runs[0]
    more = [f"and {len(runs) - SHOWN} more"] if len(runs) > SHOWN else []
    return f"{len(runs)} runs ({'; '.join([*runs[:SHOWN], *more])})"
