"""The examples in the docstrings run."""

import doctest
from importlib import import_module

import numpy as np
import pytest

from gofau.data import Images

MODULES = ["augment", "batches", "digits", "images", "source", "split"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = import_module(f"gofau.data.{name}")
    scope = {"np": np, "Images": Images, **vars(module)}
    result = doctest.testmod(module, globs=scope, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
