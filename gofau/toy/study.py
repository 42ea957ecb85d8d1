"""An experiment in two variables from its configuration to its csv files.

`gofau.toy.grid` and `gofau.toy.draws` compute the tasks. Each task writes ``cells.csv``, one row
per thing that is compared, with provenance, and the files that its figures need.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gofau.config.schema import Config
from gofau.errors import UserError
from gofau.runs.provenance import columns
from gofau.runs.rows import write_rows
from gofau.toy import draws, grid
from gofau.toy.settings import check
from gofau.toy.tables import Result

TASKS: Mapping[str, Callable[[Config], Result]] = {
    "scores": grid.run,
    "starts": grid.run,
    "paths": grid.run,
    "tuned": draws.tuned,
    "random": draws.random,
}


def run(cfg: DictConfig) -> float:
    """Carry out the ``toy`` section of ``cfg`` and write the results to ``<results_dir>/<name>/``.

    Returns:
        One number that is low where the rules did well; each task says which.

    Raises:
        UserError: the configuration has a fault; nothing is written.
    """
    if not cfg.get("toy"):
        raise UserError("toy is required: give toy=default")
    try:
        toy: Config = OmegaConf.to_container(cfg.toy, resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException as e:
        raise UserError(f"the configuration has a fault: {str(e).splitlines()[0]}") from e
    check(toy)
    folder = Path(toy["results_dir"]).expanduser() / toy["name"]
    with _writable(folder):
        result = TASKS[toy["task"]](toy)
    facts = _provenance()
    # The cells come last: where they exist, the other files do.
    files = result.files | {"cells.csv": [{**row, **facts} for row in result.cells]}
    for name, rows in files.items():
        write_rows(folder / name, rows, digits=3 if name.startswith("starts_") else 4)
    print(f"{folder}: {len(result.cells)} cells, {result.label} {result.value:.3g}")
    return result.value


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Make a folder before the work begins, so that one that cannot be written is found then. An
    error leaves none."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for made in (folder, *folder.parents):
            try:
                made.rmdir()  # fails unless it is empty
            except OSError:
                break
        raise


def _provenance() -> dict[str, Any]:
    return columns("cpu") | {"provenance.threads": torch.get_num_threads()}
