"""Formulas of docstrings as LaTeX.

A docstring states its formula once, in Unicode, because it is also read in an editor: ξ =
η_out · |θ| · tanh(η_in · d). The pages show the same formula as mathematics, made here from the
docstring, so that it is written in one place.

    >>> latex("η·d / (√v̂_t + ε), as in torch").text
    '\\\\frac{\\\\eta \\\\cdot d}{\\\\sqrt{\\\\hat{v}_{t}} + \\\\varepsilon}'
"""

import re
import unicodedata
from typing import NamedTuple

GREEK = {"ε": "varepsilon", "ℓ": "ell"} | {
    chr(code): unicodedata.name(chr(code)).rpartition(" ")[2].lower()
    for code in range(ord("α"), ord("ω") + 1)
    if chr(code) not in "ελος"  # no names of LaTeX, or other ones
}
GREEK["λ"] = "lambda"  # Unicode: lamda
FRACTIONS = {"½": r"\frac{1}{2}", "¼": r"\frac{1}{4}"}
FUNCTIONS = ("cos", "tanh", "exp", "sinh", "arcsinh", "sign", "clip", "clamp", "max", "min", "log")
FUNCTIONS += ("rms", "mean", "round")
WORDS = ("lr_decay", "lr", "dampening", "damping", "g_bound", "p_scale")
SUPERSCRIPTS = {"²": "2", "³": "3", "ᵀ": r"\mathsf{T}", "⁺": "+", "⁻": "-"}
SIGNS = {"−": "-", "-": "-", "+": "+", "±": r"\pm ", "∓": r"\mp "}
EQUALS = {"=": " = ", "←": r" \leftarrow "}
TIMES = {"·": r" \cdot ", "∘": r" \circ "}
BARS = {"|": ("|", "|"), "‖": (r"\|", r"\|")}
HAT = "\u0302"
NAME = re.compile(
    "|".join([*WORDS, *(rf"{f}(?![a-zA-Z])" for f in FUNCTIONS)])
    + rf"|Σ|[A-Z]|[^\W\d_](?![a-z]){HAT}?"  # a letter in a word is no symbol, but H in Hd is
)
SUBSCRIPT = re.compile(r"_(?:\{([^{}]*)\}|(\w+))|(\d)")
EQUATION = re.compile(r"(?<![\w}·(])\w\S* (?==|←)")
NUMBER = re.compile(r"\d+(\.\d+)?")


class Formula(NamedTuple):
    """A formula in LaTeX, and where in the text it ends."""

    text: str
    end: int


class NoFormula(ValueError):
    """The text does not begin with a formula."""


def equation(text: str) -> Formula | None:
    """The equation that a text begins with; None if it begins with anything else."""
    try:
        found = latex(text)
    except NoFormula:
        return None
    return found if re.search(r" = | \\leftarrow ", found.text) else None


def mathematical(text: str) -> str:
    """A text with every equation in it as mathematics: ``m = g; l = 1`` → ``$m = g$; $l = 1$``."""
    made, at = "", 0
    for start in EQUATION.finditer(text):
        found = equation(text[start.start() :]) if start.start() >= at else None
        if found is not None:
            made += f"{text[at : start.start()]}${found.text}$"
            at = start.start() + found.end
    return made + text[at:]


def latex(text: str) -> Formula:
    """The formula that a text begins with: an expression, or an equation with = or ←. What follows
    it (" per tensor", ", as in torch") is left alone.

    Raises:
        NoFormula: the text does not begin with one.
    """
    reader = _Reader(unicodedata.normalize("NFD", text))
    made = reader.equation()
    # In the text as given: a decomposed ĝ is longer than the given one.
    rest = unicodedata.normalize("NFC", reader.text[reader.at :])
    return Formula(made, len(unicodedata.normalize("NFC", text)) - len(rest))


class _Reader:
    """A recursive descent over the text: equation > sum > product > power > atom."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def peek(self, spaces: bool = True) -> str:
        """The next character; spaces before it are skipped."""
        at = self.at
        while spaces and self.text[at : at + 1].isspace():
            at += 1
        return self.text[at : at + 1]

    def take(self, what: str) -> bool:
        """Go past this character if it is the next one."""
        if self.peek() != what:
            return False
        self.at = self.text.index(what, self.at) + 1
        return True

    def need(self, what: str) -> None:
        if not self.take(what):
            raise NoFormula(f"{what!r} expected at {self.text[self.at :][:30]!r}")

    def equation(self) -> str:
        made = self.sum()
        while self.peek() in EQUALS:
            made += EQUALS[self._sign()] + self.sum()
        return made

    def sum(self) -> str:
        made = SIGNS[self._sign()] if self.peek() in SIGNS else ""
        made += self.product()
        while self.peek() in SIGNS:
            made += f" {SIGNS[self._sign()].strip()} {self.product()}"
        return made

    def _sign(self) -> str:
        sign = self.peek()
        self.need(sign)
        return sign

    def product(self) -> str:
        made, bare = self.power()
        while True:
            following = self.peek()
            if following in TIMES:
                self.need(following)
                factor, inside = self.power()
                made = bare = made + TIMES[following] + factor
            elif following == "/":
                self.need("/")
                _, inside = self.power()
                made = bare = rf"\frac{{{bare}}}{{{inside}}}"
            elif NAME.match(self.text, self.at) or self.peek(spaces=False) == "(":
                factor, _ = self.power()
                made = bare = f"{made} {factor}"
            else:
                return made

    def power(self) -> tuple[str, str]:
        """As it is, and without the parentheses around it where they can be left out."""
        made, bare = self.atom()
        if self.peek(spaces=False) == "^":
            self.need("^")
            _, exponent = self.atom()
            made = bare = f"{made}^{{{exponent}}}"
        while self.peek(spaces=False) in SUPERSCRIPTS:
            made = bare = f"{made}^{{{SUPERSCRIPTS[self._sign()]}}}"
        return made, bare

    def atom(self) -> tuple[str, str]:
        if self.take("("):
            inside = self.sum()
            while self.take(","):
                inside += ", " + self.sum()
            self.need(")")
            tall = r"\frac" in inside or r"\sum" in inside
            return (rf"\left({inside}\right)" if tall else f"({inside})"), inside
        if self.take("√"):
            _, inside = self.power()
            return (made := rf"\sqrt{{{inside}}}"), made
        for bar, (opening, closing) in BARS.items():
            if self.take(bar):
                inside = self.sum()
                self.need(bar)
                return (made := rf"\left{opening}{inside}\right{closing}"), made
        return (made := self._named()), made

    def _named(self) -> str:
        """A number, a symbol with its subscript, or a function with its argument."""
        self.peek()
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        number = NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            return number.group()
        name = NAME.match(self.text, self.at)
        if name is None:
            raise NoFormula(f"no formula: {self.text[self.at :][:30]!r}")
        self.at = name.end()
        if name.group() in FUNCTIONS:
            return rf"\operatorname{{{name.group()}}} {self.power()[0]}"
        if name.group() == "Σ":
            return rf"\sum {self.power()[0]}"
        return _symbol(name.group()) + self._subscript()

    def _subscript(self) -> str:
        found = SUBSCRIPT.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        inside = next(x for x in found.groups() if x is not None).replace("−", "-")
        upright = len(inside) > 1 and inside.isalpha() and inside.isascii()
        return f"_{{\\mathrm{{{inside}}}}}" if upright else f"_{{{inside}}}"


def _symbol(name: str) -> str:
    if name in FRACTIONS:
        return FRACTIONS[name]
    letter = name.removesuffix(HAT)
    if letter not in GREEK and not letter.isascii():
        raise NoFormula(f"no symbol: {letter!r}")
    if len(letter) > 1:
        return r"\mathrm{" + letter.replace("_", r"\_") + "}"
    tex = f"\\{GREEK[letter]}" if letter in GREEK else letter
    return rf"\hat{{{tex}}}" if name.endswith(HAT) else tex
