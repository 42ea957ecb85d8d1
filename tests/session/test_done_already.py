"""What is done is only answered with a record of the same thing."""

import sys

import numpy as np
import pytest
from PIL import Image

from gofau.config.grid import grid
from gofau.runs import contents, modules
from gofau.runs import fingerprint as fingerprints
from gofau.session import build
from gofau.session.fingerprints import fingerprints as fingerprints_of
from tests.command_line import ROOT
from tests.runs.test_sources import as_a_new_process

QUICK = ["debug=fast", "model=mlp", "model.hidden=[16]"]
NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, shape, num_classes, hidden):
        c, h, w = shape
        layers = nn.Linear(c * h * w, 8), nn.ReLU(), nn.Linear(8, num_classes)
        super().__init__(nn.Flatten(), *layers)
"""


@pytest.fixture
def again(train):
    """Types a command in what is a new process, as far as code and data go."""

    def run(*words):
        as_a_new_process()
        contents._stamp.cache_clear()
        build._data.cache_clear()
        sys.modules.pop("mine", None)
        return train(*QUICK, *words)

    yield run
    as_a_new_process()


def first(train):
    return train.status(train.runs()[0])


@pytest.fixture
def edited_rule(monkeypatch):
    def apply(old, new):
        whole = modules.text_of

        def text_of(path):
            text = whole(path)
            return text.replace(old, new) if path.name == "rules.py" else text

        for module in (modules, fingerprints):
            monkeypatch.setattr(module, "text_of", text_of)

    return apply


def test_an_edited_rule_is_run_again_and_keep_returns_the_old_result(train, again, edited_rule):
    again("rule=additive")
    before = first(train)
    assert "done already" in again("rule=additive")[1]
    edited_rule(b"return eta * d", b"return eta * d * 2  # twice")
    code, out, _ = again("rule=additive", "stale=keep")
    assert (code, first(train)) == (0, before)
    assert "done already (test accuracy" in out
    assert "with different code or data: rule)" in out
    code, out, _ = again("rule=additive")
    assert "done already, but with different code or data (rule): run again" in out
    assert first(train)["updated"] >= before["updated"]
    assert first(train)["fingerprint"]["rule"] != before["fingerprint"]["rule"]
    assert "done already (test accuracy" in again("rule=additive")[1]


def test_a_comment_in_a_rule_changes_nothing(again, edited_rule):
    again("rule=additive")
    edited_rule(b"return eta * d", b"return eta * d  # the step")
    assert "done already (test" in again("rule=additive")[1]


def test_a_model_of_ones_own_is_known_by_its_code_and_its_import_name(train, again):
    path = train.folder / "mine.py"
    train.monkeypatch.syspath_prepend(str(train.folder))
    path.write_text(NET)
    again("model._target_=mine.Net")
    again()  # the same name, model=mlp, and another target: another run
    assert len(train.runs()) == 2
    assert "done already (test" in again("model._target_=mine.Net")[1]
    path.write_text(NET.replace("nn.ReLU", "nn.Tanh"))
    assert "(model): run again" in again("model._target_=mine.Net")[1]
    assert len(train.runs()) == 2


def test_a_target_that_is_gone_is_an_error_although_there_is_a_record(train, again):
    path = train.folder / "mine.py"
    train.monkeypatch.syspath_prepend(str(train.folder))
    path.write_text(NET)
    assert again("model._target_=mine.Net")[0] == 0
    path.write_text(NET.replace("class Net(", "class Nets("))
    code, out, err = again("model._target_=mine.Net")
    assert (code, out) == (2, "")
    assert err == "error: model._target_: there is no mine.Net. Did you mean 'Nets'?\n"


@pytest.fixture
def images(train):
    """A folder of images; ``images(seed)`` replaces them all, under the same names."""
    folder = train.folder / "data" / "mine"

    def draw(seed):
        numbers = np.random.default_rng(seed)
        for split in ("train", "test"):
            for label in ("a", "b"):
                (folder / split / label).mkdir(parents=True, exist_ok=True)
                for i in range(12):
                    pixels = numbers.integers(0, 256, (8, 8, 3), np.uint8)
                    Image.fromarray(pixels).save(folder / split / label / f"{i}.png")

    draw(0)
    return draw


@pytest.mark.parametrize("cache", ["null", ".cache"])
def test_replaced_images_are_other_data(train, again, images, cache):
    words = ["dataset=image_folder", "dataset.path=mine", f"paths.cache_dir={cache}"]
    words += ["dataset.augment.crop=0", "dataset.name=mine"]
    if cache == "null":
        words[2] = "dataset.cache_dir=null"
    assert again(*words)[0] == 0
    before = first(train)["fingerprint"]
    assert "done already (test" in again(*words)[1]
    images(0)  # written anew, the same pixels
    assert "done already (test" in again(*words)[1]
    images(1)
    assert "(data): run again" in again(*words)[1]
    after = first(train)["fingerprint"]
    assert {part for part in before if before[part] != after[part]} == {"data"}


@pytest.mark.usefixtures("images")
def test_data_that_is_gone_cannot_differ(train, again):
    words = ["dataset=image_folder", "dataset.path=mine", "dataset.augment.crop=0"]
    assert again(*words)[0] == 0
    (train.folder / "data" / "mine").rename(train.folder / "elsewhere")
    code, out, _ = again(*words)
    assert code == 0
    assert "done already (test" in out


@pytest.mark.long
def test_a_run_that_other_code_began_does_not_go_on(train, again, edited_rule, monkeypatch):
    from gofau.engine.trainer import Trainer

    whole = Trainer.run_epoch

    def interrupted(self, on_batch):
        if self.epoch == 2:
            raise KeyboardInterrupt
        return whole(self, on_batch)

    words = ["rule=additive", "trainer.epochs=3", "trainer.checkpoint.epochs=1"]
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", interrupted)
        assert again(*words)[0] == 130
    assert again(*words)[0] == 0
    assert first(train)["starts"] == 2
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", interrupted)
        assert again(*words, "rerun=true")[0] == 130
    edited_rule(b"return eta * d", b"return eta * d * 2")
    assert again(*words)[0] == 0
    assert first(train)["starts"] == 1
    assert len(train.rows(train.runs()[0])) == 3


def test_diagnostics_that_are_asked_for_are_a_part_of_done(train, again):
    words = ["trainer.epochs=2", "trainer.limit_batches=null"]
    again(*words)
    out = again(*words, "trainer.diagnostics_every=10")[1]
    assert "done already, but without diagnostics, not 10: run again" in out
    assert first(train)["diagnostics_every"] == 10
    assert "done already (test" in again(*words, "trainer.diagnostics_every=10")[1]
    assert "done already (test" in again(*words)[1]  # more than is asked for
    assert "with diagnostics_every=10, not 5" in again(*words, "trainer.diagnostics_every=5")[1]


def test_a_record_from_before_there_were_fingerprints_counts_and_says_so(train, again):
    import json

    again()
    path = train.runs()[0] / "status.json"
    status = json.loads(path.read_text())
    del status["fingerprint"]
    path.write_text(json.dumps(status))
    assert "the record does not say with which code and data" in again()[1]
    assert "with 1 thread, not 2" in again("trainer.threads=2")[1]


@pytest.mark.parametrize("problem", ["digits_gcn", "grammar_chars"])
@pytest.mark.usefixtures("train")
def test_data_without_images_is_known_by_its_content_as_well(problem):
    config = {**next(iter(grid(ROOT / "configs", [f"problem={problem}"])))[1]}
    assert contents.known(config["dataset"]) is None
    found = fingerprints_of(config)["data"]
    build._data.cache_clear()
    assert contents.known(config["dataset"]) == found
    config["dataset"] = config["dataset"] | {"split_seed": 5, "seed": 5}
    assert contents.known(config["dataset"]) is None
