"""``python -m gofau.report collect NAME [override …]`` and ``python -m gofau.report figures``."""

import sys
from pathlib import Path

from gofau.cli import one_sentence
from gofau.errors import UserError

RESULTS, CONFIGS = Path("results"), Path("configs")
USAGE = "usage: python -m gofau.report collect EXPERIMENT [override …] | figures [NAME …]"


def collect(name: str, words: list[str]) -> None:
    """Gather the records of an experiment's runs into ``results/<name>/``."""
    from gofau.report.frames import collect, save
    from gofau.sweeps import grid

    runs, curves = collect(grid(CONFIGS, [f"experiment={name}", *words]))
    save(runs, curves, RESULTS / name)
    counts = ", ".join(f"{n} {state}" for state, n in runs["state"].value_counts().items())
    print(f"{RESULTS / name}: {len(runs)} runs ({counts})")


def figures(names: list[str]) -> None:
    """Draw the figures of the results folders named, or of all, from what is committed there."""
    from gofau.report.curves import draw

    folders = [RESULTS / name for name in names] or sorted(
        path.parent for path in RESULTS.glob("*/curves.csv.gz")
    )
    for folder in folders:
        if not (folder / "curves.csv.gz").exists():
            raise UserError(f"{folder} holds no curves.csv.gz: collect {folder.name} first")
        for path in draw(folder):
            print(path)


def main(words: list[str]) -> None:
    match words:
        case ["collect", name, *more]:
            collect(name, more)
        case ["figures", *names]:
            figures(names)
        case _:
            raise UserError(USAGE)


if __name__ == "__main__":
    with one_sentence():
        main(sys.argv[1:])
