"""Sweeps through a real Slurm: whatever it does to a job, the sweep comes to the same numbers.

What decides is the runs' records, not the launcher's word: where it gives up, the sweep is typed
again, as its user would.
"""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import ROOT

pytestmark = pytest.mark.slurm

SCRIPT = ROOT / "scripts" / "local_slurm.sh"
WORDS = [
    *("model=mlp", "trainer.threads=1", "trainer.progress=none", "trainer.compile=false"),
    "trainer.checkpoint.seconds=1",
]
SWEEP = [*WORDS, "trainer.epochs=600"]
LONG = [*WORDS, "trainer.epochs=1000"]
SLURM = ["hydra/launcher=slurm", "hydra.launcher.mem_gb=1"]


def tell(*words: str) -> str:
    """What a command of Slurm's says."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def until(what: Callable[[], Any], seconds: float, name: str) -> Any:
    """What ``what()`` returns, once that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {name}")


@pytest.fixture(scope="session", autouse=True)
def _cluster() -> Iterator[None]:
    def script(word: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([SCRIPT, word], capture_output=True, text=True, check=False)

    if script("status").returncode == 0:
        yield
        return
    up = script("up")
    if up.returncode:  # a machine on which no cluster comes up has nothing to say about ours
        pytest.skip(up.stderr.strip() or "no Slurm could be brought up")
    yield
    assert script("down").returncode == 0


def jobs() -> list[str]:
    """The jobs that are not over, as ``12_0``."""
    return tell("squeue", "--noheader", "--array", "--format=%i").split()


def hurry() -> list[str]:
    """`jobs`; those that were requeued would start after two minutes only, and do now."""
    for line in tell("squeue", "--noheader", "--array", "--format=%i %r").splitlines():
        job, reason = line.split(maxsplit=1)
        if reason == "BeginTime":
            words = ["scontrol", "update", f"JobId={job}", "StartTime=now"]
            subprocess.run(words, capture_output=True, check=False)  # it may have begun by now
    return jobs()


class Sweep:
    """``python train.py -m …`` in a folder of its own, as often as it is typed."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder, self.words = folder, [*words, f"paths.runs_dir={folder}/runs"]
        self.typed = 0
        folder.mkdir(parents=True, exist_ok=True)

    def type(self) -> "Sweep":
        self.typed += 1
        command = [sys.executable, str(ROOT / "train.py"), "-m", *self.words]
        with open(self.folder / f"typed-{self.typed}.txt", "w") as out:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=out, stderr=out)
        return self

    def runs(self) -> dict[str, Path]:
        found = (self.folder / "runs").glob("digits-*")
        return {path.name: path for path in found if (path / "status.json").exists()}

    def statuses(self) -> dict[str, dict[str, Any]]:
        return {n: json.loads((p / "status.json").read_text()) for n, p in self.runs().items()}

    def states(self) -> list[str]:
        return [status["state"] for status in self.statuses().values()]

    def saved(self) -> Path:
        """The folder of a run that has a checkpoint, as soon as there is one."""

        def first() -> Path | None:
            return next(self.folder.glob("runs/digits-*/checkpoints/*.pt"), None)

        return until(first, 60, "a run is saved").parent.parent

    def said(self) -> str:
        """What was printed, by the launcher and in the jobs."""
        logs = [*self.folder.glob("typed-*"), *self.folder.glob("runs/.sweep/slurm/**/*.out")]
        logs += self.folder.glob("runs/.sweep/slurm/**/*.err")
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in logs)

    def wait(self, seconds: float) -> int:
        """The launcher's exit code, once no job is left either."""

        def over() -> bool:
            left = hurry()
            return self.process.poll() is not None and not left

        try:
            until(over, seconds, "the sweep ends")
        except AssertionError as e:
            self.process.kill()
            raise AssertionError(f"{e}\n{tell('squeue')}\n{self.said()}") from e
        return self.process.returncode

    def complete(self, seconds: float = 90, typings: int = 3) -> "Sweep":
        """Wait, and type it again until every run is done."""
        code = self.wait(seconds)
        while set(self.states()) != {"done"} or code != 0:
            assert self.typed < typings, self.said()
            code = self.type().wait(seconds)
        return self

    def results(self) -> dict[str, Any]:
        """All that the runs measured, but for the time they took."""
        found = {}
        for name, path in self.runs().items():
            rows = list(csv.DictReader((path / "metrics.csv").read_text().splitlines()))
            rows = [{k: v for k, v in row.items() if "second" not in k} for row in rows]
            found[name] = rows, self.statuses()[name]["result"]["test/acc"]
        return found


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> dict[str, Any]:
    """Four runs by the launcher that is there without a cluster."""
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), *SWEEP, "seed=0,1,2,3")
    assert sweep.type().wait(120) == 0, sweep.said()
    results = sweep.results()
    assert len(results) == 4
    return results


@pytest.fixture
def sweep(tmp_path) -> Iterator[Callable[..., Sweep]]:
    """A sweep through Slurm, typed once; nothing of it outlives the test."""
    typed: list[Sweep] = []

    def type_(*words: str) -> Sweep:
        typed.append(Sweep(tmp_path, *SLURM, *words).type())
        return typed[-1]

    yield type_
    for one in typed:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
    if left := jobs():  # of a test that failed; the cluster is ours alone
        subprocess.run(["scancel", "--signal=KILL", "--full", *left], check=False)
        subprocess.run(["scancel", *left], check=False)


def same(sweep: Sweep, undisturbed: dict[str, Any]) -> None:
    """Every number of it is that of the undisturbed sweep."""
    results = sweep.results()
    assert results == {name: undisturbed[name] for name in results}


def resumed(sweep: Sweep, run: Path) -> bool:
    """Whether a run went on from a checkpoint, rather than beginning anew."""
    return sweep.statuses()[run.name]["starts"] > 1


def job_of(run: Path) -> str:
    """The Slurm job of a run, from the environment of the process that holds its lock."""
    environment = Path(f"/proc/{process_of(run)}/environ").read_bytes().decode().split("\0")
    values = dict(word.split("=", 1) for word in environment if "=" in word)
    array = values.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{values['SLURM_ARRAY_TASK_ID']}" if array else values["SLURM_JOB_ID"]


def process_of(run: Path) -> int:
    return json.loads((run / "lock").read_text())["pid"]


def test_an_array_of_four(sweep, undisturbed):
    four = sweep(*SWEEP, "seed=0,1,2,3")
    until(lambda: any("_" in job for job in jobs()), 60, "there is an array")
    four.complete(typings=1)
    assert len(four.results()) == 4
    same(four, undisturbed)
    typed = {status["provenance"]["command"] for status in four.statuses().values()}
    assert typed == {" ".join(["train.py", "-m", *four.words])}


def test_a_job_that_is_requeued(sweep, undisturbed):
    two = sweep(*SWEEP, "seed=0,1")
    run = two.saved()
    tell("scontrol", "requeue", job_of(run))
    two.complete()
    assert resumed(two, run)
    assert len(two.results()) == 2
    same(two, undisturbed)


def test_a_partition_of_higher_priority_takes_the_machine(sweep, undisturbed):
    two = sweep(*SWEEP, "seed=0,1")
    run = two.saved()
    everything = ["--partition=high", f"--cpus-per-task={os.cpu_count()}", "--mem=100"]
    tell("sbatch", *everything, "--output=/dev/null", "--wrap=sleep 2")
    two.complete()
    assert resumed(two, run)
    assert len(two.results()) == 2
    same(two, undisturbed)


def test_sigkill_and_the_sweep_typed_again(sweep, undisturbed):
    two = sweep(*SWEEP, "seed=0,1")
    run = two.saved()
    os.kill(process_of(run), signal.SIGKILL)
    two.complete()
    assert two.typed > 1  # nobody starts it again but its user
    assert "was killed" in two.said()
    assert resumed(two, run)
    assert len(two.results()) == 2
    same(two, undisturbed)


def test_a_time_limit(sweep, tmp_path_factory):
    limit = ["hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=40"]
    one = sweep(*LONG, "seed=0", *limit)
    # Beside it, on the other core.
    whole = Sweep(tmp_path_factory.mktemp("whole"), *LONG, "seed=0").type()
    one.complete(180)
    assert whole.wait(180) == 0
    (run,) = one.runs().values()
    assert resumed(one, run)
    same(one, whole.results())


def status(sweep: Sweep) -> str:
    command = [sys.executable, "-m", "gofau.runs", "status", "--runs-dir", f"{sweep.folder}/runs"]
    return tell(*command)


def test_submitted_and_left(sweep):
    four = sweep(*WORDS, "trainer.epochs=100", "seed=0,1,2,3", "hydra.launcher.wait=false")
    assert four.process.wait(60) == 0, four.said()
    left = jobs()
    assert len(left) == 4  # it returned while they were in the queue
    array = left[0].partition("_")[0]
    assert f"job {array}: 4 of 4 runs submitted" in four.said()
    told = status(four)
    assert f"job {array} " in told
    assert "queued" in told
    # Typed again, with one run more: only that one is submitted.
    four.words[four.words.index("seed=0,1,2,3")] = "seed=0,1,2,3,4"
    assert four.type().process.wait(60) == 0
    again = (four.folder / "typed-2.txt").read_text()
    assert "1 of 5 runs submitted, " in again
    # Some may be done by now.
    assert sum(map(int, re.findall(r"(\d) (?:done|queued) already", again))) == 4
    until(lambda: not hurry(), 180, "the queue is empty")
    assert four.states() == ["done"] * 5, four.said()
    assert f"job {array} 4 runs: 4 done" in " ".join(status(four).split())
    assert four.type().process.wait(60) == 0
    nothing = (four.folder / "typed-3.txt").read_text()
    assert "no job: nothing is missing, 5 done already" in nothing
    assert not jobs()


def test_left_killed_and_typed_again(sweep):
    often = ["trainer.epochs=200", "trainer.checkpoint.seconds=0.2"]
    two = sweep(*WORDS[:-1], *often, "seed=0,1", "hydra.launcher.wait=false")
    assert two.process.wait(60) == 0, two.said()
    run = two.saved()
    os.kill(process_of(run), signal.SIGKILL)
    until(lambda: not hurry(), 180, "the queue is empty")
    assert sorted(two.states()) == ["done", "running"]
    assert "interrupted" in status(two)
    assert two.type().process.wait(60) == 0
    assert "1 of 2 runs submitted, 1 done already" in (two.folder / "typed-2.txt").read_text()
    until(lambda: not hurry(), 180, "the queue is empty")
    assert two.states() == ["done"] * 2, two.said()
    assert resumed(two, run)
