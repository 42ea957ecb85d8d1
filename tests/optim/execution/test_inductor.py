"""The accelerator's fused path, on the CPU where that will do."""

from functools import partial
from typing import Any

import pytest
import torch

import gofau.optim as optim
from gofau.optim.execution import inductor
from gofau.optim.execution.foreach import buckets
from gofau.optim.execution.native import compiler
from gofau.optim.execution.program import tell_once
from gofau.optim.optimizer import RuleOptimizer

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")


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
            found, left = buckets.buckets_of(optimizer.direction, group, optimizer._items(group))
            assert not left
            with torch.no_grad():
                for bucket in found:
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
    ((bucket,), _) = buckets.buckets_of(optimizer.direction, group, optimizer._items(group))
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


@pytest.mark.long
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
                inductor.run(buckets.buckets_of(optimizer.direction, group, items)[0][0])
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
