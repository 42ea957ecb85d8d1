"""Declarations of the hyperparameters of rules and step sizes. Constructors, checks, configuration
and documentation all read them from here."""

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gofau.optim.checks import ANY, Interval, check_number

REQUIRED: Any = inspect.Parameter.empty
"""Stands for a missing default: the user has to give a value."""


@dataclass(frozen=True)
class Hyperparameter:
    """A hyperparameter of a rule or a step size.

    Attributes:
        name: its key in param groups and on the command line.
        symbol: its symbol in the paper.
        default: its value if none is given, or `REQUIRED`.
        interval: the allowed values.
        meaning: a few words, for documentation and configuration.
        follows: the key of the param group whose value is used if this one is None. If there is no
            such key, None is refused, unless it is the default and means "none".

    >>> ETA_OUT.check(None)
    >>> ETA_IN.check(-1.0)
    Traceback (most recent call last):
    ValueError: eta_in must be > 0 and finite, got -1.0
    """

    name: str
    symbol: str
    default: Any = REQUIRED
    interval: Interval = ANY
    meaning: str = ""
    follows: str | None = None

    def check(self, value: Any, key: str = "") -> None:
        """Raise a ValueError if ``value`` is not allowed. ``key`` is what the message calls it, by
        default its name."""
        if value is None and (self.follows is not None or self.default is None):
            return
        # A registered rule may have strings and flags; without a declared range they are not
        # checked.
        if self.interval is not ANY or isinstance(value, (int, float)):
            check_number(key or self.name, value, self.interval)

    def value_in(self, group: dict[str, Any]) -> Any:
        """Its value in a param group."""
        value = group[self.name]
        return group[self.follows] if value is None and self.follows is not None else value


FINITE_POSITIVE = Interval(0, open_low=True, open_high=True)

ETA_IN = Hyperparameter(
    *("eta_in", "η_in", 1.0, FINITE_POSITIVE),
    meaning="gain inside tanh: about 1 for adaptive optimizers, 10 to 1,000 for SGD",
)
ETA_OUT = Hyperparameter(
    *("eta_out", "η_out", None, FINITE_POSITIVE),
    meaning="largest relative change per step; null: the learning rate",
    follows="lr",
)
GAMMA = Hyperparameter(
    *("gamma", "γ", 0.5, Interval(0, 1)),
    meaning="weight of the multiplicative part: 0 is additive, 1 is multiplicative",
)

SHARED = {h.name: h for h in (ETA_IN, ETA_OUT, GAMMA)}
"""The paper's hyperparameters by name. An argument with one of these names, of any registered rule,
has this declaration."""


class Part(Protocol):
    """Interface of rules and step sizes: whatever has hyperparameters."""

    @property
    def title(self) -> str:
        """Its name in error messages, such as "rule 'hybrid'"."""
        ...

    @property
    def own(self) -> Mapping[str, Hyperparameter]:
        """Its hyperparameters by name."""
        ...


def own_options(
    parts: Collection[Part], given: dict[str, Any], known: Collection[str]
) -> dict[str, Any]:
    """The values of the hyperparameters that a rule and a step size have beyond the ``known`` ones:
    the given value, else the default. One that is not given and has no default is left out.

    Raises:
        TypeError: a given name is a hyperparameter of none of them.
    """
    own = {k: h.default for part in parts for k, h in part.own.items() if k not in known}
    for name in given.keys() - own.keys():
        which = " and ".join(part.title for part in parts)
        has, it = ("has", "it has") if len(parts) == 1 else ("have", "they have")
        others = ", ".join(own) or "none beyond the documented ones"
        raise TypeError(f"{which} {has} no hyperparameter '{name}' ({it}: {others})")
    return {k: v for k, v in (own | given).items() if v is not REQUIRED}


def check_own(part: Part, group: Mapping[str, Any], prefix: str = "") -> None:
    """Raise a ValueError if a hyperparameter is missing or out of range."""
    for name, h in part.own.items():
        if name not in group:
            raise ValueError(f"{part.title} needs the hyperparameter '{prefix}{name}'")
        h.check(group[name])
