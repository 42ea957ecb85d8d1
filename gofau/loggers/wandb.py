"""Weights & Biases. Offline by default: files in ``<run>/wandb``, which ``wandb sync`` uploads."""

import secrets
from pathlib import Path
from typing import Any, Literal, final

import wandb

from gofau.loggers.base import Logger, Metrics
from gofau.runs import State, science, write_whole

GIVE_UP = 300.0
"""Seconds to wait for uploads at the end of a run; what is not uploaded stays on disk."""


@final
class WandB(Logger):
    """One W&B run for one run: its name is the folder's, its configuration the scientific one.

    The W&B run's id is kept in ``<run>/wandb-id``, so that a resumed run goes on in the same one.
    A key is read by W&B itself (``wandb login`` or ``WANDB_API_KEY``) and never seen here.

    Args:
        config: the settled configuration.
        folder: the run's folder.
        resume: continue the W&B run that is there, rather than begin another.
        group: W&B's group; None for that of all runs that differ only in seed and hyperparameters.
        mode: "offline", "online" or "disabled".
        more: ``project``, ``entity`` and ``tags``, as `wandb.init` takes them.
    """

    def __init__(
        self,
        *,
        config: dict[str, Any],
        folder: Path,
        resume: bool,
        group: str | None = None,
        mode: Literal["offline", "online", "disabled"] = "offline",
        **more: Any,
    ) -> None:
        kept = folder / "wandb-id"
        known = resume and kept.exists()
        folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            **more,
            mode=mode,
            group=group or folder.name.rsplit("-", 2)[0],
            name=folder.name,
            id=kept.read_text(encoding="utf-8") if known else secrets.token_hex(6),
            resume="allow",
            reinit="create_new",  # the runs of a sweep may share a process, or a notebook's own run
            config=science(config),
            dir=str(folder),
            save_code=False,
            settings=_settings(mode),
        )
        write_whole(kept, self._run.id)

    def log(self, row: Metrics, step: int) -> None:
        self._run.log(dict(row), step=step)

    def finish(self, state: State, result: Metrics) -> None:
        code = {"done": 0, "diverged": 0, "interrupted": 130}.get(state, 1)
        try:
            self._run.summary.update({"state": state, **result})
        finally:
            self._run.finish(exit_code=code)


def _settings(mode: str) -> wandb.Settings:
    """W&B does not capture the output. Online it says where the run can be seen; offline,
    nothing."""
    settings = wandb.Settings(console="off", quiet=True, silent=mode != "online")
    if hasattr(settings, "finish_timeout"):  # not in the oldest version that pyproject.toml allows
        settings.finish_timeout = GIVE_UP
    return settings
