"""The examples in the docstrings run, and say what comes out."""

import doctest
import importlib

import pytest

MODULES = ["attach", "diagnostics", "groups", "monitor", "prefix", "push"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    # By its full name: gofau.optim.attach is the function once the package is imported.
    module = importlib.import_module(f"gofau.optim.{name}")
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
