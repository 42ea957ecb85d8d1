"""Docstrings become reST that says the same."""

import inspect
from typing import Any

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring

from docs._ext.docstrings import rest
from docs._ext.formulas import equation
from docs._ext.reference import classes
from gofau.optim import RULES, STEPSIZES
from gofau.optim.post_steps import POST_STEPS

PARTS = {
    **{name: rule.xi for name, rule in RULES.items()},
    **{name: post_step.xi for name, post_step in POST_STEPS.items()},
    **{name: type(stepsize) for name, stepsize in STEPSIZES.items()},
    **classes(),
}


@pytest.mark.parametrize("name", PARTS)
def test_every_docstring_is_rest_without_a_warning(name):
    lines = rest((inspect.getdoc(PARTS[name]) or "").splitlines())
    config: Any = Config(napoleon_use_param=False)  # not the class that the constructor declares
    sections = GoogleDocstring(lines, config)
    source = f".. default-role:: literal\n\n{sections}"
    tree = publish_doctree(source, settings_overrides={"report_level": 1, "halt_level": 2})
    begins = equation(_paragraph(PARTS[name])) is not None
    formulas = list(tree.findall(nodes.math_block))
    assert len(formulas) == begins
    for formula in formulas:
        formula.parent.remove(formula)
    assert "\\" not in tree.astext()


def _paragraph(x: Any) -> str:
    return " ".join((inspect.getdoc(x) or "").partition("\n\n")[0].split())


@pytest.mark.parametrize("name", [*RULES, *POST_STEPS, *STEPSIZES])
def test_every_rule_and_step_size_begins_with_its_formula(name):
    assert equation(_paragraph(PARTS[name])) is not None


def test_the_words_after_the_formula_stay():
    made = rest("s = ‖θ‖ / ‖d‖ per tensor; 1 where |θ| is 0.\n\nMore.".splitlines())
    assert made[1].startswith(".. math:: s = ")
    assert made[3:] == [r"Per tensor; 1 where \|θ\| is 0.", "", "More."]


def test_a_symbol_after_the_formula_gets_no_capital():
    assert rest(["d = g / √v_t, v_t the mean."])[3] == "v_t the mean."


def test_a_block_of_formulas_keeps_its_lines():
    text = "One:\n\n    a = |b|\n    c = d\n\nTwo ``|x|``.\n\nArgs:\n    lr: |η|.\n"
    tree = publish_doctree("\n".join(rest(text.splitlines())[:8]))
    (block,) = tree.findall(nodes.literal_block)
    assert block.astext() == "a = |b|\nc = d"
    assert rest(text.splitlines())[-1] == r"    lr: \|η\|."
