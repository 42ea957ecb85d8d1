"""What the runs of a sweep tell the process that shows it."""

import os

import pytest

from gofau.runs import events
from gofau.runs.events import Events, muted, note, of_run


@pytest.fixture
def watched(tmp_path):
    with Events(tmp_path / "sweep" / "x.events", mute=True) as found:
        yield found


def test_what_a_run_notes_arrives_once_and_in_order(watched):
    with of_run(2):
        note(state="running")
        note(state="done", val=float("inf"))
    assert watched.new() == [
        {"run": 2, "state": "running"},
        {"run": 2, "state": "done", "val": float("inf")},
    ]
    assert watched.new() == []


def test_a_line_that_is_still_being_written_is_read_later(watched):
    with of_run(0):
        note(state="running")
    with open(watched.path, "a") as f:
        f.write('{"run": 1, "sta')
        f.flush()
        assert [event["run"] for event in watched.new()] == [0]
        f.write('te": "done"}\n')
    assert watched.new() == [{"run": 1, "state": "done"}]


def test_nobody_watches():
    with of_run(0):
        note(state="running")
    assert not muted()


def test_outside_a_run_nothing_is_noted(watched):
    note(state="running")
    assert watched.new() == []


def test_a_job_that_outlives_its_watcher_writes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "x.events"
    with Events(path, mute=False):
        assert not muted()
    assert events.VARIABLE not in os.environ
    assert not path.exists()
    monkeypatch.setenv(events.VARIABLE, str(path))  # as the job inherited it
    with of_run(0):
        note(state="done")
    assert not path.exists()


def test_a_runs_folder_that_is_removed_meanwhile(watched):
    watched.path.unlink()
    assert watched.new() == []
