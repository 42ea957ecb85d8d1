"""Explains an exception that the user's input caused in one sentence."""

import errno
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from gofau.errors import UserError, nearest, no_key

WRITING = (errno.EEXIST, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""Errors that only writing has."""
OF_PATHS = (
    *(*WRITING, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENOENT),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTEMPTY),
)
KILLED = ("UncompletedJobError", "TerminatedWorkerError")
"""The exceptions of submitit and joblib for a killed worker process. By name, since either package
may not be installed."""
PACKAGES = (
    *("hydra", "omegaconf", "torchvision", "numpy", "PIL", "yaml", "sklearn", "rich"),
    *("pandas", "scipy", "matplotlib", "jinja2"),
)
"""What the extras ``gofau[train,report]`` install, by import names. Any other package that is
missing is one that the user's code needs."""
NO_SLURM = 'Could not detect "sbatch"'
SYNTAX = (
    "a word of the command must be KEY=VALUE; a value with spaces or brackets needs quotes inside"
    " those of the shell: 'paths.runs_dir=\"my runs (1)\"'"
)

FUNCTION = re.compile(
    r"=\s*(choice|range|interval|glob|sort|shuffle|tag|extend_list|int|float|str|bool|json_str)\("
)
HYDRAS = {
    r"UserError raised while resolving interpolation: (.*)": r"\1",
    r"Ambiguous value for argument '([^']+)'": (
        r"\1 has several values: add -m to run each of them, or put a list in brackets"
    ),
    r"While dereferencing interpolation '\$\{([\w.]+)\}': Incompatible value 'None'": (
        r"\1 must not be null: another value is made from it"
    ),
    r"In 'experiment/([^']+)': Could not override": (
        r"experiment=\1 is for another command, which its file names:"
        r" configs/experiment/\1.yaml"
    ),
}
"""What Hydra says, and our sentence for it."""


def explain(error: BaseException) -> str | None:
    """The sentence for an error that the user's input caused; None for a bug of ours."""
    if isinstance(error, UserError):
        return closed(str(error))
    if isinstance(error, ModuleNotFoundError) and error.name in PACKAGES:
        return f"this needs the package {error.name}: pip install 'gofau[train,report]'."
    if isinstance(error, OSError) and error.errno in OF_PATHS and error.filename:
        return _path(error)
    if type(error).__name__ == "FailedJobError" or str(error).startswith(NO_SLURM):
        return closed(f"Slurm does not take the job: {_last_line(error)}")
    if "hydra" not in sys.modules:  # then it is not Hydra's error; Hydra may not be installed
        return None
    return _of_configuration(error)


def _of_configuration(error: BaseException) -> str | None:
    import yaml
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, yaml.MarkedYAMLError):
        return _yaml(error)
    if isinstance(error, MissingConfigException) and error.options is not None:
        return _no_option(error.missing_cfg_file or "", error.options)
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return closed(_hydra(error))
    if str(error).startswith("Config group override must be a string"):  # Hydra's own ValueError
        if not str(error).endswith("NoneType"):
            return "A group is chosen by the name of one of its files, as in optimizer=adam."
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


def _path(error: OSError) -> str:
    """Says which of reading and writing failed, where that is certain."""
    path = error.filename
    if error.errno in WRITING or _was_making_a_folder(error):
        what = "written"
    elif error.errno == errno.ENOENT and os.path.isdir(os.path.dirname(path) or "."):
        return f"there is no {path}."
    elif error.errno in (errno.EACCES, errno.EPERM) and os.path.exists(path):
        what = "written" if os.access(path, os.R_OK) else "read"
    else:
        what = "opened"
    return f"{path} cannot be {what}: {error.strerror}."


def _was_making_a_folder(error: OSError) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_name in ("mkdir", "makedirs")


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


def _yaml(error: Any) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{mark.name}, line {mark.line + 1}" if mark else "a file of the configuration"
    return closed(f"{where}: this is not YAML ({error.problem or error.context})")


def _no_option(missing: str, options: Sequence[str]) -> str:
    group, _, name = missing.rpartition("/")
    known = ", ".join(options)
    return f"{group}={name}: there is no such {group} (there is: {known}).{nearest(name, options)}"


def _unreadable(word: str) -> str:
    if function := FUNCTION.search(word):
        name = function[1]
        return f"'{word}': Hydra reads {name}(…) as a call of its own, and this one is not valid"
    return f"'{word}' cannot be read: {SYNTAX}"


def _hydra(error: Exception) -> str:
    cause = error.__cause__ or error
    text = " ".join((str(error).strip() or str(cause)).split())
    override = re.match(r"Could not override '([^']+)'", text)
    parent = getattr(cause, "parent_node", None)
    if override and parent is not None:
        return no_key(override[1], [str(key) for key in parent])
    if type(error).__name__ == "OverrideParseException":
        return _unreadable(str(getattr(error, "override", "")))
    if text.startswith("Error merging override"):  # Hydra leaves out why
        return f"{text.rstrip('.')}: {str(cause).splitlines()[0]}"
    gone = re.match(r"Could not delete from config. '([^']+)' does not exist", text)
    if gone:
        return f"~{gone[1]}: there is no such key, or it is null already"
    for pattern, sentence in HYDRAS.items():
        if found := re.match(pattern, text):
            return found.expand(sentence)
    unresolved = re.match(r"Error resolving interpolation '([^']+)'", text)
    if unresolved:
        groups = " and ".join(re.findall(r"\$\{(\w+)\}", unresolved[1]))
        return f"{groups} must each be the name of one option, which a run needs"
    return text
