"""The reference pages: one page per optimizer, rule and step size, and one section per problem and
post step, made from their docstrings and from what they declare."""

import inspect
from collections.abc import Iterable
from typing import Any

import torch

import gofau.optim
import gofau.problems as contract
from docs._ext.formulas import equation, mathematical
from docs._ext.sources import CONFIGS, comment
from gofau.optim import RULES, STEPSIZES, Hyperparameter, Rule, RuleOptimizer
from gofau.optim.hyperparameters import REQUIRED
from gofau.optim.post_steps import POST_STEPS
from gofau.problems import image_classification, language_model, node_classification, reconstruction
from gofau.toy import PROBLEMS

OWN = "gofau."
SCOPES = {
    "layer": "one per layer",
    "element": "a tensor per layer",
    "group": "one per layer, from all layers of its group",
}
"""What a step size computes, in words."""
LETTERS = "The letters of sources are explained in [The science](../../science.md)."


def rule(name: str) -> str:
    """The page of a rule."""
    return f"{_rule('rule', RULES[name])}\n{LETTERS}\n"


def post_steps() -> str:
    """The section of every post step of gofau."""
    ours = (some for some in POST_STEPS.values() if some.xi.__module__.startswith(OWN))
    return "\n".join(f"## {some.name}\n\n{_rule('post_step', some)}" for some in ours)


def _rule(key: str, some: Rule) -> str:
    return _described(
        f'On the command line `{key}={some.name}`, in Python `{key}="{some.name}"`.',
        f".. autofunction:: {some.xi.__module__}.{some.xi.__qualname__}",
        hyperparameters(some.own.values()),
    )


def rules() -> str:
    """The table of the rules on the page that leads to theirs."""
    return formulas("rules/")


def formulas(pages: str = "reference/rules/") -> str:
    """A table with the formula of every rule, from its docstring. `pages`: where theirs are."""
    rows = ["| rule | ξ(θ, d; η) | signs can change | zero can move |", "|---|---|---|---|"]
    for some in RULES.values():
        found = equation(_first(some.xi))
        if some.xi.__module__.startswith(OWN) and found is not None:
            tex = _cell(found.text.removeprefix(r"\xi = "))
            link = f"[{some.name}]({pages}{some.name}.md)"
            rows.append(f"| {link} | ${tex}$ | {_signs(some)} | {_zeros(some)} |")
    return "\n".join(rows)


def _defaults(rule: Rule) -> dict[str, Any]:
    return {"lr": 0.1} | {h.name: h.default for h in rule.own.values()}


def _zeros(rule: Rule) -> str:
    """Found by evaluating the rule at θ = 0."""
    return "yes" if rule.moves_zeros(_defaults(rule)) else "no"


def _signs(rule: Rule) -> str:
    """Found by evaluating the rule at θ = 1, for a large d, and for a large η_out."""
    theta, group = torch.ones(1), _defaults(rule)
    if bool((theta - rule(theta, 1e3 * theta, group) < 0).any()):
        return "yes"
    if "eta_out" in group and bool((theta - rule(theta, theta, group | {"eta_out": 9}) < 0).any()):
        return "only if η_out > 1"
    return "no"


def stepsizes() -> str:
    """The table of the step sizes on the page that leads to theirs."""
    rows = ["| step size | values | what it is |", "|---|---|---|"]
    for name, some in STEPSIZES.items():
        if type(some).__module__.startswith(OWN):
            words = _cell(mathematical(_first(type(some))))
            rows.append(f"| [{name}](stepsizes/{name}.md) | {SCOPES[some.scope]} | {words} |")
    return "\n".join(rows)


def stepsize(name: str) -> str:
    """The page of a step size."""
    some = STEPSIZES[name]
    kind = type(some)
    what = "replaces η" if some.role == "eta" else "is a factor of l"
    needs = "; `step` needs a closure" * bool(some.needs)
    return _described(
        f'On the command line `stepsize={name}`, in Python `stepsize="{name}"`.'
        f" It {what}; values: {SCOPES[some.scope]}{needs}.",
        f".. autoclass:: {kind.__module__}.{kind.__qualname__}()",
        hyperparameters(some.hyperparameters),
    )


def classes() -> dict[str, type]:
    """The optimizers that gofau.optim exports, those that take rules first."""
    found = [(name, getattr(gofau.optim, name)) for name in gofau.optim.__all__]
    some = [
        (name, x)
        for name, x in found
        if inspect.isclass(x) and issubclass(x, torch.optim.Optimizer) and x is not RuleOptimizer
    ]
    return dict(sorted(some, key=lambda pair: not takes_rules(pair[1])))


def optimizers() -> str:
    """The table of the optimizers on the page that leads to theirs."""
    rows = ["| optimizer | rules | what it is |", "|---|---|---|"]
    for name, some in classes().items():
        rule = "all" if takes_rules(some) else "its own"
        words = _cell(mathematical(_first(some)))
        rows.append(f"| [{name}](optimizers/{name.lower()}.md) | {rule} | {words} |")
    return "\n".join(rows)


def directions() -> str:
    """A table with the direction and the step size of every base optimizer, from their
    docstrings. Optimizers with the same direction share a row."""
    rows = ["| base | direction m and step size l |", "|---|---|"]
    names: dict[type, list[str]] = {}
    for name, optimizer in classes().items():
        if takes_rules(optimizer):
            names.setdefault(type(_direction(optimizer)), []).append(name)
    for direction, some in names.items():
        links = ", ".join(f"[{name}](reference/optimizers/{name.lower()}.md)" for name in some)
        rows.append(f"| {links} | {mathematical(_first(direction))} |")
    return "\n".join(rows)


def takes_rules(optimizer: type) -> bool:
    """Whether it is a base that combines with every rule."""
    return issubclass(optimizer, RuleOptimizer) and not optimizer.own_rule


def _direction(optimizer: Any) -> Any:
    return optimizer.direction


def optimizer(name: str) -> str:
    """The page of an optimizer."""
    some = getattr(gofau.optim, name)
    config = next(p for p in CONFIGS.glob("optimizer/*.yaml") if f".{name}\n" in p.read_text())
    words = "Takes every rule and step size." if takes_rules(some) else "Has its own rule."
    text = f"{words} On the command line `optimizer={config.stem}`; in experiments the defaults are"
    text += (
        f" those of [configs/optimizer/{config.name}](../../../configs/optimizer/{config.name})."
    )
    if takes_rules(some):
        text += f"\n\n{mathematical(_first(type(_direction(some))))}"
    return _described(text, f".. autoclass:: gofau.optim.{name}", "")


def problems() -> str:
    """The section of every kind of problem, with the configurations that are made of it."""
    modules = (image_classification, reconstruction, node_classification, language_model)
    classes = [
        x
        for module in modules
        for _, x in inspect.getmembers(module, inspect.isclass)
        if issubclass(x, contract.Problem) and x.__module__ == module.__name__
    ]
    return "\n".join(_problem(x) for x in classes)


def _problem(problem: type) -> str:
    kind = problem.__module__.rpartition(".")[2]
    rows = ["| `problem=` | what |", "|---|---|"]
    for path in sorted(CONFIGS.glob("problem/*.yaml")):
        if path.stem == kind or f"- {kind}@problem" in path.read_text(encoding="utf-8"):
            rows.append(f"| `{path.stem}` | {comment(path)} |")
    text = "\n".join(rows)
    directive = f".. autoclass:: {problem.__module__}.{problem.__qualname__}"
    return f"## {kind}\n\n{_described(text, directive, '')}"


def functions() -> str:
    """A table of the functions of two variables that experiments descend on."""
    rows = ["| `toy.cases` | function | minima | box of the starts |", "|---|---|---|---|"]
    for name, problem in PROBLEMS.items():
        first = _first(type(problem))
        found = equation(first)
        words = first if found is None else f"${found.text}${first[found.end :]}"
        minima = ", ".join(f"({a:.4g}, {b:.4g})" for a, b in problem.minima)
        box = " × ".join(f"[{low:g}, {high:g}]" for low, high in problem.box)
        rows.append(f"| `{name}` | {words} | {minima} | {box} |")
    return "\n".join(rows)


def hyperparameters(declared: Iterable[Hyperparameter]) -> str:
    """The table of declared hyperparameters; empty if there are none."""
    rows = ["| hyperparameter | symbol | default | allowed | meaning |", "|---|---|---|---|---|"]
    for h in declared:
        default = "required" if h.default is REQUIRED else f"`{h.default}`"
        meaning = h.meaning.replace("null:", "`None`:")
        cells = (f"`{h.name}`", h.symbol, default, str(h.interval), meaning)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) if len(rows) > 2 else ""


def _first(x: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((inspect.getdoc(x) or "").partition("\n\n")[0].split())


def _cell(text: str) -> str:
    """Formulas with the names of bars, since a | would end the cell of a table."""
    return text.replace(r"\|", r"\Vert ").replace("|", r"\vert ")


def _described(words: str, directive: str, table: str) -> str:
    return f"{words}\n\n{table}\n\n```{{eval-rst}}\n{directive}\n```\n"
