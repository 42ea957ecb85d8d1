"""One process a run, and no lock outlives its process."""

import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from gofau.runs import lock as module
from gofau.runs.lock import Taken, holder_of, lock, me


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "lock"


def leave(path, holder):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(holder)), encoding="utf-8")


def age(path, seconds):
    status = path.stat()
    os.utime(path, (status.st_atime, status.st_mtime - seconds))


def test_one_at_a_time(path):
    with lock(path) as holder:
        assert holder_of(path) == holder
        with pytest.raises(Taken, match=f"process {os.getpid()} on "), lock(path):
            pass
        assert holder_of(path) == holder
    assert list(path.parent.iterdir()) == []
    with lock(path):
        pass


def test_it_is_given_back_when_the_block_fails(path):
    with pytest.raises(ZeroDivisionError), lock(path):
        _ = 1 / 0
    assert not path.exists()


def dead():
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    return int(done.stdout)


@pytest.mark.parametrize(
    "holder",
    [
        lambda: replace(me(), pid=dead(), born="1"),  # gone
        lambda: replace(me(), born="1"),  # its number belongs to another process today
    ],
)
def test_a_lock_of_a_dead_process_is_taken_over(path, holder):
    leave(path, holder())
    assert holder_of(path) is None
    with lock(path) as mine:
        assert holder_of(path) == mine
    assert list(path.parent.iterdir()) == []


def test_a_lock_from_another_machine_is_judged_by_its_heartbeat(path):
    leave(path, replace(me(), host="far", machine="elsewhere", pid=1))
    with pytest.raises(Taken, match="process 1 on far"), lock(path):
        pass
    age(path, module.SILENCE + 5)
    with lock(path):
        pass


def test_a_torn_lock_is_nobodys_after_a_while(path):
    path.parent.mkdir()
    path.write_text('{"host": "x"', encoding="utf-8")
    with pytest.raises(Taken), lock(path):
        pass
    age(path, module.SILENCE + 5)
    with lock(path):
        pass


def test_the_holder_is_heard_of(path, monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT", 0.01)
    with lock(path):
        age(path, 1000)
        for _ in range(500):
            if module._age(path) < 500:
                break
            module.threading.Event().wait(0.01)
        assert module._age(path) < 500


def test_a_file_system_without_links(path, monkeypatch):
    def refuse(*args):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    with lock(path), pytest.raises(Taken), lock(path):
        pass


def _race(path, gate, count):
    gate.wait()
    for _ in range(40):
        try:
            with lock(path):
                # Not atomic: two at once would lose a count.
                number = int(count.read_text())
                count.write_text(str(number + 1))
                with open(count.with_name("taken"), "a") as f:
                    f.write("x")
        except Taken:
            continue


@pytest.mark.parametrize("stale", [False, True])
def test_processes_that_race(path, tmp_path, stale):
    count = tmp_path / "count"
    count.write_text("0")
    if stale:
        leave(path, replace(me(), born="1"))
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(3)
    racers = [context.Process(target=_race, args=(path, gate, count)) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
        assert racer.exitcode == 0
    assert int(count.read_text()) == len((tmp_path / "taken").read_text()) > 0
