"""The time from the command to the first step, and the share of the imports."""

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from tempfile import TemporaryDirectory

from .rows import Row, at_most
from .workload import ROOT, environment

# In this order: each is imported after those before it.
IMPORTS = ("hydra", "torch", "gofau.optim", "gofau.cli.run", "sklearn.datasets", "torchvision")
FIRST = """
import sys, time
sys.argv = ["train.py", *sys.argv[1:]]
import train, gofau.engine.trainer
from gofau.cli.entry import start
step = gofau.engine.trainer.Trainer._one_step
def first(*args):
    step(*args)
    print("first", time.time(), flush=True)
    gofau.engine.trainer.Trainer._one_step = step
gofau.engine.trainer.Trainer._one_step = first
start(train.main)
"""


def measure(quick: bool) -> Iterator[Row]:
    times = 1 if quick else 5
    _imports()  # warm-up of the file system's cache
    helps = [_python("train.py", "--help") for _ in range(times)]
    seconds = statistics.median(whole for whole, _, _ in helps)
    yield Row("train.py --help", seconds, "s", goal=at_most(seconds, 3))
    short = ("trainer.epochs=1", "trainer.limit_batches=1")
    runs = [_python("-c", FIRST, *short) for _ in range(times)]
    seconds = statistics.median(_first(said) - began for _, began, said in runs)
    note = "from the start of the process; digits, small_cnn, and the loss before the step"
    yield Row("train.py to the end of the first step", seconds, "s", note=note)
    bare = [_python("-c", FIRST, *short, bytecode=False) for _ in range(times)]
    seconds = statistics.median(_first(said) - began for _, began, said in bare)
    note = "no bytecode, and none is kept: so is Python where nothing was compiled when installed"
    yield Row("the same without bytecode", seconds, "s", note=note)
    seconds = statistics.median(whole for whole, _, _ in runs)
    note = "and validation, test, record and the end of the process"
    yield Row("train.py, one step and all around it", seconds, "s", note=note)
    found = [_imports() for _ in range(times)]
    for i, name in enumerate(IMPORTS):
        before = f"after {', '.join(IMPORTS[:i])}" if i else "in a new process"
        median = statistics.median(one[i] for one in found)
        yield Row(f"import {name}", median, "s", note=before)


def _python(*words: str, bytecode: bool = True) -> tuple[float, float, str]:
    """Run a Python process; returns its seconds, its start (as `time.time`) and its output. What it
    writes goes into a folder that is removed afterwards."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, *words, f"paths.runs_dir={folder}/runs"]
        began = time.time()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(bytecode),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return time.time() - began, began, done.stdout


def _first(said: str) -> float:
    (line,) = (line for line in said.splitlines() if line.startswith("first "))
    return float(line.split()[1])


def _imports() -> list[float]:
    lines = "\n".join(f"import {name}; now()" for name in IMPORTS)
    clock = "import time\nstamps = []\ndef now(): stamps.append(time.perf_counter())\nnow()\n"
    _, _, said = _python("-c", f"{clock}{lines}\nprint(*stamps)")
    stamps = [float(word) for word in said.split()]
    return [b - a for a, b in itertools.pairwise(stamps)]
