"""Wraps every command: a mistake of the user ends in one sentence and exit code 2."""

import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

from gofau.cli.explain import closed, explain, explain_killed
from gofau.errors import UserError
from gofau.runs.events import muted, note, of_run
from gofau.runs.invocation import begin, note_failure

if TYPE_CHECKING:
    from omegaconf import DictConfig

FULL = "HYDRA_FULL_ERROR"
"""Hydra's environment variable with which a user asks for tracebacks."""
OURS = "GOFAU_CATCHES_ERRORS"
"""Set together with `FULL` if `one_sentence` set that, not the user. Worker processes inherit
both."""


@contextmanager
def one_sentence() -> Iterator[None]:
    """Run a command: if the user's input is at fault, exit with code 2 and one sentence on stderr;
    after Ctrl-C, exit with 130. Bugs keep their traceback; with HYDRA_FULL_ERROR=1 all errors
    do."""
    begin()
    if _tracebacks():
        yield
        return
    # Without this variable Hydra prints errors itself, over several lines, and exits with 1.
    os.environ |= {FULL: "1", OURS: "1"}
    try:
        yield
    except KeyboardInterrupt:
        print("Interrupted; finished work is kept. Type the command again to resume.")
        sys.exit(130)
    except BrokenPipeError:
        # What reads the output has ended, as in `gofau runs status | head`. Python would try again
        # when it exits, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Exception as e:
        killed = explain_killed(e)
        if killed is not None:
            _fail(killed, code=1)
        sentence = explain(e)
        if sentence is None:
            raise
        _fail(sentence)
    finally:
        # For callers in the same process, such as tests: nothing of the command may remain.
        for name in (FULL, OURS):
            os.environ.pop(name, None)  # `gofau train` is a command within a command


def start(main: Callable[[], Any]) -> None:
    """Carry out a command whose configuration Hydra composes.

    Args:
        main: a function decorated by ``hydra.main``, around one decorated by `task`.
    """
    # These import Hydra, which gofau.runs does not need.
    from gofau.cli.plugins import extend
    from gofau.cli.words import ordered

    with one_sentence():
        sys.argv[1:] = ordered(sys.argv[1:])
        extend()
        main()


def task(function: "Callable[[DictConfig], float]") -> "Callable[[DictConfig], float]":
    """Decorate the function that ``hydra.main`` calls. An error in a single run ends the command
    before Hydra prints its own line; an error in a run of a sweep is recorded, and the other runs
    go on."""

    @wraps(function)
    def guarded(cfg: "DictConfig") -> float:
        if in_a_sweep():
            return _of_a_sweep(function, cfg)
        try:
            _check_command(cfg)  # a sweep is checked before its first run, by `preflight`
            return function(cfg)
        except Exception as e:
            if _tracebacks():
                raise
            sentence = explain(e)
            if sentence is not None:  # now, as Hydra would print a line of its own first
                _fail(sentence)
            raise

    return guarded


def _of_a_sweep(function: "Callable[[DictConfig], float]", cfg: "DictConfig") -> float:
    from hydra.core.hydra_config import HydraConfig

    with of_run(HydraConfig.get().job.num):
        note(state="running")
        try:
            return function(cfg)
        except Exception as e:
            if _tracebacks():
                raise
            if "paths" in cfg:  # the toy experiments have no runs folder
                return _note(cfg, e)
            sentence = explain(e)
            if sentence is not None:
                _fail(sentence)
            raise
        except BaseException:  # Ctrl-C, or a job scheduler's signal
            note(state="interrupted")
            raise


def _tracebacks() -> bool:
    """Whether the user asked for tracebacks."""
    return os.environ.get(FULL) == "1" and OURS not in os.environ


def in_a_sweep() -> bool:
    """Whether the run belongs to a sweep."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.get().mode is not RunMode.RUN


def _check_command(cfg: "DictConfig") -> None:
    """Check what was typed, beyond what Hydra checks."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    from gofau.config.typed import check_single, check_typed, without_effect

    hydra: Any = HydraConfig.get()
    loader: Any = GlobalHydra.instance().config_loader()
    check_single(hydra)
    check_typed(cfg, hydra, loader.repository)
    if sentence := without_effect(cfg, hydra):
        print(f"note: {sentence}", file=sys.stderr)


def _note(cfg: "DictConfig", error: Exception) -> float:
    """Record that a run of a sweep failed; NaN is its objective for an optimizing sweeper."""
    from hydra.core.hydra_config import HydraConfig

    sentence = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    sentence = closed(" ".join(sentence.split()))
    overrides = " ".join(HydraConfig.get().overrides.task)
    first = note_failure(cfg.paths.runs_dir, overrides, sentence, isinstance(error, UserError))
    line = f"failed: {overrides}: {sentence}"
    note(state="failed", line=line, failure=sentence)
    if first and not muted():
        print(line, file=sys.stderr, flush=True)
    return math.nan


def _fail(sentence: str, code: int = 2) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(code)
