"""The problems are what they say, and a batch of descents is many single ones."""

import csv
import gzip
import sys
from functools import partial
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from gofau import optim
from gofau.cli import one_sentence
from gofau.toy import PROBLEMS, descend, score
from gofau.toy.settings import cases, check, starts
from tests.cli import ROOT

NAMES = list(PROBLEMS)
RULES = {
    "additive": {},
    "multiplicative": {"eta_in": 10.0, "eta_out": 0.1},
    "hybrid": {"eta_in": 10.0, "eta_out": 0.1, "alpha": 0.5},
    "exponential": {},
}
ARMS = [{"rule": rule, **values} for rule, values in RULES.items()]
BASES = {"SGD": {"lr": 1e-3, "momentum": 0.0}, "Adam": {"lr": 1e-2}}
EXPERIMENTS = sorted(path.stem for path in (ROOT / "configs/experiment").glob("*toy*.yaml"))


def some_starts(problem, side=5, dtype=torch.float64):
    axes = [torch.linspace(*ends, side, dtype=dtype) for ends in PROBLEMS[problem].box]
    return torch.cartesian_prod(*axes)


def last(*args, **more):
    return [points.clone() for _, points in descend(*args, **more)][-1]


@pytest.mark.parametrize("name", NAMES)
@given(st.floats(0, 1), st.floats(0, 1))
def test_the_gradient_is_the_values(name, x, y):
    problem = PROBLEMS[name]
    ends = torch.tensor(problem.box, dtype=torch.float64)
    low, high = ends.unbind(1)
    point = low + (high - low) * torch.tensor([x, y], dtype=torch.float64)
    torch.testing.assert_close(problem.gradient(point), autograd(problem, point))
    assert problem.value(point) >= problem.value(torch.tensor(problem.minima[0]).double()) - 1e-9


def autograd(problem, points):
    points = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(problem.value(points).sum(), points)
    return gradient


@pytest.mark.parametrize("name", NAMES)
def test_the_minima_are_minima(name):
    problem = PROBLEMS[name]
    minima = torch.tensor(problem.minima, dtype=torch.float64)
    assert problem.value(minima).abs().max() < 1e-12
    assert problem.gradient(minima).abs().max() < 1e-9
    assert problem.distance(minima).max() < 1e-12
    around = minima[:, None] + 1e-3 * torch.randn(100, 2, dtype=torch.float64)
    assert (problem.value(around) > 0).all()
    for minimum, (low, high) in zip(minima.T, problem.box, strict=True):
        assert ((low < minimum) & (minimum < high)).all()


@pytest.mark.parametrize("name", NAMES)
def test_shapes_are_the_points(name):
    problem, points = PROBLEMS[name], torch.randn(3, 4, 2)
    assert problem.value(points).shape == problem.distance(points).shape == (3, 4)
    assert problem.same_signs(points).shape == (3, 4)
    assert problem.gradient(points).shape == (3, 4, 2)
    torch.testing.assert_close(problem.gradient(points)[1, 2], problem.gradient(points[1, 2]))


def test_signs_say_what_scaling_can_reach():
    points = torch.tensor([[2.0, 0.1], [-2.0, 0.1], [2.0, 0.0]])
    assert PROBLEMS["bowl"].same_signs(points).tolist() == [True, False, False]
    assert PROBLEMS["sphere"].same_signs(points).tolist() == [True, True, True]
    assert PROBLEMS["himmelblau"].same_signs(points).tolist() == [True, True, False]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", ["bowl", "rosenbrock"])
def test_a_batch_is_a_loop_over_starts_with_torch(base, name):
    """Additive, 1,000 steps in float32: the same as one torch.optim optimizer a start."""
    settings, problem = BASES[base], PROBLEMS[name]
    points = some_starts(name, 2, torch.float32)
    ours = partial(getattr(optim, base), fused=True)
    batch = last(problem, ours, [{"rule": "additive", **settings}], points, 1000, every=1000)[0]
    for start, end in zip(points, batch, strict=True):
        p = start.clone().requires_grad_()
        optimizer = getattr(torch.optim, base)([p], **settings)
        for _ in range(1000):
            optimizer.zero_grad()
            problem.value(p).backward()
            optimizer.step()
        assert (p - end).abs().max() <= 1e-5


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("base", BASES)
def test_a_batch_is_a_loop_over_starts_and_arms(base, fused):
    """Every rule, on every problem: what is beside a start does not matter."""
    make = partial(getattr(optim, base), fused=fused, **BASES[base])
    for name in NAMES:
        points = some_starts(name, 3)
        batch = last(PROBLEMS[name], make, ARMS, points, 20)
        for i, arm in enumerate(ARMS):
            for j, start in enumerate(points):
                single = last(PROBLEMS[name], make, [arm], start[None], 20)
                torch.testing.assert_close(
                    batch[i, j], single[0, 0], rtol=1e-12, atol=1e-12, equal_nan=True
                )


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("lost", [[1e30, 1e30], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_a_start_that_diverges_leaves_the_others_alone(lost, fused):
    problem, points = PROBLEMS["rosenbrock"], some_starts("rosenbrock", dtype=torch.float32)
    make = partial(optim.Adam, lr=0.1, fused=fused)
    alone = last(problem, make, ARMS, points, 100)
    beside = last(problem, make, ARMS, torch.cat((points, torch.tensor([lost]))), 100)
    assert torch.equal(alone, beside[:, :-1])


def test_divergence_is_told_and_costs_what_it_can_cost():
    points = torch.tensor([[2.0, 2.0], [1.1, 1.1]])
    arms = [{"rule": "additive", "lr": lr} for lr in (1e-4, 1.0)]
    scores = score(PROBLEMS["rosenbrock"], partial(optim.SGD, momentum=0.0), arms, points, 100)
    assert scores.diverged.tolist() == [[False, False], [True, True]]
    diagonal = PROBLEMS["rosenbrock"].diagonal
    assert (scores.distance[1] == diagonal).all()
    assert (scores.score <= diagonal).all()
    assert not scores.converged[1].any()


def test_a_start_at_the_minimum_has_converged_at_once():
    for name, problem in PROBLEMS.items():
        points = torch.tensor(problem.minima)
        scores = score(problem, partial(optim.SGD, lr=1e-4), ARMS, points, 10)
        assert (scores.arrived == 0).all(), name
        assert not scores.diverged.any()


@given(st.floats(-3, 3), st.floats(-3, 3), st.sampled_from(["bowl", "sphere", "himmelblau"]))
def test_rules_that_scale_keep_signs_and_zeros(x, y, name):
    """Alone or in a batch: zero_init is the literal reading here."""
    for points in (torch.tensor([[x, 0.0]]), torch.tensor([[x, 0.0], [0.0, 0.0], [x, y]])):
        make = partial(optim.Adam, lr=0.05, fused=False)
        ends = last(PROBLEMS[name], make, ARMS, points, 30, every=30)
        for arm, end in zip(ARMS, ends, strict=True):
            if arm["rule"] in ("multiplicative", "exponential"):
                assert torch.equal(end.sign(), points.sign())


def test_the_starts_are_left_as_they_were():
    points = torch.tensor([[2.0, 0.5]])
    last(PROBLEMS["bowl"], optim.SGD, ARMS[:1], points, 5)
    assert points.tolist() == [[2.0, 0.5]]


def test_looks_are_where_they_were_asked_for():
    looks = descend(PROBLEMS["bowl"], optim.SGD, ARMS, torch.ones(1, 2), 25, every=10)
    assert [t for t, _ in looks] == [0, 10, 20, 25]


@pytest.mark.parametrize("root", ["toy", "train"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes_and_can_begin(name, root):
    toy = composed(f"experiment={name}", root=root)
    check(toy)
    assert toy["name"] == name
    assert len(cases(toy)) >= 1
    for case in cases(toy):
        assert case.default_lr in case.lrs
        assert starts(toy, case.problem).shape[1] == 2


def composed(*words, root="toy"):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        toy: dict[str, Any] = OmegaConf.to_container(compose(root, list(words)).toy)  # type: ignore[assignment]
        return toy


def test_each_experiment_has_a_smoke_twin():
    whole = {name for name in EXPERIMENTS if not name.startswith("smoke_")}
    assert {"fig1_toy_paths", "fig2_toy_starts", "tab1_toy"} <= whole
    assert {f"smoke_{name}" for name in whole} == set(EXPERIMENTS) - whole


@pytest.fixture
def toy(tmp_path, monkeypatch, capsys):
    """``python -m gofau.toy …`` in an empty folder: exit code, stdout, stderr."""
    from gofau.toy.__main__ import main

    monkeypatch.chdir(tmp_path)

    def call(*words):
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["python -m gofau.toy", *words])
        code = 0
        try:
            with one_sentence():
                main()
        except SystemExit as e:
            code = e.code
        return code, *capsys.readouterr()

    return call


FILES = {
    "smoke_fig1_toy_paths": {"cells.csv", "paths.csv.gz", "surface.csv.gz"},
    "smoke_fig2_toy_starts": {"cells.csv", "starts_bowl.csv.gz", "starts_rosenbrock.csv.gz"},
    "smoke_tab1_toy": {"cells.csv"},
}


@pytest.mark.parametrize("name", FILES)
def test_an_experiment_leaves_its_tables(toy, tmp_path, name):
    code, out, err = toy(f"experiment={name}")
    assert (code, err) == (0, "")
    folder = tmp_path / "results" / name
    assert {path.name for path in folder.iterdir()} == FILES[name]
    assert [path.name for path in tmp_path.iterdir()] == ["results"]  # and nothing else anywhere
    assert str(folder.relative_to(tmp_path)) in out
    cells = list(csv.DictReader((folder / "cells.csv").read_text().splitlines()))
    assert all(cell["provenance.command"].startswith("python -m gofau.toy") for cell in cells)
    rules = {(cell["problem"], cell["optimizer"], cell["rule"]) for cell in cells}
    for what in rules:
        mine = [c for c in cells if (c["problem"], c["optimizer"], c["rule"]) == what]
        for mark in ("best", "default"):
            assert sum(cell[mark] == "True" for cell in mine) == 1
        (best,) = (cell for cell in mine if cell["best"] == "True")
        assert float(best["score"]) == min(float(cell["score"]) for cell in mine)
    packed = {p.name: p.read_bytes() for p in folder.glob("*.gz")}
    toy(f"experiment={name}")
    assert packed == {p.name: p.read_bytes() for p in folder.glob("*.gz")}
    for data in packed.values():
        assert len(gzip.decompress(data).splitlines()) > 100


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["toy.cases=[bowll/sgd]"], "no problem 'bowll' (there is: bowl, "),
        (["toy.cases=[bowl/sdg]"], "Did you mean 'sgd'?"),
        (["toy.cases=[bowl]"], "toy.cases must be a list, each problem/optimizer"),
        (["toy.cases=[]"], "there is nothing to do"),
        (["toy.task=path"], "Did you mean 'paths'?"),
        (["toy.steps=0"], "toy.steps must be a whole number ≥ 1, got 0"),
        (["toy.lrs=[-1]"], "toy.lrs must be a list, each a number > 0"),
        (["toy.name=../up"], "toy.name must be a name for a folder"),
        (["toy.starts={rosenbrock: [[1, 2]]}"], "have a list of pairs for bowl"),
        (["toy.starts={bowl: [[1]]}"], "have a list of pairs for bowl"),
        (["toy.rules.hybrid.alpha=2"], "alpha must be in [0, 1], got 2"),
        (["+toy.optimizers.sgd.betas=[0.9,0.99]"], "betas"),
        (["+toy.rules.hybird={}"], "Did you mean 'hybrid'?"),
        (["toy.stepz=3"], "Did you mean 'steps'?"),
        (["experiment=fig2_toy_start"], "Did you mean 'fig2_toy_starts'?"),
    ],
)
def test_what_is_typed_wrong_ends_in_one_sentence(toy, tmp_path, words, sentence):
    code, out, err = toy(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
