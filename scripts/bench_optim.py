"""Measures the cost of an optimizer step: gofau's optimizers beside torch's, on this machine.

``make bench`` writes ``results/bench_optim/bench.csv`` and ``bench.md``. Every round steps each
optimizer once, in turn, so that changes of the machine's speed affect all. A time is the median
over the rounds, a ratio the median of the ratios within a round. On a machine with a GPU the same
is measured there, with the achieved share of the measured copy bandwidth. Counted separately: the
operations of a step on lists of tensors, and its temporary memory.
"""

import argparse
import csv
import functools
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from meter import Meter, sizes
from only import some_of
from torch import Tensor
from torch.optim import Optimizer

import gofau.optim
from gofau.runs.provenance import provenance

LR = 1e-3
OWN: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9},
    "Adagrad": {},
    "RMSprop": {},
    "Adam": {},
    "AdamW": {},
    "Lion": {},
    "SignSGD": {"momentum": 0.9},
    "Madam": {},
    "Fromage": {},
    "Nero": {},
    "IntegerMadam": {},
}
"""What is measured, with its options. What torch does not have is measured beside torch's Adam."""
RULES = {"Adam": ("additive", "hybrid", "hypentropy")}
"""Of a base; the others have the first two."""
HAM = ("SGD", "Adam")
"""Bases that are also measured with the post-step HAM."""
BUFFERS = {"Adam": 2, "AdamW": 2, "Fromage": 0, "Nero": 0}
"""Buffers of a step, where they are not 1."""
Make = Callable[[list[Tensor]], Optimizer]
PATHS: dict[str, dict[str, bool]] = {
    "": {},
    "loop": {"foreach": False, "fused": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
COMPILED = "gofau hybrid loop compiled"
"""torch.compile applied to the step of the plain loop; the optimizer itself does not do this."""


def resnet18_shapes() -> list[tuple[int, ...]]:
    """ResNet18's 62 parameters with a CIFAR stem and 10 classes: 11.17 M elements."""
    from gofau.models.resnet18 import resnet18

    return [tuple(p.shape) for p in resnet18((3, 32, 32), 10).parameters()]


def large_shapes() -> list[tuple[int, ...]]:
    """352 M elements in the shapes of a 28-layer transformer, to measure a GPU's bandwidth."""
    return [(1024, 1024)] * (4 * 28) + [(1024, 4096)] * (2 * 28)


def contenders(base: str) -> dict[str, Make]:
    """The optimizers of one base, torch's first; the ratios are relative to ``torch default``."""
    own, beside = OWN[base], base if hasattr(torch.optim, base) else "Adam"
    torchs, ours = getattr(torch.optim, beside), getattr(gofau.optim, base)
    theirs = own if beside == base else {}
    made: dict[str, Make] = {
        "torch default": lambda p: torchs(p, lr=LR, **theirs),
        "torch foreach": lambda p: torchs(p, lr=LR, foreach=True, **theirs),
    }
    if "fused" in torchs([torch.zeros(1, requires_grad=True)]).defaults:
        made["torch fused"] = lambda p: torchs(p, lr=LR, fused=True, **theirs)
    if not issubclass(ours, gofau.optim.RuleOptimizer):  # one way to step, and a rate of its own
        return made | {"gofau": lambda p: ours(p, **own)}
    rules = ("",) if ours.own_rule else RULES.get(base, ("additive", "hybrid"))
    for rule in rules:
        for path, flags in PATHS.items():
            chosen = {"rule": rule} if rule else {}
            name = " ".join(word for word in ("gofau", rule, path) if word)
            made[name] = functools.partial(ours, lr=LR, **own, **flags, **chosen)
    if base in HAM:
        made["gofau additive + ham"] = functools.partial(ours, lr=LR, **own, post_step="ham")
    if "hybrid" in rules:
        made[COMPILED] = made["gofau hybrid loop"]
    if beside == base:
        made["torch default + attach hybrid"] = lambda p: attached(torchs(p, lr=LR, **own))
    return made


def attached(optimizer: Optimizer) -> Optimizer:
    gofau.optim.attach(optimizer, rule="hybrid")
    return optimizer


def parameters(shapes: list[tuple[int, ...]], device: str) -> list[Tensor]:
    generator = torch.Generator(device).manual_seed(0)
    made = []
    for shape in shapes:
        p = torch.randn(shape, device=device, generator=generator).mul_(0.05).requires_grad_()
        p.grad = torch.randn(shape, device=device, generator=generator).mul_(1e-3)
        made.append(p)
    return made


def measure(makes: dict[str, Make], shapes: list, device: str, rounds: int) -> list[dict[str, Any]]:
    """One row per contender: median ms per step, ratios, operations, memory, bytes of state."""
    optimizers = {name: make(parameters(shapes, device)) for name, make in makes.items()}
    steps = {name: optimizer.step for name, optimizer in optimizers.items()}
    torch.compiler.reset()  # all bases share the code of `step`, which is compiled 8 times at most
    if COMPILED in steps:
        steps[COMPILED] = torch.compile(steps[COMPILED])
    for step in steps.values():
        for _ in range(4):  # warm-up: makes state, compiles kernels, fills caches
            step()
    asked = {name: asks(optimizers[name], step) for name, step in steps.items() if name != COMPILED}
    times = timed(steps, device, rounds)
    rows = []
    for name, optimizer in optimizers.items():
        row: dict[str, Any] = {"optimizer": name, "ms": statistics.median(times[name]) * 1e3}
        for other in ("torch default", "torch fused"):
            if other in times:
                pairs = zip(times[name], times[other], strict=True)
                row[f"x {other}"] = statistics.median(a / b for a, b in pairs)
        rows.append(row | asked.get(name, {}) | {"state_bytes": state_bytes(optimizer)})
    return rows


def timed(steps: dict[str, Callable[[], Any]], device: str, rounds: int) -> dict[str, list[float]]:
    """The seconds of each optimizer's step in every round."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(seconds(step, device))
    gc.enable()
    return times


def asks(optimizer: Optimizer, step: Callable[[], Any]) -> dict[str, Any]:
    """Operations on lists per step, and its peak temporary memory in sizes of all parameters."""
    with Meter() as meter:
        step()
    params = [p for group in optimizer.param_groups for p in group["params"]]
    return {"list_operations": meter.on_lists or None, "temporary": sizes(meter.peak, params)}


def seconds(call: Callable[[], Any], device: str) -> float:
    synchronise = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    synchronise()
    began = time.perf_counter()
    call()
    synchronise()
    return time.perf_counter() - began


def state_bytes(optimizer: Optimizer) -> int:
    tensors = (
        x for state in optimizer.state.values() for x in state.values() if isinstance(x, Tensor)
    )
    return sum(x.numel() * x.element_size() for x in tensors)


def copy_bandwidth(device: str) -> float:
    """Bytes per second, read plus written, of a copy of 1 GB within a GPU's memory."""
    a, b = torch.zeros(1 << 28, device=device), torch.zeros(1 << 28, device=device)
    times = [seconds(lambda: b.copy_(a), device) for _ in range(15)]
    return 2 * a.numel() * a.element_size() / statistics.median(times[3:])


def moved_bytes(elements: int, base: str) -> int:
    """The fewest bytes a float32 step moves: reads the gradient; reads, writes all else."""
    return 4 * elements * (1 + 2 * (1 + BUFFERS.get(base, 1)))


def import_ms() -> float:
    """Milliseconds of ``import gofau.optim`` after ``import torch``, in new processes."""
    clock = "time.perf_counter()"
    code = f"import torch, time; a = {clock}; import gofau.optim; print({clock} - a)"
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(7)]
    return statistics.median(float(run.stdout) for run in runs) * 1e3


def benchmark(device: str, rounds: int, only: list[str]) -> Iterator[dict[str, Any]]:
    models, bandwidth = {"resnet18": resnet18_shapes()}, None
    if device.startswith("cuda"):
        models["352M"], bandwidth = large_shapes(), copy_bandwidth(device)
    for model, shapes in models.items():
        elements = sum(torch.Size(shape).numel() for shape in shapes)
        for base in only:
            print(f"{device} {model} {base} …", file=sys.stderr, flush=True)
            for row in measure(contenders(base), shapes, device, rounds):
                if bandwidth is not None:
                    achieved = moved_bytes(elements, base) / (row["ms"] / 1e3)
                    row["copy_share"] = achieved / bandwidth
                yield {"device": device, "model": model, "base": base} | row
            gc.collect()


def markdown(rows: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    """The page: the facts of the measurement, then one table per device, model and base."""
    lines = ["# Cost of an optimizer step", ""]
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    lines += ["", "Medians of interleaved rounds; a ratio is the median of the rounds' ratios."]
    lines += [
        "`copy share`: the fewest bytes that a step must move, per second, divided by the rate of",
        "a plain copy (GPU only). `lists`: operations on lists of tensors per step. `temporary`:",
        "peak temporary memory of a step, in sizes of all parameters. Neither can be counted in",
        "compiled code. gofau without a flag chooses its path automatically.",
        "",
    ]
    key = None
    for row in rows:
        if key != (row["device"], row["model"], row["base"]):
            key = (row["device"], row["model"], row["base"])
            beside = "" if hasattr(torch.optim, row["base"]) else " beside torch's Adam"
            lines += ["", f"## {row['base']}{beside}, {row['model']}, {row['device']}", ""]
            lines += [f"| {' | '.join(COLUMNS)} |", "|---" + "|---:" * (len(COLUMNS) - 1) + "|"]
        cells = (
            "—" if row.get(name) is None else form(row[name]) for name, form in COLUMNS.values()
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "optimizer": ("optimizer", str),
    "ms": ("ms", "{:.2f}".format),
    "× torch default": ("x torch default", "{:.2f}".format),
    "× torch fused": ("x torch fused", "{:.2f}".format),
    "lists": ("list_operations", str),
    "temporary": ("temporary", "{:.1f}".format),
    "copy share": ("copy_share", "{:.0%}".format),
    "state MB": ("state_bytes", lambda bytes: f"{bytes / 1e6:.1f}"),
}
"""Columns of the page: heading → key in a row, and format."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of an optimizer step, gofau's and torch's.")
    parser.add_argument("--rounds", type=int, default=40, help="steps per optimizer (40)")
    parser.add_argument("--out", type=Path, default=Path("results/bench_optim"))
    parser.add_argument("--only", type=some_of(OWN), default=[*OWN], metavar="NAME,NAME")
    parser.add_argument("--device", help="cpu or cuda; default: cpu, and cuda if there is a GPU")
    options = parser.parse_args()
    devices = [options.device] if options.device else ["cpu"]
    if not options.device and torch.cuda.is_available():
        devices.append("cuda")
    found = provenance(devices[-1])
    facts = {k: found[k] for k in ("command", "commit", "dirty", "cpu", "cpus", "device")}
    facts |= {"torch": torch.__version__, "threads": torch.get_num_threads()}
    facts |= {"rounds": options.rounds, "import gofau.optim after torch": f"{import_ms():.0f} ms"}
    rows = [row for device in devices for row in benchmark(device, options.rounds, options.only)]
    options.out.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with open(options.out / "bench.csv", "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, fieldnames=[*names, *facts], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | facts for row in rows)
    text = markdown(rows, facts)
    (options.out / "bench.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
