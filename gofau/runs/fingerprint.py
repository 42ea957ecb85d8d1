"""Fingerprints: hashes of the code of a configuration's parts, and of the content of its data.

The identity of a run says what was asked for; its fingerprints say what that meant when the run was
made. If they differ from today's, the same configuration would give another run.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from gofau.errors import UserError, nearest
from gofau.runs.modules import find, text_of
from gofau.runs.sources import Missing, digest, hashed

DATA = "data"
CODE = (
    *("problem", "model", "init", "optimizer", "rule", "stepsize", "post_step"),
    "scheduler",
)
"""Sections that are fingerprinted by their code. For the dataset only the content counts."""
STEP = "gofau.optim.update.update"
"""The statement that joins a direction, a step size and a rule."""
AFTER = "gofau.optim.post_steps.after"
"""The statement that applies a post step."""
INIT = "gofau.models.init.initialise"
LIBRARY = "gofau.optim"
NOTHING = {"init": "default", "stepsize": "base", "post_step": "none"}
"""Section → the name that changes nothing, and so has no code."""


def fingerprint(config: dict[str, Any], data: str | None = None) -> dict[str, str]:
    """Today's fingerprints: part of the configuration → hash. A part without its own code
    (``init=default``) has none.

    Args:
        config: the resolved configuration.
        data: the hash of the data's content, if known.

    Raises:
        UserError: a ``_target_`` does not exist.
    """
    found = {section: _of(section, config.get(section) or {}) for section in CODE}
    return {key: value for key, value in (found | {DATA: data}).items() if value is not None}


def changed(record: dict[str, Any], today: dict[str, str]) -> list[str]:
    """The parts that have changed since the record was made.

    >>> changed({"rule": "1", "model": "2"}, {"rule": "1", "model": "3", "data": "4"})
    ['model']
    """
    return [part for part, value in today.items() if record.get(part, value) != value]


def _of(section: str, config: dict[str, Any]) -> str | None:
    names = sorted(targets(config))
    for target in names:
        check_target(section, target)
    if names:
        return digest([*names, STEP] if section == "optimizer" else names)
    name = config.get("name")
    if not isinstance(name, str) or name == NOTHING.get(section):
        return None
    return digest([INIT]) if section == "init" else _registered(section, name)


def targets(value: Any) -> Iterator[str]:
    """The import names (``_target_``) in a part of a configuration, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("_target_"), str):
            yield value["_target_"]
        for inner in value.values():
            yield from targets(inner)


def check_target(section: str, target: str) -> None:
    """Check that the import name of a section's part exists, without importing it.

    Raises:
        UserError: it does not.
    """
    try:
        digest([target])
    except Missing as e:
        where, _, name = target.rpartition(".")
        module = find(where) if where else None
        hint = nearest(name, module.bound) if module is not None else ""
        raise UserError(f"{section}._target_: there is no {target}.{hint}") from e


def _registered(section: str, name: str) -> str | None:
    """The hash of what is registered under a name: in the library's files, else by the user."""
    statement = [AFTER] * (section == "post_step")
    for module, words in _registrations().items():
        if (section, name) in words:
            return digest([f"{module}.{words[section, name]}", *statement])
    registry = sys.modules.get(f"{LIBRARY}.registry")  # registering a rule imports it
    known = {"rule": "RULES", "post_step": "POST_STEPS"}.get(section, "")
    rule = getattr(registry, known, {}).get(name)
    if rule is None:
        return None
    from gofau.runs.functions import digest_function

    own = digest_function(rule.xi)
    return hashed([own, digest(statement)]) if statement else own


@cache
def _registrations() -> dict[str, dict[tuple[str, str], str]]:
    """Module of the library → (section, name) → the registered function or class, found by
    decorators such as ``@register_rule("hybrid")``."""
    library = find(LIBRARY)
    files = sorted(library.path.parent.glob("*.py")) if library is not None else []
    return {f"{LIBRARY}.{path.stem}": dict(_decorated(path)) for path in files}


def _decorated(path: Path) -> Iterator[tuple[tuple[str, str], str]]:
    for statement in ast.parse(text_of(path)).body:
        for call in getattr(statement, "decorator_list", []):
            function, arguments = getattr(call, "func", None), getattr(call, "args", [])
            word = getattr(function, "id", getattr(function, "attr", ""))
            if word.startswith("register_") and arguments and isinstance(statement, _DEFINITIONS):
                name = getattr(arguments[0], "value", None)
                if isinstance(name, str):
                    yield (word.removeprefix("register_"), name), statement.name


_DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
