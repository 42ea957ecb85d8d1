"""Expands a sweep to the configurations of its runs, without running them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import open_dict

from gofau.config.axes import overrides as as_overrides
from gofau.config.axes import points
from gofau.config.composer import Composer
from gofau.config.schema import Config, settle


def grid(configs: Path, overrides: Sequence[str]) -> Iterator[tuple[dict[str, str], Config]]:
    """Yield the runs that ``python train.py -m OVERRIDES`` would carry out.

    Args:
        configs: the folder of configs.
        overrides: as typed. They may hold sweeps (``seed=0,1``), and an experiment with its own
            grid (`gofau.config.axes`).

    Yields:
        The swept keys with their values, and the settled configuration, for each run.
    """
    GlobalHydra.instance().clear()  # Hydra allows one initialisation at a time
    with initialize_config_dir(str(configs.resolve()), version_base="1.3"):
        parser = OverridesParser.create()
        typed = parser.parse_overrides([*overrides])
        first = [o.input_line or "" for o in typed if not o.is_sweep_override()]
        loader = Composer(GlobalHydra.instance().config_loader().get_search_path())
        whole = loader.load_configuration(
            "train", [line for line in first if line], RunMode.MULTIRUN
        )
        sweeper = whole.hydra.sweeper
        fixed, swept = points(parser, sweeper.params or {}, sweeper.get("arms") or [], overrides)
        for point in swept:
            config = loader.load_sweep_config(whole, as_overrides(fixed | point))
            with open_dict(config):
                del config["hydra"]
            yield point, settle(config)
