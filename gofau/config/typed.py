"""Checks the overrides of a command: keys that are added or removed, and choices that do not fit.

Hydra refuses to change a key that does not exist, but adds any key (``+foo=1``) and removes any
(``~seed``).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf

from gofau.config.axes import values_of
from gofau.config.keys import CHECKS
from gofau.config.sections import NAMED, keys_of
from gofau.errors import UserError, no_key

TABLES = ("search", "toy", "hydra")
"""Sections that are tables of the user's choice, or are checked by their reader."""
FOR_SWEEPS = ("launcher", "sweeper", "sweep")


def check_typed(cfg: DictConfig, hydra: DictConfig, repository: Any) -> None:
    """Check the overrides with which a configuration was composed.

    Args:
        cfg: the composed configuration.
        hydra: its ``hydra`` section, which Hydra keeps apart while a run is carried out.
        repository: Hydra's, of the files of the configuration (``loader.repository``).

    Raises:
        UserError: an added key is read by nothing, a removed one is needed, or ``tuned`` is of
            another optimizer or rule.
    """
    for override in _parsed(hydra.overrides.hydra):
        part = override.key_or_group.replace("/", ".").split(".")[1]
        if part not in HydraConf.__dataclass_fields__:
            raise UserError(no_key(f"hydra.{part}", HydraConf.__dataclass_fields__))
    choices = hydra.runtime.choices
    for override in _parsed(hydra.overrides.task):
        key = override.key_or_group
        if repository.group_exists(key):
            continue
        if override.is_add() or override.is_force_add():
            _check_added(key, cfg)
        elif override.is_delete():
            _check_removed(key, choices, repository)
        elif override.value() == {} and OmegaConf.select(cfg, key):
            raise UserError(f"{override.input_line} changes nothing: it leaves what is in {key}")
    tuned, pair = choices.get("tuned"), f"{choices.get('optimizer')}-{choices.get('rule')}"
    if tuned is not None and tuned != pair:
        raise UserError(
            f"tuned={tuned} does not fit optimizer={choices.get('optimizer')}"
            f" rule={choices.get('rule')}: leave it out, and their own values are used"
        )


def without_effect(cfg: DictConfig, hydra: DictConfig) -> str:
    """A sentence if a rule, step size or post step was typed for an optimizer that is all of them
    in one; else an empty string. It is no mistake: a sweep gives the same words to all optimizers.
    The arguments are those of `check_typed`."""
    optimizer = cfg.get("optimizer") or {}
    if not optimizer.get("own_rule"):
        return ""
    parts = ("rule", "stepsize", "post_step")
    typed = [o.input_line or "" for o in _parsed(hydra.overrides.task) if o.key_or_group in parts]
    if not typed:
        return ""
    return f"optimizer={optimizer['name']} has a rule of its own: {' '.join(typed)} has no effect"


def check_single(hydra: DictConfig) -> None:
    """Check that a command without ``-m`` asks for no sweep, from the ``hydra`` section.

    Raises:
        UserError: it does.
    """
    typed = {override.key_or_group for override in _parsed(hydra.overrides.task)}
    axes = [*(hydra.sweeper.get("params") or {})]
    for arm in hydra.sweeper.get("arms") or []:
        axes += [key for key in arm if key not in axes]
    axes = [key for key in axes if key not in typed]
    if axes:
        name = hydra.runtime.choices.get("experiment")
        raise UserError(
            f"experiment={name} is a sweep over {', '.join(axes)}: add -m, or give a value of each"
        )
    for override in _parsed(hydra.overrides.hydra):
        part = override.key_or_group.replace("/", ".").split(".")[1]
        if part in FOR_SWEEPS:
            raise UserError(f"{override.input_line} has an effect only on a sweep: add -m")


def check_sweep(overrides: Sequence[Override]) -> None:
    """Check the axes of a sweep.

    Raises:
        UserError: an axis has no value, far too many, or the same one twice; or several experiments
            are asked for, whose grids Hydra would leave out.
    """
    for override in overrides:
        if not override.is_sweep_override():
            continue
        texts = values_of(override)
        values = [_value(text) for text in texts]
        count = Counter(values)
        line = override.input_line
        if not values:
            raise UserError(f"{line} has no values: there is nothing to run")
        for text, value in zip(texts, values, strict=True):
            if count[value] > 1:
                raise UserError(f"{line} has the value {text} more than once")
        if override.key_or_group == "experiment" and len(values) > 1:
            raise UserError(f"{line}: give one experiment per command")


def _parsed(lines: ListConfig) -> list[Override]:
    words: Any = OmegaConf.to_container(lines)  # as typed: interpolations are not resolved
    return OverridesParser.create().parse_overrides(words)


def _value(text: str) -> Any:
    """A value that equals others with the same meaning: 0.1 and 1e-1."""
    try:
        return float(text)
    except ValueError:
        return text


def _check_added(key: str, cfg: DictConfig) -> None:
    section, _, name = key.partition(".")
    roots = [root for root in CHECKS if "." not in root]
    if not name and section in roots:
        return
    # What is added to a part is judged by the part, which is called with its keys.
    if section in (*NAMED, *TABLES, "trainer", "sweep") and name:
        return
    if section == "paths" and name in keys_of("paths"):
        return
    if section == "paths":
        raise UserError(no_key(key, keys_of("paths")))
    raise UserError(no_key(section, [str(known) for known in cfg if known != section]))


def _check_removed(key: str, choices: DictConfig, repository: Any) -> None:
    section, _, name = key.partition(".")
    if not name or section in TABLES:
        return  # a missing section or key is found later
    # Another file may have set a key that this part does not have: that may be removed.
    if name.partition(".")[0] in _keys(repository, section, choices.get(section)):
        raise UserError(f"~{key}: this key is needed: give it a value, {key}=…")


def _keys(repository: Any, group: str, choice: str | None) -> list[str]:
    """The keys of a group that the file of its choice sets; of a section without a group, those
    that have a check."""
    found = repository.load_config(f"{group}/{choice}") if choice else None
    if found is None:
        return keys_of(group)
    content: Any = OmegaConf.to_container(found.config)
    if found.header.get("package") == "_global_":
        content = content.get(group)
    return [*(content or {})]
