"""Formulas as MathML, which browsers show by themselves: pages with formulas need no network.

Sphinx's own choices load MathJax from the network or call a LaTeX installation.
"""

import re
from html import escape
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
HAT = re.compile(r"(\\hat\{[^{}]*\})_")
"""docutils places the subscript of an accented symbol below the symbol; an empty group between the
two keeps it at the side."""


def mathml(tex: str, block: bool = False) -> str:
    """The MathML of a formula in LaTeX. An environment is not added: `aligned` must be written."""
    return tex2mathml(HAT.sub(r"{\1{}}_", tex), as_block=block)


def _shown(node: nodes.Node, block: bool) -> str:
    """The MathML of a node; its text, and a warning, if docutils does not know the LaTeX."""
    try:
        return mathml(node.astext(), block)
    except MathError as error:
        logger.warning("%s in the formula %s", error, node.astext(), location=node)
        return escape(node.astext())


def inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(_shown(node, block=False))
    raise nodes.SkipNode


def block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math">{_shown(node, block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
