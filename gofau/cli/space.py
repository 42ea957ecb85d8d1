"""The search space of ``hydra/sweeper=optuna``, from overrides in Hydra's syntax for sweeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from gofau.errors import UserError

SEED = "seed"


@dataclass(frozen=True)
class Space:
    """What a search varies.

    Attributes:
        fixed: the overrides that all runs share.
        distributions: key → Optuna's distribution.
        seeds: the overrides of the seed, one per run of a trial; one empty list if it is not swept.
    """

    fixed: list[str]
    distributions: dict[str, Any]
    seeds: list[list[str]]

    def runs(self, params: Mapping[str, Any]) -> list[list[str]]:
        """The overrides of the runs of one trial."""
        chosen = [f"{key}={self._text(key, value)}" for key, value in params.items()]
        return [[*self.fixed, *chosen, *seed] for seed in self.seeds]

    def _text(self, key: str, value: Any) -> str:
        """A value as it is typed: with four digits, unless that leaves the range."""
        if not isinstance(value, float):
            return str(value)
        its, short = self.distributions[key], float(f"{value:.4g}")
        return repr(short if its.low <= short <= its.high else value)


def space(overrides: Sequence[Override]) -> Space:
    """The space that overrides span: ``interval(0,1)``, ``tag(log,interval(1e-4,1))``,
    ``int(interval(1,8))``, ``range(1,10)``, ``choice(a,b)`` or ``a,b``.

    Raises:
        UserError: nothing is varied, or a range is empty.
    """
    fixed: dict[str, str] = {}
    varied: dict[str, Any] = {}
    seeds: list[list[str]] = [[]]
    for override in overrides:
        key = override.get_key_element()
        # The last one counts, as on the command line.
        fixed.pop(key, None)
        varied.pop(key, None)
        if not override.is_sweep_override():
            fixed[key] = f"{key}={override.get_value_element_as_str()}"
        elif key == SEED and override.is_discrete_sweep():
            seeds = [[f"{key}={value}"] for value in override.sweep_string_iterator()]
        else:
            varied[key] = _distribution(key, override)
    if not varied:
        raise UserError(
            "hydra/sweeper=optuna has nothing to search: give a range, such as"
            " 'optimizer.lr=tag(log,interval(1e-3,1))', or values, such as rule=additive,hybrid"
        )
    return Space([*fixed.values()], varied, seeds)


def _distribution(key: str, override: Override) -> Any:
    from optuna import distributions as d

    value: Any = override.value()
    log = "log" in getattr(value, "tags", ())
    try:
        if isinstance(value, IntervalSweep):
            kind = d.IntDistribution if isinstance(value.start, int) else d.FloatDistribution
            ends: Any = value.start, value.end
            return kind(*ends, log=log)
        if isinstance(value, RangeSweep) and isinstance(value.start, int):
            each = [*value.range()]
            return d.IntDistribution(each[0], each[-1], step=int(value.step), log=False)
        return d.CategoricalDistribution([*override.sweep_string_iterator()])
    except (ValueError, IndexError) as e:
        typed = (override.input_line or "").partition("=")[2]
        raise UserError(f"{key}: Optuna refuses {typed}: {e}") from e
