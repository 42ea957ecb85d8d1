"""What the tests of the optimizers share."""

import pytest

from gofau.optim import RULES


@pytest.fixture
def own_rules():
    """The registry, for a test that adds to it: left as it was."""
    before = dict(RULES)
    yield RULES
    RULES.clear()
    RULES.update(before)
