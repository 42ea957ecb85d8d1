"""A run's folder and its files:

config.yaml    the resolved configuration
metrics.csv    one row per epoch, written when the epoch ends
diagnostics.csv  what the rule does to the weights, if asked for
status.json    state, result, provenance; replaced atomically, never half-written
checkpoints/   to resume a run that is not done (`gofau.engine.checkpoint`)
lock           the process that works on the run (`gofau.runs.lock`)
"""

import json
import time
from pathlib import Path
from typing import Any, Literal

from gofau.runs.files import append_row, keep_rows, make_lasting, to_json, write_whole
from gofau.runs.identity import folder_name, identity

State = Literal["pending", "running", "done", "diverged", "failed", "interrupted"]
STATES: tuple[State, ...] = ("done", "diverged", "running", "interrupted", "failed", "pending")
WITH_STATUS = ("config.yaml", "metrics.csv", "diagnostics.csv")
FINISHED: tuple[State, ...] = ("done", "diverged")


class Run:
    """A run's folder below ``runs_dir``. Nothing is written before `start`.

    Args:
        config: the settled configuration.
        writes: whether this process writes the record; of several that train together, one does.

    Attributes:
        said: the content of status.json, as this process last wrote it.
    """

    def __init__(self, config: dict[str, Any], writes: bool = True) -> None:
        self.config = config
        self.writes = writes
        self.identity = identity(config)
        self.folder = Path(config["paths"]["runs_dir"]) / folder_name(config)
        self.said: dict[str, Any] = {}

    def status(self) -> dict[str, Any]:
        """The content of status.json; ``{"state": "pending"}`` if it is missing or damaged."""
        return read_status(self.folder)

    def finished(self) -> bool:
        return self.status()["state"] in FINISHED

    def start(self, epoch: int = 0, step: int = 0, **more: Any) -> None:
        """Make the folder, write the configuration, and set the state to running.

        Args:
            epoch, step: where the run resumes; later rows of metrics and diagnostics are dropped.
            more: further entries of status.json.
        """
        if self.writes:
            self.folder.mkdir(parents=True, exist_ok=True)
            # `end` makes it lasting; before, there is nothing to lose.
            write_whole(self.folder / "config.yaml", _yaml(self.config), lasting=False)
            keep_rows(self.folder / "metrics.csv", "epoch", epoch)
            keep_rows(self.folder / "diagnostics.csv", "step", step)
        before = self.status()
        # A run from step 0 starts anew; one that resumes keeps its start and counts its starts.
        started = before.get("started") if step else None
        starts = before.get("starts", 1) + 1 if step else 1
        self.said = {"identity": self.identity, "name": self.folder.name}
        self.said |= {"started": started or _now(), "starts": starts}
        self.end("running", **more)

    def append(self, row: dict[str, Any], name: str = "metrics.csv") -> None:
        """Append one row to a csv file of the run; the first row also writes the header."""
        if self.writes:
            append_row(self.folder / name, row)

    def end(self, state: State, **more: Any) -> None:
        """Replace status.json: set the state and add further entries."""
        self.said |= {"state": state, "updated": _now(), **more}
        if not self.writes:
            return
        if state != "running":  # a state never lasts longer than what it is said of
            make_lasting(*(self.folder / name for name in WITH_STATUS))
        write_whole(self.folder / "status.json", to_json(self.said), lasting=state != "running")


def read_status(folder: Path) -> dict[str, Any]:
    """The status of the run in ``folder``; ``{"state": "pending"}`` if there is no valid one."""
    try:
        status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"state": "pending"}
    return status if _is_whole(status) else {"state": "pending"}


def _is_whole(status: Any) -> bool:
    """Whether a status has what every reader of its state relies on."""
    if not isinstance(status, dict) or status.get("state") not in STATES:
        return False
    parts = {"done": ("result",), "diverged": ("result", "divergence")}.get(status["state"], ())
    return all(isinstance(status.get(part), dict) for part in parts)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _yaml(config: dict[str, Any]) -> str:
    """The text of config.yaml."""
    import yaml  # not to be needed by those who read states

    # libyaml's dumper, where PyYAML was built with it, writes the same text in a fifth of the time.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(config, Dumper=dumper, sort_keys=False, allow_unicode=True)
