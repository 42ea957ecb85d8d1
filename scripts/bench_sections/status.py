"""The time to read the status of many runs."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from gofau.runs import read_status

from .rows import Row
from .workload import trained


def measure(quick: bool) -> Iterator[Row]:
    real = trained("trainer.epochs=1", "trainer.limit_batches=1")
    text = json.dumps(real, indent=2, ensure_ascii=False) + "\n"
    for runs in (10, 100) if quick else (10, 100, 1000, 10_000):
        seconds = _read(runs, text)
        note = f"{1e6 * seconds / runs:.0f} µs per run; files of {len(text):,} bytes, just written"
        yield Row(f"status.json of {runs:,} runs", seconds, "s", note=note)


def _read(runs: int, text: str) -> float:
    """Seconds to list a folder with this number of runs and read the status of each."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(runs):
            run = folder / f"digits-small_cnn-sgd-hybrid-s{i}-{i:010x}"
            run.mkdir()
            (run / "status.json").write_text(text, encoding="utf-8")
        began = time.perf_counter()
        states = [read_status(run)["state"] for run in sorted(folder.iterdir())]
        seconds = time.perf_counter() - began
    assert len(states) == runs
    assert "pending" not in states
    return seconds
