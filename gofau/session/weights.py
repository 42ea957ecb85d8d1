"""The trained weights of a run, kept in its folder as ``weights.pt`` (``trainer.keep``).

``torch.load(path, weights_only=True)`` reads it, so that a file from elsewhere cannot run code:
``{"format": 1, "identity": …, "epoch": …, "value": …, "model": state_dict}``, all on the CPU.
Weights that the optimizer holds as integers are stored as such: the format is then 2, ``"packed"``
has them by name in the form of `gofau.optim.lns.float_weights`, and ``"model"`` has the rest.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from gofau.engine.trainer import Trainer
from gofau.errors import UserError
from gofau.optim.lns import float_weights
from gofau.runs import Run, write_whole
from gofau.session.build import Built

NAME, FLOATS, INTEGERS = "weights.pt", 1, 2


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

    def sizes(self) -> dict[str, int]:
        """The bytes that the file of the present weights has, whether or not it is kept:
        ``weights/bytes``, and ``weights/float32_bytes`` for the same weights as float32."""
        floats, packed = self._floats(), self._packed()
        whole = len(self._file(floats, {}))
        size = len(self._file(floats, packed)) if packed else whole
        return {"weights/bytes": size, "weights/float32_bytes": whole}

    def _write(self) -> None:
        if self.run.writes:
            write_whole(self.path, self._file(self._floats(), self._packed()))

    def _floats(self) -> dict[str, Any]:
        return {name: x.cpu() for name, x in self.built.trainer.model.state_dict().items()}

    def _packed(self) -> dict[str, dict[str, Any]]:
        """The weights that the optimizer holds as integers, by their names in the model."""
        pack = getattr(self.built.optimizer, "packed_weights", None)
        if pack is None:
            return {}
        named = self.built.trainer.model.named_parameters()
        found = {n: (p, e) for (n, p), e in zip(named, pack().values(), strict=True)}
        found = {n: (p, e) for n, (p, e) in found.items() if "packed" in e}
        values = float_weights({n: e for n, (_, e) in found.items()})
        # An integer cannot be NaN: weights of a diverged run are kept as they are.
        return {
            n: e | {"packed": e["packed"].cpu()}
            for n, (p, e) in found.items()
            if torch.equal(values[n].to(p), p)
        }

    def _file(self, floats: dict[str, Any], packed: dict[str, Any]) -> bytes:
        trainer = self.built.trainer
        content = {"format": INTEGERS if packed else FLOATS, "identity": self.run.identity}
        content |= {"epoch": trainer.epoch, "value": _value(trainer, self.built.metric.name)}
        content["model"] = {name: x for name, x in floats.items() if name not in packed}
        buffer = io.BytesIO()
        torch.save(content | ({"packed": packed} if packed else {}), buffer)
        return buffer.getvalue()


def _value(trainer: Trainer, metric: str) -> float | None:
    return trainer.row.get(f"val/{metric}")


def read(path: Path) -> dict[str, Any]:
    """Read what `Weights` wrote, with all weights as floats in ``"model"``.

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
    if not isinstance(content, dict) or content.get("format") not in (FLOATS, INTEGERS):
        raise UserError(f"{path} is not a file of weights that this version of gofau can read")
    return content | {"model": content["model"] | float_weights(content.pop("packed", {}))}
