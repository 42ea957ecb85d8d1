"""The trained weights of a run, kept in its folder as ``weights.pt`` (``trainer.keep``).

``torch.load(path, weights_only=True)`` reads it, so that a file from elsewhere cannot run code:
``{"format": 1, "identity": …, "epoch": …, "value": …, "model": state_dict}``, all on the CPU.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from gofau.engine.trainer import Trainer
from gofau.errors import UserError
from gofau.runs import Run, write_whole
from gofau.session.build import Built

NAME, FORMAT = "weights.pt", 1


class Weights:
    """Saves the weights of a run: those of the last epoch, or of the best so far.

    Args:
        run: the run, in whose folder they are saved.
        built: the parts of the run.
        resumed: whether the run is resumed; then the best value so far is read from the file.
    """

    def __init__(self, run: Run, built: Built, resumed: bool) -> None:
        self.run, self.built = run, built
        self.keep: str = run.config["trainer"]["keep"]
        self.path = run.folder / NAME
        self.best: float | None = None
        if run.writes and not resumed:
            self.path.unlink(missing_ok=True)  # an earlier start's, not this one's
        elif self.keep == "best" and self.path.exists():
            self.best = read(self.path)["value"]

    def epoch(self) -> None:
        """Called after every epoch: ``best`` saves its weights unless an earlier epoch was better
        on the validation part. The later of equal epochs counts as better, as does any later epoch
        if there is no validation part."""
        if self.keep == "best" and self._is_best():
            self._write()

    def end(self) -> None:
        """Called after training: ``last`` saves the weights."""
        if self.keep == "last":
            self._write()

    def _is_best(self) -> bool:
        trainer, metric = self.built.trainer, self.built.metric
        value = _value(trainer, metric.name)
        if value is not None and self.best is not None:
            worse = value < self.best if metric.higher_is_better else value > self.best
            if worse or value != value:  # worse, or NaN
                return False
        self.best = value
        return True

    def _write(self) -> None:
        if not self.run.writes:
            return
        trainer = self.built.trainer
        state = {name: tensor.cpu() for name, tensor in trainer.model.state_dict().items()}
        content = {"format": FORMAT, "identity": self.run.identity, "epoch": trainer.epoch}
        content |= {"value": _value(trainer, self.built.metric.name), "model": state}
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_whole(self.path, buffer.getvalue())


def _value(trainer: Trainer, metric: str) -> float | None:
    return trainer.row.get(f"val/{metric}")


def read(path: Path) -> dict[str, Any]:
    """Read what `Weights` wrote.

    Raises:
        UserError: there is no such file, or `Weights` did not write it.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as e:
        raise UserError(
            f"there is no {path}: a single run keeps its weights, a run of a sweep does with"
            " trainer.keep=last or best (rerun=true repeats one that is done)"
        ) from e
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as e:
        raise UserError(f"{path} is not a complete file of weights") from e
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} is not a file of weights that this version of gofau can read")
    return content
