"""Ticks that one can read, and marks where something is cut."""

from typing import Any

import pytest
from matplotlib.figure import Figure

from gofau.report.panels import cut_marks, log_ticks


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (2.05, 2.45, ["2.1", "2.2", "2.3", "2.4"]),
        (0.3, 4.0, ["0.5", "1", "2"]),
        (0.02, 3.0, ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]),
        (0.0005, 2.0, ["0.001", "0.01", "0.1", "1"]),
    ],
)
def test_ticks_of_a_log_axis_are_plain_numbers(low, high, shown):
    figure = Figure()
    ax = figure.subplots()
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    log_ticks(ax.yaxis)
    ticks = zip(ax.get_yticks(), ax.get_yticklabels(minor=False), strict=True)
    assert [label.get_text() for tick, label in ticks if low <= tick <= high] == shown
    assert not [label for label in ax.get_yticklabels(minor=True) if label.get_text()]


def test_only_what_is_cut_is_marked():
    ax: Any = Figure().subplots()
    ax.set_ylim(0, 1)
    cut_marks(ax, [1, 2, 3, 4], [0.1, -1, 0.2, -2], [0.9, 0.5, 1.5, 2], "red")
    assert [(line.get_marker(), list(line.get_xdata())) for line in ax.lines] == [
        ("v", [2, 4]),
        ("^", [3, 4]),
    ]
    cut_marks(ax, [1], [0], [1], "red")
    assert len(ax.lines) == 2
