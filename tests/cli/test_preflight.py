"""A fault that the runs of a sweep share is told once, before the first of them."""

import pytest

from gofau.runs import contents
from gofau.session import build
from tests.data.conftest import Make

QUICK = ["debug=fast", "model=mlp", "model.hidden=[16]"]
WIDE = ["rule=additive,hybrid", "optimizer=sgd,adam", "seed=0,1,2,3"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=abc"], "seed must be a whole number ≥ 0, got 'abc'."),
        (["seed=0,1,abc"], "seed must be a whole number ≥ 0, got 'abc'."),
        (["optimizer.lr=0.1,-1"], "optimizer.lr must be ≥ 0, got -1."),
        (["model._target_=gofau.models.mlp.MPL"], "Did you mean 'MLP'?"),
        (["dataset=cifar10_jpeg"], "There is no cifar10-jpeg.zip in data or the working directory"),
        (["dataset=cifar10", "dataset.download=false"], "There is no cifar-10-python.tar.gz"),
        (["hydra/launcher=slurm"], "hydra/launcher=slurm: there is no Slurm on this machine"),
        (["rule=additive,hybird"], "there is no such rule"),
        (["reuse=nowhere"], "reuse=nowhere: there are no records (nowhere/*/runs.csv)."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_sentence_for_all_runs_and_nothing_written(train, monkeypatch, words, message):
    monkeypatch.setenv("PATH", "")
    keys = {word.partition("=")[0] for word in words}
    rest = [word for word in WIDE if word.partition("=")[0] not in keys]
    code, out, err = train("-m", *QUICK, *rest, *words)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert list(train.folder.iterdir()) == []


def test_a_torn_zip_is_found_without_reading_it(train):
    (train.folder / "data").mkdir()
    (train.folder / "data" / "cifar10-jpeg.zip").write_bytes(b"PK\x03\x04" + bytes(1000))
    code, _, err = train("-m", "dataset=cifar10_jpeg", "model=resnet8", *WIDE)
    assert code == 2
    assert "is neither a folder nor a complete zip" in err
    assert len(err.splitlines()) == 1
    assert not (train.folder / "runs").exists()


def test_a_sweep_that_is_done_needs_no_data(train):
    for split in ("train", "test"):
        for label in "ab":
            folder = train.folder / "data" / "mine" / split / label
            folder.mkdir(parents=True)
            for i in range(8):
                (folder / f"{i}.png").write_bytes(Make.image(20 * i, size=(8, 8)))
    words = ["-m", *QUICK, "dataset=image_folder", "dataset.path=mine", "dataset.augment.crop=0"]
    assert train(*words, "seed=0,1")[0] == 0
    (train.folder / "data").rename(train.folder / "gone")
    build._data.cache_clear()  # as in a new process
    contents._stamp.cache_clear()
    code, out, _ = train(*words, "seed=0,1")
    assert code == 0
    assert "2 done already in runs\n" in out
    code, _, err = train(*words, "seed=0,1,2")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "There is no mine" in err


def test_what_fails_alike_later_is_one_line(train, monkeypatch):
    from gofau.engine.trainer import Trainer

    def broken(self, on_batch):
        raise RuntimeError("the machine is on fire")

    monkeypatch.setattr(Trainer, "run_epoch", broken)
    code, _, err = train("-m", *QUICK, "seed=0,1,2,3,4")
    assert code == 1
    first, count, line = err.splitlines()
    assert first.startswith("failed: ")
    assert count == "5 run(s) of this sweep failed:"
    assert line.endswith("and 2 more): RuntimeError: the machine is on fire.")
    assert line.startswith("  5 runs (")
