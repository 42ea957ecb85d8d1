"""``python -m gofau.report.measure [NAME …]``: draw the named results folders, or all of them."""

import sys
from pathlib import Path

from gofau.cli.entry import one_sentence

RESULTS = Path("results")


def main(names: list[str]) -> None:
    """Draw what the files in each folder allow, and print the paths of what was written."""
    from gofau.report.measure.folder import draw, found

    for folder in found(RESULTS, names):
        for path in draw(folder):
            print(path)


if __name__ == "__main__":
    with one_sentence():
        main(sys.argv[1:])
