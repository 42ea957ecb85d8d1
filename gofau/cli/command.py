"""The command ``gofau``: one word, and what ``python train.py`` and ``python -m gofau.…`` do."""

import sys
from collections.abc import Callable, Sequence

from gofau import __version__
from gofau.cli.entry import one_sentence, start
from gofau.errors import UserError, nearest

Words = list[str]


def _train(words: Words) -> None:
    from gofau.cli.train import main

    sys.argv = ["gofau train", *words]  # Hydra reads it, and a run's provenance quotes it
    start(main)


def _sweep(words: Words) -> None:
    _train(["-m", *words])


def _toy(words: Words) -> None:
    from gofau.cli.toy import main

    sys.argv = ["gofau toy", *words]
    start(main)


def _runs(words: Words) -> None:
    from gofau.runs.__main__ import main

    main(words, "gofau runs")


def _report(words: Words) -> None:
    if words[:1] == ["toy"]:
        from gofau.report.toy.__main__ import main as toy

        return toy(words[1:], "gofau report toy")
    from gofau.report.__main__ import main

    return main(words, "gofau report")


def _evaluate(words: Words) -> None:
    from gofau.evaluate.__main__ import main

    main(words, "gofau evaluate")


COMMANDS: dict[str, tuple[str, Callable[[Words], None]]] = {
    "train": ("train one network: gofau train optimizer=adam rule=hybrid", _train),
    "sweep": ("train many: gofau sweep rule=additive,hybrid seed=0,1,2", _sweep),
    "runs": ("show, export, import or remove runs: gofau runs status", _runs),
    "report": ("collect records, make tables and figures: gofau report --help", _report),
    "toy": ("experiments in two variables: gofau toy experiment=fig2_toy_starts", _toy),
    "evaluate": ("losses and metrics of the weights that a run kept", _evaluate),
}
"""Name → (one line about it, what it does)."""


def usage() -> str:
    """The text of ``gofau --help``."""
    lines = [f"  {name:<10}{about}" for name, (about, _) in COMMANDS.items()]
    return "\n".join(
        ["usage: gofau COMMAND …", "", *lines, "", "gofau COMMAND --help says more about each."]
    )


def main(words: Sequence[str] | None = None) -> None:
    """Carry out one command.

    Raises:
        SystemExit: with 2 after a mistake of the user, as all commands do.
    """
    first, *rest = [*(sys.argv[1:] if words is None else words)] or ["--help"]
    if first in ("-h", "--help"):
        return print(usage())
    if first == "--version":
        return print(f"gofau {__version__}")
    with one_sentence():
        if first not in COMMANDS:
            known = ", ".join(COMMANDS)
            hint = nearest(first, COMMANDS)
            raise UserError(f"gofau {first}: there is no such command (there is: {known}).{hint}")
        return COMMANDS[first][1](rest)
