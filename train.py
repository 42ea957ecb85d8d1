"""Train one network, or a sweep of them: ``python train.py optimizer=sgd rule=hybrid``."""

from gofau.cli.entry import start
from gofau.cli.train import main

if __name__ == "__main__":
    start(main)
