"""``python -m gofau.report.toy [NAME …]``: draw the named results folders, or all of them."""

import argparse
import sys
from pathlib import Path

from gofau.cli.entry import one_sentence

RESULTS = Path("results")


def main(words: list[str], prog: str = "python -m gofau.report.toy") -> None:
    """Draw what the files in each folder allow, and print the paths of what was written."""
    about = "Make tables and figures of the experiments in two variables: all, or those named."
    parser = argparse.ArgumentParser(prog=prog, description=about)
    parser.add_argument("name", nargs="*", help="the name of a folder in results/")
    names = parser.parse_args(words).name
    from gofau.report.toy.folder import draw, found

    for folder in found(RESULTS, names):
        for path in draw(folder):
            print(path)


if __name__ == "__main__":
    with one_sentence():
        main(sys.argv[1:])
