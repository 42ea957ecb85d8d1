"""``python -m gofau.toy experiment=fig2_toy_starts``: an experiment in two variables."""

import sys

import hydra
from omegaconf import DictConfig

from gofau.cli.entry import start, task
from gofau.config.place import configs


@hydra.main(version_base="1.3", config_path=str(configs()), config_name="toy")
@task
def main(cfg: DictConfig) -> float:
    from gofau.toy.study import run  # imports torch: not for --help

    return run(cfg)


if __name__ == "__main__":
    sys.argv[0] = "python -m gofau.toy"  # what provenance quotes
    start(main)
