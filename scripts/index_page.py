"""README as the text of the package on an index page: Hatch calls it when it builds a package.

An index page is not in the repository, so a relative link or picture would be broken there. If
pyproject.toml has a URL ``Repository`` (with addresses of files as on GitHub), links and pictures
lead to the files at the version's tag. Without one, pictures are left out, and of a link its text
remains.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

CODE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
RELATIVE = re.compile(r"(!?)\[([^]]*)\]\((?!https?://|#|mailto:)([^)\s]+)\)")


def for_index(text: str, tree: str | None) -> str:
    """README without relative links and pictures; code stays as it is.

    Args:
        text: a page in Markdown.
        tree: the address of the repository's files, with ``{kind}`` where GitHub has ``blob`` for
            a page and ``raw`` for a picture; None if they have none.

    >>> for_index("![a](b.png) [c](d.md)", "https://x.example/{kind}/v1")
    '![a](https://x.example/raw/v1/b.png) [c](https://x.example/blob/v1/d.md)'
    >>> for_index("![a](b.png) [c](d.md)", None)
    ' c'
    """

    def absolute(link: re.Match[str]) -> str:
        picture, words, path = link.groups()
        if tree is None:
            return "" if picture else words
        return f"{picture}[{words}]({tree.format(kind='raw' if picture else 'blob')}/{path})"

    parts = CODE.split(text)  # every second part is code
    return "".join(p if i % 2 else RELATIVE.sub(absolute, p) for i, p in enumerate(parts))


class IndexPage(MetadataHookInterface):
    """Gives the package its long description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add ``readme`` to the metadata."""
        repository = metadata.get("urls", {}).get("Repository")
        tree = f"{repository}/{{kind}}/v{_version(Path(self.root))}" if repository else None
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_index(text, tree)}


def _version(root: Path) -> str:
    (found,) = re.findall(
        r'^__version__ = "(.+)"$', (root / "gofau/__init__.py").read_text(encoding="utf-8"), re.M
    )
    return found
