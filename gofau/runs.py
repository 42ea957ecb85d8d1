"""What a run is: its identity, its folder, its record.

The identity is a hash of the scientific configuration, and the folder is named after it, so the
same command always means the same folder: typing it again returns what is there, or goes on. In the
folder:

    config.yaml    the resolved configuration
    metrics.csv    one row an epoch, written as the epoch ends
    diagnostics.csv  what the rule does to the weights, where that was asked for
    status.json    state, result, provenance; replaced whole, never half-written
"""

import csv
import hashlib
import json
import math
import os
import time
from pathlib import Path
from typing import Any, Literal

import yaml

State = Literal["pending", "running", "done", "diverged", "failed", "interrupted"]
FINISHED: tuple[State, ...] = ("done", "diverged")
SECTIONS = ("dataset", "model", "init", "optimizer", "rule", "stepsize", "scheduler", "trainer")
NOT_SCIENCE = {
    "dataset": ("data_dir", "cache_dir", "download", "url"),
    "trainer": (
        *("device", "threads", "compile", "device_data_limit", "eval_batch_size", "progress"),
        *("detect_anomaly", "diagnostics_every"),
    ),
}


def science(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that says what is measured: no paths, no logger, no device, no
    import names (``_target_``). Numbers are floats, so that 1 and 1.0 are one run."""
    kept = {
        section: {
            key: value
            for key, value in config[section].items()
            if not key.startswith("_") and key not in NOT_SCIENCE.get(section, ())
        }
        for section in SECTIONS
    }
    for key in {"path", "archive"} & kept["dataset"].keys():
        # The same archive is the same data wherever it lies, and unpacked as well.
        kept["dataset"][key] = Path(kept["dataset"][key]).name.removesuffix(".zip")
    return _plain(kept | {"seed": config["seed"]})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def identity(config: dict[str, Any]) -> str:
    """Ten hexadecimal digits of the hash of `science`.

    >>> len(identity({s: {"name": "x"} for s in SECTIONS} | {"seed": 0}))
    10
    """
    text = json.dumps(science(config), sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def folder_name(config: dict[str, Any]) -> str:
    """``<readable>-<identity>``, such as ``digits-small_cnn-sgd-hybrid-s0-1f2e3d4c5b``."""
    names = [config[section]["name"] for section in ("dataset", "model", "optimizer", "rule")]
    return "-".join([*names, f"s{config['seed']}", identity(config)])


class Run:
    """A run's folder below ``runs_dir``. Nothing is written before `start`.

    Args:
        config: the settled configuration.
        writes: whether this process keeps the record; of several that train together, one does.

    Attributes:
        said: what this process has to say about the run, which is what status.json says.
    """

    def __init__(self, config: dict[str, Any], writes: bool = True) -> None:
        self.config = config
        self.writes = writes
        self.identity = identity(config)
        self.folder = Path(config["paths"]["runs_dir"]) / folder_name(config)
        self.said: dict[str, Any] = {}

    def status(self) -> dict[str, Any]:
        """What status.json says; ``{"state": "pending"}`` before there is one, or if it is torn."""
        return read_status(self.folder)

    def finished(self) -> bool:
        return self.status()["state"] in FINISHED

    def start(self, **more: Any) -> None:
        """Make the folder, write the configuration, begin the metrics anew: state running."""
        if self.writes:
            self.folder.mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True)
            write_whole(self.folder / "config.yaml", text)
            write_whole(self.folder / "metrics.csv", "")
            (self.folder / "diagnostics.csv").unlink(missing_ok=True)
        self.said = {"identity": self.identity, "name": self.folder.name, "started": _now()}
        self.end("running", **more)

    def append(self, row: dict[str, Any], name: str = "metrics.csv") -> None:
        """Add one row to a csv file of the run; the first brings the header."""
        if not self.writes:
            return
        with open(self.folder / name, "a", newline="", encoding="utf-8") as f:
            writer = csv.DictWriter(f, fieldnames=list(row))
            if f.tell() == 0:
                writer.writeheader()
            writer.writerow(row)

    def end(self, state: State, **more: Any) -> None:
        """Replace status.json with this state and what else there is to say."""
        self.said |= {"state": state, "updated": _now(), **_strict(more)}
        if self.writes:
            text = json.dumps(self.said, indent=2, ensure_ascii=False, allow_nan=False)
            write_whole(self.folder / "status.json", text + "\n")


def _strict(value: Any) -> Any:
    """JSON has no NaN: a number that is not finite is null."""
    if isinstance(value, dict):
        return {key: _strict(v) for key, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_status(folder: Path) -> dict[str, Any]:
    """The status of the run in ``folder``; ``{"state": "pending"}`` where there is none to read."""
    try:
        status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"state": "pending"}
    return status if isinstance(status, dict) and "state" in status else {"state": "pending"}


def write_whole(path: Path, text: str) -> None:
    """Write a file so that readers, and a crash, see the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace(temporary, path)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
