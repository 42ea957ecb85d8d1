"""Checks which sections and keys a configuration has. Their values are checked by
`gofau.config.schema`."""

from collections.abc import Collection
from typing import Any

from gofau.config.domains import NAME, TEXT
from gofau.config.keys import BUILT, CHECKS
from gofau.errors import UserError, no_key

NAMED = (*BUILT, "init", "rule", "stepsize", "post_step")
"""Sections with a name: they are chosen by ``section=name``."""
CLOSED = ("trainer", "trainer.checkpoint", "sweep", "init")
"""Sections that only gofau reads, so that it knows all of their keys. Of others a file of the user
may have more, for a part of the user's own."""
SEARCH = (
    *("name", "trial", "shift", "lr", "eta_in", "gamma", "hyp_beta", "ham_alpha"),
    *("arms", "lr_factor"),
)
GLOBAL = ("experiment", "debug", "tuned", "budget")
"""Groups whose files set keys of other sections."""


def check_sections(config: dict[str, Any]) -> None:
    """Check that a configuration has all sections and keys that a run needs, and none that nothing
    reads.

    Raises:
        UserError: one is missing, unknown, or no section.
    """
    _refuse_ignored(config)
    for key in ("seed", *(key for key in CHECKS if "." not in key)):
        if key not in config:
            raise UserError(f"{key} is required: give {key}=…")
    for section in (*NAMED, "trainer", "sweep", "paths"):
        _section(config, section)
    for section in NAMED:
        _check_named(section, config[section])
    for section in CLOSED:
        where = section.split(".")
        given = _section(config if len(where) == 1 else config[where[0]], section)
        keys = keys_of(section) if section != "init" else ["name", *keys_of(section)]
        _only(given, section, keys)
        for key in keys:
            _needs(given, section, key)
    for key in keys_of("paths"):
        _needs(config["paths"], "paths", key)
    if "augment" in config["dataset"] and str(config["problem"]["_target_"]).startswith("gofau."):
        section = "dataset.augment"
        _only(_section(config["dataset"], section), section, keys_of(section))
    if config.get("search") is not None:
        _only(_section(config, "search"), "search", SEARCH)


def keys_of(section: str) -> list[str]:
    """The keys of a section that have a check, in the order of the table."""
    below = [key.removeprefix(f"{section}.") for key in CHECKS if key.startswith(f"{section}.")]
    return list(dict.fromkeys(key.partition(".")[0] for key in below))


def _section(parent: dict[str, Any], section: str) -> dict[str, Any]:
    name = section.rpartition(".")[2]
    if name not in parent:
        raise UserError(f"{section} is required: give {section}=…")
    if not isinstance(parent[name], dict):
        keys = ", ".join(keys_of(section))
        hint = f" with {keys}" if keys else ""
        raise UserError(f"{section} must be a section{hint}, got {parent[name]!r}")
    return parent[name]


def _check_named(section: str, given: dict[str, Any]) -> None:
    if section in BUILT and not TEXT.accepts(given.get("_target_")):
        # Where a file lacks its package, the sections that it sets are inside its own.
        inside = [key for key in given if key in (*NAMED, "trainer")]
        raise UserError(
            f"{section}: its file needs '# @package _global_' as its first line, or its"
            f" {', '.join(inside)} has no effect"
            if inside
            else f"{section}._target_ must be the import name of a class or function, got"
            f" {given.get('_target_')!r}"
        )
    _needs(given, section, "name")
    if not NAME.accepts(given["name"]):
        raise UserError(NAME.sentence(f"{section}.name", given["name"]))


def _needs(given: dict[str, Any], section: str, key: str) -> None:
    if key not in given:
        raise UserError(f"{section}.{key} is required: give {section}.{key}=…")


def _only(given: dict[str, Any], section: str, keys: Collection[str]) -> None:
    for key in given:
        if key not in keys:
            raise UserError(no_key(f"{section}.{key}", keys))


def _refuse_ignored(config: dict[str, Any]) -> None:
    for group in GLOBAL:
        if config.get(group):
            keys = ", ".join(config[group]) if isinstance(config[group], dict) else config[group]
            raise UserError(
                f"{group}: its file needs '# @package _global_' as its first line, or what it sets"
                f" ({keys}) has no effect"
            )
