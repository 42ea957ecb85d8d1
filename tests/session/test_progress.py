"""What is shown: lines elsewhere, a bar in a terminal."""

import pytest

from gofau.session.progress import Bar, Lines, Silent, show

ROW = {"epoch": 2, "train/loss": 0.5, "train/acc": 0.25, "val/loss": 0.125, "val/acc": 0.75}
ROW |= {"seconds": 60.0, "images_per_second": 1234.5}


def test_a_line_an_epoch(capsys):
    with show("lines", 10, 100) as display:
        display.batch(50)
        display.epoch(ROW)
        display.epoch(ROW | {"epoch": 10, "val/loss": None, "val/acc": None})
    first, last = capsys.readouterr().out.splitlines()
    assert first == (
        "epoch  2/10  train 0.5000 (25.0%)  val 0.1250 (75.0%)  1,234 images/s  4:00 left"
    )
    assert last == "epoch 10/10  train 0.5000 (25.0%)  val —  1,234 images/s  0:00 left"


def test_nothing(capsys):
    with show("none", 10, 100) as display:
        display.batch(50)
        display.epoch(ROW)
    assert capsys.readouterr().out == ""


def test_the_bar_counts_images(capsys):
    with Bar(2, 100) as display:
        for _ in range(4):
            display.batch(50)
        assert display.progress.finished
        display.epoch(ROW)
    assert "epoch 2/2" in capsys.readouterr().out


@pytest.mark.parametrize(("terminal", "kind"), [(True, Bar), (False, Lines)])
def test_auto_looks_whether_it_is_a_terminal(monkeypatch, terminal, kind):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    assert type(show("auto", 1, 1)) is kind
    assert type(show("none", 1, 1)) is Silent
