"""A post step from the command line to the record and the table."""

import copy

import pandas as pd
import torch
from hydra import compose, initialize_config_dir

from gofau.config.grid import grid
from gofau.config.hydras import BASE
from gofau.config.schema import settle
from gofau.report.cells import in_order, prepare, varying
from gofau.report.frames import frames, gather
from gofau.session.build import build
from tests.command_line import ROOT

SHORT = ["optimizer=adamw", "rule=additive", "trainer.epochs=4", "dataset.train_size=300"]
SHORT += ["model=mlp", "model.hidden=[16]"]


def test_it_is_an_axis_of_a_sweep_and_of_its_table(train):
    words = ["-m", "post_step=none,ham", "post_step.ham_alpha=20", "seed=0,1", *SHORT]
    refused, _, err = train(*words)
    assert refused == 2
    assert "ham_alpha" in err  # which "none" does not have
    words = ["-m", "post_step=none,ham", "seed=0,1", *SHORT]
    code, _, err = train(*words)
    assert (code, err) == (0, "")
    runs, _ = frames(gather(grid(ROOT / "configs", words[1:])))
    assert list(runs["state"]) == ["done"] * 4
    assert runs["post_step.name"].fillna("").tolist() == ["", "", "ham", "ham"]
    assert set(runs["post_step.ham_alpha"].dropna()) == {200}
    assert pd.isna(runs["fingerprint.post_step"]).tolist() == [True, True, False, False]
    cells = prepare(runs)
    assert varying(cells) == ["post_step"]
    assert in_order(cells["post_step"]) == ["none", "ham"]
    results = cells.groupby("post_step")["val/loss"].mean()
    assert results["ham"] != results["none"]
    assert cells["outcome"].min() > 0.3


def test_going_on_from_a_checkpoint_is_exact():
    words = [*SHORT, "post_step=ham", "post_step.ham_alpha=20"]
    with initialize_config_dir(str(ROOT / "configs"), **BASE):
        config = settle(compose("train", words))
    trainer, resumed = build(config).trainer, build(config).trainer
    trainer.run_epoch()
    resumed.load_state_dict(copy.deepcopy(trainer.state_dict()))  # torch would share the tensors
    trainer.run_epoch()
    resumed.run_epoch()
    pairs = zip(trainer.model.parameters(), resumed.model.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)
