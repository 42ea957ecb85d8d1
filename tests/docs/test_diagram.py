"""Flowcharts are drawn without mermaid: every room and every arrow, downwards."""

import re
from xml.etree import ElementTree

from docs._ext.diagram import ARROW, drawn, levels, places, svg
from tests.docs.pages import pages

PAGE = pages()["architecture.md"]
ARROWS = ARROW.findall(PAGE)


def test_every_arrow_points_down():
    level = levels(ARROWS)
    assert len(ARROWS) > 10
    assert all(level[a] < level[b] for a, b in ARROWS)


def test_the_picture_has_every_room_and_every_arrow():
    picture = ElementTree.fromstring(svg(ARROWS))
    boxes = {text.text for text in picture.iter("text")}
    assert boxes == {name for arrow in ARROWS for name in arrow}
    assert len([p for p in picture.iter("path") if "marker-end" in p.attrib]) == len(ARROWS)


def test_an_arrow_over_several_rows_has_places_of_its_own():
    arrows = [("a", "b"), ("b", "c"), ("a", "c")]
    at = places(levels(arrows), [["a", "b"], ["b", "c"], ["a", "a c 1", "c"]])
    assert at["a"][1] < at["b"][1] == at["a c 1"][1] < at["c"][1]
    assert abs(at["b"][0] - at["a c 1"][0]) > 42, "beside the box, which is 84 wide"


def test_it_takes_the_place_of_the_block():
    made = drawn(PAGE)
    assert "mermaid" not in re.sub(r"<!--.*?-->", "", made)
    assert made.count("<svg") == 1
    assert "\n" not in made[made.index("<svg") : made.index("</svg>")]
