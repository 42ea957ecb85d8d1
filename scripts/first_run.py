"""The default run with 40 seeds for every optimizer and rule, with one thread and with two.

``make first-run`` does this; the records and the table go to ``results/first_run/``. The number of
threads is no part of a run's identity, so each has a runs folder of its own. Runs that are done are
not repeated, so typing it again is the retry.
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
    folder = runs / f"threads-{threads}"
    fixed = ["experiment=first_run", f"trainer.threads={threads}", f"paths.runs_dir={folder}"]
    return [*fixed, *given]


def run(threads: int, sweep: list[str]) -> None:
    """One sweep; with several threads the runs follow one another, for they share the cores."""
    command = [sys.executable, str(ROOT / "train.py"), "-m", *sweep, "trainer.progress=none"]
    command += ["hydra/launcher=basic"] * (threads > 1)
    subprocess.run(command, cwd=ROOT, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description="The default run, 40 seeds, 1 and 2 threads.")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="where the runs go")
    parser.add_argument("--collect", action="store_true", help="gather what is done, run nothing")
    parser.add_argument("--drop", action="store_true", help="leave out records of other grids")
    parser.add_argument("overrides", nargs="*", help="more words for the sweeps")
    options = parser.parse_args()
    found: list[Row] = []
    for threads in THREADS:
        sweep = words(threads, options.runs.resolve(), options.overrides)
        if not options.collect:
            run(threads, sweep)
        # A run that is missing has not said how many threads it had.
        runs = gather(grid(ROOT / "configs", sweep)).runs
        found += [row | {"compute.threads": str(threads)} for row in runs]
    # Without their 16,000 epochs, which nobody asks for.
    merged = update(RECORDS, Records(found), key=KEY, drop=options.drop)
    print("\n".join(lines(RECORDS, merged, drop=options.drop)))


if __name__ == "__main__":
    main()
