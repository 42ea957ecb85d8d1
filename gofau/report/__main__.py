"""``python -m gofau.report``: collect the records of an experiment, and make tables and figures."""

import argparse
import sys
from pathlib import Path

from gofau.cli.entry import one_sentence
from gofau.cli.words import Parser
from gofau.config.place import configs
from gofau.errors import UserError

RESULTS = Path("results")


def collect(name: str, overrides: list[str], drop: bool) -> None:
    """Merge the records of an experiment's runs into ``results/<name>/``. No finished run is lost,
    except that ``drop`` removes rows that are not in the experiment's grid."""
    from gofau.config.grid import grid
    from gofau.report.collecting import lines, update
    from gofau.report.frames import gather

    runs = list(grid(configs(), [f"experiment={name}", *overrides]))
    if any(config.get("measure") for _, config in runs):
        raise UserError(
            f"experiment={name} measures along its trainings and has no records to collect: its"
            " command is python -m gofau.measure"
        )
    new = gather(runs)
    merged = update(RESULTS / name, new, drop=drop)
    print("\n".join(lines(RESULTS / name, merged, drop=drop)))


def main(words: list[str], prog: str = "python -m gofau.report") -> None:
    """Carry out one command; see ``python -m gofau.report --help``."""
    parser = _parser(prog)
    # Not parse_args, which takes no overrides after --drop.
    options, more = parser.parse_known_args(words)
    wrong = [word for word in more if word.startswith("-") or options.command != "collect"]
    if wrong:
        parser.error(f"unrecognized arguments: {' '.join(wrong)}")
    from gofau.report import make

    paths: list[Path] = []
    match options.command:
        case "collect":
            collect(options.experiment, [*options.override, *more], options.drop)
        case "tables":
            paths = make.tables(RESULTS, options.name, None)
        case "figures":
            paths = make.figures(RESULTS, options.name, None)
        case "report":
            paths = make.report(RESULTS, None)
    for path in paths:
        print(path)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog=prog, description="Collect records into results/, and make tables and figures of them."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    collected = commands.add_parser(
        "collect",
        help="merge the records of an experiment's runs into results/",
        description="Merge the records of an experiment's runs into results/EXPERIMENT.",
    )
    collected.add_argument("experiment", help="its name in configs/experiment")
    more = "as in the command that made the runs"
    collected.add_argument("override", nargs="*", default=[], help=more)
    collected.add_argument(
        "--drop", action="store_true", help="remove the rows of runs that are not in its grid"
    )
    for what in ("tables", "figures"):
        text = f"make the {what} of all results, or of those that are named"
        made = commands.add_parser(what, help=text, description=f"{text.capitalize()}.")
        made.add_argument("name", nargs="*", help="the name of a folder in results/")
    text = "make all tables and figures, and the page results/report.html"
    commands.add_parser("report", help=text, description=f"{text.capitalize()}.")
    return parser


if __name__ == "__main__":
    with one_sentence():
        main(sys.argv[1:])
