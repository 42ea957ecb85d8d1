"""Logs to Weights & Biases; offline by default, to files in ``<run>/wandb`` for ``wandb sync``."""

import secrets
from pathlib import Path
from typing import Any, Literal, final

import wandb

from gofau.loggers.base import Logger, Metrics
from gofau.runs import State, science, write_whole

GIVE_UP = 300.0
"""Seconds to wait for uploads at the end of a run; the rest stays on disk."""


@final
class WandB(Logger):
    """One W&B run per run, with the name of the run's folder and the scientific configuration.

    The id of the W&B run is kept in ``<run>/wandb-id``, so that a resumed run continues it. The API
    key is read by W&B itself (``wandb login`` or ``WANDB_API_KEY``), never by gofau.

    Args:
        config: the settled configuration.
        folder: the run's folder.
        resume: continue the existing W&B run instead of starting another.
        group: W&B's group; None: one group for all runs that differ only in seed and
            hyperparameters.
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
            reinit="create_new",  # a process may have several runs: of a sweep, or a notebook's
            config=science(config),
            dir=str(folder),
            save_code=False,
            settings=_settings(mode),
        )
        write_whole(kept, self._run.id)  # after init, so that the id is of a run that exists

    def log(self, row: Metrics, step: int) -> None:
        self._run.log(dict(row), step=step)

    def finish(self, state: State, result: Metrics) -> None:
        code = {"done": 0, "diverged": 0, "interrupted": 130}.get(state, 1)
        try:
            self._run.summary.update({"state": state, **result})
        finally:
            self._run.finish(exit_code=code)


def _settings(mode: str) -> wandb.Settings:
    """Settings with which W&B does not capture the output. It prints the run's address online, and
    nothing offline."""
    settings = wandb.Settings(console="off", quiet=True, silent=mode != "online")
    if hasattr(settings, "finish_timeout"):  # not in the oldest version that pyproject.toml allows
        settings.finish_timeout = GIVE_UP
    return settings
