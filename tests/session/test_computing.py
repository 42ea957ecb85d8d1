"""How a run is computed: taken at its start, kept when it resumes, and said in its record."""

import shutil

import pytest
import torch

from gofau.engine import choice, compilation
from gofau.engine.checkpointer import Checkpointer
from gofau.report.frames import gather
from gofau.session import evaluation
from gofau.session.build import build
from tests.session.resuming import configuration

QUICK = ["dataset.train_size=90", "trainer.batch_size=32", "trainer.epochs=3", "model.width=4"]
WORDS = [*QUICK, "trainer.precision=fp32", "trainer.threads=1", "trainer.device=cpu"]


@pytest.fixture
def seconds(monkeypatch, tmp_path):
    """Every run counts as long; a step takes these seconds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(choice, "FROM_OPERATIONS", {"cpu": 0})
    monkeypatch.setattr(choice, "FROM_STEPS", 0)
    monkeypatch.setattr(choice, "pays", lambda *_: True)
    monkeypatch.setattr(compilation, "_compile", lambda function: function)
    found = {"channels_last": 2.0, "channels_first": 1.0, "false": 2.0, "true": 1.0}
    monkeypatch.setattr(
        choice, "seconds_per_call", lambda calls: {name: found[name] for name in calls}
    )
    return found


def computed(*words, **more):
    return build(configuration(*WORDS, *words), **more).facts["compute"]


def test_what_is_measured_is_taken_and_said(seconds):
    said = computed()
    assert (said["memory_format"], said["compiled"]) == ("channels_first", True)
    seconds |= {"channels_first": 9.0, "true": 9.0}  # too late: it has been measured
    assert computed("seed=1") == said


def test_what_is_set_is_taken(seconds):
    last = ["trainer.memory_format=channels_last", "trainer.compile=false"]
    said = computed(*last)
    assert (said["memory_format"], said["compiled"]) == ("channels_last", False)
    config = configuration(*WORDS, *last)
    del config["trainer"]["memory_format"]  # as in the folder of an older run
    assert build(config).facts["compute"] == said


def test_the_defaults_measure_nothing_in_a_short_run(monkeypatch):
    def measured(*_):
        raise AssertionError("a short run was measured")

    monkeypatch.setattr(choice, "measured", measured)
    said = build(configuration("trainer.device=cpu")).facts["compute"]
    assert (said["memory_format"], said["compiled"]) == ("channels_last", False)


def test_a_model_without_images_has_no_format_in_its_record(seconds):
    words = [word for word in WORDS if not word.startswith("model")]
    built = build(configuration(*words, "model=mlp", "trainer.compile=false"))
    assert built.facts["compute"]["memory_format"] is None


def test_a_resumed_run_is_computed_as_it_began(seconds):
    before = {"memory_format": "channels_last", "compiled": False}
    assert computed(begun=before) | before == computed(begun=before)
    assert computed(begun={"compiled": True})["memory_format"] == "channels_last"  # older records
    asked = computed("trainer.memory_format=channels_first", begun=before)
    assert (asked["memory_format"], asked["compiled"]) == ("channels_first", False)


def test_with_curvature_nothing_is_compiled(seconds):
    words = ["optimizer=sgd", "stepsize=layerwise_exact", "trainer.compile=auto"]
    assert computed(*words)["compiled"] is False
    assert computed(*words, begun={"compiled": True})["compiled"] is False


@pytest.fixture
def stop(monkeypatch):
    """Stops the run after a step, in the middle of an epoch; it is saved before."""
    batch = Checkpointer.batch

    def after(step):
        def stopping(self):
            batch(self)
            if self.trainer.step == step:
                self.save()
                raise KeyboardInterrupt

        monkeypatch.setattr(Checkpointer, "batch", stopping if step else batch)

    return after


def test_resuming_keeps_the_choice_to_the_bit(seconds, train, stop):
    words = [*WORDS, "trainer.keep=last", "trainer.progress=none"]
    assert train(*words, "paths.runs_dir=whole")[0] == 0
    (whole,) = (train.folder / "whole").glob("digits-*")
    expected = torch.load(whole / "weights.pt")["model"]
    stop(after := 4)
    assert train(*words)[0] == 130
    (folder,) = train.runs()
    assert train.status(folder)["compute"]["memory_format"] == "channels_first"
    # The machine has another opinion now, and has forgotten what it measured.
    seconds |= {"channels_first": 9.0, "true": 9.0}
    speed = train.folder / "cache" / "gofau" / "speed"
    shutil.rmtree(speed)
    stop(None)
    assert train(*words)[0] == 0
    status = train.status(folder)
    assert (status["starts"], status["result"]["steps"] > after) == (2, True)
    assert status["compute"]["memory_format"] == "channels_first"
    assert status["compute"]["compiled"] is True
    found = torch.load(folder / "weights.pt")["model"]
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    # The weights are evaluated as they were trained, too.
    measured = evaluation.evaluate_run(folder, {})
    assert measured["test/loss"] == status["result"]["test/loss"]
    assert not speed.exists()  # nothing had to be measured
    # Once more from the beginning: now as the machine sees it today.
    assert train(*words, "rerun=true")[0] == 0
    assert train.status(folder)["compute"]["memory_format"] == "channels_last"


def test_a_row_of_the_results_names_the_choice_and_a_note_a_difference(seconds, train):
    words = [*WORDS, "trainer.progress=none"]
    assert train(*words)[0] == 0
    config = configuration(*words, f"paths.runs_dir={train.folder / 'runs'}")
    (row,) = gather([({}, config)]).runs
    assert row["compute.memory_format"] == "channels_first"
    _, out, _ = train(*words)
    assert "channels" not in out
    _, out, _ = train(*words, "trainer.memory_format=channels_last")
    assert "with channels_first, not channels_last" in out
