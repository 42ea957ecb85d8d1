"""Problems from the command line: an autoencoder, on files in Fashion-MNIST's format."""

import math

import pytest

from gofau.config.hydras import BASE
from gofau.runs.__main__ import main as runs_command
from tests.data.fashion import write

QUICK = ["trainer.epochs=4", "trainer.batch_size=16", "model.hidden=[32]", "model.code=10"]
AUTOENCODER = ["problem=fashion_autoencoder", "optimizer=adam", "rule=hybrid", *QUICK]
TOO_LARGE = ["rule=additive", "optimizer.lr=1e20"]
"""The sigmoid bounds the loss at 1, so only products that overflow make it no number."""


@pytest.fixture
def fashion(tmp_path, monkeypatch):
    monkeypatch.setenv("GOFAU_DATA", str(write(tmp_path / "files")))


def test_an_autoencoder_trains(train, fashion, capsys):
    words = [*AUTOENCODER, "optimizer.lr=0.01", "trainer.epochs=15"]
    code, out, err = train(*words)
    assert (code, err) == (0, "")
    (folder,) = train.runs()
    assert folder.name.startswith("fashion_mnist-autoencoder-adam-hybrid-s0-")
    assert "done (test reconstruction loss 0.0" in out
    status, rows = train.status(folder), train.rows(folder)
    assert {k: status["metric"][k] for k in ("name", "higher_is_better", "chance")} == {
        "name": "loss",
        "higher_is_better": False,
        "chance": None,
    }
    names = {"train/loss", "val/loss", "test/loss"}
    names |= {"weights/bytes", "weights/float32_bytes"}
    assert {key for key in status["result"] if "/" in key} == names
    assert "classes" not in status
    losses = [float(row["val/loss"]) for row in rows]
    assert losses[-1] == status["result"]["val/loss"] < 0.7 * losses[0]
    assert float(rows[0]["examples_per_second"]) > 0
    runs_command(["show", status["identity"]])
    shown = capsys.readouterr().out
    assert "test/loss: 0.0" in shown
    assert "higher_is_better: False" in shown
    runs_command(["status"])
    assert "done              1" in capsys.readouterr().out
    assert "done already (test reconstruction loss" in train(*words)[1]


def test_one_that_diverges_is_a_result(train, fashion):
    code, out, _ = train(*AUTOENCODER, *TOO_LARGE)
    assert code == 0
    (folder,) = train.runs()
    status = train.status(folder)
    assert status["state"] == "diverged"
    assert "diverged (" in out
    assert "the training loss" in status["divergence"]["reason"]
    runs_command(["status"])


def test_a_sweep_over_problems(train, fashion):
    problems = ["fashion_autoencoder", "fashion_mlp", "digits_autoencoder"]
    small = ["trainer.epochs=1", "trainer.limit_batches=2"]
    code, _, err = train("-m", f"problem={','.join(problems)}", "seed=0,1", *small)
    assert (code, err) == (0, "")
    found = [train.status(folder) for folder in train.runs()]
    assert [status["state"] for status in found] == ["done"] * 6
    names = sorted({status["name"].rsplit("-", 2)[0] for status in found})
    assert names == [
        "digits-small_autoencoder-sgd-hybrid",
        "fashion_mnist-autoencoder-sgd-hybrid",
        "fashion_mnist-mlp-sgd-hybrid",
    ]
    judged = {(s["metric"]["name"], s["metric"]["chance"]) for s in found}
    assert judged == {("loss", None), ("acc", 0.1)}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["problem=digits_cnn", "model=autoencoder"], "model=autoencoder does not fit problem=im"),
        (["problem=digits_autoencoder", "model=resnet8"], "resnet8 does not fit problem=reconstr"),
        (["problem=reconstruction"], "model=small_cnn does not fit problem=reconstruction"),
        (["problem=digits_autoencoder", "dataset=grammar"], "which needs its key split_seed"),
        (["problem=fashion_autoencoer"], "Did you mean 'fashion_autoencoder'?"),
        (["problem=fashion_mlp", "dataset.download=false"], "There is no train-images-idx3"),
        (["problem=fashion_mlp", "model.code=3"], "model has no key 'code'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(train, words, says):
    code, out, err = train(*words)
    assert code == 2
    assert says in err
    assert len(err.splitlines()) == 1
    assert out == ""
    assert not [path for path in train.runs() if path.is_dir() and any(path.iterdir())]


@pytest.mark.parametrize("logger", ["tensorboard"])
def test_a_logger_takes_the_metric_that_there_is(train, fashion, logger):
    code, _, err = train(*AUTOENCODER, "trainer.epochs=1", f"logger={logger}")
    assert (code, err) == (0, "")
    (folder,) = train.runs()
    assert any((folder / logger).iterdir())


def test_a_sweeper_gets_the_validation_loss(fashion, tmp_path, monkeypatch):
    from hydra import compose, initialize_config_dir

    from gofau.cli.run import run
    from tests.command_line import ROOT

    monkeypatch.chdir(tmp_path)
    with initialize_config_dir(str(ROOT / "configs"), **BASE):
        cfg = compose("train", [*AUTOENCODER, "trainer.epochs=1", "trainer.progress=none"])
        objective = run(cfg)
        assert 0 < objective < 1
        assert run(cfg) == objective
        assert run(compose("train", [*AUTOENCODER, *TOO_LARGE])) == math.inf
