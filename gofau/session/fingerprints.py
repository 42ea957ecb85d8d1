"""Fingerprints of a configuration, for which its data is read where its content is not known."""

from typing import Any

from gofau.data.content import content
from gofau.errors import UserError
from gofau.runs import contents
from gofau.runs.fingerprint import fingerprint
from gofau.session.build import data_of


def fingerprints(config: dict[str, Any]) -> dict[str, str]:
    """What the parts of a configuration say today, its data included; without the data where that
    cannot be read (a run that needs it says why).

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
        contents.remember(dataset, getattr(data, "source", None), found)
    return fingerprint(config, found)
