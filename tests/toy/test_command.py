"""Every experiment in two variables composes and leaves its tables; mistakes end in a sentence."""

import csv
import gzip
from operator import itemgetter
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from gofau.config.hydras import BASE
from gofau.optim import Adam
from gofau.toy import PROBLEMS, descend
from gofau.toy.draw_settings import drawn
from gofau.toy.settings import OVER_DRAWS, cases, check, starts
from tests.command_line import ROOT

EXPERIMENTS = sorted(path.stem for path in (ROOT / "configs/experiment").glob("*toy*.yaml"))


@pytest.mark.parametrize("root", ["toy", "train"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes_and_can_begin(name, root):
    toy = composed(f"experiment={name}", root=root)
    check(toy)
    assert toy["name"] == name
    assert toy["dtype"] == "float64"
    if toy["task"] in OVER_DRAWS:
        plan = drawn(toy)
        assert plan.cases
        assert set(plan.arms) >= {"additive", "multiplicative", "hybrid", "exponential", "power"}
        return
    assert len(cases(toy)) >= 1
    for case in cases(toy):
        assert case.default_lr in case.lrs
        assert starts(toy, case.problem).shape[1] == 2


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_says_its_command_and_is_told_in_a_readme(name):
    lines = (ROOT / f"configs/experiment/{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[1] == f"# python -m gofau.toy experiment={name}"
    folder = name.removeprefix("smoke_")
    text = (ROOT / "experiments" / folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {folder}\n")
    assert f"experiment={name}" in text
    for heading in ("**Claim it touches.**", "**Command.**", "**Cost.**", "**How to read it.**"):
        assert heading in text


def test_the_starts_are_as_far_as_the_published_ones():
    plan = drawn(composed("experiment=toy_tuned"))
    far = {"bowl": "69.26", "tilted": "69.26", "rosenbrock": "2.06"}
    for problem, points in plan.starts.items():
        for point in points:
            assert f"{PROBLEMS[problem].distance(point).item():.2f}" == far[problem]
    signs = [PROBLEMS["rosenbrock"].same_signs(p).item() for p in plan.starts["rosenbrock"]]
    assert signs == [False, True]
    for name in ("bowl", "tilted"):
        assert all(PROBLEMS[name].same_signs(p) for p in plan.starts[name])


def composed(*words, root="toy"):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "configs"), **BASE):
        toy: dict[str, Any] = OmegaConf.to_container(compose(root, list(words)).toy)  # type: ignore[assignment]
        return toy


def test_each_experiment_has_a_smoke_twin():
    whole = {name for name in EXPERIMENTS if not name.startswith("smoke_")}
    known = {"fig1_toy_paths", "fig2_toy_starts", "tab1_toy", "toy_tuned", "toy_random"}
    assert known <= whole
    assert {f"smoke_{name}" for name in whole} == set(EXPERIMENTS) - whole


FILES = {
    "smoke_fig1_toy_paths": {"cells.csv", "paths.csv.gz", "surface.csv.gz"},
    "smoke_fig2_toy_starts": {"cells.csv", "starts_bowl.csv.gz", "starts_rosenbrock.csv.gz"},
    "smoke_tab1_toy": {"cells.csv"},
}


@pytest.mark.parametrize("name", FILES)
def test_an_experiment_leaves_its_tables(toy, tmp_path, name):
    code, out, err = toy(f"experiment={name}", "toy.steps=40")
    assert (code, err) == (0, "")
    folder = tmp_path / "results" / name
    assert {path.name for path in folder.iterdir()} == FILES[name]
    assert [path.name for path in tmp_path.iterdir()] == ["results"]  # and nothing else anywhere
    assert str(folder.relative_to(tmp_path)) in out
    cells = list(csv.DictReader((folder / "cells.csv").read_text().splitlines()))
    assert all(cell["provenance.command"].startswith("python -m gofau.toy") for cell in cells)
    key = itemgetter("problem", "optimizer", "region", "rule")
    for what in set(map(key, cells)):
        mine = [c for c in cells if key(c) == what]
        for mark in ("best", "default"):
            assert sum(cell[mark] == "True" for cell in mine) == 1
        (best,) = (cell for cell in mine if cell["best"] == "True")
        assert float(best["score"]) == min(float(cell["score"]) for cell in mine)
    packed = {p.name: p.read_bytes() for p in folder.glob("*.gz")}
    toy(f"experiment={name}", "toy.steps=40")
    assert packed == {p.name: p.read_bytes() for p in folder.glob("*.gz")}
    for data in packed.values():
        assert len(gzip.decompress(data).splitlines()) > 100


DRAWS = ["toy=draws"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["toy.cases=[bowll/sgd]"], "no problem 'bowll' (there is: bowl, "),
        (["toy.cases=[bowl/sdg]"], "Did you mean 'sgd'?"),
        (["toy.cases=[bowl]"], "toy.cases must be a list, each problem/optimizer"),
        (["toy.cases=[]"], "there is nothing to do"),
        (["toy.task=path"], "Did you mean 'paths'?"),
        (["toy.steps=0"], "toy.steps must be a whole number ≥ 1, got 0"),
        (["toy.lrs=[-1]"], "toy.lrs must be a list of at least one number > 0"),
        (["toy.name=../up"], "toy.name must be a name for a folder"),
        (["toy.starts={rosenbrock: [[1, 2]]}"], "have a list of pairs for bowl"),
        (["toy.starts={bowl: [[1]]}"], "have a list of pairs for bowl"),
        (["+toy.rules.hybrid.gamma=2"], "gamma must be in [0, 1], got 2"),
        (["+toy.optimizers.sgd.betas=[0.9,0.99]"], "betas"),
        (["+toy.rules.hybird={}"], "Did you mean 'hybrid'?"),
        (["toy.stepz=3"], "Did you mean 'steps'?"),
        ([*DRAWS, "toy.draws.looks=[3,2]"], "toy.draws.looks must be a rising list"),
        ([*DRAWS, "toy.draws.looks=[]"], "toy.draws.looks must be a rising list"),
        ([*DRAWS, "toy.draws.repeats=0"], "toy.draws.repeats must be a whole number ≥ 1, got 0"),
        ([*DRAWS, "toy.draws.sequence=sobel"], "Did you mean 'sobol'?"),
        ([*DRAWS, "toy.draws.ranges.lr.low=0"], "toy.draws.ranges.lr must have low < high"),
        ([*DRAWS, "toy.draws.ranges.gamma.high=-1"], "ranges.gamma must have low < high"),
        ([*DRAWS, "toy.draws.ranges.gamma.high=2", "toy.draws.ranges.gamma.low=1.5"], "gamma must"),
        ([*DRAWS, "+toy.draws.ranges.lr.mid=1"], "toy.draws.ranges.lr must have low < high"),
        ([*DRAWS, "toy.draws.arms.power.draws=[eta_inn]"], "Did you mean 'eta_in'?"),
        ([*DRAWS, "toy.draws.arms.power.rule=powr"], "Did you mean 'power'?"),
        ([*DRAWS, "~toy.draws.arms.power.rule"], "must have a rule and a list of what it draws"),
        ([*DRAWS, "toy.cases=[bowll/sgd]"], "no problem 'bowll' (there is: bowl, "),
        ([*DRAWS, "toy.cases=[beale/sgd]"], "have a list of pairs for beale"),
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


SMALL = ["toy.draws.repeats=2", "toy.draws.looks=[1,5,20]", "toy.steps=10", "toy.cases=[bowl/adam]"]


def rows(path):
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return list(csv.DictReader(text.splitlines()))


def test_the_best_of_drawn_configurations(toy, tmp_path):
    code, _, err = toy("experiment=toy_tuned", *SMALL)
    assert (code, err) == (0, "")
    folder = tmp_path / "results/toy_tuned"
    cells, bests = rows(folder / "cells.csv"), rows(folder / "bests.csv.gz")
    assert len(cells) == 6
    assert len(bests) == 6 * 2 * 3
    for cell in cells:
        assert cell["configurations"] == "40"
        mine = [row for row in bests if row["arm"] == cell["arm"]]
        for repeat in "01":
            found = [float(row["distance"]) for row in mine if row["repeat"] == repeat]
            assert found == sorted(found, reverse=True)
            assert found[0] <= float(cell["start_distance"])
        assert min(float(row["distance"]) for row in mine) == float(cell["distance"])
        named = {name for name in ("lr", "eta_in", "gamma", "eta_out") if cell[name]}
        assert named == set(cell["draws"].split())
    packed = (folder / "bests.csv.gz").read_bytes()
    toy("experiment=toy_tuned", *SMALL)
    assert packed == (folder / "bests.csv.gz").read_bytes()


def test_the_best_configuration_does_what_its_row_says(toy, tmp_path):
    """The hyperparameters of a row, given to the optimizer, lead to the distance beside them."""
    toy("experiment=toy_tuned", *SMALL)
    for cell in rows(tmp_path / "results/toy_tuned/cells.csv"):
        values = {name: float(cell[name]) for name in cell["draws"].split()}
        arm = {"rule": cell["rule"], **values}
        start = torch.tensor([[67.0, 22.0]], dtype=torch.float64)
        *_, (_, end) = descend(PROBLEMS["bowl"], Adam, [arm], start, 10)
        distance = PROBLEMS["bowl"].distance(end).item()
        assert distance == pytest.approx(float(cell["distance"]), rel=0.05)  # from four digits


def test_the_distribution_over_drawn_configurations(toy, tmp_path):
    small = [word for word in SMALL if "repeats" not in word]
    code, _, err = toy("experiment=toy_random", *small)
    assert (code, err) == (0, "")
    folder = tmp_path / "results/toy_random"
    cells, quantiles = rows(folder / "cells.csv"), rows(folder / "quantiles.csv.gz")
    assert len(cells) == 6 * 3
    assert len(quantiles) == 6 * 201
    for cell in (c for c in cells if c["configurations"] == "20"):
        mine = [float(row["relative"]) for row in quantiles if row["arm"] == cell["arm"]]
        assert mine == sorted(mine)
        assert 0 <= float(cell["mean"]) <= 1
        # Of 201 quantiles of 20 values each value has about a twentieth.
        mean = sum(min(x, 1) for x in mine) / len(mine)
        assert float(cell["mean"]) == pytest.approx(mean, abs=0.05)
        beyond = sum(x > 1 for x in mine) / len(mine)
        assert float(cell["capped"]) == pytest.approx(beyond, abs=0.05)


def test_a_learning_rate_is_chosen_for_the_starts_that_are_shown(toy, tmp_path):
    """Each start of Fig. 1, and each region of a grid, has its own, by its own score."""
    words = ["toy.lrs=[1e-3,0.01,0.1,0.5]", "toy.steps=60"]
    toy("experiment=fig1_toy_paths", *words)
    cells = rows(tmp_path / "results/fig1_toy_paths/cells.csv")
    assert {cell["region"] for cell in cells if cell["problem"] == "bowl"} == {
        "(2.6, 0.2)",
        "(-2, 2.4)",
    }
    paths = rows(tmp_path / "results/fig1_toy_paths/paths.csv.gz")
    for cell in (cell for cell in cells if cell["best"] == "True"):
        what = itemgetter("problem", "region", "rule")
        (last,) = (p for p in paths if what(p) == what(cell) and p["step"] == "60")
        assert last["lr"] == cell["lr"]
        assert float(last["distance"]) == pytest.approx(float(cell["distance"]), rel=1e-3)
    toy("toy.cases=[bowl/sgd]", "toy.starts=6", *words)
    cells = rows(tmp_path / "results/toy/cells.csv")
    starts_of = {cell["region"]: cell["starts"] for cell in cells}
    assert starts_of == {"all": "36", "same signs": "9"}
    toy("toy.cases=[sphere/sgd]", "toy.starts=6", *words)  # every start has the minimum's signs
    assert {cell["region"] for cell in rows(tmp_path / "results/toy/cells.csv")} == {"all"}
