"""Errors that the user can fix, each reported in one sentence."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in the input: the message is one sentence that names the thing, the value and what
    is allowed. The command line prints it without a traceback and exits with code 2."""


def nearest(word: str, known: Iterable[str]) -> str:
    """``" Did you mean 'sgd'?"`` when a known word is close to ``word``, else the empty string.

    >>> nearest("sdg", ["sgd", "adam"])
    " Did you mean 'sgd'?"
    """
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""


def no_key(key: str, siblings: Iterable[str]) -> str:
    """The sentence about a key that a section does not have.

    >>> no_key("trainer.epoch", ["epochs", "test"])
    "trainer.epoch: trainer has no key 'epoch' (it has: epochs, test). Did you mean 'epochs'?"
    """
    section, _, name = str(key).rpartition(".")
    known = [str(sibling) for sibling in siblings if sibling != "hydra"]
    where = f"{section} has" if section else "the configuration has"
    return f"{key}: {where} no key '{name}' (it has: {', '.join(known)}).{nearest(name, known)}"
