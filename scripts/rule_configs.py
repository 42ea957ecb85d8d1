"""configs/rule/<rule>.yaml, written from what the rules say of themselves.

Each of gofau's rules declares its hyperparameters once (gofau/optim/hyperparameters.py), and this
writes them, with defaults and meanings, where the command line finds them. A test holds the files
to it. For a rule of your own a file by hand does as well.
"""

from pathlib import Path

import gofau.optim.rules
from gofau.optim import RULES, Rule

FOLDER = Path(__file__).parent.parent / "configs" / "rule"
FORMULAS = {
    "additive": "ξ = η·d",
    "multiplicative": "ξ = η_out·|θ|·tanh(η_in·d)",
    "hybrid": "ξ = γ·η_out·|θ|·tanh(η_in·d) + (1 − γ)·η·d",
    "exponential": "ξ = θ·(1 − exp(−η·d·sign θ))",
    "power": "ξ = θ·(1 − 2^(−η_out·tanh(η_in·d)·sign θ))",
}
ZERO_INIT = "of tensors that start at zero, where the rule cannot move them: or freeze"


def text(rule: Rule) -> str:
    """The file of one rule."""
    lines = [("name", rule.name, FORMULAS[rule.name])]
    for h in rule.hyperparameters.values():
        value = "null" if h.default is None else str(h.default)
        lines.append((h.name, value, f"{h.symbol}: {h.meaning}"))
    if rule.name != "additive":
        lines.append(("zero_init", "additive", ZERO_INIT))
    width = max(len(f"{key}: {value}") for key, value, _ in lines)
    rows = (f"{f'{key}: {value}':<{width}}   # {why}" for key, value, why in lines)
    return "\n".join(rows) + "\n"


def main() -> None:
    for rule in RULES.values():
        if rule.xi.__module__ == gofau.optim.rules.__name__:
            (FOLDER / f"{rule.name}.yaml").write_text(text(rule), encoding="utf-8")


if __name__ == "__main__":
    main()
