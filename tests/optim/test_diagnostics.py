"""What is said of a step, against numbers counted one weight at a time."""

import math
from typing import Any

import pytest
import torch

import gofau.optim as optim
from gofau.optim import attach, attached, monitor, observe
from tests.optim.reference import BASES, decay_of

METRICS = ["saturation", "frozen", "sign_flips", "update_ratio", "update_rms"]
RULES = ["additive", "multiplicative", "hybrid", "exponential", "power"]
TANH = ["multiplicative", "hybrid", "power"]
HYPER: dict[str, Any] = {"eta_in": 3.0, "eta_out": 0.4, "gamma": 0.3}


def leaves():
    generator = torch.Generator().manual_seed(0)
    values = [
        torch.randn(4, 5, generator=generator) * 0.1,
        torch.zeros(3),
        torch.tensor([0.0, 0.02, -0.01]),
        torch.randn((), generator=generator),
    ]
    return [v.requires_grad_() for v in values]


def set_gradients(params, t):
    for i, p in enumerate(params):
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(10 * t + i)) * 0.3


def counted(before, after, direction, tanh, cannot_leave_zero):
    """The figures of one tensor; ``tanh`` and ``cannot_leave_zero`` say what its rule is."""
    x, y, d = (t.flatten().double().tolist() for t in (before, after, direction))
    change = sum((b - a) ** 2 for a, b in zip(x, y, strict=True))
    size = sum(a * a for a in x)
    return {
        "saturation": sum(abs(math.tanh(HYPER["eta_in"] * v)) > 0.99 for v in d) / len(d)
        if tanh
        else math.nan,
        "frozen": sum(a == 0 for a in x) / len(x) if cannot_leave_zero else 0.0,
        "sign_flips": sum(a * b < 0 for a, b in zip(x, y, strict=True)) / len(x),
        "update_ratio": math.sqrt(change / size) if size else math.nan,
        "update_rms": math.sqrt(change / len(x)),
    }


def d_of(base, options, params, states):
    """The direction of the step that torch's own optimizer takes from here: a twin walks along."""
    twins = [p.detach().double().requires_grad_() for p in params]
    for q, p in zip(twins, params, strict=True):
        q.grad = p.grad.double()
    twin = BASES[base][1](twins, lr=0.1, **options)
    if states:
        twin.load_state_dict(states[-1])
    starts = [q.detach().clone() for q in twins]
    twin.step()
    states.append(twin.state_dict())
    decay = 0.1 * decay_of(base, options)
    steps = [s * (1 - decay) - q.detach() for s, q in zip(starts, twins, strict=True)]
    return [step / 0.1 for step in steps]


@pytest.mark.parametrize("foreign", [False, True], ids=["native", "attached"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_the_figures_are_those_counted_by_hand(base, rule, foreign):
    options = {"weight_decay": 0.1} | ({"momentum": 0.9} if base == "sgd" else {})
    params = leaves()
    own = {} if foreign else HYPER | {"rule": rule}
    optimizer = BASES[base][foreign](params, lr=0.1, **options, **own)
    if foreign:
        attach(optimizer, rule=rule, **HYPER)
    states = []
    for t in range(3):
        set_gradients(params, t)
        before, d = [p.detach().clone() for p in params], d_of(base, options, params, states)
        with observe(optimizer) as step:
            optimizer.step()
        got = step.result()
        for i, p in enumerate(params):
            # The tensor that started at zero has the additive rule, where its own cannot move it.
            ruled = i != 1 or rule == "hybrid"
            still = ruled and rule in ("multiplicative", "exponential", "power")
            wanted = counted(before[i], p.detach(), d[i], ruled and rule in TANH, still)
            named = {m: got[f"{m}/0.{i}"] for m in METRICS}
            assert named == pytest.approx(wanted, rel=1e-5, abs=1e-7, nan_ok=True), (t, i)


def test_all_is_all_elements_together():
    params = leaves()
    optimizer = optim.SGD(params, lr=0.1, rule="multiplicative", **HYPER)
    set_gradients(params, 0)
    before = torch.cat([p.detach().clone().flatten() for p in params])
    with observe(optimizer) as step:
        optimizer.step()
    got = step.result()
    after = torch.cat([p.detach().flatten() for p in params])
    n = [p.numel() for p in params]
    assert got["update_ratio/all"] == pytest.approx((after - before).norm() / before.norm())
    assert got["update_rms/all"] == pytest.approx((after - before).square().mean().sqrt())
    assert got["frozen/all"] == 1 / sum(n)
    saturated = sum(got[f"saturation/0.{i}"] * n[i] for i in (0, 2, 3))
    assert got["saturation/all"] == pytest.approx(saturated / (sum(n) - n[1]))
    assert all(type(value) is float for value in got.values())


def test_sign_flips_and_frozen_shares():
    p = torch.tensor([1.0, -1.0, 0.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0, rule="additive")
    p.grad = torch.tensor([3.0, -3.0, 1.0, 2.0])
    with observe(optimizer) as step:
        optimizer.step()
    assert step.result()["sign_flips/all"] == 0.5  # from or to zero is none
    for rule, gamma, share in (
        ("exponential", 0.5, 0.25),
        ("multiplicative", 0.5, 0.25),
        ("power", 0.5, 0.25),
        ("hybrid", 1.0, 0.25),
        ("hybrid", 0.5, 0.0),
        ("additive", 0.5, 0.0),
    ):
        q = torch.tensor([1.0, -1.0, 0.0, 2.0], requires_grad=True)
        optimizer = optim.SGD([q], lr=1e-3, rule=rule, gamma=gamma)
        q.grad = torch.ones(4)
        with observe(optimizer) as step:
            optimizer.step()
        assert step.result()["frozen/all"] == share, rule


@pytest.mark.parametrize("foreign", [False, True])
def test_observing_changes_nothing_and_leaves_nothing(foreign):
    ends = []
    for watched in (False, True):
        params = leaves()
        optimizer = BASES["adam"][foreign](params, lr=0.1)
        if foreign:
            attach(optimizer)
        for t in range(3):
            set_gradients(params, t)
            if watched:
                hooks = len(optimizer._optimizer_step_pre_hooks)
                with observe(optimizer) as step:
                    optimizer.step()
                    first = step.result()
                    optimizer.step()  # a second one is not looked at
                assert step.result() == pytest.approx(first, nan_ok=True)
                assert len(optimizer._optimizer_step_pre_hooks) == hooks
                assert len(optimizer._optimizer_step_post_hooks) == hooks
            else:
                optimizer.step()
                optimizer.step()
        if foreign:
            handle = attached(optimizer)
            assert handle is not None
            assert handle.watcher is None
        ends.append((params, optimizer.state_dict()))
    assert all(torch.equal(a, b) for a, b in zip(ends[0][0], ends[1][0], strict=True))
    for one, other in zip(*(e[1]["state"].values() for e in ends), strict=True):
        assert all(torch.as_tensor(one[k]).equal(torch.as_tensor(other[k])) for k in one)


def test_names_come_from_the_model_or_the_groups_or_are_numbers():
    model = torch.nn.Linear(2, 2)

    def names(optimizer, **more):
        model(torch.ones(1, 2)).sum().backward()
        with observe(optimizer, **more) as step:
            optimizer.step()
        return sorted({key.partition("/")[2] for key in step.result()})

    plain = optim.SGD(model.parameters())
    assert names(plain) == ["0.0", "0.1", "all"]
    assert names(plain, model=model) == ["all", "bias", "weight"]
    assert names(plain, per_layer=False) == ["all"]
    assert names(optim.SGD(model.named_parameters())) == ["all", "bias", "weight"]


def test_any_optimizer_without_a_saturation():
    p, idle = torch.tensor([1.0, 2.0], requires_grad=True), torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([p, idle], lr=1.0)
    p.grad = torch.tensor([2.0, 0.0])
    with observe(optimizer) as step:
        optimizer.step()
    got = step.result()
    assert math.isnan(got.pop("saturation/all"))
    assert got["sign_flips/all"] == 0.5
    assert got["update_ratio/0.0"] == pytest.approx(2 / math.sqrt(5))
    assert "update_ratio/0.1" not in got  # took no part in the step


def test_no_step_no_figures():
    optimizer = optim.SGD(leaves())
    with observe(optimizer) as step:
        pass
    assert step.result() == {}


@pytest.mark.parametrize("keyword", [False, True])
@pytest.mark.parametrize("foreign", [False, True])
def test_a_step_with_a_closure(foreign, keyword):
    p = torch.tensor([1.0, -2.0], requires_grad=True)
    rule: dict[str, Any] = {"rule": "multiplicative", "eta_in": 10.0}
    optimizer = BASES["sgd"][foreign]([p], lr=1.0, **({} if foreign else rule))
    if foreign:
        attach(optimizer, **rule)

    def closure():
        optimizer.zero_grad()
        loss = (p * torch.tensor([1.0, 0.01])).sum()
        loss.backward()
        return loss

    with observe(optimizer) as step:
        loss = optimizer.step(closure=closure) if keyword else optimizer.step(closure)
    assert loss.item() == pytest.approx(0.98)
    assert step.result()["saturation/all"] == 0.5


@pytest.mark.parametrize("first", ["attach", "monitor"])
def test_the_order_of_attach_and_monitor_does_not_matter(first):
    p = torch.tensor([1.0, -2.0], requires_grad=True)
    optimizer, rows = torch.optim.SGD([p], lr=1.0), []

    def watch():
        monitor(optimizer, lambda step, row: rows.append((step, row)), every=2)

    def rule():
        attach(optimizer, rule="multiplicative", eta_in=1e3, eta_out=0.5)

    for act in (rule, watch) if first == "attach" else (watch, rule):
        act()
    for _ in range(4):
        p.grad = torch.tensor([1.0, 1.0])
        optimizer.step()
    assert [step for step, _ in rows] == [2, 4]
    assert [row["saturation/all"] for _, row in rows] == [1.0, 1.0]
    assert [row["update_ratio/all"] for _, row in rows] == pytest.approx([0.5, 0.5])


def test_a_monitor_counts_on_from_where_it_is_told_and_can_be_removed():
    p = torch.ones(1, requires_grad=True)
    optimizer, steps = optim.SGD([p]), []
    with monitor(optimizer, lambda step, row: steps.append(step), every=3, start=5) as watching:
        for _ in range(5):
            p.grad = torch.ones(1)
            optimizer.step()
    assert (steps, watching.step) == ([6, 9], 10)
    for _ in range(3):
        optimizer.step()
    assert steps == [6, 9]
    for bad in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="every must be a whole number ≥ 1"):
            monitor(optimizer, print, every=bad)  # type: ignore[arg-type]


def test_an_aborted_step_is_not_measured():
    p = torch.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0, rule="additive", momentum=0.0)

    def fails():
        raise KeyError

    with observe(optimizer) as step:
        with pytest.raises(KeyError):
            optimizer.step(fails)
        assert step.result() == {}
        p.data.fill_(4.0)
        p.grad = torch.ones(1)
        optimizer.step()
    assert step.result()["update_ratio/all"] == 0.25


def test_the_direction_of_half_precision_is_that_of_the_step_in_float32():
    p = torch.tensor([1.0], dtype=torch.bfloat16, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1, weight_decay=0.007, rule="multiplicative")
    p.grad = torch.tensor([2.640625], dtype=torch.bfloat16)
    with observe(optimizer) as step:
        optimizer.step()
    # d = 2.640625 + 0.007 > atanh 0.99 = 2.6467; in bfloat16 it would be 2.640625 again.
    assert step.result()["saturation/all"] == 1.0


def test_half_precision_is_measured_in_float32():
    p = torch.full((4096,), 0.5, dtype=torch.bfloat16, requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0, rule="additive", momentum=0.0)
    p.grad = torch.full_like(p, 0.25)
    with observe(optimizer) as step:
        optimizer.step()
    assert step.result()["update_ratio/all"] == pytest.approx(0.5)
