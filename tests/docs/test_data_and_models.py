"""docs/data_and_models.md names everything that a group has to choose from."""

import re

import pytest

from tests.command_line import ROOT

PAGE = (ROOT / "docs" / "data_and_models.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("group", ["dataset", "problem", "model", "init", "scheduler"])
def test_it_names_every_configuration(group):
    there = {path.stem for path in (ROOT / "configs" / group).glob("*.yaml")}
    named = set(re.findall(r"`(?:problem=)?(\w+)`", PAGE))
    assert there - named == set()
