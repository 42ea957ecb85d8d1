"""Invariant 7: loop, foreach and fused take the same step; and which of them is taken when."""

import copy
import logging
from typing import Any

import pytest
import torch

import gofau.optim as optim
from gofau.optim import compiler, native, paths
from tests.optim.reference import BASES, CASES, LR

RULES = ["additive", "multiplicative", "hybrid", "exponential"]
LOOP, FOREACH, FUSED = {"foreach": False, "fused": False}, {"foreach": True}, {"fused": True}
RICH = {  # every option that makes a step longer
    "sgd": {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1, "maximize": True},
    "adagrad": {"lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 0.1},
    "rmsprop": {"momentum": 0.9, "centered": True, "eps": 1e-4, "weight_decay": 0.1},
    "adam": {"amsgrad": True, "weight_decay": 0.1},
    "adamw": {"betas": (0.8, 0.95)},
}
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-13}
needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")


def parameters(dtype, seed=0):
    """All sorts: two pieces of work for a thread, 0-d, empty, all zero, channels-last, with holes,
    transposed."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(40_000,), (33, 17), (), (0,), (4, 3, 2, 2), (6, 8), (5, 7)]
    values = [torch.randn(s, generator=generator).to(dtype) for s in shapes]
    values[4] = values[4].contiguous(memory_format=torch.channels_last)
    values[5], values[6] = values[5][:, ::2], values[6].T
    return [v.requires_grad_() for v in (*values, torch.zeros(9, dtype=dtype))]


def set_gradients(params, t):
    """Some missing at some steps, one laid out otherwise than its parameter, one expanded."""
    generator = torch.Generator().manual_seed(t)
    for i, p in enumerate(params):
        g = torch.randn(p.shape, generator=generator).to(p.dtype)
        p.grad = g.T.contiguous().T if i == 1 else g[:, :1].expand(p.shape) if i == 6 else g
    params[2].grad = None if t % 3 == 0 else params[2].grad


def run(base, options, params, steps=5):
    optimizer = BASES[base][0](params, **{"lr": LR[base]} | options)
    for t in range(steps):
        set_gradients(params, t)
        optimizer.step()
    return optimizer


def assert_same(ours, others, tolerance):
    for p, q in zip(ours, others, strict=True):
        if p.numel():
            scale = q.detach().abs().max()
            assert ((p - q).abs().max() <= tolerance * scale).item()


def compare(base, options, dtype, path):
    plain, fast = parameters(dtype), parameters(dtype)
    one, other = run(base, options | LOOP, plain), run(base, options | path, fast)
    assert_same(fast, plain, TOLERANCE[dtype])
    for p, q in zip(plain, fast, strict=True):
        states = one.state.get(p, {}), other.state.get(q, {})
        assert states[0].keys() == states[1].keys()
        for name, x in states[0].items():
            torch.testing.assert_close(states[1][name], x, rtol=1e-4, atol=1e-5)


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
TURNS = [(*case, RULES[i % 4], FUSED) for i, case in enumerate(CASES)]
TURNS += [(*case, RULES[(i + i // 4) % 4], FOREACH) for i, case in enumerate(CASES)]


@pytest.mark.slow
@pytest.mark.parametrize(("base", "options", "rule", "path"), TURNS, ids=str)
def test_every_case_on_every_path(base, options, rule, path):
    compare(
        base, options | {"rule": rule}, torch.float64 if path is FOREACH else torch.float32, path
    )


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("base", BASES)
def test_short_floats_are_stepped_in_float32_and_rounded_once(base, dtype):
    """Which is what torch's fused optimizers do; the loop rounds after every operation."""
    short = parameters(dtype)
    options = RICH[base] if base == "sgd" else RICH[base] | {"eps": 1e-4}
    optimizer = run(base, options | FUSED, short)
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
    for i, (p, q) in enumerate(zip(short, long, strict=True)):
        if i != 5:  # the one with holes is the loop's
            torch.testing.assert_close(p.float(), q.detach(), rtol=ulp, atol=ulp * 1e-2)


@pytest.mark.parametrize("path", [FOREACH, pytest.param(FUSED, marks=needs_compiler)], ids=str)
def test_groups_dtypes_and_own_settings(path):
    ends = []
    variants: list[dict[str, Any]] = [LOOP, path]
    for flags in variants:
        params = [*parameters(torch.float32), *parameters(torch.float64, 1)]
        groups = [
            {"params": params[:6], "rule": "multiplicative", "lr": 0.05},
            {"params": params[6:12], "alpha": 0.2, "weight_decay": 0.1, **LOOP},
            {"params": params[12:], "alpha": 1.0, "maximize": True},
        ]
        optimizer = optim.Adam(groups, lr=0.01, **flags)
        for t in range(4):
            set_gradients(params[:8], t)
            set_gradients(params[8:], t)
            optimizer.step()
        ends.append(params)
    assert_same(ends[1], ends[0], 2e-6)


@pytest.mark.parametrize("path", [FOREACH, pytest.param(FUSED, marks=needs_compiler)], ids=str)
@pytest.mark.parametrize("base", BASES)
def test_a_state_dict_goes_on_along_another_path(base, path):
    straight = parameters(torch.float32)
    run(base, RICH[base] | LOOP, straight, 8)
    for first, second in ((LOOP, path), (path, LOOP)):
        params = parameters(torch.float32)
        state = run(base, RICH[base] | first, params, 4).state_dict()
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
    optimizers = [run(base, RICH[base] | FUSED, params), run(base, RICH[base] | LOOP, plain)]
    calls = []
    monkeypatch.setattr(compiler, "load", lambda source: calls.append(source))
    for optimizer, mine in zip(optimizers, (params, plain), strict=True):
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        group = optimizer.param_groups[0]
        for t in range(5, 10):
            for name in ("eta_in", "eta_out", "alpha", "weight_decay", "momentum", "rho", "eps"):
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
    for alpha, rule in ((0.0, "additive"), (1.0, "multiplicative")):
        blend, pure = parameters(torch.float32), parameters(torch.float32)
        run("sgd", FUSED | {"rule": "hybrid", "alpha": alpha}, blend)
        run("sgd", FUSED | {"rule": rule}, pure)
        assert all(torch.equal(p, q) for p, q in zip(blend, pure, strict=True))


def _odd(theta, u, *, power=2, limit=0.5):
    return torch.where(u.abs() < limit, torch.sign(u) * u.abs() ** power, theta * 0.01)


def _looks_at_neighbours(theta, u):
    return u - u.mean()


def _looks_at_the_size(theta, u):
    return u / max(1, theta.numel())


def _branches(theta, u, *, kind=1.0):
    return u if kind > 0.5 else -u


@pytest.mark.parametrize("path", [FOREACH, pytest.param(FUSED, marks=needs_compiler)], ids=str)
@pytest.mark.parametrize("xi", [_odd, _looks_at_neighbours, _looks_at_the_size, _branches])
def test_a_registered_rule_means_the_same_on_every_path(xi, path, monkeypatch):
    monkeypatch.setattr("gofau.optim.rules.RULES", dict(optim.RULES))
    optim.register_rule("own")(xi)
    plain, fast = parameters(torch.float32), parameters(torch.float32)
    run("adam", {"rule": "own"} | LOOP, plain, 3)
    run("adam", {"rule": "own"} | path, fast, 3)
    assert_same(fast, plain, 2e-6)


@pytest.fixture
def fresh_kernels(monkeypatch):
    monkeypatch.setattr(native, "_kernels", {})
    monkeypatch.setattr(compiler, "find", lambda: None)
    from gofau.optim.program import log_once

    log_once.cache_clear()


@pytest.mark.parametrize("broken", [None, "/bin/false"])
def test_without_a_compiler_the_loop_steps_and_the_log_says_so_once(
    broken, fresh_kernels, monkeypatch, caplog
):
    monkeypatch.setattr(compiler, "find", lambda: broken)
    plain, fast = parameters(torch.float32), parameters(torch.float32)
    with caplog.at_level(logging.INFO, "gofau.optim"):
        run("adam", FUSED | {"rule": "additive"}, fast)
    run("adam", LOOP | {"rule": "additive"}, plain)
    assert all(torch.equal(p, q) for p, q in zip(plain, fast, strict=True))
    assert [r.message.split(":")[0] for r in caplog.records] == [
        "no fused step for Adam with rule 'additive' in torch.float32, another path takes it"
    ]


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
    return paths.choose(optim.SGD([p.requires_grad_()], **flags).param_groups[0])


def test_the_path_is_chosen_by_the_flags_and_else_by_the_parameters(monkeypatch):
    monkeypatch.setattr(compiler, "find", lambda: "/usr/bin/cc")
    assert choice() == "loop"
    assert choice(paths.FUSED_FROM) == "fused"
    assert choice(meta=True) == "foreach"
    assert choice(foreach=True) == "foreach"
    assert choice(fused=True) == "fused"
    assert choice(paths.FUSED_FROM, fused=False) == "loop"
    assert choice(paths.FUSED_FROM, foreach=False) == "loop"
    assert choice(paths.FUSED_FROM, differentiable=True) == "loop"
    monkeypatch.setattr(compiler, "find", lambda: None)
    assert choice(paths.FUSED_FROM) == "loop"


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
