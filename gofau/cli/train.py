"""Train one network, or a sweep of them: the command of ``train.py`` and ``gofau train``."""

import hydra
from omegaconf import DictConfig

from gofau.cli.entry import task
from gofau.config.hydras import MAIN
from gofau.config.place import configs


@hydra.main(config_path=str(configs()), config_name="train", **MAIN)
@task
def main(cfg: DictConfig) -> float:
    """Carry out one run of the command; see `gofau.cli.run.run`."""
    from gofau.cli.run import run

    return run(cfg)
