"""Build param groups by module type or name pattern: rule and settings per parameter."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

Selector = str | type[nn.Module]
Settings = Mapping[str, Any]


class ParamGroups(list[dict[str, Any]]):
    """A list of param groups, as every torch optimizer takes it; ``print`` shows a table of the
    groups and their parameters. Returned by `param_groups`.

    Attributes:
        frozen: names of the parameters that were left out because they need no gradient.
        report: the table at the time the groups were made.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], frozen: Iterable["_Parameter"]) -> None:
        super().__init__(groups)
        frozen = list(frozen)
        self.frozen = [x.names[0] for x in frozen]
        self.report = _table(self, frozen)

    def __str__(self) -> str:
        return self.report


@dataclass
class _Parameter:
    """A parameter with all its names and the modules that own it; a tied one has several."""

    value: nn.Parameter
    names: list[str] = field(default_factory=list)
    owners: list[nn.Module] = field(default_factory=list)

    def is_chosen_by(self, selector: Selector) -> bool:
        if isinstance(selector, str):
            return any(fnmatchcase(name, selector) for name in self.names)
        return any(isinstance(owner, selector) for owner in self.owners)


def param_groups(
    model: nn.Module,
    *,
    overrides: Mapping[Any, Settings] | None = None,
    **defaults: Any,
) -> ParamGroups:
    """Sort a model's parameters into param groups for an optimizer.

    Every parameter starts from ``defaults``. Each override that matches it then replaces settings,
    in the order of ``overrides``: later ones win. Settings that neither gives have the optimizer's
    defaults. Parameters with equal settings share a group; groups and parameters keep the order of
    the model. A tied parameter appears once, and an override may match any of its names and owners.
    Parameters with ``requires_grad=False`` are left out and reported.

    Args:
        model: the model whose parameters are sorted.
        overrides: settings by selector. A string is a pattern (``*``, ``?``, ``[…]``) for the whole
            name of a parameter, as in ``model.named_parameters()``; a class selects the parameters
            that belong directly to a module of that class.
        defaults: settings of all groups: ``rule``, ``zero_init``, ``lr``, ``weight_decay``, …
            For an optimizer whose rule comes from `attach` they are ``gofau_rule`` and so on.

    Returns:
        The groups. ``print`` shows the table. They have ``param_names``, as in torch.

    Raises:
        ValueError: an override matches no parameter, or the model has no trainable parameter.
            Unknown or invalid settings are refused by the optimizer.
        TypeError: the key of an override is neither a string nor a module class.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 2, 3))
        >>> plain = {"rule": "additive"}
        >>> overrides = {nn.BatchNorm2d: plain, "*.bias": plain}
        >>> groups = param_groups(model, rule="hybrid", overrides=overrides)
        >>> print(groups)
        group  tensors  elements  settings       parameters
        0            2       216  rule=hybrid    0.weight, 2.weight
        1            4        26  rule=additive  0.bias, 1.weight, 1.bias, 2.bias
        >>> import gofau.optim
        >>> optimizer = gofau.optim.SGD(groups, lr=0.1)
    """
    parameters = _collect(model)
    overrides = overrides or {}
    for selector in overrides:
        _must_match(selector, parameters, model)
    groups: list[dict[str, Any]] = []
    for x in parameters:
        if not x.value.requires_grad:
            continue
        settings = dict(defaults)
        for selector, more in overrides.items():
            if x.is_chosen_by(selector):
                settings.update(more)
        group = next((g for g in groups if _settings(g) == settings), None)
        if group is None:
            group = {"params": [], "param_names": [], **settings}
            groups.append(group)
        group["params"].append(x.value)
        group["param_names"].append(x.names[0])
    if not groups:
        raise ValueError(f"{type(model).__name__} has no parameter that needs a gradient")
    return ParamGroups(groups, (x for x in parameters if not x.value.requires_grad))


def _settings(group: Settings) -> dict[str, Any]:
    return {k: v for k, v in group.items() if k not in ("params", "param_names")}


def _collect(model: nn.Module) -> list[_Parameter]:
    """All parameters, each once, in the order of ``model.named_parameters()``."""
    found: dict[int, _Parameter] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        for name, p in module.named_parameters(recurse=False, remove_duplicate=False):
            x = found.setdefault(id(p), _Parameter(p))
            x.names.append(f"{path}.{name}" if path else name)
            x.owners.append(module)
    return list(found.values())


def _must_match(selector: Selector, parameters: list[_Parameter], model: nn.Module) -> None:
    """Refuse an override that matches no parameter, and name the nearest match: it is a typing
    mistake."""
    if isinstance(selector, str):
        names = [name for x in parameters for name in x.names]
        candidates = names + [f"{n.rpartition('.')[0]}.*" for n in names if "." in n]
        candidates += [f"*.{n.rpartition('.')[2]}" for n in names if "." in n]
        wanted = selector
    elif isinstance(selector, type) and issubclass(selector, nn.Module):
        candidates = [type(owner).__name__ for x in parameters for owner in x.owners]
        wanted = selector.__name__
    else:
        raise TypeError(f"an override is for a name pattern or a module class, got {selector!r}")
    if any(x.is_chosen_by(selector) for x in parameters):
        return
    close = difflib.get_close_matches(wanted, list(dict.fromkeys(candidates)), n=1, cutoff=0.3)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise ValueError(f"override '{wanted}' matches no parameter of {type(model).__name__}.{hint}")


def _table(groups: list[dict[str, Any]], frozen: list[_Parameter]) -> str:
    rows = [("group", "tensors", "elements", "settings", "parameters")]
    for i, group in enumerate(groups):
        settings = ", ".join(f"{k}={v}" for k, v in _settings(group).items())
        elements = sum(p.numel() for p in group["params"])
        rows.append(_row(str(i), elements, settings, group["param_names"]))
    if frozen:
        elements = sum(x.value.numel() for x in frozen)
        rows.append(_row("frozen", elements, "", [x.names[0] for x in frozen]))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = []
    for group, tensors, elements, settings, names in rows:
        numbers = f"{tensors:>{widths[1]}}  {elements:>{widths[2]}}"
        lines.append(f"{group:<{widths[0]}}  {numbers}  {settings:<{widths[3]}}  {names}")
    return "\n".join(lines)


def _row(
    label: str, elements: int, settings: str, names: list[str]
) -> tuple[str, str, str, str, str]:
    shown = ", ".join(names if len(names) <= 4 else [*names[:3], f"… {len(names) - 3} more"])
    return label, str(len(names)), str(elements), settings, shown
