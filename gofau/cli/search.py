"""``hydra/sweeper=optuna``: a search for hyperparameters, whose trials are ordinary runs.

The records of the runs are the memory of a search; it has no other. What is proposed follows from
the seed, the number of the trial and the results of the trials before it. So the same command
proposes the same trials: those that are done return their results at once, and the search goes on
where it was interrupted. A result of other code is not reused, as everywhere.
"""

import hashlib
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from gofau.cli.preflight import preflight, settled
from gofau.cli.space import Space, space
from gofau.cli.sweeper import AxesSweeper
from gofau.cli.watch import Watch
from gofau.config.schema import Config
from gofau.errors import UserError, nearest
from gofau.runs import FINISHED, Run
from gofau.runs.committed import committed
from gofau.runs.contents import known
from gofau.runs.events import of_run
from gofau.runs.fingerprint import fingerprint
from gofau.runs.invocation import deadline
from gofau.runs.outcome import finished, metric

SAMPLERS = {"tpe": "TPESampler", "random": "RandomSampler"}
LOWEST = (("trials", 1), ("batch", 1), ("seed", 0))
"""The keys that are whole numbers, with the lowest that is allowed."""


class OptunaSweeper(AxesSweeper):
    """Searches for the hyperparameters with the best metric on the validation split, in the
    direction of the problem's metric. ``seed=0,1,2`` is not searched: each trial is run with every
    seed, and judged by the mean.

    Args:
        trials: number of trials in all.
        batch: trials proposed at a time. It is part of the search: with another number of processes
            the same trials are proposed, with another batch others.
        sampler: ``tpe`` or ``random``.
        seed: of the sampler.
        more: the keys of Hydra's basic sweeper; ``params`` may hold the search space.
    """

    def __init__(self, trials: int, batch: int, sampler: str, seed: int, **more: Any) -> None:
        super().__init__(**more)
        self.trials, self.batch, self.sampler, self.seed = trials, batch, sampler, seed

    def setup(self, **context: Any) -> None:
        """Hydra's; it checks the keys, since an error of the constructor would not be shown."""
        for key, low in LOWEST:
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise UserError(
                    f"hydra.sweeper.{key} must be a whole number ≥ {low}, got {value!r}"
                )
        if self.sampler not in SAMPLERS:
            raise UserError(
                f"hydra.sweeper.sampler must be one of {', '.join(SAMPLERS)}, got {self.sampler!r}."
                f"{nearest(self.sampler, SAMPLERS)}"
            )
        super().setup(**context)

    def sweep(self, arguments: list[str]) -> Any:
        """Carry out the search; returns the study."""
        config = self.config
        assert config is not None
        if config.hydra.launcher.get("wait") is False:
            raise UserError("hydra/sweeper=optuna needs the results: not hydra.launcher.wait=false")
        optuna = _optuna()
        found = space(self._overrides(arguments))
        batches = [
            range(first, min(first + self.batch, self.trials))
            for first in range(0, self.trials, self.batch)
        ]
        # Before anything is shown or written; these are the trials that the search begins with.
        for trial in self._ask(optuna.create_study(), found, batches[0]):
            self.check(found.runs(trial.params))
        study = optuna.create_study()  # it minimises: see `_Trials.carry_out`
        total = self.trials * len(found.seeds)
        watch = Watch(config, [], self._header(found), total, "val")
        trials, until = _Trials(self, watch), deadline(config.sweep.minutes)
        with watch:
            for numbers in batches:
                if until is not None and time.time() > until:
                    break
                asked = self._ask(study, found, numbers)
                told = trials.carry_out([found.runs(trial.params) for trial in asked])
                for trial, value in zip(asked, told, strict=True):
                    failed = math.isnan(value)
                    state = optuna.trial.TrialState.FAIL if failed else None
                    study.tell(trial, None if failed else value, state)
        self._show_best(study, found, watch)
        return study

    def _overrides(self, arguments: list[str]) -> list[Override]:
        """Those of an experiment, then those that were typed."""
        assert self.hydra_context is not None
        words = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        return OverridesParser.create(self.hydra_context.config_loader).parse_overrides(words)

    def check(self, runs: Sequence[Sequence[str]]) -> None:
        """Raise a `UserError` for a mistake in these runs."""
        assert self.config is not None
        assert self.hydra_context is not None
        loader: Any = self.hydra_context.config_loader
        preflight(self.config.hydra.launcher["_target_"], runs, self.compose, loader.repository)

    def _ask(self, study: Any, found: Space, numbers: Iterable[int]) -> list[Any]:
        """The trials with these numbers, in the next batch of a study."""
        import optuna

        kind = getattr(optuna.samplers, SAMPLERS[self.sampler])
        asked = []
        for number in numbers:
            study.sampler = kind(seed=_seed(self.seed, number))
            asked.append(study.ask(found.distributions))
        return asked

    def _show_best(self, study: Any, found: Space, watch: Watch) -> None:
        done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
        if done:
            best = min(done, key=lambda trial: trial.value)
            words = found.runs(best.params)[0]
            watch.display.line(f"Best: {' '.join(words[: len(words) - len(found.seeds[0])])}")

    def _header(self, found: Space) -> str:
        assert self.config is not None
        seeds = f" × {len(found.seeds)} seeds" if len(found.seeds) > 1 else ""
        launcher = self.config.hydra.runtime.choices.get("hydra/launcher")
        return (
            f"Search: {self.trials} trials{seeds} of {', '.join(found.distributions)},"
            f" {self.batch} at a time; launcher {launcher}; records in"
            f" {self.config.paths.runs_dir}"
        )


class _Trials:
    """Carries out the runs of trials, and finds out whether higher is better."""

    def __init__(self, sweeper: OptunaSweeper, watch: Watch) -> None:
        self.sweeper, self.watch = sweeper, watch
        self.higher: bool | None = None

    def carry_out(self, trials: Sequence[Sequence[list[str]]]) -> list[float]:
        """For each trial, given by the overrides of its runs, the number to be minimised; NaN where
        a run has failed or did not end."""
        every = [overrides for trial in trials for overrides in trial]
        self.sweeper.check(every)
        runs: dict[str, tuple[list[str], Config]] = {}
        names = []
        for overrides in every:
            config = settled(self.sweeper.compose(overrides))
            if config is None:
                raise UserError("hydra/sweeper=optuna is for runs with records, not for toys")
            names.append(Run(config).folder.name)
            runs.setdefault(names[-1], (overrides, config))
        values = {name: self._value(*run) for name, run in runs.items()}
        missing = [name for name, value in values.items() if value is None]
        values |= zip(missing, self._launch([runs[name][0] for name in missing]), strict=True)
        for name in names:
            self._look_at(runs[name][1])
        sign = -1 if self.higher else 1
        per_trial = iter(names)
        return [sign * _mean(values[next(per_trial)] for _ in trial) for trial in trials]

    def _value(self, overrides: list[str], config: Config) -> float | None:
        """The result of a run that is done; None for one that has to be carried out."""
        with of_run(len(self.watch.runs)):
            value = finished(Run(config), fingerprint(config, known(config["dataset"])))
        if value is not None:
            self.watch.runs.append(overrides)
        return value

    def _launch(self, runs: list[list[str]]) -> list[float]:
        if not runs:
            return []
        first = len(self.watch.runs)
        self.watch.runs += runs
        assert self.sweeper.launcher is not None
        returned = self.sweeper.launcher.launch(runs, initial_job_idx=first)
        return [float(each.return_value) for each in returned]

    def _look_at(self, config: Config) -> None:
        """Learn the direction of the metric from the record of a run."""
        run = Run(config, writes=False)
        status = run.status()
        if status["state"] not in FINISHED and config.get("reuse"):
            _, status = committed(run, Path(config["reuse"]))
        if status.get("state") in FINISHED:
            self.higher = metric(status)["higher_is_better"]


def _mean(values: Iterable[float | None]) -> float:
    known = [math.nan if value is None else value for value in values]
    return sum(known) / len(known)


def _seed(seed: int, number: int) -> int:
    """The seed of one trial's sampler: it must not depend on where the search was interrupted."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4], "big")


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as e:
        raise UserError("hydra/sweeper=optuna needs Optuna: pip install 'gofau[search]'") from e
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
