"""Evaluate the weights that a run kept."""

from pathlib import Path
from typing import Any

import yaml

from gofau.engine.evaluation import evaluate
from gofau.errors import UserError, nearest
from gofau.runs import identity, read_status
from gofau.session.build import build
from gofau.session.weights import NAME, read


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        identity(config)  # it has all parts of a run
    except OSError as e:
        raise UserError(f"{folder} is not the folder of a run: it has no config.yaml") from e
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as e:
        raise UserError(f"{path} is damaged: it is not the configuration of a run") from e
    return config


def evaluate_run(folder: Path, data: dict[str, Any]) -> dict[str, float | None]:
    """Losses and metrics of the weights that a run kept, on the validation and the test part.

    Args:
        folder: that of the run.
        data: overrides for keys of its dataset, such as ``{"data_dir": "elsewhere"}``. The images
            are normalised with the statistics of the training images of that data.

    Returns:
        ``val/loss``, ``test/acc`` and so on, as in its status.json.

    Raises:
        UserError: the folder is not that of a run, the run kept no weights, or they do not fit.
    """
    config = _config(folder)
    for key, value in data.items():
        if key not in config["dataset"]:
            known = config["dataset"]
            raise UserError(
                f"--data {key}: the dataset has no such key (it has: {', '.join(known)})."
                f"{nearest(key, known)}"
            )
        config["dataset"][key] = value
    kept = read(folder / NAME)
    config["trainer"]["compile"] = False  # it would take longer than it saves
    # The same arithmetic as in training, so that the values are those of the record.
    built = build(config, begun=read_status(folder).get("compute", {}))
    trainer = built.trainer
    try:
        trainer.model.load_state_dict(kept["model"])
    except RuntimeError as e:
        raise UserError(f"{folder / NAME} does not fit the model of this configuration") from e
    found = {}
    for part, batches in (("val", trainer.validation), ("test", built.test)):
        measured = evaluate(trainer.problem, trainer.model, batches, trainer.compute)
        found |= {f"{part}/{name}": value for name, value in measured.items()}
    return found
