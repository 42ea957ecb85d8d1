"""``python -m gofau.report.measure [NAME …]``: draw the named results folders, or all of them."""

import sys
from pathlib import Path

from gofau.cli.entry import one_sentence
from gofau.report.experiments import written

RESULTS = Path("results")


def main(names: list[str]) -> None:
    """Draw what the files in each folder allow, and print the paths of what was written."""
    from gofau.report.measure import descent_figures, weights

    for folder in written(RESULTS, names, "trainings.csv", "gofau.measure"):
        task = descent_figures if (folder / "steps.csv.gz").exists() else weights
        for path in task.draw(folder):
            print(path)


if __name__ == "__main__":
    with one_sentence():
        main(sys.argv[1:])
