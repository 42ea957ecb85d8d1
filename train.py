"""Train one network, or a sweep of them: ``python train.py optimizer=sgd rule=hybrid``."""

from gofau.cli.entry import start


def main() -> None:
    """Carry out the command in ``sys.argv``."""
    # Not above: `start` says in one sentence that Hydra is not installed.
    from gofau.cli.train import main as command

    command()


if __name__ == "__main__":
    start(main)
