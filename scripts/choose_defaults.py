"""Searches the default hyperparameters of every optimizer and rule, and writes them to configs/.

``make defaults`` runs this. On each task it tries 25 points per arm (that is
``experiment=defaults_<task>``, over the ranges in configs/search/wide.yaml), runs the five best
points of each arm again with five fresh seeds, and collects all records in ``results/defaults/``.
Then it writes the best values to the configuration: the additive rule's learning rate to
``configs/optimizer/<optimizer>.yaml``, which is also the default for rules without their own
choice, and each other rule's values to ``configs/tuned/<optimizer>-<rule>.yaml``. ``--write`` does
only this last part, from the committed records. Finished runs are not repeated: to retry, type the
command again.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from gofau.cli.plugins import jobs
from gofau.config.grid import grid
from gofau.report.cells import BASELINE, read
from gofau.report.choice import arms, choices, finalists
from gofau.report.collecting import lines, update
from gofau.report.frames import frames, gather
from gofau.report.records import Records, merge
from gofau.report.records import read as committed
from gofau.report.types import Frame

ROOT = Path(__file__).parent.parent
CONFIGS, RECORDS = ROOT / "configs", ROOT / "results" / "defaults"
TASKS = ("digits", "cifar10_jpeg")
FRESH_SEEDS = "1,2,3,4,5"
CHOSEN = "chosen on validation loss, out of {points} points: results/defaults"


def sweep(words: list[str]) -> None:
    """Run ``python train.py -m WORDS``. It names the runs that fail; the records lack these."""
    command = [sys.executable, str(ROOT / "train.py"), "-m", *words, "trainer.progress=none"]
    subprocess.run(command, cwd=ROOT, check=False)


def first_stage(task: str) -> list[str]:
    return [f"experiment=defaults_{task}"]


def second_stage(runs: Frame, task: str) -> Iterator[list[str]]:
    """Yield one sweep per arm, which runs its best points again."""
    for optimizer, rule, part in arms(runs):
        trials = ",".join(map(str, finalists(part)))
        if trials:
            words = [f"optimizer={optimizer}", f"rule={rule}", f"search.trial={trials}"]
            yield [*first_stage(task), *words, f"seed={FRESH_SEEDS}"]


def records(sweeps: list[list[str]]) -> Records:
    """Read the records of some sweeps."""
    return gather(chain.from_iterable(grid(CONFIGS, words) for words in sweeps))


def search(words: list[str], run: bool, drop: bool) -> None:
    """Run both stages on all tasks (if ``run``), and collect their records."""
    first = [[*first_stage(task), *words] for task in TASKS]
    for sweep_words in first if run else []:
        sweep(sweep_words)
    tried, _ = frames(merge(committed(RECORDS), records(first), drop=True).records)
    second = [[*more, *words] for task in TASKS for more in second_stage(tried, task)]
    if run:  # one process per arm, since otherwise each of the small sweeps would start workers
        with ThreadPoolExecutor(jobs()) as pool:
            list(pool.map(sweep, [[*more, "hydra/launcher=basic"] for more in second]))
    merged = update(RECORDS, records([*first, *second]), drop=drop)
    print("\n".join(lines(RECORDS, merged, drop=drop)))


def write(configs: Path) -> None:
    """Write the best values to the configuration; arms with incomplete records are skipped."""
    (configs / "tuned").mkdir(exist_ok=True)
    for found in choices(read(RECORDS)):
        if not found.values:
            print(f"{found.optimizer} {found.rule}: skipped, seeds are missing")
            continue
        why = CHOSEN.format(points=found.points)
        if found.rule == BASELINE:
            path = configs / "optimizer" / f"{found.optimizer}.yaml"
            line = f"lr: {found.values['optimizer.lr']:g}   # {why}"
            text = re.sub(r"^lr:.*$", line, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        else:
            path = configs / "tuned" / f"{found.optimizer}-{found.rule}.yaml"
            text = _tuned(found.values, why)
        path.write_text(text, encoding="utf-8")


def _tuned(values: dict[str, float], why: str) -> str:
    lines = ["# @package _global_", f"# {why[0].upper()}{why[1:]}."]
    for section in ("optimizer", "rule"):
        own = {k.partition(".")[2]: v for k, v in values.items() if k.startswith(section)}
        if own:
            lines.append(f"{section}: {{{', '.join(f'{k}: {v:g}' for k, v in own.items())}}}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Search the default hyperparameters.")
    parser.add_argument("--write", action="store_true", help="only write, from committed records")
    parser.add_argument("--collect", action="store_true", help="run nothing, collect finished runs")
    parser.add_argument("--configs", type=Path, default=CONFIGS, help="the folder to write to")
    parser.add_argument("--drop", action="store_true", help="drop records that are not in the grid")
    parser.add_argument("overrides", nargs="*", help="more overrides for the sweeps")
    options = parser.parse_args()
    if not options.write:
        search(options.overrides, not options.collect, options.drop)
    write(options.configs)


if __name__ == "__main__":
    main()
