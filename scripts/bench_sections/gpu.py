"""Images per second on a GPU, also as a share of the GPU's own matrix multiplication rate."""

import statistics
import time
from collections.abc import Iterator

import torch

from gofau.engine.compilation import operations

from .images import PLAIN, Case, Contender, Ours, compared, label, plain, ratios, rounds
from .rows import Row
from .workload import TRAIN_IMAGES

SECONDS = 15.0  # time limit per batch size, without compilation


def measure(quick: bool) -> Iterator[Row]:
    if not torch.cuda.is_available():
        yield Row("resnet18", None, "", note="left out: there is no GPU here")
        return
    device = torch.cuda.get_device_name()
    rate = matmul_rate(2048 if quick else 8192)
    yield Row("bf16 matmul", rate / 1e12, "TFLOP/s", note=f"{device}; square, the best of 20")
    for batch in (16,) if quick else (128, 512):
        steps = 3 if quick else 100 * 128 // batch
        yield from _one(Case("resnet18", (3, 32, 32), batch, steps, SECONDS), device, rate, quick)


def _one(case: Case, device: str, rate: float, quick: bool) -> Iterator[Row]:
    base = plain(case, "cuda")
    contenders: dict[str, Contender] = {PLAIN: base}
    for compiled in (False,) if quick else (False, True):
        contenders[label("bf16", compiled)] = Ours(case, "bf16", compiled, "cuda")
    speeds = rounds(contenders, time.perf_counter() + case.seconds)
    yield from compared(case, contenders, speeds, device)
    example = torch.zeros(1, *case.shape, device="cuda")
    work, over = operations(base.model, (example,)), ratios(speeds)
    for name, found in speeds.items():
        speed = statistics.median(found)
        about = f"{case.model} {name}, batch {case.batch}"
        if name != PLAIN:
            yield Row(f"{about}: share of the matmul rate", speed * work / rate, "of bf16 matmul")
        note = f"of {TRAIN_IMAGES:,} images; {over[name]:.1f} × {PLAIN}"
        yield Row(f"{about}: epochs", speed / TRAIN_IMAGES, "epochs/s", note=note)


def matmul_rate(size: int) -> float:
    """Floating point operations per second of the GPU in a large bfloat16 matrix product."""
    a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    seconds = []
    for _ in range(20):
        torch.cuda.synchronize()
        began = time.perf_counter()
        torch.mm(a, a)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds)
