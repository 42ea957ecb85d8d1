"""Commands of the report: ``python -m gofau.report collect NAME [override …]``; ``tables`` and
``figures``, for all results or for those named; ``report``, for everything."""

import sys
from pathlib import Path

from gofau.cli.entry import one_sentence
from gofau.errors import UserError

RESULTS, CONFIGS = Path("results"), Path("configs")
USAGE = (
    "usage: python -m gofau.report collect EXPERIMENT [--drop] [override …] | tables [NAME …]"
    " | figures [NAME …] | report"
)


def collect(name: str, words: list[str]) -> None:
    """Merge the records of an experiment's runs into ``results/<name>/``. No finished run is lost,
    except that ``--drop`` removes rows that are not in the experiment's grid."""
    from gofau.config.grid import grid
    from gofau.report.collecting import lines, update
    from gofau.report.frames import gather

    if not CONFIGS.is_dir():
        raise UserError(f"there is no folder {CONFIGS} in {Path.cwd()}: run this in the repository")
    drop = "--drop" in words
    overrides = [word for word in words if word != "--drop"]
    new = gather(grid(CONFIGS, [f"experiment={name}", *overrides]))
    merged = update(RESULTS / name, new, drop=drop)
    print("\n".join(lines(RESULTS / name, merged, drop=drop)))


def main(words: list[str]) -> None:
    """Carry out one command."""
    from gofau.report import make

    match words:
        case ["collect", name, *more]:
            collect(name, more)
            paths = []
        case ["tables", *names]:
            paths = make.tables(RESULTS, names)
        case ["figures", *names]:
            paths = make.figures(RESULTS, names)
        case ["report"]:
            paths = make.report(RESULTS)
        case _:
            raise UserError(USAGE)
    for path in paths:
        print(path)


if __name__ == "__main__":
    with one_sentence():
        main(sys.argv[1:])
