"""The configurations of a sweep's runs, at 6 ms each where Hydra takes 85.

Most runs of a sweep differ from another in values (``seed=3``, ``optimizer.lr=0.1``) and not in the
choice of groups (``model=resnet8``). A choice is composed by Hydra, once a process; the values are
then set in a copy, as Hydra would have set them.
"""

import copy

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

_composed: dict[tuple[str, ...], DictConfig] = {}
"""Of the process, not of a loader: joblib hands a loader of its own to every run."""


class Composer(ConfigLoaderImpl):
    """Hydra's loader of configurations, quick where one has been loaded that differs in values.

    Args:
        config_search_path: of the loader whose place it takes (``loader.get_search_path()``).
    """

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """The configuration of one run.

        Args:
            master_config: what the command line says without the sweep.
            sweep_overrides: the words of this run, as typed.
        """
        words = OverridesParser.create().parse_overrides(sweep_overrides)
        values: list[Override] = []
        choices: list[Override] = []
        for word in words:
            (values if self._is_value(word) else choices).append(word)
        if any(self._reorders(word) for word in choices):
            return super().load_sweep_config(master_config, sweep_overrides)
        config = copy.deepcopy(self._chosen(master_config, choices))
        self._apply_overrides_to_config(values, config)
        ours = [word for word in words if not word.is_hydra_override()]
        config.hydra.overrides.task = [word.input_line for word in ours]
        named = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            ours, exclude_keys=named.exclude_keys, item_sep=named.item_sep, kv_sep=named.kv_sep
        )
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

    def _chosen(self, master: DictConfig, choices: list[Override]) -> DictConfig:
        words = [word.input_line or "" for word in choices]
        places = [source.path for source in self.repository.get_sources()]
        hydras = [*master.hydra.overrides.hydra]
        key = (master.hydra.job.config_name, *places, *hydras, *words)
        if key not in _composed:
            _composed[key] = super().load_sweep_config(master, words)
        return _composed[key]

    def _is_value(self, word: Override) -> bool:
        """Whether it sets a value that is there, and nothing else."""
        plain = word.type == OverrideType.CHANGE and word.package is None
        ours = not word.is_hydra_override() and not word.is_sweep_override()
        return plain and ours and not self._is_choice(word)

    def _reorders(self, word: Override) -> bool:
        """Whether it makes a difference that it comes before all values."""
        return (word.is_add() or word.is_delete()) and not self._is_choice(word)

    def _is_choice(self, word: Override) -> bool:
        """Of a group, which may also be given values: ``sweep={minutes: 3}``."""
        values = isinstance(word.value(), dict)
        return self.repository.group_exists(word.key_or_group) and not values
