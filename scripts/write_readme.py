"""Writes the parts of README.md and docs/findings.md that follow from the records: the finding, the
answers, the table of the experiments, and the measured speed.

`make tables` and `make report` run this (`python -m scripts.write_readme`). A test checks that the
pages that are committed are what it writes.
"""

import re
from collections.abc import Callable, Mapping

from docs._ext import experiments, speed
from docs._ext.sources import ROOT

PAGES = (ROOT / "README.md", ROOT / "docs" / "findings.md")
MADE: Mapping[str, Callable[[], str]] = {
    "finding": experiments.found,
    "answers": experiments.answers,
    "experiments": experiments.overview,
    "speed": speed.measured,
}
"""What stands between a line ``<!-- NAME -->`` and the next ``<!-- end -->``."""
BLOCK = re.compile(rf"(?<=<!-- )({'|'.join(MADE)})( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with its generated parts made anew."""
    return BLOCK.sub(lambda block: f"{block[1]}{block[2]}{MADE[block[1]]()}\n", page)


def main() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
