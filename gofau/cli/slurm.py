"""Hydra's launcher for Slurm, and a way to submit a sweep without waiting for it."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher import submitit_launcher as plugin
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

from gofau.cli.preflight import is_done, settled
from gofau.errors import UserError
from gofau.runs import Run
from gofau.runs.queue import alive, answers, forget, submitted

OF_EXECUTOR = ("submitit_folder", "max_num_timeout")
"""Keys that submitit takes when its executor is made; the others describe the jobs."""


class SlurmLauncher(plugin.SlurmLauncher):
    """Submits a sweep as one job array, and waits for it; or, with ``wait=false``, submits the runs
    that are neither done nor queued, and returns.

    Args:
        wait: whether to wait for the jobs.
        params: the keys of hydra-submitit-launcher.

    Raises:
        UserError: ``wait`` is not true or false, or Slurm does not answer.
    """

    def __init__(self, wait: bool = True, **params: Any) -> None:
        super().__init__(**params)
        self.wait = wait

    def setup(self, **context: Any) -> None:
        """Hydra's; it checks ``wait``, since an error of the constructor would not be shown."""
        if not isinstance(self.wait, bool):
            raise UserError(f"hydra.launcher.wait must be true or false, got {self.wait!r}")
        super().setup(**context)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Hydra's: carry out these runs; without waiting there is nothing to return."""
        assert self.config is not None
        runs_dir = Path(self.config.paths.runs_dir)
        # Asked first, since sbatch would say it in several lines of its own.
        queued = alive(runs_dir) if answers() else None
        if queued is None:
            raise UserError("Slurm does not answer (squeue): nothing was submitted")
        if self.wait:
            return super().launch(job_overrides, initial_job_idx)
        forget(runs_dir)
        names = [self._name(overrides) for overrides in job_overrides]
        missing: dict[str, tuple[int, Sequence[str]]] = {}
        for number, (name, overrides) in enumerate(zip(names, job_overrides, strict=True)):
            if name is not None and name not in queued:
                missing.setdefault(name, (initial_job_idx + number, overrides))
        notes = [f"{names.count(None)} done already"] if None in names else []
        waiting = sum(name in queued for name in names)
        notes += [f"{waiting} queued already"] if waiting else []
        told = "no job: nothing is missing"
        if missing:
            jobs = self._submit(missing.values())
            array = submitted(runs_dir, dict(zip(missing, jobs, strict=True)))
            told = f"job {array}: {len(missing)} of {len(names)} runs submitted"
        print(f"{', '.join([told, *notes])}; python -m gofau.runs status follows them", flush=True)
        return []

    def _name(self, overrides: Sequence[str]) -> str | None:
        """The folder of a run; None if the run is done."""
        assert self.hydra_context is not None
        assert self.config is not None
        cfg = self.hydra_context.config_loader.load_sweep_config(self.config, [*overrides])
        config = settled(cfg)
        if config is None:
            raise UserError("hydra.launcher.wait=false is for runs with records, not for toys")
        return None if is_done(config) else Run(config, writes=False).folder.name

    def _submit(self, runs: Any) -> list[str]:
        """Submit runs, each a number with overrides, as an array; returns the job of each."""
        import submitit

        general = {field.name for field in fields(BaseQueueConf)}
        first = {f"slurm_{key}": self.params[key] for key in OF_EXECUTOR[1:]}
        executor = submitit.AutoExecutor(
            folder=self.params["submitit_folder"], cluster="slurm", **first
        )
        more = {key: value for key, value in self.params.items() if key not in OF_EXECUTOR}
        executor.update_parameters(
            **{key if key in general else f"slurm_{key}": value for key, value in more.items()}
        )
        state = Singleton.get_state()
        words = [([*o], "hydra.sweep.dir", n, f"job_id_for_{n}", state) for n, o in runs]
        jobs = executor.map_array(self, *zip(*words, strict=True))
        return [job.job_id for job in jobs]
