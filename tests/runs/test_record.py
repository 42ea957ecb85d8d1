"""The record of a run: whole files, strict JSON, states."""

import json
import os
from pathlib import Path

import pytest

from gofau.runs import SECTIONS, Run, folder_name, identity, read_status, science, write_whole
from gofau.runs.provenance import provenance


def config(runs_dir="runs", **changes):
    made = {section: {"name": section[0]} for section in SECTIONS}
    made |= {"seed": 3, "paths": {"runs_dir": str(runs_dir)}}
    return made | changes


def test_the_name_can_be_read_and_ends_with_the_identity():
    assert folder_name(config()) == f"d-m-o-r-s3-{identity(config())}"


def test_whole_numbers_and_floats_are_one_identity_but_flags_are_not_numbers():
    a, b, c = (identity(config(rule={"name": "r", "x": x})) for x in (1, 1.0, True))
    assert a == b != c


def test_without_a_post_step_a_run_is_the_one_from_before_there_were_any():
    """The hash was computed by the code that did not know of them."""
    old = {key: value for key, value in config().items() if key != "post_step"}
    assert identity(old) == "cd9704d290"
    assert identity(old | {"post_step": {"name": "none"}}) == identity(old)
    assert "post_step" not in science(old | {"post_step": {"name": "none"}})
    alphas = [identity(config(post_step={"name": "ham", "ham_alpha": a})) for a in (1, 2)]
    assert len({*alphas, identity(old), identity(config(post_step={"name": "ham"}))}) == 4


def test_keys_in_any_order_are_one_identity():
    one = config(rule={"name": "r", "a": 1, "b": [1, 2]})
    other = dict(reversed(config(rule={"b": [1.0, 2.0], "a": 1, "name": "r"}).items()))
    assert identity(one) == identity(other)


def test_nothing_is_written_before_the_start(tmp_path):
    this = Run(config(tmp_path / "runs"))
    assert this.status() == {"state": "pending"}
    assert not this.finished()
    assert list(tmp_path.iterdir()) == []


def test_a_record_from_start_to_end(tmp_path):
    this = Run(config(tmp_path))
    this.start(parameters=7)
    assert this.status()["state"] == "running"
    this.append({"epoch": 1, "val/acc": 0.5})
    this.append({"epoch": 2, "val/acc": None})
    assert (this.folder / "metrics.csv").read_text() == "epoch,val/acc\n1,0.5\n2,\n"
    this.end("done", result={"test/acc": 0.75, "train/loss": float("nan")})
    status = json.loads((this.folder / "status.json").read_text(), parse_constant=pytest.fail)
    assert status["result"] == {"test/acc": 0.75, "train/loss": None}
    assert status["parameters"] == 7
    assert status["identity"] == this.identity
    assert Run(config(tmp_path)).finished()
    assert {p.name for p in this.folder.iterdir()} == {"config.yaml", "metrics.csv", "status.json"}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state"', "\xff"])
def test_a_torn_status_is_pending(tmp_path, text):
    (tmp_path / "status.json").write_bytes(text.encode("latin-1"))
    assert read_status(tmp_path) == {"state": "pending"}


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "status.json"
    write_whole(path, "old")

    def full(fd):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_whole(path, "new")
    assert path.read_text() == "old"


def test_all_of_a_record_is_on_the_disk_before_its_state_says_done(tmp_path, monkeypatch):
    synced = []

    def fsync(fd):
        synced.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name)

    monkeypatch.setattr("os.fsync", fsync)
    this = Run(config(tmp_path))
    this.start()
    this.append({"epoch": 1})
    assert synced == []  # a run that begins waits for no disk
    this.end("done", result={})
    *before, status, folder = synced
    assert {*before} == {"config.yaml", "metrics.csv"}
    assert status.startswith(".status.json")
    assert folder == this.folder.name


def test_provenance_names_what_a_repeat_needs():
    found = provenance("cpu")
    assert {"commit", "dirty", "command", "python", "versions", "cpu", "cpus", "device"} <= set(
        found
    )
    assert found["versions"]["torch"].startswith("2.")
