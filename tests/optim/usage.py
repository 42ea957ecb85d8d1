# pyright: strict
"""How gofau.optim is used, as a type checker in strict mode sees it: nothing in its public surface
is of unknown type. `make check` reads this file, and nobody runs it; `test_usage.py` holds that
every public name is in it."""

from collections.abc import Sequence
from typing import Any, assert_type

import torch
from torch import Tensor, nn

from gofau import optim


def steps(model: nn.Module) -> None:
    """Every base, alone, with named parameters and with groups."""
    made: list[optim.RuleOptimizer] = [
        optim.SGD(model.parameters(), lr=0.1, momentum=0.9, rule="hybrid", gamma=0.3),
        optim.Adagrad(model.named_parameters(), stepsize="trust_ratio"),
        optim.RMSprop([{"params": model.parameters(), "lr": torch.tensor(0.1)}], eta_out=None),
        optim.Adam(model.parameters(), betas=(0.9, torch.tensor(0.99))),
        optim.AdamW(model.parameters(), foreach=True, zero_init="freeze"),
        optim.AdamW(model.parameters(), post_step="ham", ham_alpha=20.0, ham_beta=0.0),
        optim.Lion(model.parameters(), rule="usage_clipped", limit=0.1),
        optim.SignSGD(model.parameters(), momentum=0.9, rule="hypentropy", hyp_beta=0.5),
        optim.Madam(model.parameters(), 0.01, p_scale=torch.tensor(3.0), fused=True),
        optim.Fromage(model.parameters(), lr=torch.tensor(0.01)),
        optim.Nero(model.named_parameters(), neuron_beta=0.99),
    ]
    assert_type(optim.IntegerMadam(model.parameters()).rule_counts(), dict[str, dict[str, int]])
    for optimizer in made:
        assert_type(optimizer.rule_counts(), dict[str, dict[str, int]])
        assert_type(optimizer.torch_state_dict(), dict[str, Any])
        optimizer.step(lambda: 0.5)


def groups(model: nn.Module) -> optim.ParamGroups:
    """Settings by module and by name."""
    found = optim.param_groups(
        model,
        rule="hybrid",
        overrides={nn.BatchNorm2d: {"rule": "additive"}, "*.bias": {"lr": 1.0}},
    )
    assert_type(found.frozen, list[str])
    assert_type(found.report, str)
    return found


def on_another(optimizer: torch.optim.Optimizer) -> None:
    """A rule for an optimizer that is not gofau's."""
    handle = optim.attach(optimizer, rule="power", stepsize="trust_ratio", gamma=0.5)
    assert_type(handle, optim.Attached)
    assert_type(optim.attached(optimizer), optim.Attached | None)
    handle.remove()


def looked_at(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, float]:
    """What a rule does to the weights, for one step and from time to time."""
    rows: list[dict[str, float]] = []
    handle = optim.monitor(optimizer, lambda step, row: rows.append(row), every=10, model=model)
    assert_type(handle, optim.Monitor)
    with optim.observe(optimizer, model=model) as step:
        optimizer.step()
    return step.result()


@optim.register_rule(
    "usage_clipped", optim.Hyperparameter("limit", "κ", 0.1, meaning="largest change")
)
def clipped(theta: Tensor, d: Tensor, eta: float | Tensor, *, limit: float | Tensor) -> Tensor:
    """ξ = κ·tanh(η·d/κ)."""
    return limit * torch.tanh(eta * d / limit)


@optim.register_stepsize("usage_polyak")
class Polyak(optim.StepSize):
    """η = f(θ) / Σ‖g‖²."""

    scope, role = "group", "eta"

    def __call__(
        self, layers: Sequence[optim.Layer], group: dict[str, Any], evidence: optim.Evidence
    ) -> Sequence[Tensor]:
        assert evidence.loss is not None
        total = torch.stack([layer.g.square().sum() for layer in layers]).sum()
        return [evidence.loss / total for _ in layers]


@optim.register_post_step("usage_kept", optim.Hyperparameter("kept", "κ", 0.9))
def kept(theta: Tensor, g: Tensor, eta: float | Tensor, *, kept: float | Tensor) -> Tensor:
    """ξ = (1 − κ)·θ."""
    return (1 - kept) * theta


def by_name() -> None:
    """The registries."""
    assert_type(optim.get_rule("hybrid"), optim.Rule)
    assert_type(optim.RULES, dict[str, optim.Rule])
    assert_type(optim.get_post_step("ham"), optim.Rule)
    assert_type(optim.POST_STEPS, dict[str, optim.Rule])
    assert_type(optim.get_stepsize("base"), optim.StepSize)
    assert_type(optim.STEPSIZES, dict[str, optim.StepSize])
    assert_type(optim.TrustRatio(), optim.TrustRatio)
    assert_type(optim.Neuron(), optim.Neuron)
    assert_type(optim.Layerwise(), optim.Layerwise)
    assert_type(optim.LayerwiseExact(), optim.LayerwiseExact)
