"""README on an index page: nothing in it is broken there."""

import doctest

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

from gofau import __version__
from scripts import index_page
from scripts.index_page import IndexPage, for_index
from tests.command_line import ROOT

TREE = "https://x.example/gofau/{kind}/v1"


def test_its_examples():
    assert doctest.testmod(index_page).failed == 0


@pytest.mark.parametrize(
    "text",
    [
        "[a](https://b.example) ![c](https://d.example/e.png) [f](#g)",
        "```python\nx = [i](j)\n```\n",
        "[x] (y), `a[0](b c)`",
    ],
)
def test_what_stays_as_it_is(text):
    assert for_index(text, TREE) == for_index(text, None) == text


def test_a_picture_alone_on_its_line_leaves_nothing_broken():
    text = "<!-- figure: x -->\n![a](results/x/a.png)\n\nThese are [runs](results/x).\n"
    assert for_index(text, None) == "<!-- figure: x -->\n\n\nThese are runs.\n"


def test_pictures_lead_to_the_tag_of_the_version():
    metadata = {"urls": {"Repository": "https://x.example/gofau"}}
    IndexPage(str(ROOT), {}).update(metadata)
    made = metadata["readme"]
    assert made["content-type"] == "text/markdown"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = readme.count("![")
    assert pictures > 0
    assert made["text"].count(f"](https://x.example/gofau/raw/v{__version__}/") == pictures


def test_hatch_takes_it():
    metadata = ProjectMetadata(str(ROOT), PluginManager())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert metadata.version == __version__
    assert metadata.core.readme == for_index(readme, None)
