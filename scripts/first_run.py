"""Runs the default training with 40 seeds for every optimizer and rule, with one and two threads.

``make first-run`` runs this; the records and the table go to ``results/first_run/``. The number of
threads is not part of a run's identity, so each number has its own runs folder. Finished runs are
not repeated: to retry, type the command again.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from gofau.config.grid import grid
from gofau.report.collecting import lines, update
from gofau.report.frames import gather
from gofau.report.records import Records, Row

ROOT = Path(__file__).parent.parent
RECORDS = ROOT / "results" / "first_run"
THREADS = (1, 2)
KEY = ("identity", "compute.threads")


def words(threads: int, runs: Path, given: list[str]) -> list[str]:
    """The overrides of the sweep with this number of threads."""
    folder = runs / f"threads-{threads}"
    fixed = ["experiment=first_run", f"trainer.threads={threads}", f"paths.runs_dir={folder}"]
    return [*fixed, *given]


def run(threads: int, sweep: list[str]) -> None:
    """Run one sweep. With several threads the runs go one after another, to share the cores."""
    command = [sys.executable, str(ROOT / "train.py"), "-m", *sweep, "trainer.progress=none"]
    command += ["hydra/launcher=basic"] * (threads > 1)
    subprocess.run(command, cwd=ROOT, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description="The default run, 40 seeds, 1 and 2 threads.")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="the folder for the runs")
    parser.add_argument("--collect", action="store_true", help="run nothing, collect finished runs")
    parser.add_argument("--drop", action="store_true", help="drop records that are not in the grid")
    parser.add_argument("overrides", nargs="*", help="more overrides for the sweeps")
    options = parser.parse_args()
    found: list[Row] = []
    for threads in THREADS:
        sweep = words(threads, options.runs.resolve(), options.overrides)
        if not options.collect:
            run(threads, sweep)
        # A missing run has no record of its number of threads, which is part of the key.
        runs = gather(grid(ROOT / "configs", sweep)).runs
        found += [row | {"compute.threads": str(threads)} for row in runs]
    # Without the curves (16,000 epochs), which no table or figure uses.
    merged = update(RECORDS, Records(found), key=KEY, drop=options.drop)
    print("\n".join(lines(RECORDS, merged, drop=options.drop)))


if __name__ == "__main__":
    main()
