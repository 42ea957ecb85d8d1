"""What is shown: lines elsewhere, a bar in a terminal."""

import io

import pytest

from gofau.problems import Metric
from gofau.session.progress import Bar, Lines, Shown, Silent, show

ROW = {"epoch": 2, "train/loss": 0.5, "train/acc": 0.25, "val/loss": 0.125, "val/acc": 0.75}
ROW |= {"seconds": 60.0, "examples_per_second": 1234.5}
ACCURACY = Metric("acc", "accuracy", True, chance=0.1, format=".2%")


def run(epochs, examples, unit="images", metric=ACCURACY):
    return Shown(epochs, examples, unit, metric)


def test_a_line_per_epoch(capsys):
    with show("lines", run(10, 100)) as display:
        display.batch(50)
        display.epoch(ROW)
        display.epoch(ROW | {"epoch": 10, "val/loss": None, "val/acc": None})
    first, last = capsys.readouterr().out.splitlines()
    assert first == (
        "epoch  2/10  train 0.5000 (25.00%)  val 0.1250 (75.00%)  1,234 images/s  4:00 left"
    )
    assert last == "epoch 10/10  train 0.5000 (25.00%)  val —  1,234 images/s  0:00 left"


def test_the_unit_and_the_metric_are_the_problems(capsys):
    loss = Metric("loss", "loss", False, format=".3f")
    with show("lines", run(10, 100, "tokens", loss)) as display:
        display.epoch(ROW)
    line = "epoch  2/10  train 0.500  val 0.125  1,234 tokens/s  4:00 left\n"
    assert capsys.readouterr().out == line


def test_nothing(capsys):
    with show("none", run(10, 100)) as display:
        display.batch(50)
        display.epoch(ROW)
    assert capsys.readouterr().out == ""


def test_the_bar_counts_examples(capsys):
    with Bar(run(2, 100)) as display:
        for _ in range(4):
            display.batch(50)
        assert display.progress.finished
        display.epoch(ROW)
    assert "epoch 2/2" in capsys.readouterr().out


def test_the_bar_shows_run_loss_and_rate(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    asked = []

    def now():
        asked.append(len(asked))
        return 0.5 / 2 ** len(asked), 0.0125

    shown = Shown(2, 100, "images", ACCURACY, "digits-mlp-s0", now)
    with Bar(shown) as display:
        for _ in range(4):
            display.batch(50)
        display.progress.refresh()
    assert len(asked) == 1  # reading waits for the device: not for every batch
    text = terminal.getvalue()
    assert "digits-mlp-s0" in text
    assert "loss 0.2500  lr 0.0125" in text


def test_the_loss_of_the_bar_is_the_mean_of_the_epoch_so_far(train, monkeypatch):
    from gofau.session import lifecycle

    seen = []
    whole = lifecycle.Shown

    def watching(*about):
        monkeypatch.setattr(Silent, "batch", lambda self, count: seen.append(about[-1]()))
        return whole(*about)

    monkeypatch.setattr(lifecycle, "Shown", watching)
    words = ["model=mlp", "trainer.epochs=1", "trainer.progress=none", "scheduler=constant"]
    assert train(*words, "optimizer.lr=0.01")[0] == 0
    (folder,) = train.runs()
    assert seen[-1] == (pytest.approx(float(train.rows(folder)[0]["train/loss"])), 0.01)
    assert len({loss for loss, _ in seen}) > 10


@pytest.mark.parametrize(("terminal", "kind"), [(True, Bar), (False, Lines)])
def test_auto_looks_whether_it_is_a_terminal(monkeypatch, terminal, kind):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    assert type(show("auto", run(1, 1))) is kind
    assert type(show("none", run(1, 1))) is Silent
