"""The compiled step: what its C means, where it is kept, and the accelerator's path on the CPU."""

import concurrent.futures
import os
import stat
from functools import partial
from typing import Any

import pytest
import torch

import gofau.optim as optim
from gofau.optim import compiler, foreach, inductor
from gofau.optim.csource import source
from gofau.optim.optimizer import RuleOptimizer
from gofau.optim.program import Unsupported, split, tell_once
from gofau.optim.record import record
from gofau.optim.rules import RULES
from tests.optim.kernels import every_exponent, through_kernel

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")
OPERATIONS = {
    "neg, abs, sign": lambda u: torch.sign(u) * -u.abs(),
    "roots": lambda u: u.abs().sqrt() + torch.rsqrt(u.abs() + 1) + torch.reciprocal(u + 3),
    "powers": lambda u: u**2 + u**3 + u.abs() ** 0.5 + torch.pow(2.0, u.clamp(-9, 9)),
    "exponentials": lambda u: torch.exp(-u.abs()) + torch.log1p(u.abs()) + torch.sigmoid(u),
    "waves": lambda u: torch.sin(u) * torch.cos(u) + torch.atan(u) + torch.erf(u),
    "comparisons": lambda u: torch.where((u > 0.5) | (u <= -0.5) & ~(u == -1), u, 2 * u),
    "negated": lambda u: torch.where(torch.logical_not(u != u.round()), u - 1, u + 1),
    "clamps": lambda u: u.clamp(-1, 0.5) + u.clamp(min=0.1) + u.clamp(max=0.1) + torch.relu(u),
    "extrema": lambda u: torch.maximum(u, -u / 2) + torch.minimum(u, u * u),
    "masks": lambda u: (u > 0) * u + torch.zeros_like(u) + torch.full_like(u, 2),
    "three": lambda u: torch.addcmul(u, u, u, value=0.5) + torch.addcdiv(u, u, u * u + 1, value=2),
    "lerp": lambda u: torch.lerp(u, u * u, 0.25) + torch.lerp(u, u * u, 0.75),
    "scaled sums": lambda u: torch.add(u, u * u, alpha=2) - torch.sub(u, u * u, alpha=0.5),
    "copied signs": lambda u: torch.copysign(u * u, u) + torch.fmod(u, 0.7) + torch.floor(u),
    "not a number": lambda u: torch.where(u.isnan(), 7.0, u),
}


@needs_compiler
@pytest.mark.parametrize("function", OPERATIONS.values(), ids=OPERATIONS)
def test_operations_mean_in_c_what_they_mean_in_torch(function, monkeypatch):
    x = torch.cat([torch.linspace(-3, 3, 4001), torch.randn(5000)])
    x = torch.cat([x, torch.tensor([0.0, torch.nan, -1.0, 0.5])])
    got, expected = through_kernel(monkeypatch, function, x), function(x.double())
    torch.testing.assert_close(got, expected.float(), rtol=1e-5, atol=1e-6, equal_nan=True)


@needs_compiler
def test_bfloat16_is_rounded_as_torch_rounds_it(own_rules):
    x = every_exponent(40, torch.Generator().manual_seed(0))
    p = torch.zeros(x.numel(), dtype=torch.bfloat16, requires_grad=True)
    optim.register_rule("third")(lambda theta, d, eta: d / -3)
    p.grad = x.bfloat16()
    optim.SGD([p], rule="third", zero_init="freeze", fused=True).step()
    expected = (p.grad.float() / 3).bfloat16()
    assert torch.equal(p[~p.isnan()], expected[~expected.isnan()])
    assert torch.equal(p.isnan(), expected.isnan())


def test_what_has_no_form_in_c_is_refused():
    baked, free = split(RULES["additive"], optim.SGD([torch.ones(1)]).param_groups[0])
    program = record(optim.SGD.direction, RULES["additive"], baked, free)
    with pytest.raises(Unsupported, match=r"parameters of torch\.int64"):
        source(program, torch.int64)


@needs_compiler
def test_libraries_are_kept_once_for_all_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = "int gofau_answer(void) { return 42; }"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: compiler.load(code), range(8)))
    assert {library.gofau_answer() for library in made} == {42}
    folder = compiler.cache_folder()
    assert folder == tmp_path / "gofau" / "kernels"
    assert len(list(folder.iterdir())) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.setattr(compiler, "_compile", None)
    assert compiler.load(code).gofau_answer() == 42


def test_a_cache_that_cannot_be_written_is_replaced_by_a_folder_of_our_own(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(compiler, "_private_folder", lambda: str(tmp_path / "own"))
    assert compiler.cache_folder() == tmp_path / "own"


@needs_compiler
def test_what_the_compiler_says_is_passed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(compiler.CannotCompile, match="error"):
        compiler.load("this is not C")
    assert list(compiler.cache_folder().iterdir()) == []


def test_a_compiler_is_found_by_name_or_not_at_all(monkeypatch, tmp_path):
    compiler.find.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "")
    assert compiler.find() is None
    compiler.find.cache_clear()
    own = tmp_path / "my-cc"
    own.write_text("#!/bin/sh\n")
    os.chmod(own, 0o700)
    monkeypatch.setenv("CC", "my-cc")
    assert compiler.find() == str(own)
    compiler.find.cache_clear()


def stepped(make, run, steps):
    params = [torch.linspace(-1, 1, 15).view(5, 3), torch.linspace(1, 2, 7)]
    params = [p.requires_grad_() for p in params]
    optimizer: RuleOptimizer = make(params)
    for t in range(steps):
        for i, p in enumerate(params):
            p.grad = None if t == 2 and i else torch.full_like(p, (-1.0) ** (t + i)) * p.detach()
        group = optimizer.param_groups[0]
        group["lr"], group["gamma"], group["eta_in"] = 0.1 / (t + 1), 0.5 / (t + 1), 10.0 + t
        if run is None:
            optimizer.step()
        else:
            buckets, left = foreach.buckets_of(optimizer.direction, group, optimizer._items(group))
            assert not left
            with torch.no_grad():
                for bucket in buckets:
                    run(bucket)
    return params


def hybrid(params, **options):
    return optim.Adam(params, rule="hybrid", **options)


def assert_the_loops(run, steps):
    plain = stepped(lambda p: hybrid(p, foreach=False), None, steps)
    other = stepped(hybrid, run, steps)
    for p, q in zip(plain, other, strict=True):
        torch.testing.assert_close(q, p, rtol=1e-6, atol=1e-7)


def test_a_step_that_cannot_be_compiled_is_taken_by_foreach(monkeypatch):
    def fail(*arguments):
        raise RuntimeError("no Triton today")

    tell_once.cache_clear()
    monkeypatch.setattr(inductor, "_compiled", lambda program, shapes: fail)
    monkeypatch.setattr(inductor, "_failed", set())
    with pytest.warns(RuntimeWarning, match="foreach takes the step: RuntimeError: no Triton tod"):
        assert_the_loops(inductor.run, 3)


@pytest.fixture
def traced(monkeypatch):
    """What dynamo makes of the compiled steps, without a compiler behind it: the graphs it has
    traced, and what it did not. A call that it leaves to Python is an error."""
    from torch._dynamo.backends.registry import lookup_backend
    from torch._dynamo.utils import counters

    graphs, lower = [], lookup_backend("aot_eager")  # to torch's operators, as a compiler gets them

    def backend(graph, inputs):
        lowered = lower(graph, inputs)  # which may send dynamo back to trace it again
        graphs.append(graph)
        return lowered

    real = torch.compile
    monkeypatch.setattr(torch, "compile", partial(real, backend=backend, fullgraph=True))
    monkeypatch.setattr(inductor, "_failed", set())
    inductor._compiled.cache_clear()
    counters.clear()
    yield graphs
    assert not inductor._failed
    assert not counters["unimplemented"]
    assert not counters["graph_break"]
    inductor._compiled.cache_clear()


def test_the_accelerators_step_is_traced_once_for_all_values_and_is_the_loops(traced):
    assert_the_loops(inductor.run, 6)
    assert len(traced) == 2  # with both parameters, and with one


def once(make, size=3):
    """One compiled step of a parameter of ones along gradients of ones."""
    p = torch.ones(size, requires_grad=True)
    p.grad = torch.ones(size)
    optimizer = make([p])
    group = optimizer.param_groups[0]
    ((bucket,), _) = foreach.buckets_of(optimizer.direction, group, optimizer._items(group))
    with torch.no_grad():
        inductor.run(bucket)
    return p.detach()


@pytest.mark.parametrize("base", ["Adam", "AdamW", "Adagrad", "RMSprop"])
def test_no_value_of_another_optimizer_is_baked_in(base, traced):
    """The step of ones is η/(1 + ε), times what RMSprop and AdamW make of it."""
    for eps in (1e-8, 1.0, 3.0):
        got = once(partial(getattr(optim, base), lr=0.1, eps=eps))
        p = torch.ones(3, requires_grad=True)
        p.grad = torch.ones(3)
        getattr(torch.optim, base)([p], lr=0.1, eps=eps).step()
        torch.testing.assert_close(got, p.detach())
    assert len(traced) == 1


@pytest.mark.slow
def test_every_program_is_traced_however_many_there_are(traced):
    """More than dynamo's limit for one code object, which is 8."""
    for base in ("SGD", "Adagrad", "RMSprop", "Adam"):
        for flags in ({"rule": "power"}, {"rule": "hybrid"}, {"maximize": True}):
            once(partial(getattr(optim, base), lr=0.1, **flags))
    assert len(traced) == 12


def test_every_shape_is_traced_however_many_there_are(traced):
    for size in range(3, 15):
        once(partial(optim.SGD, lr=0.1), size)
    assert len(traced) == 12


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_compiled_step_of_short_floats_is_rounded_once(dtype, traced):
    ends = []
    for compiled in (False, True):
        generator = torch.Generator().manual_seed(0)
        p = torch.randn(500, generator=generator).to(dtype).requires_grad_()
        p.grad = torch.randn(500, generator=generator).to(dtype)
        optimizer = optim.Adam([p], lr=0.1, rule="hybrid", foreach=False)
        if compiled:
            group = optimizer.param_groups[0]
            items = optimizer._items(group)
            with torch.no_grad():
                inductor.run(foreach.buckets_of(optimizer.direction, group, items)[0][0])
        else:
            optimizer.step()
        ends.append(p.detach())
    torch.testing.assert_close(ends[1], ends[0], rtol=torch.finfo(dtype).eps, atol=0)


@needs_compiler
@pytest.mark.slow
def test_the_accelerators_step_compiles_once_and_is_the_loops(monkeypatch):
    """On the CPU, where torch.compile makes C++ of it: all that needs no accelerator."""
    from torch._dynamo.utils import counters

    counters.clear()
    monkeypatch.setattr(inductor, "_failed", set())
    inductor._compiled.cache_clear()
    assert_the_loops(inductor.run, 6)
    assert not inductor._failed
    assert counters["stats"]["unique_graphs"] == 2  # with both parameters, and with one


@needs_compiler
@pytest.mark.slow
def test_two_compiled_adams_have_each_their_own_eps(monkeypatch):
    """In one process; with the second's baked in from the first it steps to 0.9."""
    monkeypatch.setattr(inductor, "_failed", set())
    inductor._compiled.cache_clear()
    ends = [once(partial(optim.Adam, lr=0.1, eps=eps)) for eps in (1e-8, 1.0)]
    torch.testing.assert_close(ends[0], torch.full((3,), 0.9))
    torch.testing.assert_close(ends[1], torch.full((3,), 0.95))
    assert not inductor._failed


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_fused_on_cuda_is_the_loop_there():
    ends = []
    variants: list[dict[str, Any]]
    variants = [{"foreach": False}, {"foreach": True}, {"fused": True}]
    for flags in variants:
        params = [torch.linspace(-1, 1, n, device="cuda").requires_grad_() for n in (7, 4096)]
        optimizer = optim.Adam(params, lr=0.01, rule="hybrid", **flags)
        for t in range(4):
            for p in params:
                p.grad = torch.full_like(p, (-1.0) ** t) * p.detach()
            optimizer.step()
        ends.append(params)
    for other in ends[1:]:
        for p, q in zip(ends[0], other, strict=True):
            torch.testing.assert_close(q, p, rtol=1e-5, atol=1e-6)


def test_a_kernel_is_told_apart_by_what_it_bakes_in():
    keys = set()
    variants: list[dict[str, Any]]
    variants = [{}, {"weight_decay": 0.1}, {"gamma": 1.0}, {"maximize": True}]
    for options in variants:
        group = optim.SGD([torch.ones(1)], rule="hybrid", **options).param_groups[0]
        baked, free = split(RULES["hybrid"], group)
        keys.add((*map(repr, baked.items()), *free))
    assert len(keys) == 4
