"""Formulas of docstrings as LaTeX: the one that a page shows is the one that the code computes."""

import math
import re

import pytest
import torch

from docs._ext.formulas import NoFormula, equation, latex, mathematical
from docs._ext.mathml import mathml
from gofau.optim import RULES

OWN = [n for n, rule in RULES.items() if rule.xi.__module__.startswith("gofau.optim.")]


@pytest.mark.parametrize(
    ("text", "tex", "rest"),
    [
        ("ξ = η·d: words", r"\xi = \eta \cdot d", ": words"),
        (
            "s = ‖θ_k‖ / √v̂_k per k",
            r"s = \frac{\left\|\theta_{k}\right\|}{\sqrt{\hat{v}_{k}}}",
            " per k",
        ),
        ("a·b / c", r"\frac{a \cdot b}{c}", ""),
        ("(a − b)·c²", r"(a - b) \cdot c^{2}", ""),
        ("dᵀHd", r"d^{\mathsf{T}} H d", ""),
        ("2^(−η_out)", r"2^{-\eta_{\mathrm{out}}}", ""),
        ("sign θ, then", r"\operatorname{sign} \theta", ", then"),
        ("√Σg² + ε", r"\sqrt{\sum g^{2}} + \varepsilon", ""),
        ("β1·b_{t−1}", r"\beta_{1} \cdot b_{t-1}", ""),
        ("½(x − 1)²", r"\frac{1}{2} (x - 1)^{2}", ""),
        ("m = b_t = 1. As", "m = b_{t} = 1", ". As"),
        ("b ← lr·a", r"b \leftarrow \mathrm{lr} \cdot a", ""),
    ],
)
def test_a_formula_in_latex(text, tex, rest):
    found = latex(text)
    assert " ".join(found.text.split()) == tex
    assert text[found.end :] == rest


@pytest.mark.parametrize("text", ["Madam: a rule", "the step", "(a", "", "ξ = ", "|a"])
def test_words_are_no_formula(text):
    assert equation(text) is None


def test_what_is_wrong_is_said():
    with pytest.raises(NoFormula, match="expected at"):
        latex("(a + b")


def test_the_equations_of_a_text_become_mathematics():
    text = "Moments: m = m̂_t; l = 1 / (√v̂_t + ε). With amsgrad v̂ is the maximum, as in torch."
    assert mathematical(text) == (
        r"Moments: $m = \hat{m}_{t}$; $l = \frac{1}{\sqrt{\hat{v}_{t}} + \varepsilon}$."
        " With amsgrad v̂ is the maximum, as in torch."
    )


def value(tex: str, **symbols: float) -> float:
    """What a formula in LaTeX is worth: rewritten for Python, by means other than the parser's."""
    tex = tex.replace(r"\left", "").replace(r"\right", "").replace(r"\cdot", "*")
    for _ in range(3):
        tex = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", tex)
    tex = re.sub(r"\\operatorname\{(\w+)\}", r"\1 ", tex)
    tex = re.sub(r"_\{\\mathrm\{(\w+)\}\}", r"_\1", tex).replace("\\", "")
    tex = re.sub(r"\|(\w+)\|", r"abs(\1)", tex)
    tex = re.sub(r"sign +(\w+)", r"sign(\1)", tex)
    tex = re.sub(r"\^\{(.*)\}", r"**(\1)", tex)
    known = {name: getattr(math, name) for name in ("tanh", "exp", "sinh")}
    known |= {"arcsinh": math.asinh, "sign": lambda x: math.copysign(1, x), "abs": abs}
    return eval(tex, {"__builtins__": {}}, known | symbols)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(("theta", "d"), [(0.7, 0.4), (-1.3, 2.0), (0.2, -3.0)])
def test_the_formula_of_a_rule_is_what_it_computes(name, theta, d):
    rule = RULES[name]
    found = equation(" ".join((rule.xi.__doc__ or "").split()))
    assert found is not None
    group = {"lr": 0.1} | {h.name: h.default for h in rule.own.values()} | {"eta_out": 0.3}
    step = rule(
        torch.tensor(theta, dtype=torch.float64), torch.tensor(d, dtype=torch.float64), group
    )
    symbols = {"eta": 0.1, "eta_in": 1.0, "eta_out": 0.3, "gamma": 0.5, "beta": 0.1}
    shown = value(found.text.removeprefix(r"\xi = "), theta=theta, d=d, **symbols)
    assert shown == pytest.approx(step.item(), rel=1e-12)


def test_a_subscript_stands_beside_an_accented_symbol():
    """docutils alone would put it below."""
    made = mathml(r"\hat{m}_{t-1}")
    assert "munder" not in made
    assert made.index("mover") < made.index("<mi>t</mi>")
