"""Independent pieces of work in several processes."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from gofau.errors import UserError
from gofau.report.side_by_side import side_by_side
from tests.command_line import ROOT


def where(number):
    return number, os.getpid()


def refuse(number):
    if number:
        raise UserError(f"not {number}")


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_results_are_in_the_order_of_the_jobs(processes):
    found = side_by_side([partial(where, number) for number in range(6)], processes)
    assert [number for number, _ in found] == list(range(6))
    here = {pid == os.getpid() for _, pid in found}
    assert here == {processes == 1}


@pytest.mark.parametrize(("wish", "alone"), [("1", True), ("2", False)])
def test_the_environment_says_how_many(monkeypatch, wish, alone):
    monkeypatch.setenv("GOFAU_JOBS", wish)
    found = side_by_side([partial(where, number) for number in range(2)])
    assert all((pid == os.getpid()) == alone for _, pid in found)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_a_job_is_told_as_it_is(processes):
    with pytest.raises(UserError, match=r"^not 1$"):
        side_by_side([partial(refuse, number) for number in (0, 1, 0)], processes)


def test_a_process_that_was_killed_is_told():
    with pytest.raises(UserError, match="ended from outside"):
        side_by_side([killed, partial(where, 1)], 2)


def wait(folder):
    (folder / str(os.getpid())).touch()
    signal.pause()


def test_the_processes_end_with_the_first(tmp_path):
    code = (
        "import sys; from functools import partial; from pathlib import Path;"
        " from gofau.report.side_by_side import side_by_side;"
        " from tests.report.test_side_by_side import wait;"
        " side_by_side([partial(wait, Path(sys.argv[1]))] * 2, 2)"
    )
    first = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    until(lambda: len([*tmp_path.iterdir()]) == 2)
    first.kill()
    first.wait()
    until(lambda: not any(map(runs, tmp_path.iterdir())))


def runs(path):
    """Whether the process of this number is there; one that nobody waited for is a zombie."""
    try:
        state = Path(f"/proc/{path.name}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it may end while its file is read
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        os.sched_yield()
