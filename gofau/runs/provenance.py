"""The provenance of a result: commit, versions, hardware, command."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gofau import __version__
from gofau.runs.cores import cores

COMMIT = "GOFAU_COMMIT"
"""The variable that names the commit where there is no git: in a container, or on a compute node
that was sent the files only. In a git checkout it is not read, since git knows better."""
REST = ("--", ":(top)", ":(top,exclude)results")
"""Arguments for git: the whole checkout except results/."""
PACKAGES = ("torch", "torchvision", "numpy", "hydra-core")


def provenance(device: str) -> dict[str, Any]:
    """What is needed to repeat a run. Everything but command and device is read once per process.

    Args:
        device: torch's name of the device that was trained on.

    Returns:
        commit (outside a git checkout ``GOFAU_COMMIT``, or None), dirty (whether tracked files
        differ from it; changes in results/ do not count, since they do not affect a run; None
        outside a git checkout), command, python, versions, platform, cpu, cpus (usable by this
        process), device.
    """
    found = _of_process()
    # A launcher starts processes with its own arguments: the typed command is passed on to them.
    typed = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    command = os.environ.get("GOFAU_COMMAND") or typed
    return {**found, "command": command, "device": _device_name(device)}


def columns(device: str) -> dict[str, Any]:
    """The provenance as columns of a table: ``provenance.commit``, ``provenance.versions.torch``
    and so on."""
    facts = provenance(device)
    facts |= {f"versions.{name}": version for name, version in facts.pop("versions").items()}
    return {f"provenance.{key}": value for key, value in facts.items()}


@cache
def _of_process() -> dict[str, Any]:
    commit = _git("rev-parse", "HEAD")
    return {
        "commit": commit or os.environ.get(COMMIT) or None,
        "dirty": None if commit is None else bool(_git("status", "--porcelain", "-uno", *REST)),
        "python": platform.python_version(),
        # Not what is installed: in a checkout that is what it was when `make install` was run.
        "versions": {"gofau": __version__} | {name: _version(name) for name in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cpus": cores(),
    }


def _git(*words: str) -> str | None:
    here = Path(__file__).parent
    try:
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return device
