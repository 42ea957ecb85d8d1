"""Fingerprints of a configuration; its data is read if the hash of its content is not known."""

from pathlib import Path
from typing import Any

from gofau.data.content import content
from gofau.errors import UserError
from gofau.runs import contents
from gofau.runs.fingerprint import fingerprint
from gofau.runs.modules import find
from gofau.session.build import data_of


def fingerprints(config: dict[str, Any]) -> dict[str, str]:
    """Fingerprints of the parts of a configuration as they are today, data included; without the
    data if it cannot be read (a run that needs it reports why).

    Raises:
        UserError: a ``_target_`` does not exist.
    """
    dataset = config["dataset"]
    found = contents.known(dataset)
    if found is None:
        try:
            data = data_of(config)
        except UserError:
            return fingerprint(config)
        found = content(data)
        contents.remember(dataset, _sources(dataset, data), found)
    return fingerprint(config, found)


def _sources(dataset: dict[str, Any], data: Any) -> list[Path]:
    """What the data came from: its files, and the module that read or made it."""
    source = getattr(data, "source", None) or []
    module = find(dataset["_target_"].rpartition(".")[0])
    files = [source] if isinstance(source, Path) else [*source]
    return [*files, module.path] if module is not None else files
