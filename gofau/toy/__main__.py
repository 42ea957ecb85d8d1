"""``python -m gofau.toy experiment=fig2_toy_starts``: an experiment in two variables."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from gofau.cli.entry import start, task

CONFIGS = Path(__file__).parents[2] / "configs"


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="toy")
@task
def main(cfg: DictConfig) -> float:
    from gofau.toy.study import run  # imports torch: not for --help

    return run(cfg)


if __name__ == "__main__":
    sys.argv[0] = "python -m gofau.toy"  # what provenance quotes
    start(main)
