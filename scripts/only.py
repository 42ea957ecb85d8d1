"""The option ``--only`` of the benchmarks: some of what is measured."""

import argparse
from collections.abc import Callable, Collection


def some_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """A parser of names with commas between them; it returns those named, in the order of
    ``known``.

    >>> some_of(("sgd", "adam"))("adam,sgd")
    ['sgd', 'adam']
    """

    def parse(text: str) -> list[str]:
        wanted = text.split(",")
        wrong = [name for name in wanted if name not in known]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]}: there is {', '.join(known)}")
        return [name for name in known if name in wanted]

    return parse
