"""The typed usage file, which pyright reads in strict mode, names all that is public."""

import re
from pathlib import Path

import gofau.optim as optim

TEXT = Path(__file__).with_name("usage.py").read_text(encoding="utf-8")


def test_every_public_name_is_used():
    assert set(re.findall(r"optim\.([A-Za-z_]+)", TEXT)) >= set(optim.__all__)


def test_it_is_read_in_strict_mode_and_nothing_is_ignored():
    assert TEXT.startswith("# pyright: strict\n")
    assert "ignore" not in TEXT
    assert "cast(" not in TEXT
