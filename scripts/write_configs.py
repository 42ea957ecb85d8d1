"""Writes what gofau.optim declares to the files of the command line, configs/rule/<rule>.yaml,
configs/stepsize/<stepsize>.yaml and configs/post_step/<post_step>.yaml, to the table in
docs/library.md, and to the pages of docs/reference/, which the site fills from the docstrings.

Each of gofau's rules, step sizes and post steps states its formula once, at the beginning of its
docstring, and its hyperparameters once (gofau/optim/hyperparameters.py). A test checks that the
files agree. For your own rule you can also write the file by hand.

A base optimizer without a file in configs/optimizer gets one with its constructor's defaults. An
existing file is not changed: its learning rate may have been chosen by a search. The file of an
optimizer with a rule of its own is written by hand.
"""

import inspect
import re
from pathlib import Path
from textwrap import indent
from typing import Any

import gofau.optim
from gofau.optim import POST_STEPS, RULES, STEPSIZES, Rule, RuleOptimizer, StepSize
from gofau.optim.checks import CHOICES, FLAGS, RANGES
from gofau.optim.hyperparameters import REQUIRED, Hyperparameter

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "configs"
PAGE = ROOT / "docs" / "library.md"
REFERENCE = ROOT / "docs" / "reference"
BLOCK = re.compile(r"(?<=<!-- hyperparameters -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""The table in docs/library.md: the text between these two lines."""
ESCAPED = r"\|"
FORMULA = re.compile(r"ξ = .+?(?=: |, that is|\. |\.?$)", re.MULTILINE)
SENTENCE = re.compile(r"s = .+?(?=; |\.\s|\.$)", re.DOTALL)
FACTOR = "optimizer: {lr: 1.0}   # a factor of the step size, which the scheduler drives"
ZERO_INIT = "of tensors that start at zero, where the rule cannot move them: or freeze"


def rules() -> list[Rule]:
    """gofau's own rules, in the order of their registration."""
    return [rule for rule in RULES.values() if rule.xi.__module__.startswith("gofau.optim.")]


def stepsizes() -> list[StepSize]:
    """gofau's own step sizes, in the order in which they are imported."""
    return [s for s in STEPSIZES.values() if type(s).__module__.startswith("gofau.optim.")]


def post_steps() -> list[Rule]:
    """gofau's own post steps."""
    return [p for p in POST_STEPS.values() if p.xi.__module__.startswith("gofau.optim.")]


def bases() -> list[type[RuleOptimizer]]:
    """The base optimizers that gofau.optim exports, by name: they take any rule."""
    found = [getattr(gofau.optim, name) for name in gofau.optim.__all__]
    classes = [x for x in found if inspect.isclass(x) and issubclass(x, RuleOptimizer)]
    return [x for x in classes if x is not RuleOptimizer and not x.own_rule]


def formula(rule: Rule) -> str:
    """The formula at the beginning of the rule's docstring, such as ``ξ = η·d``."""
    return _found(FORMULA, rule.xi, "ξ = …").replace(" · ", "·")


def _found(pattern: re.Pattern[str], of: Any, form: str) -> str:
    found = pattern.match(of.__doc__ or "")
    if found is None:
        raise SystemExit(f"error: the docstring of {of.__name__} must begin with {form}")
    return " ".join(found[0].split())


def text(rule: Rule) -> str:
    """The text of a rule's file."""
    lines = [("name", rule.name, formula(rule)), *_declared(rule)]
    if rule.name != "additive":
        lines.append(("zero_init", "additive", ZERO_INIT))
    return _aligned(lines)


def post_step_text(post_step: Rule) -> str:
    """The text of a post step's file."""
    return _aligned([("name", post_step.name, formula(post_step)), *_declared(post_step)])


def stepsize_text(stepsize: StepSize) -> str:
    """The text of a step size's file. If it replaces η, the learning rate becomes a factor."""
    first = _found(SENTENCE, type(stepsize), "s = …")
    own = _aligned([("name", stepsize.name, first), *_declared(stepsize)])
    if stepsize.role != "eta":
        return own
    return f"# @package _global_\nstepsize:\n{indent(own, '  ')}{FACTOR}\n"


def optimizer_text(base: type[RuleOptimizer]) -> str:
    """The text of a base optimizer's file, with the constructor's defaults."""
    parameters = inspect.signature(base).parameters
    lines = [f"_target_: gofau.optim.{base.__name__}", f"name: {base.__name__.lower()}"]
    for name in options(base):
        lines.append(f"{name}: {_value(parameters[name].default)}")
    return "\n".join(lines) + "\n"


def options(base: type[RuleOptimizer]) -> list[str]:
    """The hyperparameters of the base itself: not those of the rule or of the execution."""
    execution = {"maximize", "capturable", "differentiable", "decoupled_weight_decay", *CHOICES}
    own = {*RANGES, *FLAGS} - execution
    return [name for name in inspect.signature(base).parameters if name in own]


def reference() -> dict[Path, str]:
    """The pages of the reference that gofau's rules, step sizes and base optimizers need: file →
    text."""
    names = [("rule", rule.name) for rule in rules()]
    names += [("stepsize", stepsize.name) for stepsize in stepsizes()]
    names += [("optimizer", base.__name__) for base in bases()]
    files = [REFERENCE / f"{kind}s" / f"{name.lower()}.md" for kind, name in names]
    texts = [f"# {name}\n\n<!-- generated: {kind} {name} -->\n" for kind, name in names]
    return dict(zip(files, texts, strict=True))


def table() -> str:
    """The table of the hyperparameters of rules, step sizes and post steps, for docs/library.md."""
    users: dict[Hyperparameter, list[str]] = {}
    for part in (*rules(), *stepsizes(), *post_steps()):
        for h in part.own.values():
            users.setdefault(h, []).append(f"`{part.name}`")
    rows = ["| name | symbol | default | meaning | used by |", "|---|---|---|---|---|"]
    for h, names in users.items():
        meaning = h.meaning.replace("null:", "`None`:")
        cells = (f"`{h.name}`", h.symbol, f"`{_default(h, 'None')}`", meaning, ", ".join(names))
        rows.append(f"| {' | '.join(cell.replace('|', ESCAPED) for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _declared(part: Rule | StepSize) -> list[tuple[str, str, str]]:
    return [(h.name, _default(h, "null"), f"{h.symbol}: {h.meaning}") for h in part.own.values()]


def _aligned(lines: list[tuple[str, str, str]]) -> str:
    width = max(len(f"{key}: {value}") for key, value, _ in lines)
    rows = (f"{f'{key}: {value}':<{width}}   # {why}" for key, value, why in lines)
    return "\n".join(rows) + "\n"


def _default(h: Hyperparameter, none: str) -> str:
    """A default as text: ``none`` stands for None, and ???, Hydra's mark, for a required value."""
    return "???" if h.default is REQUIRED else none if h.default is None else str(h.default)


def _value(x: Any) -> str:
    """A default as YAML. Numbers need a decimal point: YAML reads 1e-08 as text."""
    if isinstance(x, bool):
        return str(x).lower()
    if isinstance(x, tuple):
        return f"[{', '.join(map(_value, x))}]"
    return re.sub(r"^(\d+)e", r"\1.0e", repr(float(x)))


def main() -> None:
    for rule in rules():
        (FOLDER / "rule" / f"{rule.name}.yaml").write_text(text(rule), encoding="utf-8")
    for stepsize in stepsizes():
        file = FOLDER / "stepsize" / f"{stepsize.name}.yaml"
        file.write_text(stepsize_text(stepsize), encoding="utf-8")
    for post_step in post_steps():
        file = FOLDER / "post_step" / f"{post_step.name}.yaml"
        file.write_text(post_step_text(post_step), encoding="utf-8")
    for base in bases():
        file = FOLDER / "optimizer" / f"{base.__name__.lower()}.yaml"
        if not file.exists():
            file.write_text(optimizer_text(base), encoding="utf-8")
    for file, words in reference().items():
        file.write_text(words, encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda _: table(), page), encoding="utf-8")


if __name__ == "__main__":
    main()
