"""The callback that Hydra calls at the end of a sweep."""

import sys
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from gofau.runs.invocation import failures


class Failures(Callback):
    """Prints one line per failed run at the end of a sweep, and sets the exit code."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Exit with 2 where the user's input caused all failures, else with 1."""
        found = failures(config.paths.runs_dir)
        if not found:
            return
        print(f"{len(found)} run(s) of this sweep failed:", file=sys.stderr)
        for failure in found:
            print(f"  {failure['what']}: {failure['sentence']}", file=sys.stderr)
        sys.exit(2 if all(failure["users"] for failure in found) else 1)
