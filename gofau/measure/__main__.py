"""``python -m gofau.measure experiment=descent [override …]``: trains the runs of an experiment and
measures along them what its section ``measure`` asks for."""

import sys

from gofau.cli.entry import one_sentence
from gofau.errors import UserError


def main(words: list[str]) -> None:
    """Measure, and print the paths of what was written."""
    if not words or {"-h", "--help"} & {*words}:
        raise UserError(
            "usage: python -m gofau.measure experiment=NAME [override …], where NAME is an"
            " experiment with a section `measure`, such as descent or weight_distribution"
        )
    from gofau.cli.plugins import jobs
    from gofau.config.grid import grid
    from gofau.config.place import configs
    from gofau.measure.study import run  # imports torch: not for the usage

    for path in run(list(grid(configs(), words)), jobs()):
        print(path)


if __name__ == "__main__":
    sys.argv[0] = "python -m gofau.measure"  # what provenance quotes
    with one_sentence():
        main(sys.argv[1:])
