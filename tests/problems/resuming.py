"""A run of any problem that is stopped after a step, saved, and goes on in another process."""

from typing import Any

import torch
from hydra import compose, initialize_config_dir

from gofau.config.schema import settle
from gofau.engine.checkpoint import load, random_state, save, set_random_state
from gofau.session.build import build
from tests.command_line import ROOT
from tests.session.test_resume import finish, until, weights


def configuration(*words: str) -> dict[str, Any]:
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return settle(compose("train", [*words]))


def check(tmp_path, config: dict[str, Any], step: int) -> None:
    """It has the rows and the weights of the run that was not stopped."""
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
