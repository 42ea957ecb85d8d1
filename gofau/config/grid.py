"""Expands a sweep to the configurations of its runs, without running them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import open_dict

from gofau.config.arms import expand
from gofau.config.composer import Composer
from gofau.config.schema import Config, settle


def grid(configs: Path, overrides: Sequence[str]) -> Iterator[tuple[dict[str, str], Config]]:
    """Yield the runs that ``python train.py -m OVERRIDES`` would carry out.

    Args:
        configs: the folder of configs.
        overrides: as typed. They may hold sweeps (``seed=0,1``), and an experiment with its own
            grid: axes (``hydra.sweeper.params``), which typed ones replace, and arms
            (``hydra.sweeper.arms``, see `gofau.config.arms`).

    Yields:
        The keys that vary with their values, and the settled configuration, for each run.
    """
    GlobalHydra.instance().clear()  # Hydra allows one initialisation at a time
    with initialize_config_dir(str(configs.resolve()), version_base="1.3"):
        parser = OverridesParser.create()
        last = {o.key_or_group: o for o in parser.parse_overrides([*overrides])}
        typed = [*last.values()]
        first = [o.input_line or "" for o in typed if not o.is_sweep_override()]
        loader = Composer(GlobalHydra.instance().config_loader().get_search_path())
        whole = loader.load_configuration(
            "train", [line for line in first if line], RunMode.MULTIRUN
        )
        sweeper = whole.hydra.sweeper
        runs = expand(parser, sweeper.params or {}, sweeper.get("arms"), typed)
        fixed = set.intersection(*map(set, runs))
        for run in runs:
            config = loader.load_sweep_config(whole, run)
            with open_dict(config):
                del config["hydra"]
            point = dict(word.partition("=")[::2] for word in run if word not in fixed)
            yield point, settle(config)
