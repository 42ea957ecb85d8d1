"""Measures the rounding error of a step: random steps of every base, rule, flag and dtype.

``python scripts/fuzz_optim.py`` writes ``results/bench_optim/errors.csv`` and ``errors.md``: for
every path, dtype and rule the largest error and the 99th percentile, in eps of the dtype. Cases and
reference are those of `tests.optim.execution.fuzz`. A step that the reference does not allow is
printed with its case, and the exit code is then 1.
"""

import argparse
import csv
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gofau.optim.execution.native import compiler
from gofau.runs.provenance import provenance
from tests.optim.execution import fuzz

Key = tuple[str, str, str]
"""Path, dtype, rule."""
WHAT = ("weights", "buffers")
INTRODUCTION = """
Random steps with all bases, flags, rules, dtypes, usual and extreme hyperparameters, shapes
(including 0-d and empty), memory layouts, and values from ordinary to subnormal, infinite and NaN.
Each step starts from the state that the path holds, and is compared with the formulas in long
double. The error is in eps of the dtype, relative to the largest of: the value before, the value
after, and the change. A number that is rounded once has an error of at most 0.5. Elements *by
interval* are ill-conditioned (v − mean² in a centered RMSprop, g + λθ), not finite, or close to the
smallest number: their result must be one that rounding can explain, including infinities and NaN.
*Not allowed* counts the cases with a result that rounding cannot explain. Tensors with gaps in
memory (not dense), and SGD's first step with momentum, use the loop on every path."""


class Tally:
    """Collects the outcomes of some cases."""

    def __init__(self) -> None:
        self.cases = self.failed = 0
        self.errors: dict[str, list[Any]] = {what: [] for what in WHAT}
        self.other = dict.fromkeys(WHAT, 0)

    def add(self, outcome: fuzz.Outcome) -> None:
        self.cases += 1
        self.failed += bool(outcome.failures)
        for what in WHAT:
            self.errors[what] += outcome.errors[what]
            self.other[what] += outcome.other[what]

    def row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"cases": self.cases, "not_allowed": self.failed}
        for what in WHAT:
            errors = np.concatenate([np.zeros(0), *self.errors[what]])
            row[f"{what}_judged"] = len(errors)
            row[f"{what}_worst"] = float(errors.max()) if len(errors) else None
            row[f"{what}_p99"] = float(np.quantile(errors, 0.99)) if len(errors) else None
            row[f"{what}_by_interval"] = self.other[what]
        return row


def measure(cases: int, seed: int, paths: Iterable[str]) -> dict[Key, Tally]:
    """Run random cases on each path. In a key, ``all`` stands for all rules together."""
    rng = np.random.default_rng(seed)
    tallies: dict[Key, Tally] = defaultdict(Tally)
    for i in range(cases):
        if i % 500 == 0:
            print(f"{i} of {cases} …", file=sys.stderr, flush=True)
        case = fuzz.draw(rng, fuzz.draw_program(rng))
        for path in paths:
            outcome = fuzz.run(case, path)
            if outcome.failures:
                print(f"{path}: {case}", *outcome.failures, sep="\n", file=sys.stderr)
            dtype = str(case.program.dtype).removeprefix("torch.")
            for rule in (case.program.rule, "all"):
                tallies[path, dtype, rule].add(outcome)
    return tallies


def rows_of(tallies: dict[Key, Tally]) -> list[dict[str, Any]]:
    names = [str(dtype).removeprefix("torch.") for dtype in fuzz.DTYPES]
    order = {name: i for i, name in enumerate([*fuzz.PATHS, *names, "all", *fuzz.RULES])}
    rows = []
    for key in sorted(tallies, key=lambda key: [order[name] for name in key]):
        rows.append(dict(zip(("path", "dtype", "rule"), key, strict=True)) | tallies[key].row())
    return rows


HEAD = ("path", "dtype", "cases", "weights: worst", "99 %", "judged", "by interval")
HEAD += ("buffers: worst", "99 %", "judged", "by interval", "not allowed")


def markdown(rows: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    """The page: the facts of the measurement, a table over all rules, and one table per rule."""
    lines = ["# Rounding error of a step", ""]
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    lines += [INTRODUCTION]
    for rule in ("all", *fuzz.RULES):
        lines += ["", f"## {rule.capitalize()}{' rules' if rule == 'all' else ''}", ""]
        lines += [f"| {' | '.join(HEAD)} |", "|---|---|" + "---:|" * (len(HEAD) - 2)]
        for row in rows:
            if row["rule"] == rule:
                cells = [row["path"], row["dtype"], row["cases"]]
                for what in WHAT:
                    cells += [_short(row[f"{what}_worst"]), _short(row[f"{what}_p99"])]
                    cells += [row[f"{what}_judged"], row[f"{what}_by_interval"]]
                cells.append(row["not_allowed"])
                lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _short(x: float | None) -> str:
    return "—" if x is None else f"{x:.3f}"


def write(folder: Path, rows: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "errors.csv", "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, fieldnames=[*rows[0], *facts], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | facts for row in rows)
    text = markdown(rows, facts)
    (folder / "errors.md").write_text(text, encoding="utf-8")
    print(text)


def main() -> int:
    parser = argparse.ArgumentParser(description="The rounding error of a step.")
    parser.add_argument("--cases", type=int, default=5000, help="number of cases per path (5000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/bench_optim"))
    options = parser.parse_args()
    found = provenance("cpu")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:  # thousands of kernels that are used once
        os.environ["XDG_CACHE_HOME"] = folder
        paths = [path for path in fuzz.PATHS if path != "fused" or compiler.find()]
        tallies = measure(options.cases, options.seed, paths)
    facts = {k: found[k] for k in ("command", "commit", "dirty", "cpu", "cpus")}
    facts |= {"torch": torch.__version__, "numpy": np.__version__, "seed": options.seed}
    reference = f"{np.dtype(fuzz.Wide).itemsize * 8} bits, eps {np.finfo(fuzz.Wide).eps:.1e}"
    facts |= {"reference": reference, "cases of each path": options.cases}
    facts |= {"seconds": round(time.perf_counter() - began)}
    write(options.out, rows_of(tallies), facts)
    return int(any(tally.failed for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
