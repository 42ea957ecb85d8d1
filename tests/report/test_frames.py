"""From records to csv and figures, on records made here."""

import pandas as pd
import pytest

from gofau.cli.entry import one_sentence
from gofau.report.__main__ import main
from gofau.report.frames import frames, gather, load, save
from gofau.report.make import draw
from gofau.report.style import RULE_COLOURS, rule_colour
from gofau.runs import SECTIONS, Run
from tests.command_line import ROOT


def config(folder, rule, optimizer, seed):
    made = {section: {"name": section} for section in SECTIONS}
    made |= {"rule": {"name": rule}, "optimizer": {"name": optimizer, "lr": 0.1}}
    return made | {"seed": seed, "paths": {"runs_dir": str(folder)}}


@pytest.fixture
def cells(tmp_path):
    """Two rules, two optimizers, three seeds: one run diverged, one is missing, one goes on."""
    grid = [
        ({}, config(tmp_path / "runs", rule, optimizer, seed))
        for rule in ("additive", "hybrid")
        for optimizer in ("sgd", "adam")
        for seed in range(3)
    ]
    for i, (_, cell) in enumerate(grid[:-1]):
        run = Run(cell)
        run.start(
            parameters=10,
            compute={"threads": 2},
            provenance={"commit": "abc", "versions": {"torch": "2.14.1"}},
        )
        for epoch in range(1, 4):
            row = {"epoch": epoch, "train/loss": 1 / (epoch + i), "val/acc": 1 - 0.5 / (epoch + i)}
            run.append(row)
        if i == 10:
            continue
        more = {"divergence": {"step": 5, "reason": "not finite"}} if i == 3 else {}
        run.end("diverged" if more else "done", result={"test/acc": 0.9 + i / 1000}, **more)
    return grid


def test_one_row_a_run_and_one_an_epoch_with_nothing_dropped(cells):
    runs, curves = frames(gather(cells))
    assert list(runs["state"].value_counts().sort_index().items()) == [
        ("diverged", 1),
        ("done", 9),
        ("pending", 1),
        ("running", 1),
    ]
    assert runs["identity"].is_unique
    assert runs.loc[3, "divergence/step"] == 5
    assert runs.loc[4, "test/acc"] == pytest.approx(0.904)
    assert runs.loc[0, "optimizer.lr"] == 0.1
    assert runs.loc[0, "provenance.versions.torch"] == "2.14.1"
    assert runs.loc[0, "compute.threads"] == 2
    assert len(curves) == 10 * 3
    assert curves["val/acc"].dtype == float


def test_what_is_saved_is_the_same_each_time_and_comes_back(cells, tmp_path):
    for name in ("one", "two"):
        save(*frames(gather(cells)), tmp_path / name)
    for file in ("runs.csv", "curves.csv.gz"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    back = load(tmp_path / "one")
    assert len(back) == 30
    assert set(back["rule.name"]) == {"additive", "hybrid"}


def test_a_figure_is_drawn_from_what_was_saved_alone_and_byte_identically(cells, tmp_path):
    save(*frames(gather(cells)), tmp_path / "results")
    first = {p.suffix: p.read_bytes() for p in draw(tmp_path / "results")}
    again = {p.suffix: p.read_bytes() for p in draw(tmp_path / "results")}
    assert first == again
    assert set(first) == {".svg", ".png"}
    text = first[".svg"].decode()
    for rule in ("additive", "hybrid"):
        assert RULE_COLOURS[rule].lower() in text


def test_a_loss_that_is_no_number_is_a_missing_value(tmp_path):
    run = Run(config(tmp_path, "additive", "sgd", 0))
    run.start()
    run.append({"epoch": 1, "train/loss": float("nan"), "val/acc": None})
    run.end("diverged", result={}, divergence={"step": 3})
    _, curves = frames(gather([({}, run.config)]))
    assert curves[["train/loss", "val/acc"]].isna().to_numpy().all()
    assert curves["epoch"].tolist() == [1]


def test_an_experiment_of_which_nothing_ran_is_all_pending(tmp_path):
    save(*frames(gather([({}, config(tmp_path, "additive", "sgd", 0))])), tmp_path / "results")
    assert load(tmp_path / "results").empty
    assert draw(tmp_path / "results") == []


def test_every_rule_has_a_colour():
    assert len(set(RULE_COLOURS.values())) == len(RULE_COLOURS) == 5
    assert rule_colour("my_own") == rule_colour("my_own")


def test_the_commands(train, monkeypatch, capsys):
    train("-m", "experiment=smoke_fig3_cifar100_curves", "debug=fast", "optimizer=sgd", "seed=0,1")
    (train.folder / "configs").symlink_to(ROOT / "configs")
    main(["collect", "smoke_fig3_cifar100_curves", "debug=fast", "optimizer=sgd", "seed=0,1"])
    assert "10 runs (10 done)" in capsys.readouterr().out
    main(["figures"])
    assert "curves.svg" in capsys.readouterr().out
    frame = pd.read_csv("results/smoke_fig3_cifar100_curves/runs.csv")
    assert frame["compute.threads"].tolist() == [1] * 10
    assert set(frame["compute.precision"]) == set(frame["trainer.precision"])
    assert sorted(set(frame["rule.name"])) == sorted(RULE_COLOURS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: command"),
        (["figure"], "invalid choice: 'figure'"),
        (["collect"], "the following arguments are required: experiment"),
        (["collect", "x", "--dropp"], "unrecognized arguments: --dropp"),
        (["report", "x"], "unrecognized arguments: x"),
    ],
)
def test_bad_words(words, message, capsys):
    with pytest.raises(SystemExit, match="2"), one_sentence():
        main(words)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_folder_without_records(tmp_path, monkeypatch):
    from gofau.errors import UserError

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="there is no folder results"):
        main(["figures", "none"])
    (tmp_path / "results").mkdir()
    with pytest.raises(UserError, match=r"holds no runs\.csv"):
        main(["figures", "none"])


def test_overrides_may_stand_before_and_after_drop(monkeypatch):
    from gofau.report import __main__ as report

    given = []
    monkeypatch.setattr(report, "collect", lambda *words: given.append(words))
    main(["collect", "x", "seed=0", "--drop", "~tuned", "+a=1"])
    main(["collect", "--drop", "x"])
    main(["collect", "x"])
    assert given == [("x", ["seed=0", "~tuned", "+a=1"], True), ("x", [], True), ("x", [], False)]
