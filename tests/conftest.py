"""Every test is deterministic, offline and quick; hypothesis repeats the same examples."""

import os

import pytest
from hypothesis import settings

from tests.cli import train

__all__ = ["train"]

settings.register_profile("gofau", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("gofau")


@pytest.fixture(autouse=True)
def _seeded():
    import torch

    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    """No test sees the user's data, runs or cache."""
    for name in [n for n in os.environ if n.startswith("GOFAU_")]:
        monkeypatch.delenv(name)
