"""Invariant 7: loop, foreach and fused take the same step; and which of them is taken when."""

import copy
import logging
from typing import Any

import pytest
import torch

import gofau.optim as optim
from gofau.optim.execution import dispatch
from gofau.optim.execution.native import compiler, kernels
from gofau.optim.execution.program import tell_once
from tests.optim.reference import BASES, CASES, RICH
from tests.optim.stepping import (
    FOREACH,
    FUSED,
    LOOP,
    RULES,
    TOLERANCE,
    assert_same,
    compare,
    parameters,
    run,
    set_gradients,
    steady,
)

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")


@needs_compiler
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_fused_is_the_loop(base, rule):
    compare(base, RICH[base] | {"rule": rule}, torch.float32, FUSED)


@needs_compiler
@pytest.mark.parametrize("base", BASES)
def test_fused_is_the_loop_in_double_precision(base):
    compare(base, RICH[base], torch.float64, FUSED)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_foreach_is_the_loop(base, rule, dtype):
    compare(base, RICH[base] | {"rule": rule}, dtype, FOREACH)


# Each case has one rule, in turn: every kernel is a call of the compiler.
TURNS = [(*case, RULES[(i + i // 6) % 6], FUSED) for i, case in enumerate(CASES)]
TURNS += [(*case, RULES[(i + i // 6) % 6], FOREACH) for i, case in enumerate(CASES)]


@pytest.mark.slow
@pytest.mark.parametrize(("base", "options", "rule", "path"), TURNS, ids=str)
def test_every_case_on_every_path(base, options, rule, path):
    compare(
        base, options | {"rule": rule}, torch.float64 if path is FOREACH else torch.float32, path
    )


@pytest.mark.parametrize("path", [LOOP, FOREACH, pytest.param(FUSED, marks=needs_compiler)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("base", BASES)
def test_short_floats_are_stepped_in_float32_and_rounded_once(base, dtype, path):
    """Which is what torch's fused optimizers do."""
    short = parameters(dtype)
    options = RICH[base] | steady(base)
    optimizer = run(base, options | path, short)
    long = [p.detach().float().requires_grad_() for p in short]
    other = BASES[base][0](long)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group in other.param_groups:
        group.update(LOOP)
    set_gradients(short, 7)
    for p, q in zip(short, long, strict=True):
        q.grad = None if p.grad is None else p.grad.float()
    optimizer.step()
    other.step()
    ulp = torch.finfo(dtype).eps
    for p, q in zip(short, long, strict=True):
        unlike = ~torch.isclose(p.float(), q.detach(), rtol=ulp, atol=ulp * 1e-2, equal_nan=True)
        # An average that is zero to rounding has either sign: in one of 10,000 elements.
        assert unlike.sum() <= (p.numel() / 10_000 if base in ("lion", "signsgd") else 0)


@pytest.mark.parametrize("path", [FOREACH, pytest.param(FUSED, marks=needs_compiler)], ids=str)
def test_groups_dtypes_and_own_settings(path):
    ends = []
    variants: list[dict[str, Any]] = [LOOP, path]
    for flags in variants:
        params = [*parameters(torch.float32), *parameters(torch.float64, 1)]
        groups = [
            {"params": params[:6], "rule": "multiplicative", "lr": 0.05},
            {"params": params[6:12], "gamma": 0.2, "weight_decay": 0.1, **LOOP},
            {"params": params[12:], "gamma": 1.0, "maximize": True},
        ]
        optimizer = optim.Adam(groups, lr=0.01, rule="hybrid", **flags)
        for t in range(4):
            set_gradients(params[:8], t)
            set_gradients(params[8:], t)
            optimizer.step()
        ends.append(params)
    assert_same(ends[1], ends[0], 2e-6)


@pytest.mark.parametrize("path", [FOREACH, pytest.param(FUSED, marks=needs_compiler)], ids=str)
@pytest.mark.parametrize("base", BASES)
def test_a_state_dict_goes_on_along_another_path(base, path):
    straight, options = parameters(torch.float32), RICH[base] | {"rule": "multiplicative"}
    run(base, options | LOOP, straight, 8)
    for first, second in ((LOOP, path), (path, LOOP)):
        params = parameters(torch.float32)
        state = run(base, options | first, params, 4).state_dict()
        optimizer = BASES[base][0](params)
        optimizer.load_state_dict(copy.deepcopy(state))
        optimizer.param_groups[0].update({"foreach": None, "fused": None} | second)
        for t in range(4, 8):
            set_gradients(params, t)
            optimizer.step()
        assert_same(params, straight, 4e-6)
        assert optimizer.state[params[-1]]["zero_start"] is True


@needs_compiler
@pytest.mark.parametrize("base", BASES)
def test_no_change_of_a_hyperparameter_compiles_anything(base, monkeypatch):
    params, plain = parameters(torch.float32), parameters(torch.float32)
    options = RICH[base] | {"eta_out": 0.05}
    optimizers = [run(base, options | FUSED, params), run(base, options | LOOP, plain)]
    calls = []
    monkeypatch.setattr(compiler, "load", lambda source: calls.append(source))
    for optimizer, mine in zip(optimizers, (params, plain), strict=True):
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        group = optimizer.param_groups[0]
        for t in range(5, 10):
            for name in ("eta_in", "eta_out", "gamma", "weight_decay", "momentum", "alpha", "eps"):
                if name in group:
                    group[name] *= 0.9
            group["lr"] = torch.tensor(group["lr"]) if t == 8 else group["lr"]
            set_gradients(mine, t)
            optimizer.step()
            schedule.step()
    assert calls == []
    assert_same(params, plain, 4e-6)


@needs_compiler
def test_a_kernel_does_not_depend_on_shapes_or_count(monkeypatch):
    run("adam", FUSED, parameters(torch.float32))
    monkeypatch.setattr(compiler, "load", None)
    params = [torch.randn(n, 3, requires_grad=True) for n in range(1, 10)]
    run("adam", FUSED, params)
    assert all(p.isfinite().all() for p in params)


@needs_compiler
def test_hybrid_at_its_ends_is_additive_and_multiplicative_bit_for_bit():
    for gamma, rule in ((0.0, "additive"), (1.0, "multiplicative")):
        blend, pure = parameters(torch.float32), parameters(torch.float32)
        run("sgd", FUSED | {"rule": "hybrid", "gamma": gamma}, blend)
        run("sgd", FUSED | {"rule": rule}, pure)
        assert all(torch.equal(p, q) for p, q in zip(blend, pure, strict=True))


def _odd(theta, d, eta, *, power=2, limit=0.5):
    return eta * torch.where(d.abs() < limit, torch.sign(d) * d.abs() ** power, theta * 0.01)


def _looks_at_neighbours(theta, d, eta):
    return eta * (d - d.mean())


def _looks_at_the_size(theta, d, eta):
    return eta * d / max(1, theta.numel())


def _branches(theta, d, eta, *, kind=1.0):
    return eta * d if kind > 0.5 else -eta * d


@pytest.fixture
def nothing_told():
    """Whatever other tests were told is told again."""
    tell_once.cache_clear()
    yield
    tell_once.cache_clear()


@pytest.mark.parametrize("path", [FOREACH, pytest.param(FUSED, marks=needs_compiler)], ids=str)
@pytest.mark.parametrize(
    ("xi", "refused"),
    [
        (_odd, None),
        (_looks_at_neighbours, "mean.default, which makes one number of a tensor"),
        (_looks_at_the_size, "asks for numel of a tensor"),
        (_branches, r"_local_scalar_dense|aten::is_nonzero"),
    ],
)
def test_a_registered_rule_means_the_same_on_every_path(xi, refused, path, own_rules, nothing_told):
    optim.register_rule("own")(xi)
    plain, fast = parameters(torch.float32), parameters(torch.float32)
    run("adam", {"rule": "own"} | LOOP, plain, 3)
    if refused is None:
        run("adam", {"rule": "own"} | path, fast, 3)
    else:
        with pytest.warns(RuntimeWarning, match=refused) as told:
            run("adam", {"rule": "own"} | path, fast, 3)
        assert len(told) == 1  # not at every step
    assert_same(fast, plain, 2e-6)


@pytest.fixture
def fresh_kernels(monkeypatch, nothing_told):
    monkeypatch.setattr(kernels, "_kernels", {})
    monkeypatch.setattr(compiler, "find", lambda: None)


NO_FUSED = "no fused step for Adam with rule 'additive' in torch.float32, another path takes it"


@pytest.mark.parametrize("broken", [None, "/bin/false"])
def test_without_a_compiler_the_loop_steps_and_who_asked_for_more_is_warned_once(
    broken, fresh_kernels, monkeypatch
):
    monkeypatch.setattr(compiler, "find", lambda: broken)
    plain, fast = parameters(torch.float32), parameters(torch.float32)
    with pytest.warns(RuntimeWarning, match=NO_FUSED) as told:
        run("adam", FUSED | {"rule": "additive"}, fast)
    assert len(told) == 1
    run("adam", LOOP | {"rule": "additive"}, plain)
    assert all(torch.equal(p, q) for p, q in zip(plain, fast, strict=True))


def test_who_asked_for_nothing_finds_it_in_the_log(fresh_kernels, monkeypatch, caplog):
    monkeypatch.setattr(compiler, "find", lambda: "/bin/false")
    p = torch.ones(dispatch.FUSED_FROM, requires_grad=True)
    optimizer = optim.Adam([p])
    with caplog.at_level(logging.INFO, "gofau.optim"):
        for _ in range(2):
            p.grad = torch.ones_like(p)
            optimizer.step()
    assert [record.message.split(":")[0] for record in caplog.records] == [NO_FUSED]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"foreach": True, "fused": True}, "foreach and fused cannot be true together"),
        ({"foreach": True, "differentiable": True}, "foreach does not support differentiable"),
        ({"fused": True, "differentiable": True}, "fused does not support differentiable"),
    ],
)
@pytest.mark.parametrize("base", BASES)
def test_combinations_that_cannot_be_are_refused(base, flags, message):
    p = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=message):
        BASES[base][0]([p], **flags)


def test_a_flag_that_is_none_of_the_three_is_refused():
    options: dict[str, Any] = {"fused": 1}
    with pytest.raises(ValueError, match="fused must be true, false or None, got 1"):
        optim.SGD([torch.ones(2, requires_grad=True)], **options)


def choice(count=10, **flags):
    p = torch.empty(count, device="meta" if flags.pop("meta", False) else "cpu")
    return dispatch.choose(optim.SGD([p.requires_grad_()], **flags).param_groups[0])


def test_the_path_is_chosen_by_the_flags_and_else_by_the_parameters(monkeypatch):
    monkeypatch.setattr(compiler, "find", lambda: "/usr/bin/cc")
    assert choice() == "loop"
    assert choice(dispatch.FUSED_FROM) == "fused"
    assert choice(meta=True) == "foreach"
    assert choice(foreach=True) == "foreach"
    assert choice(fused=True) == "fused"
    assert choice(dispatch.FUSED_FROM, fused=False) == "loop"
    assert choice(dispatch.FUSED_FROM, foreach=False) == "loop"
    assert choice(dispatch.FUSED_FROM, differentiable=True) == "loop"
    monkeypatch.setattr(compiler, "find", lambda: None)
    assert choice(dispatch.FUSED_FROM) == "loop"


@pytest.mark.parametrize("path", [LOOP, FOREACH, pytest.param(FUSED, marks=needs_compiler)])
def test_capturable_takes_the_same_step(path):
    plain, captured = parameters(torch.float32), parameters(torch.float32)
    run("adam", LOOP, plain)
    run("adam", path | {"capturable": True}, captured)
    assert_same(captured, plain, 2e-6)


@needs_compiler
def test_autograd_notices_a_fused_step():
    p = torch.ones(3, requires_grad=True)
    optimizer = optim.SGD([p], fused=True)
    p.grad = torch.ones(3)
    optimizer.step()
    loss = p.square().sum()
    before = p._version
    optimizer.step()
    assert p._version > before
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@needs_compiler
@pytest.mark.parametrize("path", [LOOP, FOREACH, FUSED], ids=str)
@pytest.mark.parametrize("base", BASES)
def test_no_more_state_than_the_base_has(base, path):
    p, q = torch.ones(5, requires_grad=True), torch.ones(5, requires_grad=True)
    make, make_torch = BASES[base]
    momentum = {"momentum": 0.9} if base in ("sgd", "rmsprop") else {}
    ours, theirs = make([p], lr=0.1, **momentum, **path), make_torch([q], lr=0.1, **momentum)
    for _ in range(2):
        p.grad, q.grad = torch.ones(5), torch.ones(5)
        ours.step()
        theirs.step()
    assert ours.state[p].keys() - {"zero_start"} == theirs.state[q].keys()
