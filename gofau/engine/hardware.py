"""The device and the precision of this machine. torch is imported only where it is needed."""

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gofau.errors import UserError
from gofau.runs.cores import cores

if TYPE_CHECKING:
    import torch

THREADS_PER_CORE = 8
"""The most threads per core. More would only wait for each other, and a thousand seem to hang."""


def device_of(name: str) -> "torch.device":
    """The device of ``trainer.device``: auto is the GPU if there is one; with several processes,
    each uses its own.

    Raises:
        UserError: torch cannot use it on this machine.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        torch.empty(0, device=name)  # a name may be valid and its device unusable all the same
        device = torch.device(name)
        if device.type == "meta":  # it has tensors without values
            raise RuntimeError
    except (RuntimeError, AssertionError) as e:
        raise UserError(f"trainer.device: torch cannot use '{name}' on this machine") from e
    return device


def use_threads(number: int) -> None:
    """Compute with this number of threads (``trainer.threads``).

    Raises:
        UserError: there are so many per core that they would only wait for each other.
    """
    import torch

    most = THREADS_PER_CORE * cores()
    if number > most:
        raise UserError(f"trainer.threads must be at most {most} on this machine, got {number}")
    torch.set_num_threads(number)


def best_precision(name: str) -> str:
    """What ``trainer.precision=auto`` means on the device of that name: bf16 where the hardware
    multiplies bfloat16 matrices (AMX, AVX512-bf16, a GPU from Ampere on), else fp32.

    >>> best_precision("cpu") in ("bf16", "fp32")
    True
    """
    if not is_cpu(name):
        import torch

        device = device_of(name)
        if device.type == "cuda":
            # Emulated bfloat16 would be slower than float32.
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
        if device.type != "cpu":
            return "fp32"
    return "bf16" if {"amx_bf16", "avx512_bf16"} & processor_flags() else "fp32"


def is_cpu(name: str) -> bool:
    """Whether ``trainer.device`` certainly means the CPU."""
    return name == "cpu" or (name == "auto" and not has_gpu())


def has_gpu() -> bool:
    """Whether there may be a GPU that torch can use: a driver is present."""
    return os.path.exists("/dev/nvidiactl") or os.path.exists("/dev/kfd")


@cache
def processor_flags() -> frozenset[str]:
    """The instruction sets of the CPU, by Linux' names; empty where Linux does not list them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    lines = [line for line in text.splitlines() if line.startswith("flags")]
    return frozenset(lines[0].partition(":")[2].split()) if lines else frozenset()
