"""The little Markdown of an introduction, as HTML."""

import re

from markupsafe import Markup, escape

_INLINE = (
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<b>\1</b>"),
    (re.compile(r"\*([^*]+)\*"), r"<em>\1</em>"),
    (re.compile(r"\[([^]]+)\]\(([^)]+)\)"), r'<a href="\2">\1</a>'),
)


def prose(text: str) -> Markup:
    """Paragraphs, lists, emphasis, code and links; headings are left out.

    >>> prose("# Title\\n\\nA **b** < c.\\n\\n- one\\n- two")
    Markup('<p>A <b>b</b> &lt; c.</p>\\n<ul><li>one</li><li>two</li></ul>')
    """
    parts = [part for part in re.split(r"\n\s*\n", text.strip()) if not part.startswith("#")]
    return Markup("\n").join(
        _items(part) if part.startswith("- ") else _block(part) for part in parts
    )


def _block(text: str) -> Markup:
    return Markup(f"<p>{_inline(text)}</p>")


def _items(text: str) -> Markup:
    items = [_inline(item) for item in re.split(r"(?:^|\n)- ", text) if item]
    return Markup("<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>")


def _inline(text: str) -> str:
    html = str(escape(" ".join(text.split())))
    for pattern, form in _INLINE:
        html = pattern.sub(form, html)
    return html
