"""The identity of a run: a hash of its scientific configuration, and part of its folder's name.

The same command always means the same folder, so typing it again returns the result or resumes.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

SCIENCE = 2
"""Version of the formulas behind a configuration. It is part of every identity, so a record made
with other formulas can never be taken for a new one. Raise it when a formula changes.

1: η inside tanh, ξ = |θ|·tanh(η_in·η·d)·η_out.
2: the authors' rules, in which η is a separate argument.
"""
SECTIONS = (
    *("problem", "dataset", "model", "init", "optimizer", "rule", "stepsize", "post_step"),
    *("scheduler", "trainer"),
)
LATER = {"post_step": "none"}
"""Sections that configurations did not always have → the name that stands for what was done before.
With that name the section is no part of an identity, so that earlier runs keep theirs."""
NOT_SCIENCE = {
    "dataset": ("data_dir", "cache_dir", "download", "url"),
    "trainer": (
        *("device", "threads", "compile", "memory_format", "device_data_limit"),
        *("eval_batch_size", "progress", "detect_anomaly", "diagnostics_every", "checkpoint"),
        "keep",
    ),
}


def science(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that says what is measured: no paths, no logger, no device. Parts
    that are built by import name (``_target_``) are identified by that name. Numbers become floats,
    so that 1 and 1.0 are the same run."""
    kept = {
        section: {
            key: value
            for key, value in config[section].items()
            if key not in NOT_SCIENCE.get(section, ())
        }
        for section in SECTIONS
        if section not in LATER or _name(config, section) != LATER[section]
    }
    for key in {"path", "archive"} & kept["dataset"].keys():
        # An archive is the same data in any folder, packed or unpacked.
        kept["dataset"][key] = Path(kept["dataset"][key]).name.removesuffix(".zip")
    return _plain(kept | {"seed": config["seed"], "science": SCIENCE})


def _name(config: dict[str, Any], section: str) -> str:
    return config.get(section, {}).get("name", LATER[section])


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
    # Sorted keys: the order of a configuration's keys must not change the identity.
    text = json.dumps(science(config), sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def folder_name(config: dict[str, Any]) -> str:
    """``<readable>-<identity>``, such as ``digits-small_cnn-sgd-hybrid-s0-1f2e3d4c5b``."""
    names = [config[section]["name"] for section in ("dataset", "model", "optimizer", "rule")]
    return "-".join([*names, f"s{config['seed']}", identity(config)])
