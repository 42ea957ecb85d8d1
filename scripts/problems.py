"""Carries out the protocol of experiments/problems/PROTOCOL.md on the problems that are named.

``make problems ARGS="digits_cnn cora_gcn"`` runs this. Per problem: all points of the search
(``experiment=problems_search``); a second search, in a range 1.5 decades further, of the arms whose
best learning rate is at an end of its range (``experiment=problems_search_shifted``); the choice of
the best point per arm, which is written to ``configs/search/chosen/<problem>.yaml``; then the fresh
seeds at the chosen points (``experiment=problems``). A new choice has to be committed before the
fresh seeds are run, so that their records name it: type the command again. After each part the
records are merged into ``results/``. Finished runs are not repeated, on any machine: runs that are
in ``results/`` count as done, so typing the command again goes on where it ended.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from gofau.config.grid import grid
from gofau.report.cells import prepare
from gofau.report.chosen import as_config, at_ends, best_points, replaced
from gofau.report.collecting import lines, update
from gofau.report.frames import frames, gather
from gofau.report.records import Records, Row, merge, read
from gofau.report.types import Frame

ROOT = Path(__file__).parent.parent
CONFIGS, RESULTS = ROOT / "configs", ROOT / "results"
POINTS = 25
SEARCH, SHIFTED, FRESH = "problems_search", "problems_search_shifted", "problems"
SUPERSEDED = "problems_superseded"
"""Runs at points that were chosen before the protocol was changed."""
SHIFT = 1.5
"""Decades."""
AROUND = ("stepsize", "post_step")
"""The groups that an arm's name may name after a +."""


def carry_out(name: str, words: list[str], *, run: bool) -> Records:
    """Run an experiment (if ``run``), merge its records into results/, and return all records of
    its grid: those of the runs folder, and those that were committed."""
    words = [f"experiment={name}", *words]
    if run:
        more = ["reuse=results", "trainer.progress=none"]
        command = [sys.executable, str(ROOT / "train.py"), "-m", *words, *more]
        code = subprocess.run(command, cwd=ROOT).returncode
        if code == 2:  # a mistake, such as data that are not there: train.py has said it
            raise SystemExit(code)
    new = gather(grid(CONFIGS, words))
    merged = update(RESULTS / name, new)
    print("\n".join(lines(RESULTS / name, merged)))
    mine = {row["identity"] for row in new.runs}
    records = merge(read(RESULTS / name), new).records
    return Records([row for row in records.runs if row["identity"] in mine])


def words_of(arm: str, rule: str) -> list[str]:
    """The overrides that select an arm: ``sgd+ham`` is ``optimizer=sgd post_step=ham``."""
    optimizer, *more = arm.split("+")
    words = [f"optimizer={optimizer}"] + [f"rule={rule}"] * (rule != "own")
    for name in more:
        group = next(group for group in AROUND if (CONFIGS / group / f"{name}.yaml").exists())
        words.append(f"{group}={name}")
    return words


def searched(mine: list[str], *, run: bool) -> Frame:
    """Search all arms of a problem, and those at an end of their range once more, further on."""
    found = prepare(frames(carry_out(SEARCH, mine, run=run))[0])
    for arm, rule, side in at_ends(found, POINTS):
        words = [*mine, *words_of(arm, rule), f"search.shift={side * SHIFT}"]
        again = frames(carry_out(SHIFTED, words, run=run))[0]
        found = replaced(found, prepare(again))
    return found


def choose(problem: str, runs: Frame) -> bool:
    """Write the best point of every arm to configs/; returns whether every arm has one, and has had
    it before."""
    missing = [f"{arm} {rule}" for arm, rule, best in best_points(runs, POINTS) if best is None]
    for name in missing:
        print(f"{problem}: {name} has no choice yet, since points are missing")
    path = CONFIGS / "search" / "chosen" / f"{problem}.yaml"
    path.parent.mkdir(exist_ok=True)
    text = as_config(problem, runs, POINTS)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)} is new: commit it, then type the command again")
        return False
    return not missing


def supersede(fresh: Records) -> None:
    """Move the runs of the problem that are at other points than these out of the way: an arm must
    not have two points. Their records are kept."""
    first, identities = fresh.runs[0], {row["identity"] for row in fresh.runs}
    there = read(RESULTS / FRESH)

    def is_old(row: Row) -> bool:
        same = all(row[key] == first[key] for key in ("dataset.name", "model.name"))
        return same and row["identity"] not in identities

    old = [row for row in there.runs if is_old(row)]
    if old:
        kept = [row for row in there.runs if not is_old(row)]
        update(RESULTS / SUPERSEDED, Records(old, there.curves))
        update(RESULTS / FRESH, Records(kept, there.curves), drop=True)
        print(f"{len(old)} runs at points chosen earlier: now in {RESULTS / SUPERSEDED}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Search, choose, and run fresh seeds, per problem."
    )
    known = sorted(path.stem for path in (CONFIGS / "budget").glob("*.yaml"))
    parser.add_argument("problems", nargs="+", metavar="problem", help=", ".join(known))
    parser.add_argument("--collect", action="store_true", help="run nothing, collect finished runs")
    parser.usage = "%(prog)s [-h] [--collect] problem [problem ...] [KEY=VALUE ...]"
    options = parser.parse_args()
    words = [word for word in options.problems if "=" in word]
    named = [word for word in options.problems if "=" not in word]
    for name in named:
        if name not in known:
            parser.error(f"{name}: there is no such problem (there is: {', '.join(known)})")
    for problem in named:
        mine = [f"problem={problem}", *words]
        if choose(problem, searched(mine, run=not options.collect)):
            supersede(carry_out(FRESH, mine, run=not options.collect))


if __name__ == "__main__":
    main()
