"""Checkpoints are whole or not used; the one before is at hand; none runs code."""

import errno
import io
import logging
import os
import pickle
from hashlib import sha256

import pytest
import torch

from gofau.engine import checkpoint
from gofau.engine.checkpoint import FORMAT, load, save
from gofau.errors import UserError


def state(step):
    return {"step": step, "weights": torch.full((3,), float(step))}


@pytest.fixture
def folder(tmp_path):
    for step in (10, 20):
        save(tmp_path, "me", step, state(step))
    return tmp_path


def newest(folder):
    return max(folder.glob("*.pt"))


def publish(folder, data, step=30):
    """A file whose checksum is right, whatever is in it."""
    (folder / f"{step:010d}-{sha256(data).hexdigest()[:16]}.pt").write_bytes(data)


def packed(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_the_newest_is_loaded_and_one_before_it_is_kept(folder):
    found = load(folder, "me")
    assert found is not None
    assert found["step"] == 20
    assert torch.equal(found["weights"], torch.full((3,), 20.0))
    save(folder, "me", 30, state(30))
    assert [int(p.name[:10]) for p in sorted(folder.iterdir())] == [20, 30]


def test_there_is_none(tmp_path):
    assert load(tmp_path / "nowhere", "me") is None


def test_torch_reads_the_file_as_it_is(folder):
    content = torch.load(newest(folder), weights_only=True)
    assert content["state"]["step"] == 20


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-7]), "damaged"),
        (lambda p: p.write_bytes(b""), "damaged"),
        (lambda p: p.write_bytes(p.read_bytes()[:100] + b"x" + p.read_bytes()[101:]), "damaged"),
        (lambda p: p.rename(p.with_name("0000000030-0123456789abcdef.pt")), "damaged"),
    ],
)
def test_a_torn_one_is_named_and_the_one_before_is_used(folder, caplog, spoil, reason):
    spoil(newest(folder))
    name = newest(folder).name
    with caplog.at_level(logging.WARNING):
        found = load(folder, "me")
    assert found is not None
    assert found["step"] == 10
    assert name in caplog.text
    assert reason in caplog.text


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil-was-here",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (packed({"format": FORMAT, "identity": "you", "state": {}}), "another run"),
        (packed({"format": 1, "identity": "me", "state": {}}), "written by an older gofau"),
        (packed({"model": {}}), "not a checkpoint of gofau"),
        (packed([1, 2]), "not a checkpoint of gofau"),
        (b"no zip at all", "not a checkpoint of tensors"),
        (pickle.dumps(Evil(), protocol=2), "not a checkpoint of tensors"),
        (
            packed({"format": FORMAT, "identity": "me", "state": Evil()}),
            "not a checkpoint of tensors",
        ),
    ],
)
def test_a_foreign_one_is_named_and_runs_no_code(folder, caplog, monkeypatch, data, reason):
    monkeypatch.chdir(folder)
    publish(folder, data)
    with caplog.at_level(logging.WARNING):
        found = load(folder, "me")
    assert found is not None
    assert found["step"] == 20
    assert reason in caplog.text
    assert not (folder / "evil-was-here").exists()


def test_one_of_a_newer_gofau_is_not_thrown_away(folder):
    publish(folder, packed({"format": FORMAT + 1, "identity": "me", "state": {}}))
    with pytest.raises(UserError, match=r"newer gofau .*update gofau, or give rerun=true"):
        load(folder, "me")


def test_a_full_disk_leaves_what_was_there(folder, monkeypatch):
    before = sorted(folder.iterdir())

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(folder, "me", 30, state(30))
    assert sorted(folder.iterdir()) == before
    monkeypatch.undo()
    assert checkpoint.load(folder, "me") is not None


def test_what_a_killed_process_half_wrote_is_cleared_away(folder):
    (folder / ".0000000030-0123456789abcdef.pt.4242").write_bytes(b"half")
    save(folder, "me", 40, state(40))
    assert [int(p.name[:10]) for p in sorted(folder.iterdir())] == [20, 40]
