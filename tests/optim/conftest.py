"""What the tests of the optimizers share."""

import pytest

from gofau.optim import RULES, STEPSIZES


@pytest.fixture
def own_rules():
    """The registry, for a test that adds to it: left as it was."""
    before = dict(RULES)
    yield RULES
    RULES.clear()
    RULES.update(before)


@pytest.fixture
def own_stepsizes():
    """The registry of step sizes, for a test that adds to it: left as it was."""
    before = dict(STEPSIZES)
    yield STEPSIZES
    STEPSIZES.clear()
    STEPSIZES.update(before)
