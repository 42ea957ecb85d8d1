"""Nodes of a graph: which of them count, and runs from the command line."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from gofau.data.digits_graph import digits_graph
from gofau.errors import UserError
from gofau.problems import Loading
from gofau.problems.node_classification import NodeClassification
from tests.data.planetoid_files import Network, write
from tests.session.resuming import check, configuration

PROBLEM = NodeClassification()
QUICK = ("optimizer=adam", "rule=hybrid", "trainer.epochs=5", "trainer.progress=none")


@pytest.fixture(scope="module")
def data():
    return digits_graph()


def test_a_part_is_one_batch_of_the_whole_graph(data):
    task = PROBLEM.task(data, {}, Loading(batch_size=64, eval_batch_size=64))
    for loader, nodes in ((task.train, data.train), (task.validation, data.validation)):
        ((features, adjacency, labels, asked),) = loader.epoch()
        assert len(loader) == 1
        assert loader.count(0) == len(nodes) == PROBLEM.count((features, adjacency, labels, asked))
        assert torch.equal(asked, nodes)
        assert torch.equal(labels, data.labels[nodes])
        assert PROBLEM.inputs((features, adjacency, labels, asked)) == (features, adjacency)
        assert list(loader.epoch(1, start=1)) == []
    assert task.model == {"features": 64, "classes": 10}
    assert task.facts == {"classes": 10, "nodes": {"train": 200, "validation": 500, "test": 1000}}
    assert (task.metric.name, task.metric.higher_is_better, task.metric.chance) == (
        "acc",
        True,
        0.1,
    )


def test_the_loss_is_that_of_the_nodes_asked_for():
    logits, labels = torch.randn(9, 4), torch.tensor([2, 0, 3])
    nodes = torch.tensor([7, 1, 4])
    loss, (right,) = PROBLEM.loss(logits, (logits, logits, labels, nodes), training=True)
    picked = [logits[node].double().log_softmax(0) for node in nodes]
    each = [-row[label].item() for row, label in zip(picked, labels, strict=True)]
    assert loss.item() == pytest.approx(sum(each) / 3, rel=1e-6)
    assert right == sum(int(row.argmax()) == int(k) for row, k in zip(picked, labels, strict=True))


def test_processes_share_the_nodes(data):
    model_output = torch.randn(1797, 10)
    whole = PROBLEM.task(data, {}, Loading(64, 64)).test
    (batch,) = whole.epoch()
    loss, (right,) = PROBLEM.loss(model_output, batch, training=False)
    found, hits = 0.0, 0
    for rank in range(3):
        part = PROBLEM.task(data, {}, Loading(64, 64, share=(rank, 3))).test
        assert part.count(0) == 1000
        (mine,) = part.epoch()
        mean, (more,) = PROBLEM.loss(model_output, mine, training=False)
        found, hits = found + mean.item() * PROBLEM.count(mine), hits + int(more)
    assert found / 1000 == pytest.approx(loss.item(), rel=1e-6)
    assert hits == right
    with pytest.raises(UserError, match="There are 200 nodes, fewer than the 201 processes"):
        PROBLEM.task(data, {}, Loading(64, 64, share=(0, 201)))


def test_data_that_is_no_graph_is_refused():
    with pytest.raises(UserError, match="problem=node_classification needs a data set of a graph"):
        PROBLEM.task({}, {}, Loading(64, 64))


@pytest.mark.parametrize("step", [1, 3])
def test_a_run_that_was_stopped_goes_on_to_the_bit(tmp_path, step):
    """With dropout, whose numbers must go on as well."""
    check(tmp_path, configuration("problem=digits_gcn", *QUICK, "trainer.epochs=4"), step)


def test_digits_gcn_learns_from_the_command_line(train):
    words = ("problem=digits_gcn", "optimizer=adam", "rule=hybrid", "trainer.epochs=60")
    code, out, err = train(*words, "trainer.progress=none")
    assert (code, err) == (0, "")
    (run,) = train.runs()
    status = train.status(run)
    assert status["metric"]["name"] == "acc"
    assert status["metric"]["chance"] == 0.1
    assert status["result"]["test/acc"] > 0.6
    assert status["result"]["steps"] == 60
    assert status["compute"]["precision"] == "fp32"
    assert "test accuracy" in out


@pytest.mark.parametrize("graph", ["cora", "citeseer"])
def test_planetoid_from_the_command_line(train, tmp_path, monkeypatch, graph):
    write(tmp_path / "data" / "planetoid", Network().files(graph), monkeypatch)
    words = (f"problem={graph}_gcn", "trainer.epochs=3", "trainer.progress=none")
    code, _, err = train(*words, f"paths.data_dir={tmp_path / 'data'}")
    assert (code, err) == (0, "")
    (run,) = train.runs()
    assert run.name.startswith(f"{graph}-gcn-sgd-hybrid-s0-")
    assert math.isfinite(train.status(run)["result"]["test/acc"])
    assert train.status(run)["nodes"] == {"train": 6, "validation": 500, "test": 5}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("problem=cora_gcn", "dataset.download=false"), "There is no planetoid/ind.cora.graph"),
        (("problem=digits_gcn", "model=mlp"), "model=mlp does not fit problem=node_classification"),
        (("model=gcn",), "model=gcn does not fit problem=image_classification"),
        (("problem=digits_gcn", "dataset=grammar"), "needs a data set of a graph, not a TextData"),
        (("problem=cora_gcn", "dataset.graph=pubmed"), "dataset.graph must be one of cora, citese"),
    ],
)
def test_what_does_not_fit_is_one_sentence(train, words, message):
    code, _, err = train(*words)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert train.runs() == []


def test_the_objective_in_evaluation_is_the_plain_one(data):
    """Weight decay is the optimizer's: the loss in the record is the cross-entropy alone."""
    task = PROBLEM.task(data, {}, Loading(64, 64))
    (batch,) = task.validation.epoch()
    logits = torch.randn(1797, 10)
    loss, _ = PROBLEM.loss(logits, batch, training=False)
    assert loss == cross_entropy(logits[data.validation], data.labels[data.validation])
