"""Measures the cost of training: images per second, sweeps, start-up, records, and what the faster
settings do to accuracy.

``make bench`` writes ``results/bench_train/bench.csv``, one row per measurement, and ``bench.md``,
which is made from it and shows the goals beside the values. ``--only`` measures some sections again
and replaces their rows. ``--quick`` only shows that everything works; its values mean nothing. Real
measurements need a quiet machine.
"""

import argparse
import importlib
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from bench_sections.page import TITLES, keep, markdown
from only import some_of

from gofau.runs.provenance import provenance

FACTS = ("command", "commit", "dirty", "cpu", "cpus", "torch", "threads")


def facts() -> dict[str, object]:
    """The conditions of a measurement."""
    found = provenance("cpu") | {"torch": torch.__version__, "threads": torch.get_num_threads()}
    return {name: found[name] for name in FACTS}


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of training, beside the goals.")
    parser.add_argument("--only", type=some_of(TITLES), default=[*TITLES], metavar="NAME,NAME")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--out", type=Path, help="results/bench_train; quick: runs/bench_train")
    options = parser.parse_args()
    out = options.out or Path("runs" if options.quick else "results") / "bench_train"
    found, text = facts(), ""
    with TemporaryDirectory(ignore_cleanup_errors=True) as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # empty, so that compilations are measured
        for section in options.only:
            began = time.perf_counter()
            measure = importlib.import_module(f"bench_sections.{section}").measure
            rows = []
            for row in measure(options.quick):
                value = "—" if row.value is None else f"{row.value:.4g}"
                print(f"{section}: {row.name}: {value} {row.unit}", file=sys.stderr, flush=True)
                rows.append(row)
            text = markdown(keep(out / "bench.csv", section, rows, found), FACTS)
            (out / "bench.md").write_text(text, encoding="utf-8")
            spent = time.perf_counter() - began
            print(f"{section}: {spent:.0f} s in all", file=sys.stderr, flush=True)
    print(text)


if __name__ == "__main__":
    main()
