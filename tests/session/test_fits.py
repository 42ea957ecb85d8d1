"""What cannot be trained is said before training, or in one sentence when it happens."""

import pytest
import torch

from gofau import optim
from gofau.data.augment import Augment
from gofau.errors import UserError
from gofau.optim.rules import RULES

QUICK = ["model=mlp", "model.hidden=[16]", "dataset.train_size=100", "trainer.epochs=2"]


def test_a_batch_of_one_is_refused_only_if_it_is_trained_on(train):
    words = ["model=resnet18", "model.stem=imagenet", "dataset.train_size=9", "trainer.epochs=1"]
    words += ["trainer.batch_size=8", "trainer.test=false", "dataset.val_fraction=0"]
    code, _, err = train(*words)
    assert code == 2
    assert "trainer.batch_size=8 leaves a batch of 1 example" in err
    assert train.runs() == []
    code, _, err = train(*words, "trainer.limit_batches=1")
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("xi", "sentence"),
    [
        (lambda theta, d, eta: theta.mul_(eta), "writes into θ or d: it must leave them alone"),
        (lambda theta, d, eta: d.sum(), "must return a tensor of shape"),
    ],
)
def test_a_rule_that_breaks_its_contract_is_one_sentence(train, xi, sentence):
    optim.register_rule("broken")(xi)
    own = train.folder / "own" / "rule"
    own.mkdir(parents=True)
    (own / "broken.yaml").write_text("name: broken\nzero_init: freeze\n")
    try:
        code, _, err = train("--config-dir", "own", *QUICK, "rule=broken")
    finally:
        del RULES["broken"]
    assert code == 2
    assert err == f"error: optimizer: rule 'broken' {sentence}" + err.partition(sentence)[2]
    assert err.count("\n") == 1
    (folder,) = train.runs()
    status = train.status(folder)
    assert status["state"] == "failed"
    assert "Traceback" in status["traceback"]


@pytest.mark.parametrize(("name", "most"), [("crop", 7), ("cutout", 8)])
def test_the_largest_augmentation(name, most):
    Augment(**{name: most}).check(8, 12)
    with pytest.raises(UserError, match=f"{name} must be at most {most} for images of 8×12"):
        Augment(**{name: most + 1}).check(8, 12)


def test_the_estimate_of_memory_does_not_change_what_is_drawn(train, monkeypatch):
    """The model is built once without values: no random number may be taken by it."""
    monkeypatch.setattr("gofau.session.fits._sizes", {})  # as in a new process
    train(*QUICK)
    monkeypatch.setattr("gofau.session.build.check_size", lambda *args: torch.rand(7))
    (folder,) = train.runs()
    before = train.rows(folder)[-1]["val/loss"]
    train(*QUICK, "rerun=true")
    assert train.rows(folder)[-1]["val/loss"] == before
