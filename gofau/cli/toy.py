"""An experiment in two variables: the command of ``python -m gofau.toy`` and ``gofau toy``."""

import hydra
from omegaconf import DictConfig

from gofau.cli.entry import task
from gofau.config.hydras import MAIN
from gofau.config.place import configs


@hydra.main(config_path=str(configs()), config_name="toy", **MAIN)
@task
def main(cfg: DictConfig) -> float:
    """Carry out the experiment, or one run of a sweep of them."""
    from gofau.toy.study import run  # imports torch: not for --help

    return run(cfg)
