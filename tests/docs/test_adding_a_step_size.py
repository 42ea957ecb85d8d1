"""docs/adding_a_step_size.md, followed word for word in a copy of the project."""

import json

import pytest
import yaml

from tests.docs.guides import Guide

GUIDE = Guide("adding_a_step_size.md")


def test_every_block_of_the_page_is_followed():
    GUIDE.check()


def test_a_step_size_touches_three_places():
    """Its file in configs/ and its row in docs/library.md are written by a script."""
    files = ["gofau/optim/rms_clip.py", "gofau/optim/__init__.py", "tests/optim/test_rms_clip.py"]
    assert GUIDE.places == files


@pytest.mark.long
def test_the_page_word_for_word(tmp_path):
    GUIDE.follow(tmp_path)
    said = (tmp_path / "configs" / "stepsize" / "rms_clip.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(said) == {"name": "rms_clip", "clip_rms": 1.0}
    assert "s = 1 / max(1, rms(d)/κ) per tensor" in said
    row = "| `clip_rms` | κ | `1.0` | largest rms of d per tensor | `rms_clip` |"
    assert row in (tmp_path / "docs" / "library.md").read_text(encoding="utf-8")
    (made,) = (tmp_path / "runs").glob("digits-small_cnn-adamw-additive-*")
    status = json.loads((made / "status.json").read_text(encoding="utf-8"))
    assert status["state"] == "done"
    assert status["result"]["test/acc"] > 0.5
