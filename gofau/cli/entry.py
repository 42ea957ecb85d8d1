"""The command line: what is typed wrong ends in one sentence and exit code 2."""

import errno
import importlib
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig, OmegaConf

from gofau.engine.hardware import has_gpu
from gofau.errors import UserError, nearest
from gofau.runs.invocation import begin, note_failure

FULL = "HYDRA_FULL_ERROR"
TRACEBACKS = os.environ.get(FULL) == "1"
"""Whether the user asked for tracebacks."""
UNWRITABLE = (errno.EEXIST, errno.ENOTDIR, errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
LOST = ("UncompletedJobError", "TerminatedWorkerError")
"""What submitit and joblib raise when the process of a run was killed. By name: they may not be
installed."""


def jobs() -> int:
    """How many runs of a sweep go on at once, where nothing else is said: ``GOFAU_JOBS``, else one
    per core, else (a GPU, or processes that train together) one."""
    given = os.environ.get("GOFAU_JOBS", "")
    if given:
        if not given.isdigit() or given == "0":
            raise UserError(f"GOFAU_JOBS must be a whole number ≥ 1, got {given!r}")
        return int(given)
    if "TORCHELASTIC_RUN_ID" in os.environ or has_gpu():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Hydra looks for plugins in every folder `hydra_plugins` of the path.
sys.path.append(str(Path(__file__).parent / "plugins"))
OmegaConf.register_new_resolver("gofau.jobs", jobs, replace=True)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Around a ``hydra.main``: exit with 2 and one sentence on stderr where the user's input is at
    fault, with 130 after Ctrl-C. Bugs keep their traceback; with HYDRA_FULL_ERROR=1 all do.

    Hydra prints its own errors and exits with 1, unless that variable is set: so it is set here,
    and what passes is translated.
    """
    begin()
    if TRACEBACKS:
        yield
        return
    os.environ[FULL] = "1"
    try:
        yield
    except KeyboardInterrupt:
        print("Interrupted; what was done is kept. Type the command again to go on.")
        sys.exit(130)
    except Exception as e:
        if type(e).__name__ in LOST:
            print(f"error: {_lost(e)}", file=sys.stderr)
            sys.exit(1)
        sentence = explain(e)
        if sentence is None:
            raise
        _fail(sentence)
    finally:
        del os.environ[FULL]


def task(function: Callable[[DictConfig], float]) -> Callable[[DictConfig], float]:
    """Around the function that ``hydra.main`` calls: what goes wrong in a single run ends here,
    before Hydra adds a line of its own; in a sweep it is written down and the others go on."""
    _register_sweeper()

    @wraps(function)
    def quiet(cfg: DictConfig) -> float:
        try:
            return function(cfg)
        except Exception as e:
            if TRACEBACKS:
                raise
            if _in_a_sweep():
                return _note(cfg, e)
            if isinstance(e, UserError):
                _fail(_closed(str(e)))
            raise

    return quiet


def _register_sweeper() -> None:
    """Hydra looks for plugins once a process, which may have been before our folder was there."""
    from hydra.core.plugins import Plugins

    sweeper = importlib.import_module("hydra_plugins.gofau_sweeper")
    Plugins.instance().register(sweeper.AxesSweeper)


def _in_a_sweep() -> bool:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.get().mode is not RunMode.RUN


def _note(cfg: DictConfig, error: Exception) -> float:
    from hydra.core.hydra_config import HydraConfig

    sentence = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    sentence = _closed(" ".join(sentence.split()))
    what = " ".join(HydraConfig.get().overrides.task)
    if note_failure(cfg.paths.runs_dir, what, sentence, isinstance(error, UserError)):
        print(f"failed: {what}: {sentence}", file=sys.stderr, flush=True)
    return math.nan


def _fail(sentence: str) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def _lost(error: Exception) -> str:
    state = re.search(r"state: (\w+)", str(error))
    how = f" ({state[1]})" if state else ""
    return (
        f"a process of this sweep was killed{how}; what was done is kept. Type the command again"
        " to go on."
    )


def explain(error: BaseException) -> str | None:
    """The sentence for an error of the user's making; None for one of ours."""
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, UserError):
        return _closed(str(error))
    if isinstance(error, MissingConfigException) and error.options is not None:
        return _no_option(error.missing_cfg_file or "", error.options)
    if isinstance(error, OSError) and error.errno in UNWRITABLE and error.filename:
        return f"{error.filename} cannot be written: {error.strerror}."
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return _closed(_hydra(error))
    if str(error).startswith("Config group override must be a string"):  # Hydra's own ValueError
        return "A group cannot be null: ~NAME on the command line leaves it out (as in ~tuned)."
    return None


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


def _closed(sentence: str) -> str:
    sentence = sentence.strip()
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."
