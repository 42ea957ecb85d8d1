"""A run of any problem that is stopped after a step, saved, and resumed by another trainer."""

from typing import Any

import torch
from hydra import compose, initialize_config_dir

from gofau.config.hydras import BASE
from gofau.config.schema import settle
from gofau.engine.checkpoint import load, random_state, save, set_random_state
from gofau.session.build import build
from tests.command_line import ROOT


class Enough(Exception):
    pass


def configuration(*words: str) -> dict[str, Any]:
    """A settled configuration. Hydra is asked anew each time, because a typed command that comes
    before would leave it without the folder of a fixture."""
    with initialize_config_dir(str(ROOT / "configs"), **BASE):
        return settle(compose("train", [*words]))


def finish(trainer):
    rows = []
    while trainer.epoch < trainer.settings.epochs:
        rows.append(trainer.run_epoch())
    return [{k: v for k, v in row.items() if "second" not in k} for row in rows]


def until(trainer, step):
    """Train so many steps and stop there, as a signal would."""

    def stop(examples):
        if trainer.step == step:
            raise Enough

    rows = []
    try:
        while True:
            rows.append(trainer.run_epoch(stop))
    except Enough:
        assert trainer.step == step
    return [{k: v for k, v in row.items() if "second" not in k} for row in rows]


def weights(trainer):
    return {k: v.clone() for k, v in trainer.model.state_dict().items()}


def check(tmp_path, config, step):
    """A run that is stopped after ``step`` steps, saved and resumed by another trainer has the rows
    and the weights of the run that was not stopped, to the bit."""
    whole = build(config).trainer
    expected = finish(whole)

    first = build(config).trainer
    before = until(first, step)
    save(tmp_path / "c", "x", step, {"t": first.state_dict(), "r": random_state()})
    torch.manual_seed(99)  # another process, another past

    second = build(config).trainer
    state = load(tmp_path / "c", "x")
    assert state is not None
    second.load_state_dict(state["t"])
    set_random_state(state["r"])
    assert before + finish(second) == expected
    for name, value in weights(whole).items():
        assert torch.equal(value, second.model.state_dict()[name]), name
