"""The function that train.py calls: carries out one run, from its configuration to its record."""

import gc
import os
from functools import cache

from omegaconf import DictConfig

from gofau.cli.entry import in_a_sweep
from gofau.config.schema import check, resolve
from gofau.runs import Run
from gofau.runs.contents import known
from gofau.runs.events import muted
from gofau.runs.fingerprint import DATA, fingerprint
from gofau.runs.outcome import finished


def run(cfg: DictConfig) -> float:
    """Train what ``cfg`` describes, unless its record says that it is already done. An interrupted
    run is resumed.

    Returns:
        The problem's metric on the validation split after the last epoch. An optimizing sweeper may
        maximise or minimise it, as the metric requires (see `gofau.runs.outcome.objective`); the
        test set is not for choices. NaN for a run that did not end here, because another process
        holds its lock or the sweep's time is over.

    Raises:
        UserError: the configuration has an error; no run folder is made.
        KeyboardInterrupt, SystemExit: after a signal; the record says ``interrupted``.
    """
    if cfg.get("toy"):  # an experiment in two variables: no network, no run folder
        from gofau.toy.study import run as study

        return study(cfg)
    config = resolve(cfg)
    today = fingerprint(config, known(config["dataset"]))
    # Not here with several processes, which must all decide the same; and not if the content of the
    # data is unknown, as then the data must be read first. `carry_out` decides in these cases.
    if "TORCHELASTIC_RUN_ID" not in os.environ and DATA in today:
        found = finished(Run(config), today, again=False)
        if found is not None:
            return found
    check(config)
    if config["trainer"]["keep"] == "auto":
        config["trainer"]["keep"] = "none" if in_a_sweep() else "last"
    if muted():
        config["trainer"]["progress"] = "none"  # the sweep shows its runs
    # Imported here, since importing torch takes seconds, and a finished run needs milliseconds.
    from gofau.session.lifecycle import carry_out

    _spare_the_imports()
    return carry_out(config)


@cache
def _spare_the_imports() -> None:
    """Exclude imported modules from garbage collection, once per process. They are never freed, and
    scanning them would cost a sweep of short runs some milliseconds per run."""
    gc.collect()
    gc.freeze()
