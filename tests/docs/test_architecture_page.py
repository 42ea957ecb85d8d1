"""docs/architecture.md shows the structure that the imports have."""

import re

from scripts import structure
from tests.command_line import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FILES = structure.sources()


def test_the_picture_is_that_of_the_imports():
    expected = structure.picture(structure.rooms(FILES))
    assert f"```mermaid\n{expected}\n```" in PAGE, f"the picture should be\n{expected}"


def test_every_room_has_one_sentence():
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE)
    assert sorted(room for room, _ in rows) == sorted(structure.rooms(FILES))
    assert all(text.endswith(".") and len(text) > 30 for _, text in rows)


def test_the_numbers_are_those_of_today():
    page = {
        name: int(now) for name, now in re.findall(r"^\| ([\w ]+) \| \d+ \| (\d+) \|$", PAGE, re.M)
    }
    expected = structure.counts(FILES)
    del expected["modules"]  # not part of the page: it changes with every file
    assert page == expected
    assert (page["back arrows"], page["cycles between rooms"], page["cycles between modules"]) == (
        0,
        0,
        0,
    )
    assert page["loose modules"] <= 5


def test_its_links_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
