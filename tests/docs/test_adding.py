"""docs/adding_a_….md, each followed word for word in a copy of the project."""

import json

import pytest
import yaml

from tests.docs.guides import Guide

PLACES = {
    "problem": [
        "gofau/problems/completion.py",
        "configs/problem/digits_completion.yaml",
        "tests/problems/test_completion.py",
    ],
    "model": [
        "gofau/models/convmixer.py",
        "configs/model/convmixer.yaml",
        "tests/models/test_convmixer.py",
    ],
    "data_set": [
        "gofau/data/photographs.py",
        "configs/dataset/photographs.yaml",
        "tests/data/test_photographs.py",
    ],
    "scheduler": [
        "gofau/engine/schedulers.py",
        "tests/engine/test_schedulers.py",
        "configs/scheduler/wsd.yaml",
    ],
}
GUIDES = {what: Guide(f"adding_a_{what}.md") for what in PLACES}
RUNS = {
    "problem": ("problem", "completion", "val/mae", 0.0, 0.19),
    "model": ("model", "convmixer", "test/acc", 0.5, 1.0),
    "data_set": ("dataset", "photographs", "test/acc", 0.6, 1.0),
    "scheduler": ("scheduler", "wsd", "test/acc", 0.5, 1.0),
}
"""What the page's run is: the section and name that are new, and where a result must lie."""


@pytest.mark.parametrize("what", PLACES)
def test_every_block_of_the_page_is_followed_and_three_places_are_touched(what):
    GUIDES[what].check()
    assert GUIDES[what].places == PLACES[what]


@pytest.mark.long
@pytest.mark.parametrize("what", PLACES)
def test_the_page_word_for_word(what, tmp_path):
    GUIDES[what].follow(tmp_path)
    (folder,) = (tmp_path / "runs").glob("*-s0-*")
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    section, name, metric, low, high = RUNS[what]
    assert config[section]["name"] == name
    assert status["state"] == "done"
    assert low < status["result"][metric] < high
