"""Check that the data of a configuration exists, without decoding it, which may take minutes."""

from typing import Any

from gofau.data.cache import Found, looking
from gofau.session.build import data_of


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
