"""The training loop against loops written out here, and its notion of divergence."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from gofau.engine.evaluation import evaluate
from gofau.engine.trainer import Settings, Trainer, steps_per_epoch
from gofau.problems.image_classification import ImageClassification


class Fixed:
    """Three batches, the last one short; a new order of features each epoch."""

    def __init__(self, scale=1.0):
        generator = torch.Generator().manual_seed(0)
        self.x = scale * torch.randn(10, 4, generator=generator)
        self.y = torch.arange(10) % 3

    def __len__(self):
        return 3

    def count(self, batch):
        return (4, 4, 2)[batch]

    def epoch(self, epoch=0, start=0):
        order = torch.randperm(10, generator=torch.Generator().manual_seed(epoch))
        for part in order.split(4)[start:]:
            yield self.x[part], self.y[part]


class Empty:
    def __len__(self):
        return 0

    def count(self, batch):
        raise IndexError(batch)

    def epoch(self, epoch=0, start=0):
        return iter(())


def make(lr=0.1, model=None, schedule=lambda t: 1.0, source=None, smoothing=0.0, **settings):
    torch.manual_seed(0)
    problem = ImageClassification(smoothing)
    model = model or nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    settings = Settings(**{"epochs": 3, **settings})
    source = source or Fixed()
    schedule = LambdaLR(optimizer, schedule)
    return Trainer(problem, model, optimizer, schedule, source, Fixed(), settings)


def run(trainer):
    rows = []
    while trainer.epoch < trainer.settings.epochs and trainer.divergence is None:
        rows.append(trainer.run_epoch())
    return rows


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_it_is_the_loop_everybody_writes(smoothing, clip_norm):
    trainer = make(smoothing=smoothing, clip_norm=clip_norm, schedule=lambda t: 0.9**t)
    rows = run(trainer)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    step = 0
    for epoch in range(3):
        losses, right = [], 0
        for x, y in Fixed().epoch(epoch):
            loss = cross_entropy(model(x), y, label_smoothing=smoothing)
            right += (model(x).argmax(1) == y).sum().item()
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            norm = math.sqrt(sum(g.square().sum().item() for g in gradients))
            factor = 1.0 if clip_norm is None else min(1.0, clip_norm / (norm + 1e-6))
            for p, g in zip(model.parameters(), gradients, strict=True):
                p.data -= 0.1 * 0.9**step * factor * g
            losses.append(loss.item() * len(y))
            step += 1
        assert rows[epoch]["train/loss"] == pytest.approx(sum(losses) / 10, rel=1e-5)
        assert rows[epoch]["train/acc"] == right / 10
        assert rows[epoch]["lr"] == pytest.approx(0.1 * 0.9 ** (step - 1))
    for p, q in zip(trainer.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(p, q)
    assert (trainer.epoch, trainer.step) == (3, 9)


def test_evaluation_is_the_mean_over_all_examples_in_eval_mode():
    trainer = make()
    run(trainer)
    got = evaluate(trainer.problem, trainer.model, Fixed())
    source = Fixed()
    with torch.no_grad():
        logits = trainer.model.eval()(source.x)
    assert got["loss"] == pytest.approx(cross_entropy(logits, source.y).item(), rel=1e-6)
    assert got["acc"] == (logits.argmax(1) == source.y).double().mean().item()
    nothing = evaluate(trainer.problem, trainer.model, Empty())
    assert nothing == {"loss": None, "acc": None}


def test_a_row_has_the_metrics_and_batches_are_announced():
    seen = []
    row = make().run_epoch(seen.append)
    assert seen == [4, 4, 2]
    assert list(row) == [
        *("epoch", "step", "lr", "train/loss", "train/acc", "val/loss", "val/acc"),
        *("seconds", "examples_per_second"),
    ]
    assert (row["epoch"], row["step"]) == (1, 3)


def test_limit_batches():
    trainer = make(limit_batches=2)
    run(trainer)
    assert trainer.step == 6
    assert steps_per_epoch(Fixed(), Settings(1, limit_batches=99)) == 3


class Poisoned(nn.Module):
    """A linear model whose loss is NaN from the step-th training batch on."""

    def __init__(self, step):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.left: int = step

    def forward(self, x):
        self.left -= int(self.training)
        return self.linear(x) * (math.nan if self.left < 0 else 1.0)


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_a_loss_that_is_not_finite_is_dated_to_its_step(step):
    trainer = make(model=Poisoned(step - 1), epochs=5)  # the probe counts down on its own copy
    rows = run(trainer)
    assert trainer.divergence is not None
    assert trainer.divergence.step == step
    assert trainer.divergence.epoch == len(rows) == (step + 2) // 3
    assert not trainer.divergence.finite


def test_ending_above_the_start_is_divergence():
    trainer = make(lr=30.0, model=nn.Linear(4, 3), source=Fixed(5.0))
    run(trainer)
    found = trainer.divergence
    assert found is not None
    assert (found.step, found.epoch, found.finite) == (9, 3, True)
    assert "above" in found.reason


@pytest.mark.parametrize("lr", [0.0, 1e-9])
def test_a_run_that_learns_nothing_is_not_called_diverged(lr):
    trainer = make(lr=lr)
    run(trainer)
    assert trainer.divergence is None


def test_the_probe_leaves_no_trace():
    trainer = make()
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    trainer.probe(next(Fixed().epoch()))
    after = trainer.model.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
