"""Carry out a run: lock its folder, build it, train it and record it."""

import errno
import math
import os
import time
import traceback
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from typing import Any

import torch

from gofau.engine.checkpoint import exists
from gofau.engine.checkpointer import Checkpointer, OutOfTime
from gofau.engine.distributed import World, join
from gofau.engine.evaluation import evaluate, missing
from gofau.engine.hardware import device_of
from gofau.engine.trainer import Trainer
from gofau.errors import UserError
from gofau.loggers import Guarded, open_logger
from gofau.optim import monitor
from gofau.optim.checks import StepRefused
from gofau.runs import Run
from gofau.runs.events import note
from gofau.runs.fingerprint import changed
from gofau.runs.invocation import deadline
from gofau.runs.lock import Taken, lock
from gofau.runs.outcome import finished, measured, objective, say, summary
from gofau.runs.provenance import provenance
from gofau.session.build import Built, build
from gofau.session.fingerprints import fingerprints
from gofau.session.fits import is_out_of_memory, no_memory
from gofau.session.progress import Shown, show
from gofau.session.weights import Weights

CHECKPOINTS = "checkpoints"
"""Their folder in that of a run."""


def carry_out(config: dict[str, Any]) -> float:
    """Train a configuration that has been validated; see `gofau.cli.run.run`."""
    world = join(device_of(config["trainer"]["device"]))
    run = Run(config, writes=world.first)
    try:
        with ExitStack() as held:
            # The first process takes the lock for all, and tells them whether it got it.
            taken = world.agree(_lock(run, held) if world.first else None)
            if taken is not None:
                say(run, f"skipped: locked by {taken}", state="skipped")
                return math.nan
            # Another process may have finished the run in the meantime.
            today = fingerprints(config)
            found = world.agree(finished(run, today))
            return _locked(run, config, world, today) if found is None else found
    except OSError as e:
        ours = e.filename is not None and os.fspath(e.filename).startswith(str(run.folder))
        if not ours and e.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(f"{run.folder} cannot be written: {e.strerror}") from e
    except (MemoryError, RuntimeError) as e:
        if not is_out_of_memory(e):
            raise
        raise no_memory(config) from e
    finally:
        # Fails unless the folder is empty: then the run did not start, so it should leave nothing.
        with suppress(OSError):
            run.folder.rmdir()


def _lock(run: Run, held: ExitStack) -> str | None:
    """Lock the run's folder until ``held`` is closed; returns who holds the lock if it is taken."""
    try:
        held.enter_context(lock(run.folder / "lock"))
    except Taken as e:
        return str(e)
    return None


def _locked(run: Run, config: dict[str, Any], world: World, today: dict[str, str]) -> float:
    until = deadline(config["sweep"]["minutes"])
    if until is not None and world.agree(time.time() > until):
        say(run, "the sweep's time is over: left for the next time", state="left")
        return math.nan
    # A run that began with other code is not resumed with today's.
    before = run.status()
    anew = config["rerun"] or (
        config["stale"] != "keep" and bool(changed(before.get("fingerprint", {}), today))
    )
    resumes = not anew and exists(run.folder / CHECKPOINTS)
    begun = before.get("compute", {}) if resumes else None
    built = build(config, world, world.agree(begun))
    checkpointer = _checkpointer(run, built, until)
    if anew:
        checkpointer.remove()
    resumed = checkpointer.resume()
    weights = Weights(run, built, resumed)
    # Outside `_record`: Ctrl-C while a logger opens or uploads must not be recorded as the end.
    with open_logger(config, run.folder, resume=resumed, writes=run.writes) as logger:
        facts = {"provenance": provenance(str(built.trainer.compute.device)), **built.facts}
        facts["epochs"] = built.trainer.settings.epochs
        facts |= {"fingerprint": today}
        facts["diagnostics_every"] = config["trainer"]["diagnostics_every"]
        run.start(built.trainer.epoch, built.trainer.step if resumed else 0, **facts)
        note(state="running", folder=str(run.folder), epochs=facts["epochs"])
        _record(run, built, checkpointer, logger, weights)
        logger.finish(run.said["state"], run.said.get("result", {}))
    if run.said["state"] == "interrupted":
        text = f"interrupted at step {built.trainer.step}: the sweep's time is over"
        say(run, text, state="interrupted")
        return math.nan
    say(run, f"{run.said['state']} ({summary(run.said)})", **measured(run.said))
    return objective(run.said)


def _record(
    run: Run, built: Built, checkpointer: Checkpointer, logger: Guarded, weights: Weights
) -> None:
    """Train, and record how the run ended, whatever happens."""
    try:
        with checkpointer.signals, _diagnostics(run, built), _anomalies(run.config):
            _train(run, built, checkpointer, logger, weights)
    except OutOfTime:
        run.end("interrupted")
    except Exception as e:
        if run.said["state"] == "interrupted":  # by a job scheduler's handler that cannot requeue
            raise
        run.end("failed", error=f"{type(e).__name__}: {e}", traceback=traceback.format_exc())
        if isinstance(e, StepRefused):  # the user's rule, or what the user's scheduler has set
            raise UserError(f"optimizer: {e}") from e
        raise
    except (KeyboardInterrupt, SystemExit):
        run.end("interrupted")
        raise


def _checkpointer(run: Run, built: Built, until: float | None) -> Checkpointer:
    every = run.config["trainer"]["checkpoint"]
    return Checkpointer(
        built.trainer,
        run.folder / CHECKPOINTS,
        run.identity,
        every_epochs=every["epochs"],
        every_seconds=every["seconds"],
        deadline=until,
        pause=lambda stopping: run.end("interrupted" if stopping else "running"),
    )


def _train(
    run: Run, built: Built, checkpointer: Checkpointer, logger: Guarded, weights: Weights
) -> None:
    trainer, began = built.trainer, time.perf_counter()
    epochs = trainer.settings.epochs
    shown = Shown(
        epochs,
        trainer.examples_per_epoch(),
        trainer.problem.unit,
        built.metric,
        run.folder.name,
        lambda: now(trainer),
    )
    kind = run.config["trainer"]["progress"] if run.writes else "none"
    with show(kind, shown, done=trainer.examples_done()) as display:

        def after_batch(count: int) -> None:
            display.batch(count)
            checkpointer.batch()

        while trainer.epoch < epochs and trainer.divergence is None:
            row = trainer.run_epoch(after_batch)
            run.append(row)
            logger.log(row, row["epoch"])
            display.epoch(row)
            weights.epoch()
            checkpointer.epoch()
    weights.end()
    result = {key: value for key, value in trainer.row.items() if "/" in key}
    result |= {"epochs": trainer.epoch, "steps": trainer.step} | weights.sizes()
    if run.config["trainer"]["test"]:
        result |= {f"test/{key}": value for key, value in _test(built).items()}
    result |= {"seconds": trainer.seconds, "seconds_total": time.perf_counter() - began}
    more: dict[str, Any] = {"rules": built.optimizer.rule_counts(), "result": result}
    found = trainer.divergence
    if found is not None:
        more["divergence"] = {"step": found.step, "epoch": found.epoch, "reason": found.reason}
    run.end("done" if found is None else "diverged", **more)
    checkpointer.remove()


def now(trainer: Trainer) -> tuple[float, float]:
    """The mean training loss of this epoch's batches so far, and the learning rate; of several
    processes, by this one's share of each batch."""
    examples = sum(trainer.train.count(batch) for batch in range(trainer.batch))
    total = torch.stack(trainer.sums["loss"]).sum().item() * trainer.world.size
    return total / examples, float(trainer.optimizer.param_groups[0]["lr"])


def _test(built: Built) -> dict[str, float | None]:
    """Evaluate on the test set, once, at the end; not with weights that are not finite."""
    trainer = built.trainer
    if trainer.divergence is not None and not trainer.divergence.finite:
        return missing(trainer.problem)
    return evaluate(trainer.problem, trainer.model, built.test, trainer.compute, trainer.world)


def _diagnostics(run: Run, built: Built) -> AbstractContextManager[object]:
    """Record what the rule does to the weights, every ``trainer.diagnostics_every`` steps."""
    every = run.config["trainer"]["diagnostics_every"]
    if every is None:
        return nullcontext()

    def write(step: int, row: dict[str, float]) -> None:
        run.append({"step": step} | row, "diagnostics.csv")

    return monitor(built.optimizer, write, every, per_layer=False, start=built.trainer.step)


def _anomalies(config: dict[str, Any]) -> AbstractContextManager[object]:
    return torch.autograd.set_detect_anomaly(config["trainer"]["detect_anomaly"])
