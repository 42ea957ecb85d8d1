"""Composes the configurations of a sweep's runs faster than Hydra does.

Most runs of a sweep differ only in values (``seed=3``, ``optimizer.lr=0.1``) and not in the choice
of groups (``model=resnet8``). Hydra composes each choice once per process; the values are then set
in a copy, as Hydra would have set them.
"""

import copy
import pickle
from collections.abc import Callable
from functools import partial

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

_composed: dict[tuple[str, ...], Callable[[], DictConfig]] = {}
"""Choices → a function that returns a new copy of their configuration. One cache per process, not
per loader, since joblib gives every run a new loader."""


class Composer(ConfigLoaderImpl):
    """Hydra's loader of configurations, but faster for a configuration that differs only in values
    from one that was loaded before.

    Args:
        config_search_path: the search path of the loader that it replaces
            (``loader.get_search_path()``).
    """

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """Compose the configuration of one run.

        Args:
            master_config: the configuration of the command line without the sweep.
            sweep_overrides: the overrides of this run, as typed.
        """
        overrides = OverridesParser.create().parse_overrides(sweep_overrides)
        values: list[Override] = []
        choices: list[Override] = []
        for override in overrides:
            (values if self._is_value(override) else choices).append(override)
        # Rare cases are left to Hydra, which is slow but right by definition.
        if any(self._depends_on_order(override) for override in choices):
            return super().load_sweep_config(master_config, sweep_overrides)
        # From here on, what Hydra itself does after composing: sets the values, and notes them.
        config = self._chosen(master_config, choices)()
        self._apply_overrides_to_config(values, config)
        task = [override for override in overrides if not override.is_hydra_override()]
        config.hydra.overrides.task = [override.input_line for override in task]
        if not OmegaConf.is_interpolation(config.hydra.job, "override_dirname"):  # as in Hydra 1.4
            named = config.hydra.job.config.override_dirname
            typed = [o.input_line or "" for o in task if o.key_or_group not in named.exclude_keys]
            dirname = named.item_sep.join(sorted(typed)).replace("=", named.kv_sep)
            config.hydra.job.override_dirname = dirname
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

    def _chosen(self, master: DictConfig, choices: list[Override]) -> Callable[[], DictConfig]:
        lines = [override.input_line or "" for override in choices]
        places = [source.path for source in self.repository.get_sources()]
        hydras = [*master.hydra.overrides.hydra]
        # Everything that the composition depends on, as the cache is shared in the process.
        key = (master.hydra.job.config_name, *places, *hydras, *lines)
        if key not in _composed:
            _composed[key] = copier(super().load_sweep_config(master, lines))
        return _composed[key]

    def _is_value(self, override: Override) -> bool:
        """Whether an override only changes the value of an existing key."""
        plain = override.type == OverrideType.CHANGE and override.package is None
        task = not override.is_hydra_override() and not override.is_sweep_override()
        return plain and task and not self._is_choice(override)

    def _depends_on_order(self, override: Override) -> bool:
        """Whether applying an override before all values may give another result."""
        return (override.is_add() or override.is_delete()) and not self._is_choice(override)

    def _is_choice(self, override: Override) -> bool:
        """Whether an override chooses an option of a group. It can also set a group's values, as in
        ``sweep={minutes: 3}``."""
        values = isinstance(override.value(), dict)
        return self.repository.group_exists(override.key_or_group) and not values


def copier(config: DictConfig) -> Callable[[], DictConfig]:
    """Return a function that copies a configuration: by reading a pickle of it, which takes a sixth
    of the time of a deepcopy. In joblib's workers Hydra has loaded its plugins' classes twice, and
    the configuration of a launcher cannot be pickled."""
    try:
        return partial(pickle.loads, pickle.dumps(config))
    except pickle.PicklingError:
        return partial(copy.deepcopy, config)
