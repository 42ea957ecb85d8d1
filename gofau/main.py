"""One run from its configuration to its record: what train.py does."""

import time
import traceback
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from omegaconf import DictConfig

from gofau.build import Parts, build
from gofau.compute import device_of
from gofau.config import settle
from gofau.distributed import join
from gofau.evaluation import evaluate
from gofau.loggers import Guarded, open_logger
from gofau.optim import monitor
from gofau.progress import show
from gofau.provenance import provenance
from gofau.runs import FINISHED, Run


def run(cfg: DictConfig) -> float:
    """Train what ``cfg`` describes, unless its record says that this is done.

    Returns:
        The validation accuracy of the last epoch, which is what a sweep may optimise (the test set
        is for the end); chance level for a run that diverged.

    Raises:
        UserError: the configuration has a fault; no run folder is made.
        KeyboardInterrupt: after the record says ``interrupted``.
    """
    config = settle(cfg)
    world = join(device_of(config["trainer"]["device"]))
    this = Run(config, writes=world.first)
    status = world.agree(this.status())
    if status["state"] in FINISHED and not config["rerun"]:
        _say(
            this,
            f"{status['state']} already ({_summary(status)}); rerun=true repeats it",
        )
        return _objective(status)
    logger = open_logger(config, this.folder, writes=this.writes)
    parts = build(config, world)
    device = str(parts.trainer.compute.device)
    # Around the record, not within: Ctrl-C while a logger opens, or uploads, is not the run's end.
    with logger:
        this.start(provenance=provenance(device), **parts.facts)
        _record(this, parts, logger)
        status = this.said
        logger.finish(status["state"], status["result"])
    _say(this, f"{status['state']} ({_summary(status)})")
    return _objective(status)


def _record(this: Run, parts: Parts, logger: Guarded) -> None:
    """Train; whatever happens, the record says how it ended."""
    try:
        with (
            _diagnostics(this, parts),
            torch.autograd.set_detect_anomaly(this.config["trainer"]["detect_anomaly"]),
        ):
            _train(this, parts, logger)
    except KeyboardInterrupt:
        this.end("interrupted")
        raise
    except Exception as e:
        this.end("failed", error=f"{type(e).__name__}: {e}", traceback=traceback.format_exc())
        raise


def _say(this: Run, text: str) -> None:
    if this.writes:
        print(f"{this.folder}: {text}", flush=True)


def _train(this: Run, parts: Parts, logger: Guarded) -> None:
    trainer, began = parts.trainer, time.perf_counter()
    epochs = trainer.settings.epochs
    kind = this.config["trainer"]["progress"] if this.writes else "none"
    row: dict[str, Any] = {}
    with show(kind, epochs, trainer.images_per_epoch()) as display:
        while trainer.epoch < epochs and trainer.divergence is None:
            row = trainer.run_epoch(display.batch)
            this.append(row)
            logger.log(row, row["epoch"])
            display.epoch(row)
    result = {key: value for key, value in row.items() if "/" in key}
    result |= {"epochs": trainer.epoch, "steps": trainer.step}
    result |= {f"test/{key}": value for key, value in _test(parts).items()}
    result |= {"seconds": trainer.seconds, "seconds_total": time.perf_counter() - began}
    more: dict[str, Any] = {"rules": parts.optimizer.rule_counts(), "result": result}
    lost = trainer.divergence
    if lost is not None:
        more["divergence"] = {"step": lost.step, "epoch": lost.epoch, "reason": lost.reason}
    this.end("done" if lost is None else "diverged", **more)


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

    return monitor(parts.optimizer, write, every, per_layer=False)


def _objective(status: dict[str, Any]) -> float:
    accuracy = status["result"].get("val/acc")
    if status["state"] == "diverged" or accuracy is None:
        return 1 / status["classes"]
    return accuracy


def _summary(status: dict[str, Any]) -> str:
    accuracy = status["result"].get("test/acc")
    parts = [] if accuracy is None else [f"test accuracy {accuracy:.2%}"]
    if "divergence" in status:
        lost = status["divergence"]
        parts.append(f"step {lost['step']}: {lost['reason']}")
    return ", ".join([*parts, f"{status['result']['seconds']:.1f} s of training"])
