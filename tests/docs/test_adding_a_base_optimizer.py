"""docs/adding_a_base_optimizer.md, followed word for word: how Lion came in."""

import pytest

from tests.command_line import ROOT
from tests.docs.guides import Guide, copy_project

GUIDE = Guide("adding_a_base_optimizer.md")
WRITTEN = "configs/optimizer/lion.yaml"


def test_every_block_of_the_page_is_followed():
    GUIDE.check()


def test_a_base_touches_three_places():
    """Its file in configs/ is written by a script."""
    places = ["gofau/optim/bases/lion.py", "gofau/optim/__init__.py", "tests/optim/reference.py"]
    assert GUIDE.places == places


def test_the_page_can_be_undone(tmp_path):
    """What it puts in is in gofau, word for word; without it Lion is not named in its places."""
    copy_project(tmp_path)
    GUIDE.undo(tmp_path)
    assert not (tmp_path / GUIDE.places[0]).exists()
    for path in GUIDE.places[1:]:
        assert "lion" not in (tmp_path / path).read_text(encoding="utf-8").lower()


@pytest.mark.long
def test_the_page_word_for_word(tmp_path):
    copy_project(tmp_path)
    GUIDE.undo(tmp_path)
    (tmp_path / WRITTEN).unlink()
    GUIDE.go(tmp_path)
    for path in (*GUIDE.places, WRITTEN, "docs/library.md"):
        assert (tmp_path / path).read_bytes() == (ROOT / path).read_bytes(), path
    (made,) = (tmp_path / "runs").glob("digits-small_cnn-lion-hybrid-*")
    assert (made / "status.json").exists()
