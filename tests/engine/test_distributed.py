"""torchrun with two processes: one record, and the result of one process."""

import csv
import json
import os
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
from torch import nn

from gofau.engine.distributed import World, join
from gofau.engine.sync_batchnorm import SyncBatchNorm, synchronised
from tests.command_line import ROOT

WORDS = ["trainer.precision=fp32", "trainer.epochs=2", "trainer.batch_size=50", "model.width=8"]


def torchrun(folder, *words, processes=2):
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
    command += ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", str(ROOT / "train.py")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command += [*words, f"paths.runs_dir={folder}"]
    return subprocess.run(
        command, cwd=folder.parent, env=environment, capture_output=True, text=True, check=False
    )


def rows(folder):
    (file,) = folder.glob("*/metrics.csv")
    return [
        {k: float(v) for k, v in row.items() if "second" not in k}
        for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    ]


def test_one_process_is_a_world_of_its_own(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    world, model = join(torch.device("cpu")), nn.Linear(2, 2)
    assert world == World(0, 1)
    assert world.first
    assert world.wrap(model) is world.prepare(model) is model
    assert world.agree("x") == "x"
    assert torch.equal(world.sum(torch.ones(2)), torch.ones(2))


@pytest.mark.long
def test_two_processes_are_as_one(train, tmp_path):
    """The last batch of an epoch has 44 images of 50, so shares differ from batch to batch."""
    code, _, err = train(*WORDS, f"paths.runs_dir={tmp_path / 'one'}")
    assert code == 0, err
    done = torchrun(tmp_path / "two", *WORDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done (test accuracy") == done.stdout.count("epoch 2/2") == 1
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert len(one) == len(two) == 2
    for ours, theirs in zip(two, one, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-3, abs=0.008)
    (folder,) = (tmp_path / "two").glob("*-*")
    assert folder.name == next((tmp_path / "one").glob("*-*")).name
    status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    assert status["compute"]["processes"] == 2
    again = torchrun(tmp_path / "two", *WORDS)
    assert again.stdout.count("done already") == 1


@pytest.mark.long
def test_two_processes_measure_the_curvature_of_the_whole_batch(train, tmp_path):
    """Only for two steps: a step size that feeds back on itself magnifies rounding after that."""
    words = [*WORDS, "stepsize=layerwise", "rule=additive", "trainer.limit_batches=1"]
    words += ["scheduler=constant"]
    code, _, err = train(*words, f"paths.runs_dir={tmp_path / 'one'}")
    assert code == 0, err
    done = torchrun(tmp_path / "two", *words)
    assert done.returncode == 0, done.stderr
    for ours, theirs in zip(rows(tmp_path / "two"), rows(tmp_path / "one"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.fixture
def alone(tmp_path):
    """A process group of one process."""
    dist.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_synchronised_batch_norm_is_batch_norm(alone):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).double().float()
    twin = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    twin.load_state_dict(plain.state_dict())
    assert SyncBatchNorm in map(type, synchronised(twin).modules())
    assert list(twin.state_dict()) == list(plain.state_dict())
    x, weights = torch.randn(5, 3, 6, 6) + 30, torch.randn(5, 4, 4, 4)
    for model in (plain, twin):
        for _ in range(2):
            (model(x) * weights).sum().backward()
    for (name, p), q in zip(plain.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-3, atol=1e-3, msg=name)
    for p, q in zip(plain.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(q, p)
    torch.testing.assert_close(twin.eval()(x), plain.eval()(x))
