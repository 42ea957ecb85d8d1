"""What is generated on the pages: of the experiments, from configurations, READMEs and records."""

import re

import pandas as pd
import pytest

from docs._ext import experiments, reference
from docs._ext.pages import MADE, MARKER, complete
from docs._ext.sources import command, comment
from gofau.optim import RULES, STEPSIZES
from gofau.optim.post_steps import POST_STEPS
from gofau.report.published import quoted
from gofau.toy import PROBLEMS
from tests.command_line import ROOT
from tests.docs.pages import pages

PUBLISHED = quoted("tab4_cifar100")["values"]


def test_every_marker_is_made_and_everything_made_has_a_place():
    found = [marker for text in pages().values() for marker in MARKER.findall(text)]
    assert len(found) == len({*found})
    assert {name for name, _ in found} == MADE.keys()


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "RESULTS", tmp_path)
    return tmp_path


def write(folder, **columns):
    folder.mkdir()
    pd.DataFrame(columns).to_csv(folder / "runs.csv", index=False)


def test_the_status_is_that_of_the_records(results):
    assert experiments.status("sanity_text") == "no records yet"
    write(results / "sanity_text", state=["done", "diverged", "failed"])
    assert experiments.status("sanity_text") == "2 of 5 runs, 1 of them diverged"
    write(results / "sanity_graphs", state=["done"] * 20)
    assert experiments.status("sanity_graphs") == "**done**, 20 runs"
    (results / "toy_tuned").mkdir()
    cells = pd.DataFrame({"provenance.commit": ["0123456789abc"] * 2})
    cells.to_csv(results / "toy_tuned" / "cells.csv", index=False)
    assert experiments.status("toy_tuned") == "**done**, at commit 0123456789"


def test_the_status_of_an_experiment_that_is_typed_per_problem(results):
    """Its grid is that of one problem: 260 runs."""
    digits = ["digits"] * 260
    write(
        results / "problems",
        **{"state": "done", "dataset.name": [*digits[1:], "cora"], "model.name": "some"},
    )
    assert experiments.status("problems") == "260 of 260 runs per problem"
    write(
        results / "problems_lr",
        **{"state": "done", "dataset.name": ["a"] * 1170 + ["b"] * 1170 + ["c"], "model.name": "x"},
    )
    assert experiments.status("problems_lr") == "**done** on 2 problems, 2,341 runs"


def test_the_overview_has_experiments_with_their_command_and_records(results):
    write(results / "tab4_cifar100", state=["done", "diverged", "failed"])
    write(results / "smoke_tab2_cifar10_init", state=["done"] * 3)
    rows = experiments.overview("x/").splitlines()[2:]
    names = [row.split("]")[0].removeprefix("| [") for row in rows]
    assert {"fig1_toy_paths", "tab1_toy", "tab6_acceleration", "toy_tuned", "problems"} <= {*names}
    assert names.index("tab6_acceleration") < names.index("toy_random") < names.index("problems")
    (some,) = [row for row in rows if "[tab4_cifar100](x/tab4_cifar100/README.md)" in row]
    command = "`python train.py -m experiment=tab4_cifar100`"
    assert some.endswith(f"| {command} | 2 of 250 runs, 1 of them diverged |")
    assert [
        row for row in rows if "gofau.toy" in row and not row.endswith("no records yet |")
    ] == []
    (init,) = [row for row in rows if row.startswith("| [tab2_cifar10_init]")]
    assert re.search(r"\| 0 of 900 runs; on the digits: 3 of \d+ runs \|$", init)


def test_the_cost_is_said_by_the_readme_and_measured_by_the_records(results):
    said = "5 seeds = 5 runs of 10 epochs, about a minute each on one core."
    assert experiments.cost("sanity_text") == said
    write(results / "sanity_text", seconds_total=[1800.0, 3600.0])
    assert experiments.cost("sanity_text") == f"{said} Measured: 1.5 hours of runs."


def test_the_number_of_runs_is_that_of_the_grid():
    assert experiments.runs("tab2_cifar10_init") == 900
    assert experiments.runs("defaults") == 0


@pytest.mark.parametrize("name", experiments.names())
def test_every_experiment_has_command_cost_and_a_sentence(name):
    path = ROOT / "configs" / "experiment" / f"{name}.yaml"
    assert re.fullmatch(
        rf"python (train.py -m|-m gofau[.][a-z]+) experiment={name}.*", command(path)
    )
    assert comment(path).endswith(".")
    assert "@package" not in comment(path)
    assert len(experiments.cost(name)) > 5


def test_ours_stands_beside_the_published_and_is_not_mixed_with_it(results):
    assert experiments.accuracies().count("no records yet") == len(PUBLISHED)
    write(
        results / "tab4_cifar100",
        **{
            "identity": [str(i) for i in range(15)],
            "optimizer.name": ["adam"] * 10 + ["adam"] * 5,
            "rule.name": ["hybrid"] * 10 + ["additive"] * 5,
            "stepsize.name": "base",
            "model.name": (["resnet18"] * 5 + ["vgg11"] * 5) + ["resnet18"] * 5,
            "seed": [0, 1, 2, 3, 4] * 3,
            "test/acc": [0.5, 0.51, 0.52, 0.53, 0.54] + [0.9] * 5 + [0.4] * 5,
            "val/acc": 0.5,
            "state": "done",
            "classes": 100,
            "dataset.name": "cifar100",
            "init.name": "default",
            "scheduler.name": "cosine",
        },
    )
    table = experiments.accuracies()
    assert "| Hybrid Adam | 67.10 ± 0.35 | 52.00 ± 1.96 (5) |" in table
    assert "| additive adam | not published | 40.00 ± 0.00 (5) |" in table
    assert table.count("no records yet") == len(PUBLISHED) - 1 + 3


def test_the_published_numbers_are_in_falling_order():
    means = [row["mean"] for row in PUBLISHED]
    assert means == sorted(means, reverse=True)
    assert len(means) == 13


def test_the_verdicts_are_those_of_the_claims():
    rows = experiments.verdicts().splitlines()
    claims = (ROOT / "results" / "claims.md").read_text(encoding="utf-8")
    first = claims.partition("## The twins")[0]
    assert len(rows) == len([line for line in first.splitlines() if line.startswith("|")])
    assert rows[0] == "| sentence | rule | verdict | effect | measured | experiment | data |"
    for row in rows[2:]:
        assert row.split(" | ")[2] in first


def of_gofau(parts):
    """Other tests register some of their own."""
    return {name for name, some in parts if some.__module__.startswith("gofau.")}


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("rule", of_gofau((name, rule.xi) for name, rule in RULES.items())),
        ("stepsize", of_gofau((name, type(size)) for name, size in STEPSIZES.items())),
        ("optimizer", {*reference.classes()}),
    ],
)
def test_every_part_of_the_library_has_a_page(kind, names):
    folder = ROOT / "docs" / "reference" / f"{kind}s"
    assert {page.stem for page in folder.glob("*.md")} == {name.lower() for name in names}
    for name in names:
        page = folder / f"{name.lower()}.md"
        assert page.read_text() == f"# {name}\n\n<!-- generated: {kind} {name} -->\n"
        made = complete(page.read_text(), page)
        assert "```{eval-rst}\n.. auto" in made
        assert f"({kind}s/{page.name})" in MADE[f"{kind}s"]()


def test_the_reference_has_every_part():
    posts = of_gofau((name, post.xi) for name, post in POST_STEPS.items())
    assert set(re.findall(r"^## (\w+)$", reference.post_steps(), re.M)) == posts
    names = {path.stem for path in (ROOT / "configs" / "optimizer").glob("*.yaml")}
    assert {name.lower() for name in reference.classes()} == {n.replace("_", "") for n in names}
    problems = (ROOT / "configs" / "problem").glob("*.yaml")
    assert all(f"| `{path.stem}` |" in reference.problems() for path in problems)
    assert all(f"| `{name}` |" in reference.functions() for name in PROBLEMS)


def test_the_table_of_rules_says_what_they_can_do():
    rows = {row.split("]")[0][3:]: row for row in reference.formulas().splitlines()[2:]}
    ends = {name: [cell.strip() for cell in row.split(" | ")[2:]] for name, row in rows.items()}
    assert ends["additive"] == ["yes", "yes |"]
    assert ends["multiplicative"] == ["only if η_out > 1", "no |"]
    assert ends["exponential"] == ["no", "no |"]
    assert ends["hypentropy"] == ["yes", "yes |"]


def test_a_link_to_a_result_that_is_not_there_yet_is_text():
    page = ROOT / "docs" / "x.md"
    text = "[a](../results/tab4_cifar100/no.md) [b](../results/claims.md) [c](../results/no/no.md)"
    made = complete(text, page)
    assert made.startswith("a (no records yet) [b](../results/claims.md)")
    assert "[c](../results/no/no.md)" in made  # no experiment: a mistake, which the build reports


def test_a_table_of_results_gets_a_title():
    page = ROOT / "results" / "toy_tuned" / "table.md"
    made = complete("| a |\n|---|\n", page)
    assert made.startswith("---\norphan: true\n---\n# toy_tuned: table\n\n| a |")
    assert "# Found (toy_tuned)\n\nx" in complete("# Found\nx", page)
