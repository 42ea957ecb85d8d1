"""What Hydra calls when a sweep is over."""

import sys
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from gofau.runs.invocation import failures


class Failures(Callback):
    """At the end of a sweep, a line for each run that failed, and an exit code that says so."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Exit with 2 where all failures are of the user's making, else with 1."""
        found = failures(config.paths.runs_dir)
        if not found:
            return
        print(f"{len(found)} run(s) of this sweep failed:", file=sys.stderr)
        for failure in found:
            print(f"  {failure['what']}: {failure['sentence']}", file=sys.stderr)
        sys.exit(2 if all(failure["users"] for failure in found) else 1)
