"""A run that is to be carried out: alone at its folder, built, trained, recorded."""

import errno
import math
import os
import time
import traceback
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from typing import Any

import torch

from gofau.engine.checkpointer import Keeper, OutOfTime
from gofau.engine.distributed import World, join
from gofau.engine.evaluation import evaluate
from gofau.engine.hardware import device_of
from gofau.errors import UserError
from gofau.loggers import Guarded, open_logger
from gofau.optim import monitor
from gofau.runs import Run
from gofau.runs.fingerprint import changed
from gofau.runs.invocation import deadline
from gofau.runs.lock import Taken, lock
from gofau.runs.outcome import finished, objective, say, summary
from gofau.runs.provenance import provenance
from gofau.session.build import Parts, build
from gofau.session.fingerprints import fingerprints
from gofau.session.progress import show


def carry_out(config: dict[str, Any]) -> float:
    """Train a configuration that has been checked; see `gofau.cli.run.run`."""
    world = join(device_of(config["trainer"]["device"]))
    this = Run(config, writes=world.first)
    try:
        with ExitStack() as held:
            # The first process locks for all, and tells them how that went.
            taken = world.agree(_lock(this, held) if world.first else None)
            if taken is not None:
                say(this, f"{taken} is at it: left alone")
                return math.nan
            # Another process may have ended it by now.
            today = fingerprints(config)
            found = world.agree(finished(this, today))
            return _locked(this, config, world, today) if found is None else found
    except OSError as e:
        ours = e.filename is not None and os.fspath(e.filename).startswith(str(this.folder))
        if not ours and e.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(f"{this.folder} cannot be written: {e.strerror}") from e
    finally:
        with suppress(OSError):  # nothing but the lock was in it: the configuration has a fault
            this.folder.rmdir()


def _lock(this: Run, held: ExitStack) -> str | None:
    """Lock the run's folder for as long as ``held`` lasts; who is at it, if somebody is."""
    try:
        held.enter_context(lock(this.folder / "lock"))
    except Taken as e:
        return str(e)
    return None


def _locked(this: Run, config: dict[str, Any], world: World, today: dict[str, str]) -> float:
    until = deadline(config["sweep"]["minutes"])
    if until is not None and world.agree(time.time() > until):
        say(this, "the sweep's time is over: left for the next time")
        return math.nan
    parts = build(config, world)
    keeper = _keeper(this, parts, until)
    # A run that began with other code does not go on with today's.
    other = changed(this.status().get("fingerprint", {}), today)
    if config["rerun"] or (other and config["stale"] != "keep"):
        keeper.remove()
    resumed = keeper.resume()
    # Around the record, not within: Ctrl-C while a logger opens, or uploads, is not the run's end.
    with open_logger(config, this.folder, resume=resumed, writes=this.writes) as logger:
        facts = {"provenance": provenance(str(parts.trainer.compute.device)), **parts.facts}
        facts["epochs"] = parts.trainer.settings.epochs
        facts |= {"fingerprint": today}
        facts["diagnostics_every"] = config["trainer"]["diagnostics_every"]
        this.start(parts.trainer.epoch, parts.trainer.step if resumed else 0, **facts)
        _record(this, parts, keeper, logger)
        logger.finish(this.said["state"], this.said.get("result", {}))
    if this.said["state"] == "interrupted":
        say(this, f"interrupted at step {parts.trainer.step}: the sweep's time is over")
        return math.nan
    say(this, f"{this.said['state']} ({summary(this.said)})")
    return objective(this.said)


def _record(this: Run, parts: Parts, keeper: Keeper, logger: Guarded) -> None:
    """Train; whatever happens, the record says how it ended."""
    try:
        with keeper.signals, _diagnostics(this, parts), _anomalies(this.config):
            _train(this, parts, keeper, logger)
    except OutOfTime:
        this.end("interrupted")
    except Exception as e:
        if this.said["state"] == "interrupted":  # a job scheduler's handler: it cannot requeue
            raise
        this.end("failed", error=f"{type(e).__name__}: {e}", traceback=traceback.format_exc())
        raise
    except (KeyboardInterrupt, SystemExit):
        this.end("interrupted")
        raise


def _keeper(this: Run, parts: Parts, until: float | None) -> Keeper:
    every = this.config["trainer"]["checkpoint"]
    return Keeper(
        parts.trainer,
        this.folder / "checkpoints",
        this.identity,
        every_epochs=every["epochs"],
        every_seconds=every["seconds"],
        deadline=until,
        pause=lambda stopping: this.end("interrupted" if stopping else "running"),
    )


def _train(this: Run, parts: Parts, keeper: Keeper, logger: Guarded) -> None:
    trainer, began = parts.trainer, time.perf_counter()
    epochs, images = trainer.settings.epochs, trainer.images_per_epoch()
    kind = this.config["trainer"]["progress"] if this.writes else "none"
    with show(kind, epochs, images, done=trainer.images_done()) as display:

        def after_batch(count: int) -> None:
            display.batch(count)
            keeper.batch()

        while trainer.epoch < epochs and trainer.divergence is None:
            row = trainer.run_epoch(after_batch)
            this.append(row)
            logger.log(row, row["epoch"])
            display.epoch(row)
            keeper.epoch()
    result = {key: value for key, value in trainer.row.items() if "/" in key}
    result |= {"epochs": trainer.epoch, "steps": trainer.step}
    if this.config["trainer"]["test"]:
        result |= {f"test/{key}": value for key, value in _test(parts).items()}
    result |= {"seconds": trainer.seconds, "seconds_total": time.perf_counter() - began}
    more: dict[str, Any] = {"rules": parts.optimizer.rule_counts(), "result": result}
    lost = trainer.divergence
    if lost is not None:
        more["divergence"] = {"step": lost.step, "epoch": lost.epoch, "reason": lost.reason}
    this.end("done" if lost is None else "diverged", **more)
    keeper.remove()


def _test(parts: Parts) -> dict[str, float | None]:
    """The test set is read once, at the end; weights that are NaN have nothing to say about it."""
    trainer = parts.trainer
    if trainer.divergence is not None and not trainer.divergence.whole:
        return {"loss": None, "acc": None}
    return evaluate(trainer.model, parts.test, trainer.compute, trainer.world)


def _diagnostics(this: Run, parts: Parts) -> AbstractContextManager[object]:
    """Every so many steps, what the rule does to the weights (``trainer.diagnostics_every``)."""
    every = this.config["trainer"]["diagnostics_every"]
    if every is None:
        return nullcontext()

    def write(step: int, row: dict[str, float]) -> None:
        this.append({"step": step} | row, "diagnostics.csv")

    return monitor(parts.optimizer, write, every, per_layer=False, start=parts.trainer.step)


def _anomalies(config: dict[str, Any]) -> AbstractContextManager[object]:
    return torch.autograd.set_detect_anomaly(config["trainer"]["detect_anomaly"])
