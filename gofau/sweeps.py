"""What a sweep consists of: the configuration of each of its runs, without running any."""

import copy
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from gofau.config import Config, settle


def grid(configs: Path, words: Sequence[str]) -> Iterator[tuple[dict[str, str], Config]]:
    """The runs that ``python train.py -m WORDS`` would do.

    Args:
        configs: the folder of configs.
        words: overrides as typed, sweeps (``seed=0,1``) and experiments with a grid of their own
            (``hydra.sweeper.params``) among them; a typed sweep replaces the experiment's.

    Yields:
        What varies, as {key: value}, and the settled configuration.
    """
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(configs.resolve()), version_base="1.3"):
        parser = OverridesParser.create()
        typed = {o.key_or_group: o for o in parser.parse_overrides([*words])}
        first = [o.input_line or "" for o in typed.values() if not o.is_sweep_override()]
        whole = compose("train", [w for w in first if w], return_hydra_config=True)
        params = [f"{k}={v}" for k, v in (whole.hydra.sweeper.params or {}).items()]
        every = {o.key_or_group: o for o in parser.parse_overrides(params)} | typed
        fixed = [o.input_line or "" for o in every.values() if not o.is_sweep_override()]
        swept = {key: o for key, o in every.items() if o.is_sweep_override()}
        groups = [key for key in swept if (configs / key).is_dir()]
        composed: dict[tuple[str, ...], DictConfig] = {}
        for values in product(*(o.sweep_string_iterator() for o in swept.values())):
            point = dict(zip(swept, values, strict=True))
            choice = tuple(f"{key}={point[key]}" for key in groups)
            if choice not in composed:
                composed[choice] = compose("train", [*fixed, *choice])
            # Composing takes 75 ms, setting a value in what was composed next to nothing.
            config = copy.deepcopy(composed[choice])
            for o in parser.parse_overrides([f"{k}={v}" for k, v in point.items()]):
                if o.key_or_group not in groups:
                    OmegaConf.update(config, o.key_or_group, o.value(), merge=True)
            yield point, settle(config)
