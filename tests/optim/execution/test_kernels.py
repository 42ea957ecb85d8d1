"""The compiled step: what its C means, and where it is kept."""

import concurrent.futures
import os
import stat
from typing import Any

import pytest
import torch

import gofau.optim as optim
from gofau.optim.execution.native import compiler
from gofau.optim.execution.native.source import source
from gofau.optim.execution.program import Unsupported, split
from gofau.optim.execution.trace import record
from gofau.optim.rules import RULES
from tests.optim.execution.kernels import every_exponent, through_kernel

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


def test_a_kernel_is_told_apart_by_what_it_bakes_in():
    keys = set()
    variants: list[dict[str, Any]]
    variants = [{}, {"weight_decay": 0.1}, {"gamma": 1.0}, {"maximize": True}]
    for options in variants:
        group = optim.SGD([torch.ones(1)], rule="hybrid", **options).param_groups[0]
        baked, free = split(RULES["hybrid"], group)
        keys.add((*map(repr, baked.items()), *free))
    assert len(keys) == 4
