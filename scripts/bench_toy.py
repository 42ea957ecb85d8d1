"""Measures the cost of many descents at once, beside a loop over starts with torch.optim.

``python scripts/bench_toy.py`` times 100 × 100 starts × 3 rules × {SGD, Adam} × {bowl, Rosenbrock}
× 1,000 steps as one batch per problem and optimizer, scored at every tenth step. The loop runs the
additive rule for a sample of the starts, with one optimizer per start, and its time is scaled to
the number of starts and rules; its paths must end where those of the batch end. It is timed twice:
with autograd, as is usual, and with the written gradients that the batch uses. The script writes
``results/bench_toy/bench.csv`` and ``bench.md``.
"""

import argparse
import csv
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gofau.optim
from gofau.runs.provenance import provenance
from gofau.toy import PROBLEMS, Problem, descend, score

RULES = ("additive", "multiplicative", "hybrid")
OPTIMIZERS = {"SGD": {"momentum": 0.0}, "Adam": {}}
LR = 1e-3


def grid(problem: Problem, side: int) -> Tensor:
    """A grid of side × side starts over the problem's box."""
    return torch.cartesian_prod(*(torch.linspace(*ends, side) for ends in problem.box))


def loop(
    problem: Problem, make: Callable[..., Any], starts: Tensor, steps: int, autograd: bool
) -> Tensor:
    """Descend from one start after the other, with one optimizer per start; returns the ends."""
    ends = []
    for start in starts:
        p = start.clone().requires_grad_()
        optimizer = make([p])
        for _ in range(steps):
            if autograd:
                optimizer.zero_grad()
                problem.value(p).backward()
            else:
                p.grad = problem.gradient(p.detach())
            optimizer.step()
        ends.append(p.detach())
    return torch.stack(ends)


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def measure(name: str, base: str, side: int, steps: int, sample: int) -> dict[str, Any]:
    """Measure one problem with one optimizer: one row of the table."""
    problem, own = PROBLEMS[name], {"lr": LR, **OPTIMIZERS[base]}
    ours = partial(getattr(gofau.optim, base), fused=True, **own)
    theirs = partial(getattr(torch.optim, base), **own)
    arms = [{"rule": rule} for rule in RULES]
    starts = grid(problem, side)
    score(problem, ours, arms, starts, 2)  # compiles the steps, which are cached on disk
    batch, _ = seconds(lambda: score(problem, ours, arms, starts, steps, every=10))
    few = starts[torch.linspace(0, len(starts) - 1, sample).round().long()]
    *_, (_, points) = descend(problem, ours, arms[:1], few, steps, every=steps)
    row: dict[str, Any] = {"problem": name, "optimizer": base, "batch_s": batch}
    for kind, autograd in (("autograd", True), ("written gradient", False)):
        spent, ends = seconds(partial(loop, problem, theirs, few, steps, autograd))
        whole = spent / sample * len(starts) * len(RULES)
        row |= {f"loop_s, {kind}": whole, f"ratio, {kind}": whole / batch}
        row[f"difference, {kind}"] = (ends - points[0]).abs().max().item()
    return row


def markdown(rows: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    """The page: the facts of the measurement, then the table."""
    lines = ["# Cost of many descents at once", "", *(f"- {k}: {v}" for k, v in facts.items())]
    lines += ["", f"| {' | '.join(rows[0])} |", f"|---|---{'|---:' * (len(rows[0]) - 2)}|"]
    for row in rows:
        cells = (f"{v:.3g}" if isinstance(v, float) else v for v in row.values())
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Seconds of the loop: measured on a sample, scaled to all starts and rules."]
    return "\n".join([*lines, "Differences: the largest of the final positions.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description="Many descents at once, and a loop over starts.")
    parser.add_argument("--side", type=int, default=100, help="starts along a side (100)")
    parser.add_argument("--steps", type=int, default=1000, help="steps (1000)")
    parser.add_argument("--sample", type=int, default=10, help="starts of the loop (10)")
    parser.add_argument("--out", type=Path, default=Path("results/bench_toy"))
    # An operation takes microseconds: a second thread gains little, and waits without a free core.
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    size = (options.side, options.steps, options.sample)
    rows = [measure(name, base, *size) for name in ("bowl", "rosenbrock") for base in OPTIMIZERS]
    total: dict[str, Any] = {"problem": "all", "optimizer": "all"}
    total |= {key: sum(row[key] for row in rows) for key in rows[0] if "_s" in key}
    for kind in ("autograd", "written gradient"):
        total[f"ratio, {kind}"] = total[f"loop_s, {kind}"] / total["batch_s"]
        total[f"difference, {kind}"] = max(row[f"difference, {kind}"] for row in rows)
    rows.append({key: total[key] for key in rows[0]})
    found = provenance("cpu")
    facts = {key: found[key] for key in ("command", "commit", "dirty", "cpu", "cpus")}
    facts |= {"torch": torch.__version__, "threads": torch.get_num_threads()}
    facts |= {"starts": options.side**2, "rules": len(RULES), "steps": options.steps}
    facts |= {"sample": options.sample, "lr": LR}
    options.out.mkdir(parents=True, exist_ok=True)
    with open(options.out / "bench.csv", "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, fieldnames=[*rows[0], *facts], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | facts for row in rows)
    text = markdown(rows, facts)
    (options.out / "bench.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
