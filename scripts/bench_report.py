"""The page that `bench_optim.py` writes: its goals, its tables, and where they come from."""

import statistics
import subprocess
import sys
from typing import Any

import torch

from gofau.optim import compiler
from gofau.provenance import provenance

REFERENCES = ("torch default", "torch foreach", "torch fused")
HYBRID, FUSED, ATTACHED = "ours hybrid default", "ours hybrid fused", "attach hybrid to torch "
GOALS = {  # device → (base, variant, relative to): at most
    "cpu": {
        ("SGD", HYBRID, "torch fused"): 1.3,
        ("SGD", HYBRID, "torch default"): 1.0,
        ("Adam", HYBRID, "torch fused"): 1.3,
        ("RMSprop", HYBRID, "torch default"): 1.0,
        ("Adagrad", HYBRID, "torch default"): 1.0,
        ("SGD", ATTACHED + "default", "torch default"): 3.0,
        ("SGD", ATTACHED + "fused", "torch fused"): 3.0,
        ("Adam", ATTACHED + "fused", "torch fused"): 3.0,
    },
    "cuda": {(base, FUSED, "torch fused"): 1.15 for base in ("SGD", "Adagrad", "Adam", "AdamW")},
}
Row = dict[str, Any]


def table(rows: list[Row], columns: dict[str, str]) -> str:
    """Markdown of some columns, each with its format; a dash where there is no number."""
    lines = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    for row in rows:
        cells = [format(row[c], f) if row[c] == row[c] else "–" for c, f in columns.items()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def goals(rows: list[Row], device: str) -> str:
    """The bounds we set ourselves, and what was measured."""
    lines = ["| base | variant | relative to | goal | measured |", "|" + " --- |" * 5]
    bounds = GOALS.get(device.split(":")[0], {})
    for row in rows:
        for (base, variant, reference), bound in bounds.items():
            if (base, variant) == (row["base"], row["variant"]):
                where = f"{base}, {row['workload']} | {variant} | {reference}"
                lines.append(f"| {where} | ≤ {bound} | {row[f'/ {reference}']:.2f} |")
    return "\n".join(lines) + "\n"


def c_compiler() -> str:
    found = compiler.find()
    return compiler._version(found).splitlines()[0] if found else "none"


def report(rows: list[Row], device: str, rounds: int, compiling: tuple[float, float]) -> str:
    """The page: goals, all rows, and what somebody who repeats it needs to know."""
    facts = provenance(device)
    cold, warm = compiling
    columns = {"workload": "", "base": "", "variant": "", "ms": ".2f"}
    columns |= {f"/ {name}": ".2f" for name in REFERENCES}
    columns |= {"share of copy bandwidth": ".0%", "state bytes": ",d"}
    return f"""# What a step costs

Median of {rounds} rounds in which all variants of a base take turns; a ratio is the median of the
ratios within a round. ResNet18: 62 tensors, 11 million elements, float32. The share of the copy
bandwidth counts each tensor that the base must read or write once. State includes the counters.

{goals(rows, device)}
{table(rows, columns)}
- `import gofau.optim` after `import torch`: {import_seconds() * 1e3:.0f} ms (goal ≤ 50)
- the first fused step compiles: {cold:.2f} s, {warm:.3f} s when the disk's cache has it
- {facts["device"]}, {facts["cpu"]}, {torch.get_num_threads()} threads, {facts["platform"]}
- Python {facts["python"]}, {", ".join(f"{k} {v}" for k, v in facts["versions"].items() if v)}
- C compiler: {c_compiler()}
- commit {facts["commit"]}{" with changes" if facts["dirty"] else ""}
- `python scripts/{facts["command"]}`
"""


def import_seconds() -> float:
    """What `import gofau.optim` adds to `import torch`: median of fresh processes."""
    code = "import torch, time; t = time.perf_counter(); import gofau.optim; "
    code += "print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(8)
    ]
    return statistics.median(float(run.stdout) for run in runs[1:])
