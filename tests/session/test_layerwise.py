"""Step sizes from curvature in a run: the trainer is not told, the command line is."""

import logging

import pytest
import torch
from torch import nn

from gofau.engine.checkpoint import load, random_state, save, set_random_state
from gofau.engine.distributed import World
from gofau.errors import UserError
from gofau.session.build import build
from tests.session.resuming import configuration

SHORT = ["trainer.epochs=2", "trainer.limit_batches=2"]
SMALL = ["model=mlp", "model.hidden=[16]", "dataset.train_size=90", "trainer.batch_size=32"]
SIZES = ("layerwise", "layerwise_exact")
PROBLEMS = ("digits_cnn", "digits_gcn", "digits_autoencoder", "grammar_chars")


EXACT = "stepsize=layerwise_exact"


@pytest.fixture
def config():
    return lambda *words: configuration("stepsize=layerwise", "rule=additive", *SHORT, *words)


@pytest.fixture(params=SIZES)
def size(request):
    return f"stepsize={request.param}"


def test_it_learns_the_digits_from_the_command_line(train, size):
    words = ["optimizer=sgd", size, "rule=additive", "optimizer.lr=1", "model=mlp"]
    code, _, err = train(*words, "trainer.diagnostics_every=20")
    assert (code, err) == (0, "")
    (folder,) = train.runs()
    assert train.status(folder)["result"]["test/acc"] >= 0.95
    rows = train.rows(folder)
    assert len(rows) == 8
    assert float(rows[0]["lr"]) <= 1
    assert float(rows[-1]["lr"]) < 0.01  # the cosine is its factor
    seen = (folder / "diagnostics.csv").read_text().splitlines()
    assert len(seen) > 5
    assert "update_rms/all" in seen[0]


@pytest.mark.parametrize("rule", ["additive", "hybrid"])
@pytest.mark.parametrize("base", ["sgd", "adamw"])
def test_its_learning_rate_is_a_factor_of_one_unless_told(config, base, rule):
    words = [f"optimizer={base}", f"rule={rule}"]
    assert config(*words)["optimizer"]["lr"] == 1
    assert config(*words, "optimizer.lr=0.5")["optimizer"]["lr"] == 0.5
    assert config(*words, "stepsize=base")["optimizer"]["lr"] != 1
    assert config(*words, "stepsize.damping=0.5")["stepsize"] == {
        "name": "layerwise",
        "damping": 0.5,
        "smoothing": 0.95,
        "l_max": None,
        "radius": 0.001,
    }


def test_an_optimizer_with_a_step_size_of_its_own_is_not_given_another(config):
    with pytest.raises(UserError, match="integer_madam has a step size of its own: leave"):
        config("optimizer=integer_madam")


def epochs(trainer, stop=None):
    class Enough(Exception):
        pass

    def look(examples):
        if trainer.step == stop:
            raise Enough

    try:
        while trainer.epoch < trainer.settings.epochs:
            trainer.run_epoch(look)
    except Enough:
        pass
    return {k: v.clone() for k, v in trainer.model.state_dict().items()}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_kind_of_model_can_be_trained_with_it(config, problem, size):
    trainer = build(config(f"problem={problem}", size)).trainer
    before = {k: v.clone() for k, v in trainer.model.named_parameters()}
    after = epochs(trainer)
    moved = [not torch.equal(before[name], after[name]) for name in before]
    assert sum(moved) > len(moved) / 2
    assert all(x.isfinite().all() for x in after.values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("base", ["sgd", "adamw"])
def test_it_goes_on_from_the_middle_of_an_epoch_to_the_bit(tmp_path, config, base, precision, size):
    words = (size, f"optimizer={base}", f"trainer.precision={precision}", *SMALL)
    expected = epochs(build(config(*words)).trainer)
    first = build(config(*words)).trainer
    epochs(first, stop=3)
    save(tmp_path / "c", "x", 3, {"t": first.state_dict(), "r": random_state()})
    torch.manual_seed(99)  # another process, another past
    second = build(config(*words)).trainer
    state = load(tmp_path / "c", "x")
    assert state is not None
    second.load_state_dict(state["t"])
    set_random_state(state["r"])
    found = epochs(second)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_seed_of_the_run_decides_the_signs(config):
    signs = []
    for seed in (0, 0, 1):
        built = build(config(f"seed={seed}", *SMALL))
        epochs(built.trainer)
        signs.append([state["signs"] for state in built.optimizer.state.values()])
    assert signs[0] == signs[1] != signs[2]


def test_clipping_is_of_the_gradient_that_is_stepped_with(config, size):
    norms = []
    for clip in ("null", "0.01"):
        trainer = build(config(size, f"trainer.clip_norm={clip}", *SMALL)).trainer
        epochs(trainer, stop=1)
        grads = [p.grad for p in trainer.model.parameters() if p.grad is not None]
        norms.append(nn.utils.get_total_norm(grads).item())
    assert norms[0] > 0.1
    assert norms[1] == pytest.approx(0.01, rel=1e-3)


def test_what_is_compiled_cannot_be_differentiated_twice(config, caplog):
    with caplog.at_level(logging.WARNING):
        built = build(config(EXACT, "trainer.compile=true", *SMALL))
        assert build(config("trainer.compile=true", *SMALL)).facts["compute"]["compiled"] is True
    assert caplog.messages == [
        "trainer.compile=true: not with stepsize=layerwise_exact, going on without"
    ]
    assert built.facts["compute"]["compiled"] is False


def test_several_processes_cannot_have_second_derivatives(config):
    with pytest.raises(UserError, match=r"needs the curvature of the whole batch.*one process"):
        build(config(EXACT, *SMALL), World(0, 2))


def test_a_batch_counts_once(config):
    """In the running statistics of BatchNorm and in the metrics, though it is looked at twice."""
    words = ["optimizer.lr=0", "model.width=4", "dataset.train_size=90", "trainer.batch_size=32"]
    rows, buffers = [], []
    for stepsize in ("stepsize=base", "stepsize=layerwise", EXACT):
        trainer = build(config(stepsize, *words, "trainer.precision=fp32")).trainer
        rows.append({k: v for k, v in trainer.run_epoch().items() if "second" not in k})
        buffers.append([x.clone() for x in trainer.model.buffers()])
    for row, found in zip(rows[1:], buffers[1:], strict=True):
        assert row == rows[0]
        assert all(torch.equal(x, y) for x, y in zip(found, buffers[0], strict=True))
