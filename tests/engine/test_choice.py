"""Memory format and compilation under ``auto``: when they are measured, and what is taken."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from gofau.engine import choice, compilation
from gofau.engine.choice import CLEARLY, Chooser, clearly_faster, machine, worth_measuring
from gofau.engine.compilation import operations
from gofau.engine.compute import Compute
from gofau.problems.image_classification import ImageClassification

CPU = torch.device("cpu")
IMAGE = (torch.zeros(1, 3, 8, 8),)
EXAMPLES = 6
LONG = 10**9  # steps


class Loader:
    """Always the same batch, as loaders give it: channels last."""

    def __init__(self):
        self.asked = 0

    def __len__(self):
        return 1

    def count(self, batch):
        return EXAMPLES

    def epoch(self, epoch=0, start=0):
        self.asked += 1
        x = torch.randn(EXAMPLES, 8, 8, 3, generator=torch.Generator().manual_seed(0))
        yield x.permute(0, 3, 1, 2), torch.arange(EXAMPLES) % 4


def net():
    """With everything that a step could leave traces in: BatchNorm, and dropout's numbers."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4 * 36, 4))


def perceptron():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 4))


def chooser(model, steps=LONG, loader=None, processes=1, **case):
    loader = loader or Loader()
    return Chooser(ImageClassification(), model, loader, IMAGE, steps, processes, case)


@pytest.fixture
def clock(monkeypatch, tmp_path):
    """Replaces the seconds that steps take by given ones; notes what was measured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compilation, "_compile", lambda function: function)

    class Clock:
        def __init__(self):
            self.seconds = {"channels_last": 2.0, "channels_first": 1.0, "false": 2.0, "true": 1.0}
            self.measured = []

        def __call__(self, candidates):
            self.measured.append([*candidates])
            for call in candidates.values():
                call()
            return {name: self.seconds[name] for name in candidates}

    found = Clock()
    monkeypatch.setattr(choice, "seconds_per_call", found)
    return found


def test_the_faster_one_is_taken_and_measured_once(clock):
    loader = Loader()
    for _ in range(3):  # the runs of a sweep; each makes its own
        this = chooser(net(), loader=loader)
        assert this.choose(Compute(), "auto", False) == ("channels_first", False)
    assert clock.measured == [["channels_last", "channels_first"]]
    assert loader.asked == 1


def test_a_small_gain_is_noise(clock):
    clock.seconds["channels_first"] = 2.0 * CLEARLY + 0.01
    assert chooser(net()).choose(Compute(), "auto", False) == ("channels_last", False)
    assert clearly_faster({"a": 2.0, "b": 1.0, "c": 0.5}, usual="a") == "c"


def test_another_case_is_measured_for_itself(clock, monkeypatch):
    def choose(compute=Compute(), loader_batch=EXAMPLES, processes=1, **case):  # noqa: B008
        monkeypatch.setattr(Loader, "count", lambda self, batch: loader_batch)
        chooser(net(), processes=processes, **case).choose(compute, "auto", False)
        return len(clock.measured)

    assert choose() == choose() == 1
    assert choose(case={"name": "wider"}) == 2
    assert choose(Compute(precision="bf16")) == 3
    assert choose(loader_batch=EXAMPLES + 2) == 4
    assert choose(processes=2) == 5
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    assert choose() == 6
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert choose() == 7
    monkeypatch.setattr(
        choice, "provenance", lambda device: dict.fromkeys(("platform", "cpu", "device"), "another")
    )
    assert choose() == 8


def test_the_steps_are_those_of_the_formats_in_the_runs_precision(clock):
    seen = []

    class Spy(nn.Conv2d):
        def forward(self, input):
            out = super().forward(input)
            last = [
                x.is_contiguous(memory_format=torch.channels_last) for x in (input, self.weight)
            ]
            seen.append((*last, out.dtype))
            return out

    model = nn.Sequential(Spy(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 4))
    chooser(model).choose(Compute(precision="bf16"), "auto", False)
    bf16 = torch.bfloat16
    assert seen[-2:] == [(True, True, bf16), (False, False, bf16)]


def test_nothing_of_the_run_is_changed(clock):
    model = net()
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    chooser(model).choose(Compute(), "auto", "auto")
    assert len(clock.measured) == 2
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert model.training


def test_short_runs_are_not_measured(clock):
    loader = Loader()
    this = chooser(net(), steps=choice.FROM_STEPS - 1, loader=loader)
    assert this.choose(Compute(), "auto", "auto") == ("channels_last", False)
    assert clock.measured == []
    assert loader.asked == 0


def test_how_long_is_long_enough():
    model = net()
    each = EXAMPLES * operations(model, IMAGE)
    enough = int(choice.FROM_OPERATIONS["cpu"] / each) + 1
    assert enough > choice.FROM_STEPS
    assert worth_measuring(CPU, model, IMAGE, enough, EXAMPLES)
    assert not worth_measuring(CPU, model, IMAGE, enough // 2, EXAMPLES)
    assert not worth_measuring(CPU, model, IMAGE, choice.FROM_STEPS - 1, 10**9)
    assert not worth_measuring(torch.device("meta"), model, IMAGE, LONG, EXAMPLES)


def test_a_model_without_images_has_no_format_to_choose(clock):
    assert chooser(perceptron()).choose(Compute(), "auto", False) == ("channels_last", False)
    assert clock.measured == []


def test_long_runs_are_compiled_where_that_is_faster(clock, monkeypatch):
    this = chooser(net())
    assert this.choose(Compute(), "auto", "auto") == ("channels_first", True)
    clock.seconds["true"] = 1.9
    assert chooser(net(), other=1).choose(Compute(), "auto", "auto") == ("channels_first", False)
    # In a long run that is not long enough to compile, only the format is measured.
    monkeypatch.setattr(choice, "pays", lambda *_: False)
    before = len(clock.measured)
    assert chooser(net(), other=2).choose(Compute(), "auto", "auto") == ("channels_first", False)
    assert clock.measured[before:] == [["channels_last", "channels_first"]]


def test_compiling_is_measured_in_the_format_that_is_taken(clock, monkeypatch):
    formats = []
    step = Chooser._step
    monkeypatch.setattr(
        Chooser,
        "_step",
        lambda self, compute, batch: (
            formats.append((compute.memory_format, compute.compiled is not None)),
            step(self, compute, batch),
        )[1],
    )
    chooser(net()).choose(Compute(), "auto", "auto")
    assert formats[2:] == [("channels_first", False), ("channels_first", True)]
    chooser(net()).choose(Compute(), "channels_last", "auto")  # another question
    assert formats[4:] == [("channels_last", False), ("channels_last", True)]


def test_what_is_set_is_not_measured(clock):
    assert chooser(net()).choose(Compute(), "channels_last", True) == ("channels_last", True)
    assert clock.measured == []


def test_a_machine_is_known_by_what_its_speed_depends_on():
    found = machine(Compute(precision="bf16"))
    assert found["precision"] == "bf16"
    assert found["threads"] == torch.get_num_threads()
    assert found["torch"] == torch.__version__
    assert machine(replace(Compute(), memory_format="channels_first")) == machine(Compute())
