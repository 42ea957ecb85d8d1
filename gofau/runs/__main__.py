"""``python -m gofau.runs``: show the state of runs, and export, import or remove them."""

import argparse
import os
from pathlib import Path

from gofau.cli.entry import one_sentence
from gofau.cli.words import Parser
from gofau.errors import UserError
from gofau.runs.record import FINISHED, STATES
from gofau.runs.table import show, table
from gofau.runs.transfer import export, merge, prune


def main(words: list[str] | None = None, prog: str = "python -m gofau.runs") -> None:
    """Carry out one command; see ``python -m gofau.runs --help``."""
    options = _parser(prog).parse_args(words)
    runs_dir = Path(options.runs_dir)
    match options.command:
        case "status":
            print(table(_existing(runs_dir), options.all))
        case "show":
            print(show(_one(_existing(runs_dir), options.run)))
        case "export":
            count = export(_existing(runs_dir), options.archive)
            print(f"{options.archive}: {count} finished runs")
        case "import":
            taken, left = merge(options.archive, runs_dir)
            print(f"{runs_dir}: {taken} runs added, {left} were already here")
        case "prune":
            gone = prune(_existing(runs_dir), tuple(options.states))
            print("\n".join([*map(str, gone), f"{len(gone)} runs removed"]))


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog=prog, description="The runs of a folder.")
    commands = parser.add_subparsers(dest="command", required=True)
    status = commands.add_parser("status", help="how many runs are in which state")
    status.add_argument("--all", action="store_true", help="list every run")
    commands.add_parser("show", help="everything known about one run").add_argument(
        "run", help="the name of its folder, or a unique part of it, such as its identity"
    )
    commands.add_parser("export", help="pack the finished runs").add_argument("archive", type=Path)
    commands.add_parser("import", help="add runs of another machine").add_argument(
        "archive", type=Path
    )
    removed = commands.add_parser("prune", help="remove failed and interrupted runs")
    removed.add_argument(
        "--states",
        nargs="+",
        default=["failed", "interrupted"],
        choices=[state for state in STATES if state not in (*FINISHED, "running")],
    )
    for command in commands.choices.values():
        command.add_argument(
            "--runs-dir",
            default=os.environ.get("GOFAU_RUNS", "runs"),
            help="the folder of the runs ($GOFAU_RUNS, or runs)",
        )
    return parser


def _existing(runs_dir: Path) -> Path:
    if not runs_dir.is_dir():
        raise UserError(f"there is no folder {runs_dir}: give --runs-dir")
    return runs_dir


def _one(runs_dir: Path, name: str) -> Path:
    found = [path.parent for path in runs_dir.glob("*/config.yaml") if name in path.parent.name]
    if len(found) != 1:
        which = ", ".join(sorted(path.name for path in found)[:5]) or "none"
        raise UserError(
            f"'{name}' must be in the name of exactly one run: {len(found)} in {runs_dir} have it"
            f" ({which})"
        )
    return found[0]


if __name__ == "__main__":
    with one_sentence():
        main()
