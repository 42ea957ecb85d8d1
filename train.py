"""Train one network, or a sweep of them: ``python train.py optimizer=sgd rule=hybrid``."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from gofau.cli.entry import start, task

CONFIGS = Path(__file__).parent / "configs"


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
@task
def main(cfg: DictConfig) -> float:
    from gofau.cli.run import run

    return run(cfg)


if __name__ == "__main__":
    start(main)
