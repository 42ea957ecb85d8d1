"""docs/adding_a_logger.md, followed word for word in a copy of the project."""

import json

import pytest

from tests.docs.guides import Guide

GUIDE = Guide("adding_a_logger.md")


def test_every_block_of_the_page_is_followed():
    GUIDE.check()


def test_a_logger_touches_three_places():
    """The class, its yaml and its test."""
    folders = [path.rpartition("/")[0] for path in GUIDE.places]
    assert folders == ["gofau/loggers", "configs/logger", "tests/loggers"]


@pytest.mark.long
def test_the_page_word_for_word(tmp_path):
    GUIDE.follow(tmp_path)
    (made,) = (tmp_path / "runs").glob("*/metrics.jsonl")
    first, second, last = map(json.loads, made.read_text(encoding="utf-8").splitlines())
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert first["train/loss"] == float(f"{first['train/loss']:.3g}")
    assert last["state"] == "done"
