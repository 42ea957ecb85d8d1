"""Text, character by character: bits, blocks, and runs from the command line."""

import hashlib
import math

import pytest
import torch

from gofau.data import tiny_shakespeare
from gofau.data.grammar import grammar
from gofau.engine.evaluation import evaluate
from gofau.errors import UserError
from gofau.problems import Loading
from gofau.problems.language_model import LanguageModel
from tests.session.resuming import check, configuration

LOADING = Loading(batch_size=4, eval_batch_size=6)
QUICK = ("problem=grammar_chars", "optimizer=adam", "optimizer.lr=0.003", "rule=hybrid")
QUICK = (*QUICK, "trainer.progress=none", "problem.blocks=40", "model.layers=1")


@pytest.fixture(scope="module")
def data():
    return grammar(2000)


def test_loss_in_nats_and_metric_in_bits():
    problem = LanguageModel()
    logits, x = torch.randn(3, 5, 7), torch.randint(7, (3, 5))
    y = torch.randint(7, (3, 5))
    loss, (bits,) = problem.loss(logits, (x, y), training=True)
    p = logits.double().softmax(2)
    picked = [p[i, j, y[i, j]].item() for i in range(3) for j in range(5)]
    assert loss.item() == pytest.approx(-sum(map(math.log, picked)) / 15, rel=1e-6)
    # A sum over the examples, which are blocks, of a mean over characters.
    assert bits.item() == pytest.approx(-sum(map(math.log2, picked)) / 5, rel=1e-6)
    assert problem.count((x, y)) == 3
    (given,) = problem.inputs((x, y))
    assert given is x


def test_training_draws_blocks_and_the_rest_is_read_whole(data):
    task = LanguageModel(context=10, blocks=9).task(data, {}, LOADING)
    assert [task.train.count(batch) for batch in range(len(task.train))] == [4, 4, 1]
    x = torch.cat([x for x, _ in task.validation.epoch()]).flatten()
    assert x.tolist() == data.validation[: len(x)].tolist()
    assert 0 < len(data.validation) - len(x) <= 10
    assert len(task.validation) == math.ceil(19 / 6)
    assert task.model == {"symbols": len(data.symbols), "context": 10}
    assert task.facts["characters"] == {"train": 1600, "validation": 200, "test": 200}
    assert (task.metric.name, task.metric.higher_is_better) == ("bpc", False)
    assert task.metric.chance == math.log2(len(data.symbols))


def test_a_model_that_guesses_is_at_the_level_of_chance(data):
    class Guess(torch.nn.Module):
        def forward(self, x):
            return torch.zeros(*x.shape, len(data.symbols))

    problem = LanguageModel(context=10)
    task = problem.task(data, {}, LOADING)
    found = evaluate(problem, Guess(), task.test)
    assert found["bpc"] == pytest.approx(task.metric.chance, rel=1e-6)
    assert found["loss"] == pytest.approx(math.log(len(data.symbols)), rel=1e-6)


def test_data_that_is_no_text_is_refused():
    with pytest.raises(
        UserError, match="problem=language_model needs a data set of text, not a di"
    ):
        LanguageModel().task({}, {}, LOADING)


@pytest.mark.parametrize("step", [2, 5, 10])
def test_a_run_that_was_stopped_goes_on_to_the_bit(tmp_path, step):
    """In the middle of an epoch, at its end, and in the middle of another; three batches of 16."""
    check(tmp_path, configuration(*QUICK, "trainer.epochs=4"), step)


def test_the_seed_decides_the_blocks():
    first, second = (
        next(
            iter(
                LanguageModel(10, 9).task(grammar(2000), {}, Loading(4, 6, seed=seed)).train.epoch()
            )
        )
        for seed in (0, 1)
    )
    assert not torch.equal(first[0], second[0])


def test_grammar_chars_learns_from_the_command_line(train):
    words = ("problem=grammar_chars", "optimizer=adam", "optimizer.lr=0.005", "rule=hybrid")
    code, out, err = train(*words, "trainer.epochs=3", "trainer.progress=none")
    assert (code, err) == (0, "")
    (run,) = train.runs()
    status = train.status(run)
    assert status["metric"]["name"] == "bpc"
    assert status["metric"]["higher_is_better"] is False
    result = status["result"]
    assert result["test/bpc"] == pytest.approx(result["test/loss"] / math.log(2), rel=1e-6)
    # Between the entropy of the grammar and that of its single characters (4.1).
    assert 0.42 < result["test/bpc"] < 3
    assert "bits per character" in out


def test_shakespeare_from_the_command_line(train, tmp_path, monkeypatch):
    raw = b"O Romeo, Romeo! wherefore art thou Romeo?\n" * 99
    (tmp_path / "data" / "tinyshakespeare").mkdir(parents=True)
    (tmp_path / "data" / "tinyshakespeare" / "input.txt").write_bytes(raw)
    monkeypatch.setattr(tiny_shakespeare, "SHA256", hashlib.sha256(raw).hexdigest())
    words = ("problem=shakespeare_chars", "trainer.epochs=1", "problem.blocks=32", "rule=additive")
    code, _, err = train(*words, f"paths.data_dir={tmp_path / 'data'}", "trainer.progress=none")
    assert (code, err) == (0, "")
    (run,) = train.runs()
    assert run.name.startswith("tiny_shakespeare-char_transformer-sgd-additive-s0-")
    assert train.status(run)["characters"]["test"] == round(len(raw) * 0.05)
    assert math.isfinite(train.status(run)["result"]["test/bpc"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("problem=shakespeare_chars", "dataset.download=false"), "no tinyshakespeare/input.txt"),
        (("problem=grammar_chars", "model=gcn"), "model=gcn does not fit problem=language_model"),
        (("problem=grammar_chars", "problem.context=0"), "problem.context must be a whole number"),
        (("problem=grammar_chars", "dataset.characters=50"), "do not fit into a part of 5"),
        (("problem=grammar_chars", "model.heads=5"), "width must be a multiple of heads"),
    ],
)
def test_what_does_not_fit_is_one_sentence(train, words, message):
    code, _, err = train(*words)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert train.runs() == []
