"""The function that train.py calls: one run from its configuration to its record."""

import gc
import os
from functools import cache

from omegaconf import DictConfig

from gofau.cli.entry import in_a_sweep
from gofau.config.schema import check, resolve
from gofau.runs import Run
from gofau.runs.contents import known
from gofau.runs.fingerprint import DATA, fingerprint
from gofau.runs.outcome import finished


def run(cfg: DictConfig) -> float:
    """Train what ``cfg`` describes, unless its record says that it is done already. A run that was
    interrupted is resumed.

    Returns:
        The problem's metric on the validation part after the last epoch, which is what a sweep may
        optimise (the test set is for the end), to be maximised or minimised as the metric says (see
        `gofau.runs.outcome.objective`); NaN for a run that did not end here, because another
        process has it locked or the sweep's time is over.

    Raises:
        UserError: the configuration has a fault; no run folder is made.
        KeyboardInterrupt, SystemExit: after a signal; the record says ``interrupted``.
    """
    if cfg.get("toy"):  # an experiment in two variables: no network, no run folder
        from gofau.toy.study import run as study

        return study(cfg)
    config = resolve(cfg)
    today = fingerprint(config, known(config["dataset"]))
    # Processes that train together must decide alike; and where the content of the data is not
    # known, the data must be read first.
    if "TORCHELASTIC_RUN_ID" not in os.environ and DATA in today:
        found = finished(Run(config), today, again=False)
        if found is not None:
            return found
    check(config)
    if config["trainer"]["keep"] == "auto":
        config["trainer"]["keep"] = "none" if in_a_sweep() else "last"
    # Imported here: importing torch takes seconds, and a run that is done needs milliseconds.
    from gofau.session.lifecycle import carry_out

    _spare_the_imports()
    return carry_out(config)


@cache
def _spare_the_imports() -> None:
    """Keep the garbage collector from looking through imported modules, once per process. They stay
    to the end anyway, and it would cost a sweep of short runs some milliseconds per run."""
    gc.collect()
    gc.freeze()
