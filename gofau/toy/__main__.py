"""``python -m gofau.toy experiment=fig2_toy_starts``: an experiment in two variables."""

import sys

from gofau.cli.entry import start


def main() -> None:
    """Carry out the command in ``sys.argv``."""
    # Not above: `start` says in one sentence that Hydra is not installed.
    from gofau.cli.toy import main as command

    command()


if __name__ == "__main__":
    sys.argv[0] = "python -m gofau.toy"  # what provenance quotes
    start(main)
