"""Explains an exception that the user's input caused in one sentence."""

import errno
import re
import sys
from collections.abc import Sequence

from gofau.errors import UserError, nearest

UNWRITABLE = (errno.EEXIST, errno.ENOTDIR, errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
KILLED = ("UncompletedJobError", "TerminatedWorkerError")
"""The exceptions of submitit and joblib for a killed worker process. By name, since either package
may not be installed."""


def explain(error: BaseException) -> str | None:
    """The sentence for an error that the user's input caused; None for a bug of ours."""
    if isinstance(error, UserError):
        return closed(str(error))
    if isinstance(error, OSError) and error.errno in UNWRITABLE and error.filename:
        return f"{error.filename} cannot be written: {error.strerror}."
    if "hydra" not in sys.modules:  # then it is not Hydra's error; Hydra may not be installed
        return None
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, MissingConfigException) and error.options is not None:
        return _no_option(error.missing_cfg_file or "", error.options)
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return closed(_hydra(error))
    if str(error).startswith("Config group override must be a string"):  # Hydra's own ValueError
        return "A group cannot be null: ~NAME on the command line leaves it out (as in ~tuned)."
    return None


def explain_killed(error: BaseException) -> str | None:
    """The sentence for a launcher's error that a worker process was killed; None for others."""
    if type(error).__name__ not in KILLED:
        return None
    state = re.search(r"state: (\w+)", str(error))
    how = f" ({state[1]})" if state else ""
    return (
        f"a process of this sweep was killed{how}; finished work is kept. Type the command again"
        " to resume."
    )


def closed(sentence: str) -> str:
    """Add a full stop, unless the sentence already ends with a mark.

    >>> closed("there is no such rule")
    'there is no such rule.'
    """
    sentence = sentence.strip()
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def _no_option(missing: str, options: Sequence[str]) -> str:
    group, _, name = missing.rpartition("/")
    known = ", ".join(options)
    return f"{group}={name}: there is no such {group} (there is: {known}).{nearest(name, options)}"


def _hydra(error: Exception) -> str:
    cause = error.__cause__ or error
    text = str(error).strip()
    override = re.match(r"Could not override '([^']+)'", text)
    parent = getattr(cause, "parent_node", None)
    if override and parent is not None:
        return _no_key(override[1], [str(key) for key in parent])
    return " ".join((text or str(cause)).split())


def _no_key(key: str, siblings: list[str]) -> str:
    section, _, name = key.rpartition(".")
    where = f"{section} has" if section else "the configuration has"
    hint = nearest(name, siblings)
    return f"{key}: {where} no key '{name}' (it has: {', '.join(siblings)}).{hint}"
