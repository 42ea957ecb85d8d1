"""What README and the page of findings say of the records is what they say."""

import re

import pytest

from scripts import write_readme

TEXTS = "".join(page.read_text(encoding="utf-8") for page in write_readme.PAGES)


@pytest.mark.parametrize("name", write_readme.MADE)
def test_the_pages_have_what_the_script_writes(name):
    (block,) = re.findall(rf"<!-- {name} -->\n(.*?)<!-- end -->", TEXTS, re.DOTALL)
    made = write_readme.MADE[name]()
    assert block.strip() == made, "the records have changed: python -m scripts.write_readme"


def test_only_what_is_between_the_marks_is_written(monkeypatch):
    monkeypatch.setattr(write_readme, "MADE", {"finding": lambda: r"new \1", "speed": lambda: "7"})
    page = "a\n<!-- finding -->\nold\nlines\n<!-- end -->\nb\n<!-- speed -->\n<!-- end -->\n"
    assert write_readme.filled(page) == (
        "a\n<!-- finding -->\nnew \\1\n<!-- end -->\nb\n<!-- speed -->\n7\n<!-- end -->\n"
    )
    assert write_readme.filled(write_readme.filled(page)) == write_readme.filled(page)
