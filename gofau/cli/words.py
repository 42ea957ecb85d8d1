"""The words of a command line: options and overrides, and what is wrong with them in one
sentence."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from gofau.errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `UserError`; argparse prints the usage, over several lines."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} ({self.prog} --help lists what there is)")


def ordered(words: Sequence[str]) -> list[str]:
    """Options first, then overrides: Hydra accepts ``-m`` only before or after all overrides.

    Raises:
        UserError: an option that Hydra does not have, or one without its value.

    >>> ordered(["rule=hybrid", "-m", "seed=0,1"])
    ['-m', 'rule=hybrid', 'seed=0,1']
    """
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.error = Parser.error.__get__(parser)
    left = list(parser.parse_intermixed_args([*words]).overrides or [])
    overrides, options = [], []
    for word in words:
        if left and word == left[0]:
            overrides.append(left.pop(0))
        else:
            options.append(word)
    return [*options, *overrides]
