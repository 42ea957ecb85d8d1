"""The loop with problems that have no images, labels or accuracies: a graph and a text.

They are as small as can be, and judged by loops written out here.
"""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from gofau.engine.compilation import Compiled
from gofau.engine.compute import Compute
from gofau.engine.trainer import Settings, Trainer
from gofau.problems import Problem


class Loader:
    """The same batches in every epoch; ``counts`` are their examples."""

    def __init__(self, batches, counts):
        self.batches, self.counts = batches, counts

    def __len__(self):
        return len(self.batches)

    def count(self, batch):
        return self.counts[batch]

    def epoch(self, epoch=0, start=0):
        return iter(self.batches[start:])


class Nodes(Problem):
    """One graph is one batch: features, a sparse adjacency, classes, and the numbers of the nodes
    that count. Evaluation looks at other nodes of the same graph."""

    unit = "nodes"
    metrics = ("acc",)

    def task(self, data, keys, loading):
        raise NotImplementedError

    def inputs(self, batch):
        return batch[:2]

    def count(self, batch):
        return len(batch[3])

    def loss(self, output, batch, training):
        *_, classes, nodes = batch
        logits, labels = output[nodes], classes[nodes]
        return cross_entropy(logits, labels), ((logits.argmax(1) == labels).sum(),)


class Graph(nn.Module):
    """A graph convolution: A·X·W."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, features, adjacency):
        return torch.sparse.mm(adjacency, self.linear(features))


class Characters(Problem):
    """Batches of blocks (B, T) and of what comes next; an example is a character. The metric, bits
    per character, is another unit of the loss; training adds a penalty that evaluation does not."""

    unit = "characters"
    metrics = ("bpc",)

    def task(self, data, keys, loading):
        raise NotImplementedError

    def inputs(self, batch):
        return batch[:1]

    def count(self, batch):
        return batch[0].numel()

    def loss(self, output, batch, training):
        nats = cross_entropy(output.flatten(0, 1), batch[1].flatten())
        penalty = 0.1 * output.square().mean() if training else 0.0
        return nats + penalty, (nats * self.count(batch) / math.log(2),)


def text(seed=0):
    """21 + 21 + 10 characters of an alphabet of 7."""
    generator = torch.Generator().manual_seed(seed)
    blocks = [
        torch.randint(7, (b, t + 1), generator=generator) for b, t in ((3, 7), (3, 7), (2, 5))
    ]
    return Loader([(block[:, :-1], block[:, 1:]) for block in blocks], [21, 21, 10])


def trained(problem, model, train, validation, epochs=3, compute=None):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    schedule = LambdaLR(optimizer, lambda t: 1.0)
    trainer = Trainer(
        problem, model, optimizer, schedule, train, validation, Settings(epochs), compute
    )
    rows = [trainer.run_epoch() for _ in range(epochs)]
    assert trainer.divergence is None
    return trainer, rows


def test_one_graph_is_one_batch_per_epoch():
    features, classes = torch.rand(10, 5), torch.arange(10) % 3
    dense = (torch.rand(10, 10) < 0.3).float() + torch.eye(10)
    dense /= dense.sum(1, keepdim=True)
    nodes, others = torch.arange(4), torch.arange(4, 10)
    graph = (features, dense.to_sparse(), classes)
    torch.manual_seed(1)
    trainer, rows = trained(
        Nodes(), Graph(), Loader([(*graph, nodes)], [4]), Loader([(*graph, others)], [6])
    )
    assert (trainer.step, trainer.examples_per_epoch(), trainer.examples_done()) == (3, 4, 12)

    torch.manual_seed(1)
    linear = Graph().linear
    for row in rows:
        logits = dense @ linear(features)
        loss = cross_entropy(logits[nodes], classes[nodes])
        assert row["train/loss"] == pytest.approx(loss.item(), rel=1e-5)
        right = (logits[nodes].argmax(1) == classes[nodes]).double().mean().item()
        assert row["train/acc"] == pytest.approx(right)
        gradients = torch.autograd.grad(loss, [*linear.parameters()])
        for p, g in zip(linear.parameters(), gradients, strict=True):
            p.data -= 0.5 * g
        logits = dense @ linear(features)
        expected = cross_entropy(logits[others], classes[others]).item()
        assert row["val/loss"] == pytest.approx(expected, rel=1e-5)


def test_characters_are_counted_and_not_blocks():
    model = nn.Sequential(nn.Embedding(7, 8), nn.Linear(8, 7))
    trainer, rows = trained(Characters(), model, text(), text(1))
    assert trainer.examples_per_epoch() == 52
    names = {key for key in rows[0] if "/" in key}
    assert names == {f"{part}/{name}" for part in ("train", "val") for name in ("loss", "bpc")}
    x, y = (torch.cat([batch[i].flatten() for batch in text(1).batches]) for i in (0, 1))
    nats = cross_entropy(model(x), y).item()
    assert rows[-1]["val/loss"] == pytest.approx(nats, rel=1e-5)  # without the penalty
    assert rows[-1]["val/bpc"] == pytest.approx(nats / math.log(2), rel=1e-5)
    assert rows[-1]["train/loss"] > rows[-1]["train/bpc"] * math.log(2)
    assert rows[-1]["train/bpc"] < rows[0]["train/bpc"]


def test_only_batches_of_the_full_size_are_compiled(monkeypatch):
    asked = []
    monkeypatch.setattr(
        Compiled, "__call__", lambda self, loss, *args: asked.append(1) or loss(*args)
    )
    model = nn.Sequential(nn.Embedding(7, 8), nn.Linear(8, 7))
    trained(Characters(), model, text(), text(1), 1, Compute(compiled=Compiled(21)))
    assert len(asked) == 2  # of three batches; the probe and the evaluation are without gradients
