"""Random steps along every path, held to an independent reference, `tests.optim.execution.fuzz`.

Together more than 2,000 cases, and more with ``-m slow``. A failure prints the case; with that
``fuzz.run(case, path)`` repeats it.
"""

import csv
import importlib
import itertools
from collections.abc import Iterable

import numpy as np
import pytest
import torch

from gofau.optim import RULES
from gofau.optim.execution.native import compiler
from tests.command_line import ROOT
from tests.optim.execution import fuzz
from tests.optim.execution.fuzz import BASES, DTYPES, Case, draw, draw_program, run

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")
fused = pytest.param("fused", marks=needs_compiler)
WORST = {torch.bfloat16: 0.501, torch.float16: 0.501, torch.float32: 12, torch.float64: 12}
"""In eps of the dtype: what is rounded once is off by half a place."""


def of_any_program(count: int, seed: int, dtype: torch.dtype) -> list[Case]:
    rng = np.random.default_rng(seed)
    return [draw(rng, draw_program(rng, dtype)) for _ in range(count)]


def of_few_programs(each: int, seed: int) -> list[Case]:
    """One program for every base and rule, each in one dtype: a program is a call of the compiler,
    and what it computes depends on numbers and shapes no more."""
    rng = np.random.default_rng(seed)
    pairs = list(itertools.product(BASES, fuzz.RULES))
    programs = [
        draw_program(rng, DTYPES[(i + i // 5 + seed) % 4], *pair) for i, pair in enumerate(pairs)
    ]
    return [draw(rng, program) for program in programs for _ in range(each)]


def hold(cases: Iterable[Case], path: str) -> None:
    """Every step is what the reference says, and most elements can be judged closely."""
    close, other = 0, 0
    for case in cases:
        outcome = run(case, path)
        assert not outcome.failures, "\n".join([str(case), f"path {path}", *outcome.failures])
        for errors in outcome.errors["weights"]:
            assert errors.max(initial=0) <= WORST[case.program.dtype], case
            close += len(errors)
        other += outcome.other["weights"]
    assert close > other


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("path", ["loop", "foreach"])
def test_a_step_is_what_the_formulas_say(path, dtype):
    hold(of_any_program(60, 1, dtype), path)


@needs_compiler
def test_a_fused_step_is_what_the_formulas_say():
    hold(of_few_programs(12, 2), "fused")


@pytest.mark.long
@pytest.mark.parametrize("path", ["loop", "foreach", fused])
def test_more_of_them(path):
    hold((case for seed in range(3, 7) for case in of_few_programs(6, seed)), path)


@pytest.mark.parametrize("path", ["loop", "foreach"])
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("hybrid", lambda xi: xi * (1 + 1e-5)),
        ("multiplicative", lambda xi: xi * 1.001),
        ("power", lambda xi: torch.where(xi.abs() > 1e30, 0.0, xi)),
        ("exponential", lambda xi: torch.nan_to_num(xi)),
    ],
)
def test_the_reference_tells_a_rule_that_is_nearly_right(name, wrong, path, monkeypatch):
    known = RULES[name]

    def xi(theta, d, eta, **own):
        return wrong(known.xi(theta, d, eta, **own))

    xi.__module__ = "gofau.optim.rules"  # so that it is recorded like one of these
    monkeypatch.setitem(RULES, name, fuzz.optim.Rule(name, xi, known.hyperparameters))
    rng = np.random.default_rng(0)
    cases = [draw(rng, draw_program(rng, rule=name)) for _ in range(60)]
    assert any(run(case, path).failures for case in cases)


def test_cases_are_the_same_every_time():
    assert of_any_program(20, 5, torch.float32) == of_any_program(20, 5, torch.float32)


def test_the_table_of_errors(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("fuzz_optim")
    monkeypatch.setattr(script.compiler, "find", lambda: None)  # the compiler is not what is tested
    arguments = ["fuzz_optim.py", "--cases", "8", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    assert script.main() == 0
    rows = list(csv.DictReader((tmp_path / "errors.csv").read_text(encoding="utf-8").splitlines()))
    everything = [row for row in rows if row["rule"] == "all"]
    assert sum(int(row["cases"]) for row in everything) == 16
    assert {row["path"] for row in rows} == {"loop", "foreach"}
    page = (tmp_path / "errors.md").read_text(encoding="utf-8")
    assert "## Hybrid" in page
    assert page in capsys.readouterr().out
