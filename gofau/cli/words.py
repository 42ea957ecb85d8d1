"""The words of a command line: options and overrides, and what is wrong with them in one
sentence."""

import argparse
import re
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
        UserError: an option that Hydra does not have, one without its value, options that do not go
            together, or a value for what is a section.

    >>> ordered(["rule=hybrid", "-m", "seed=0,1"])
    ['-m', 'rule=hybrid', 'seed=0,1']
    """
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.error = Parser.error.__get__(parser)
    options = parser.parse_intermixed_args([*words])
    _check_options(options)
    left = list(options.overrides or [])
    _check_sections(left)
    overrides, others = [], []
    for word in words:
        if left and word == left[0]:
            overrides.append(left.pop(0))
        else:
            others.append(word)
    return [*others, *overrides]


def _check_options(options: argparse.Namespace) -> None:
    """Refuse what Hydra answers with a traceback."""
    if options.multirun and options.cfg:
        raise UserError("-m and --cfg do not go together: --cfg shows the configuration of one run")
    asked = {
        flag: getattr(options, flag.strip("-").replace("-", "_"))
        for flag in ("--run", "--multirun", "--cfg", "--info", "--shell-completion")
    }
    both = [flag for flag, given in asked.items() if given]
    if len(both) > 1:
        raise UserError(f"{both[0]} and {both[1]} do not go together: each is a command of its own")
    if options.package and not options.cfg:
        raise UserError("--package has an effect only on --cfg, as in --cfg job --package trainer")
    if options.resolve and not options.cfg:
        raise UserError("--resolve has an effect only on --cfg, as in --cfg job --resolve")
    if options.experimental_rerun is not None:
        # It would load a pickle, which can do anything.
        raise UserError("--experimental-rerun is not supported: type the run's command again")
    if options.shell_completion:
        asked = (word.partition("=")[0] for word in options.overrides or [])
        if sum(word in ("install", "uninstall", "query") for word in asked) != 1:
            raise UserError("--shell-completion needs install=bash, uninstall=bash or query=bash")


def _check_sections(overrides: Sequence[str]) -> None:
    """Refuse two experiments, of which Hydra would take the last, and values for parts of Hydra
    that it needs before any of our code is called."""
    experiments = [word for word in overrides if word.lstrip("+").startswith("experiment=")]
    if len(experiments) > 1:
        raise UserError(f"{' '.join(experiments)}: give one experiment per command")
    for word in overrides:
        key, equals, value = word.lstrip("+").partition("=")
        if equals and key in ("hydra.launcher", "hydra.sweeper"):
            raise UserError(f"{word}: this is a section; {key.replace('.', '/')}=NAME chooses one")
        if equals and key == "hydra.verbose" and re.fullmatch(r"[-+]?[\d.]+", value):
            raise UserError(f"{word}: it must be true, false, or the names of loggers")
