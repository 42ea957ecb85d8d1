"""``python -m gofau.evaluate RUN``: losses and metrics of the weights that a run kept."""

from pathlib import Path
from typing import Any

from gofau.cli.entry import one_sentence
from gofau.cli.words import Parser
from gofau.errors import UserError


def main(words: list[str] | None = None, prog: str = "python -m gofau.evaluate") -> None:
    """Print one line per loss and metric; see ``python -m gofau.evaluate --help``."""
    parser = Parser(prog=prog, description="Evaluate the weights of a run.")
    parser.add_argument("run", type=Path, help="the run's folder, which holds weights.pt")
    parser.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="overrides for keys of its dataset, such as data_dir=… or path=…",
    )
    options = parser.parse_args(words)
    from gofau.session.evaluation import evaluate_run  # imports torch

    found = evaluate_run(options.run, dict(map(_pair, options.data)))
    for name, value in found.items():
        print(f"{name:<10} {'—' if value is None else f'{value:.6g}'}")


def _pair(word: str) -> tuple[str, Any]:
    key, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"--data takes KEY=VALUE, such as data_dir=elsewhere, got {word!r}")
    import yaml  # here, where `one_sentence` says that it is not installed

    return key, yaml.safe_load(value)


if __name__ == "__main__":
    with one_sentence():
        main()
