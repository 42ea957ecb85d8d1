"""Finds the configs: beside the package in a checkout, inside it when gofau is installed."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def configs() -> Path:
    """The folder of the configurations."""
    beside = PACKAGE.parent / "configs"
    return beside if (beside / "train.yaml").is_file() else PACKAGE / "configs"
