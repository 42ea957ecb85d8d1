"""Whether the data of a configuration is there, without the minutes that decoding it may take."""

from typing import Any

from gofau.data.cache import Found, looking
from gofau.session.build import data_of


def look(config: dict[str, Any]) -> None:
    """Find the data; what is missing and may be downloaded is.

    Raises:
        UserError: it is missing, or no whole archive.
    """
    with looking():
        try:
            data_of(config)
        except Found:
            return
