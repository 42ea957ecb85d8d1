"""The whole report of made-up records: complete, incomplete, missing."""

import hashlib
import math

import pandas as pd
import pytest

from gofau.report.claims import CLAIMS, claims
from gofau.report.experiments import REPORTS, folders
from gofau.report.make import FIGURES, TABLES, figures, report, tables, tables_of
from gofau.report.render import markdown
from gofau.report.types import Frame
from tests.command_line import ROOT
from tests.report.records import runs, with_metric, write


def better(w):
    """Hybrid is a point better than additive in every cell; one adam run diverged."""
    if w["optimizer"] == "adam" and w["rule"] == "hybrid" and w["lr"] == 1.0 and w["seed"] == 0:
        return None
    worse = 0.05 * abs(math.log10(w["lr"] / 0.1)) + 0.1 * (w["scale"] == 5.0)
    noise = 0.0002 * (w["seed"] - 2) * (w["rule"] == "hybrid")
    late = 0.3 / w["epochs"]
    return 0.9 - worse - late + 0.002 * w["seed"] + 0.01 * (w["rule"] == "hybrid") + noise


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """An experiment of each kind, one that is half done, one of which nothing ran, one unknown."""
    folder = tmp_path_factory.mktemp("results")
    lr = (0.01, 0.1, 1.0)
    write(
        folder / "tab3_cifar10_lr",
        runs(better, lr=lr, init=("default", "normal"), optimizer=("sgd",)),
    )
    write(folder / "tab2_cifar10_init", runs(better, init=("normal",), scale=(1.0, 5.0)))
    write(folder / "is_it_just_lr", runs(better, lr=(0.05, 0.1, 0.2), optimizer=("sgd",)))
    write(folder / "tab6_acceleration", runs(better, epochs=(2, 4, 8), model=("mlp",)))
    half = runs(lambda w: better(w) if w["seed"] == 0 else math.nan)
    write(folder / "smoke_tab4_cifar100", half)
    write(folder / "fig3_cifar100_curves", runs(lambda w: math.nan))
    write(folder / "mine", runs(better))
    (folder / "mine" / "curves.csv.gz").unlink()
    (folder / "bench").mkdir()
    (folder / "bench" / "bench.csv").write_text("a\n1\n")
    report(folder)
    return folder


def digests(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_same_bytes_when_made_again(results):
    before = digests(results)
    report(results)
    assert digests(results) == before


def test_every_table_and_figure_that_is_declared_is_there(results):
    for name in ("tab3_cifar10_lr", "tab2_cifar10_init", "is_it_just_lr", "tab6_acceleration"):
        assert (results / name / "accuracy.md").read_text().count("\n") > 4
        for kind in REPORTS[name].tables:
            for suffix in (".md", ".tex", ".csv"):
                assert (results / name / f"{kind}{suffix}").stat().st_size > 0
        for kind in REPORTS[name].figures:
            assert (results / name / f"{kind}.png").stat().st_size > 5000
            assert "<svg" in (results / name / f"{kind}.svg").read_text()
    assert not (results / "mine" / "curves.svg").exists()
    assert sorted(p.name for p in (results / "bench").iterdir()) == ["bench.csv"]


@pytest.mark.long  # every table of every experiment, 15 s
def test_the_committed_tables_are_those_of_the_committed_records():
    for folder in folders(ROOT / "results"):
        for table in tables_of(folder):
            assert (folder / f"{table.name}.md").read_text(encoding="utf-8") == markdown(table)


def test_declarations_name_what_there_is():
    for declared in REPORTS.values():
        assert set(declared.tables) <= set(TABLES)
        assert set(declared.figures) <= set(FIGURES)
    experiments = {p.stem for p in (ROOT / "configs" / "experiment").glob("*.yaml")}
    # What stands beside published numbers has no twin on other data.
    sanity = {name for name in REPORTS if name.startswith("sanity_")}
    # What the protocol names is small already; what it has replaced is not run again.
    campaign = {
        "replication",
        "spot_resnet18",
        *(name for name in REPORTS if name.startswith("problems")),
    }
    assert (sanity | campaign) - {"problems_superseded"} <= experiments
    ran = set(REPORTS) - {"defaults", "first_run"} - sanity - campaign
    assert ran | {f"smoke_{name}" for name in ran} <= experiments
    assert {"defaults_digits", "defaults_cifar10_jpeg"} <= experiments
    reduced = {n.removeprefix("reduced_") for n in experiments if n.startswith("reduced_")}
    assert reduced <= ran


def test_what_is_missing_is_said(results):
    text = (results / "smoke_tab4_cifar100" / "accuracy.md").read_text()
    assert "(1, 4?)" in text
    assert (results / "fig3_cifar100_curves" / "accuracy.md").read_text().count("missing") >= 4
    lines = (results / "claims.md").read_text().splitlines()
    assert any("**missing**" in line and "tab5_tiny_imagenet" in line for line in lines)
    half = [line for line in lines if line.startswith("| ") and "smoke_tab4_cifar100" in line]
    # Its sentence has an answer, so it is named below the table.
    assert lines[-1].startswith("Without records, and so without a row: ")
    assert "smoke_tab5_tiny_imagenet" in lines[-1]
    assert all("undecided: 8 of 10 pairs are missing" in line for line in half)
    assert all("incomplete" in line for line in half)


def test_runs_that_were_not_made_alike_are_told_under_the_table(tmp_path):
    frame = runs(better)
    write(tmp_path / "one", frame.assign(**{"compute.threads": 1, "compute.precision": "fp32"}))
    threads = [1.0 if seed else 2.0 for seed in frame["seed"]]
    write(tmp_path / "two", frame.assign(**{"compute.threads": threads}))
    notes = {path.name: tables_of(path)[0].note for path in (tmp_path / "one", tmp_path / "two")}
    assert "alike" not in notes["one"]
    assert "Not all runs were made under the same conditions (threads: 1, 2)." in notes["two"]


def test_a_report_of_nothing(tmp_path):
    paths = report(tmp_path)
    assert [p.name for p in paths] == ["claims.md", "report.html"]
    text = (tmp_path / "claims.md").read_text()
    assert text.count("| **missing** |") == len(CLAIMS) + sum(claim.twin for claim in CLAIMS)


def test_one_experiment_alone(results):
    assert {p.parent.name for p in tables(results, ["mine"])} == {"mine", results.name}
    assert figures(results, ["mine"]) == []


def test_claims_carry_effect_n_hardware_and_commit(results):
    rows = {row.cells[10].text: [c.text for c in row.cells] for row in claims(results, False).rows}
    lr = rows["tab3_cifar10_lr"]
    assert lr[1] == "hybrid"
    assert lr[8:10] == ["2 × 5", "10 of 10"]
    assert lr[11] == "drop of the accuracy, in points"
    assert lr[12:] == ["digits (4 epochs)", "2 cores of A CPU", "0123456789"]
    assert rows["is_it_just_lr"][2:4] == ["supported", "+1.00"]
    # 0.3 / epochs, a point better: 0.3 / 4 + 0.01 at 0.3 / x, so x = 4 / (1 + 4 / 30) sooner or so.
    assert rows["tab6_acceleration"][2] == "supported"
    assert rows["tab6_acceleration"][3].startswith("× 1.1")
    assert rows["tab6_acceleration"][11] == "epochs to equal accuracy"


def test_claims_and_figures_of_a_metric_where_lower_is_better(tmp_path):
    """Hybrid's error doubles per decade from its best rate, additive's triples."""

    def error(w):
        return 1 - 0.01 * (2 if w["rule"] == "hybrid" else 3) ** abs(math.log10(w["lr"] / 0.1))

    made = runs(lambda w: error(w) - 1e-5 * w["seed"], lr=(0.01, 0.1, 1.0), optimizer=("sgd",))
    made = with_metric(made, "mse", lambda acc: 1 - acc).assign(**{"metric.title": "squared error"})
    write(tmp_path / "smoke_tab3_cifar10_lr", made)
    (row,) = [r for r in claims(tmp_path, True).rows if r.cells[1].text == "hybrid"]
    texts = [cell.text for cell in row.cells]
    # Drops: (0.03 − 0.01) · 2 / 3 and (0.02 − 0.01) · 2 / 3.
    assert texts[2:4] == ["supported", "+0.0067"]
    assert texts[6] == "–", "there are no images to count"
    assert texts[11] == "drop of the squared error"
    tables(tmp_path, [])
    text = (tmp_path / "smoke_tab3_cifar10_lr" / "accuracy.md").read_text()
    assert text.startswith("# Test squared error\n")
    assert "(%)" not in text
    drawn = figures(tmp_path, [])
    assert {p.stem for p in drawn} == {"over_lr", "heatmap", "profile"}
    shown = (tmp_path / "smoke_tab3_cifar10_lr" / "over_lr.svg").read_text()
    assert "test squared error" in shown
    assert "(%)" not in shown


def test_rivals_hide_no_row_of_the_claims(tmp_path):
    """A rule is compared where several were tried: arms of one rule are no part of it, and a rule
    that only some optimizers have is no row."""
    rules = ("additive", "hybrid", "hypentropy")
    made = [
        runs(better, rule=rules[:2]),
        runs(better, optimizer=("sgd",), rule=rules[2:]),
        runs(better, optimizer=("lion",), rule=rules[:1]),
        runs(better, optimizer=("nero",), rule=("own",)),
        runs(better, optimizer=("sgd",), rule=rules[:1]).assign(**{"post_step.name": "ham"}),
    ]
    frame: Frame = pd.concat(made, ignore_index=True)
    frame["identity"] += frame["post_step.name"].fillna("")
    write(tmp_path / "problems", frame)
    (row,) = [r for r in claims(tmp_path, False).rows if r.cells[10].text == "problems"]
    assert [cell.text for cell in row.cells][1] == "hybrid"
    assert [cell.text for cell in row.cells][8:10] == ["2 × 5", "10 of 10"]


def test_a_claim_without_records_takes_those_of_the_reduced_twin(tmp_path):
    def found():
        rows = {row.cells[10].text: row for row in claims(tmp_path, False).rows}
        return {name: [c.text for c in row.cells] for name, row in rows.items()}

    frame = runs(better, init=("normal",), scale=(1.0, 5.0))
    few = frame.assign(**{"dataset.train_size": 5000.0, "trainer.epochs": 3})
    write(tmp_path / "reduced_tab2_cifar10_init", few)
    assert found()["reduced_tab2_cifar10_init"][12] == "digits (5,000 training images; 3 epochs)"
    write(tmp_path / "tab2_cifar10_init", frame)
    assert "reduced_tab2_cifar10_init" not in found()
    assert found()["tab2_cifar10_init"][12] == "digits (4 epochs)"
