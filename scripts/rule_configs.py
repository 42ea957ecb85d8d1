"""What the rules say of themselves, written where it is read: configs/rule/<rule>.yaml for the
command line, and the table of hyperparameters in README.md.

Each of gofau's rules says its formula once, at the beginning of its docstring, and its
hyperparameters once (gofau/optim/hyperparameters.py). A test holds the files to it. For a rule of
your own a file by hand does as well.
"""

import re
from pathlib import Path

import gofau.optim.rules
from gofau.optim import RULES, Rule
from gofau.optim.hyperparameters import REQUIRED, Hyperparameter

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "configs" / "rule"
README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=<!-- hyperparameters -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""What is between these lines of README.md is the table."""
ESCAPED = r"\|"
FORMULA = re.compile(r"ξ = .+?(?=: |, that is|\. |\.?$)", re.MULTILINE)
ZERO_INIT = "of tensors that start at zero, where the rule cannot move them: or freeze"


def own() -> list[Rule]:
    """gofau's own rules, in the order in which they are written down."""
    module = gofau.optim.rules.__name__
    return [rule for rule in RULES.values() if rule.xi.__module__ == module]


def formula(rule: Rule) -> str:
    """How the rule's docstring begins, such as ``ξ = η·d``."""
    found = FORMULA.match(rule.xi.__doc__ or "")
    if found is None:
        raise SystemExit(f"error: the docstring of {rule.xi.__name__} must begin with ξ = …")
    return found[0].replace(" · ", "·")


def text(rule: Rule) -> str:
    """The file of one rule."""
    lines = [("name", rule.name, formula(rule))]
    for h in rule.hyperparameters.values():
        lines.append((h.name, _default(h, "null"), f"{h.symbol}: {h.meaning}"))
    if rule.name != "additive":
        lines.append(("zero_init", "additive", ZERO_INIT))
    width = max(len(f"{key}: {value}") for key, value, _ in lines)
    rows = (f"{f'{key}: {value}':<{width}}   # {why}" for key, value, why in lines)
    return "\n".join(rows) + "\n"


def table() -> str:
    """The hyperparameters of all rules, for README.md."""
    rules: dict[Hyperparameter, list[str]] = {}
    for rule in own():
        for h in rule.hyperparameters.values():
            rules.setdefault(h, []).append(f"`{rule.name}`")
    rows = ["| name | symbol | default | meaning | rules |", "|---|---|---|---|---|"]
    for h, names in rules.items():
        meaning = h.meaning.replace("null:", "`None`:")
        cells = (f"`{h.name}`", h.symbol, f"`{_default(h, 'None')}`", meaning, ", ".join(names))
        rows.append(f"| {' | '.join(cell.replace('|', ESCAPED) for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _default(h: Hyperparameter, none: str) -> str:
    """`none` is how nothing is written there; ??? is how Hydra says that a value must be given."""
    return "???" if h.default is REQUIRED else none if h.default is None else str(h.default)


def main() -> None:
    for rule in own():
        (FOLDER / f"{rule.name}.yaml").write_text(text(rule), encoding="utf-8")
    page = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(lambda _: table(), page), encoding="utf-8")


if __name__ == "__main__":
    main()
