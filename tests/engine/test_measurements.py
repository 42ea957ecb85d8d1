"""What is measured once is kept on disk, and is the same for all that ask."""

import json
import os
import threading

import pytest

from gofau.engine import measurements
from gofau.engine.measurements import folder, measured

QUESTION = {"machine": "m", "threads": 2}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(measurements, "_unkept", {})
    return tmp_path


@pytest.fixture
def meter():
    class Meter:
        calls = 0

        def __call__(self):
            self.calls += 1
            return {"a": float(self.calls), "b": 0.5}

    return Meter()


def kept():
    return sorted(path for path in folder().iterdir())


def test_a_question_is_measured_once_and_another_one_anew(meter):
    assert measured(QUESTION, meter) == measured(dict(reversed(QUESTION.items())), meter)
    assert measured(QUESTION | {"threads": 1}, meter) == {"a": 2.0, "b": 0.5}
    assert measured(QUESTION, meter) == {"a": 1.0, "b": 0.5}
    assert meter.calls == len(kept()) == 2
    said = [json.loads(path.read_text()) for path in kept()]
    assert {"question": QUESTION, "seconds": {"a": 1.0, "b": 0.5}} in said


def test_of_two_processes_that_measure_at_once_the_first_decides_for_both():
    def slow():
        # Meanwhile another process has measured, and published.
        assert measured(QUESTION, lambda: {"a": 7.0}) == {"a": 7.0}
        return {"a": 1.0}

    assert measured(QUESTION, slow) == {"a": 7.0} == measured(QUESTION, slow)


def test_many_at_once_get_one_answer():
    together, found = threading.Barrier(8), []

    def ask(number):
        def measure():
            together.wait()
            return {"a": 1.0 + number}

        found.append(measured(QUESTION, measure)["a"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == len(kept()) == 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"seconds": {}}', '{"seconds": {"a": 0}}', '{"seconds": {"a": "1"}}'],
)
def test_a_damaged_file_is_replaced(meter, text):
    measured(QUESTION, meter)
    (path,) = kept()
    path.write_text(text)
    assert measured(QUESTION, meter) == measured(QUESTION, meter) == {"a": 2.0, "b": 0.5}
    assert kept() == [path]


def test_a_file_system_without_links(meter, monkeypatch):
    def link(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", link)
    assert measured(QUESTION, meter) == measured(QUESTION, meter)
    assert meter.calls == len(kept()) == 1


def test_without_a_disk_the_process_remembers(meter, home):
    (home / "gofau").write_text("a file where the folder should be")
    assert measured(QUESTION, meter) == measured(QUESTION, meter)
    assert meter.calls == 1


def test_the_folder_is_in_the_users_cache(monkeypatch, home):
    assert folder() == home / "gofau" / "speed"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says its specification
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(folder()) == "/home/somebody/.cache/gofau/speed"
