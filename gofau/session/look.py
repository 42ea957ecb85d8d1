"""Check parts of a configuration without building a run: that the data exists (decoding it may take
minutes), and that the parts accept their keys."""

import inspect
from typing import Any

import torch
from torch import nn

from gofau.data.cache import Found, looking
from gofau.errors import UserError
from gofau.session.build import data_of, optimizer_of
from gofau.session.construct import call_of


def look(config: dict[str, Any]) -> None:
    """Find the data; what is missing is downloaded if the configuration allows it.

    Raises:
        UserError: it is missing, or is not a complete archive.
    """
    with looking():
        try:
            data_of(config)
        except Found:
            return


def look_at_keys(config: dict[str, Any]) -> None:
    """Check that every part that is built by its ``_target_`` accepts the keys of its section.

    Raises:
        UserError: one does not.
    """
    for section in ("problem", "dataset", "model", "scheduler"):
        call = call_of(section, config[section])
        keys = call.keywords
        if section == "dataset":
            dataset_keys = call_of("problem", config["problem"])().dataset_keys
            keys = {key: value for key, value in keys.items() if key not in dataset_keys}
        try:
            inspect.signature(call.func).bind_partial(**keys)
        except (TypeError, ValueError) as e:
            target = config[section]["_target_"]
            raise UserError(f"{section}: {target} refuses its keys: {e}") from e
    optimizer_of(config, nn.Linear(1, 1), torch.device("cpu"))
