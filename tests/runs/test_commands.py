"""``python -m gofau.runs``, as a user types it."""

import io
import json
import tarfile

import pytest

from gofau.cli.entry import one_sentence
from gofau.runs import Run
from gofau.runs.__main__ import main
from gofau.runs.lock import lock
from tests.runs.test_record import config


@pytest.fixture
def type_(capsys):
    def call(*words):
        code = 0
        try:
            with one_sentence():
                main([str(word) for word in words])
        except SystemExit as e:
            code = e.code
        out, err = capsys.readouterr()
        return code, out, err

    return call


def make(runs_dir, seed, state, **more):
    this = Run(config(runs_dir, seed=seed))
    this.start(epochs=10)
    this.append({"epoch": 1, "seconds": 2.0})
    this.append({"epoch": 2, "seconds": 4.0})
    this.end(state, **more)
    return this


@pytest.fixture
def runs_dir(tmp_path):
    folder = tmp_path / "runs"
    make(folder, 0, "done", result={"test/acc": 0.5})
    why = {"step": 7, "reason": "the loss is not finite"}
    make(folder, 1, "diverged", result={}, divergence=why)
    make(folder, 2, "failed", error="RuntimeError: fire", traceback="…")
    make(folder, 3, "running")
    return folder


def test_status_counts_and_says_what_is_wrong(type_, runs_dir):
    code, out, err = type_("status", "--runs-dir", runs_dir)
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:5] == ["done 1", "diverged 1", "interrupted 1", "failed 1", "all 4"]
    assert any("step 7: the loss is not finite" in line for line in lines)
    assert any("RuntimeError: fire" in line for line in lines)
    assert len(lines) == 7
    _, everything, _ = type_("status", "--all", "--runs-dir", runs_dir)
    assert len(everything.splitlines()) == 9


def test_the_folder_is_that_of_the_environment_as_for_training(type_, runs_dir, monkeypatch):
    monkeypatch.setenv("GOFAU_RUNS", str(runs_dir))
    assert type_("status") == type_("status", "--runs-dir", runs_dir)


def test_status_all_has_the_result_and_show_the_hyperparameters(type_, train):
    words = ["model=mlp", "trainer.epochs=1", "optimizer=adam", "rule=additive", "seed=3"]
    train(*words, "optimizer.lr=0.0125", "model.hidden=[16,8]", "trainer.progress=none")
    (folder,) = train.runs()
    result = train.status(folder)["result"]
    _, out, _ = type_("status", "--all")
    told = f"test accuracy {result['test/acc']:.2%}, {result['seconds']:.1f} s of training"
    assert out.splitlines()[-1] == f"done         {folder.name}  {told}"
    lines = type_("show", folder.name)[1].splitlines()
    assert lines[2] == "hyperparameters:"
    told = {line.split(":")[0].strip(): line for line in lines[3:14]}
    assert told["optimizer"].startswith(
        "  optimizer: adam, lr 0.0125, betas [0.9, 0.999], eps 1e-08"
    )
    assert told["rule"].startswith("  rule: additive")
    assert told["model"] == "  model: mlp, hidden [16, 8]"
    assert "epochs 1, batch_size 64, clip_norm null" in told["trainer"]
    assert told["seed"] == "  seed: 3"
    assert not any("_target_" in line for line in lines)


def test_a_run_somebody_is_at_is_running_and_has_time_left(type_, runs_dir):
    this = Run(config(runs_dir, seed=3))
    with lock(this.folder / "lock"):
        _, out, _ = type_("status", "--runs-dir", runs_dir)
    assert f"running      {this.folder.name}  about 16 s left" in out


def test_show_by_a_part_of_the_name(type_, runs_dir):
    this = Run(config(runs_dir, seed=0))
    code, out, _ = type_("show", this.identity, "--runs-dir", runs_dir)
    assert code == 0
    assert "test/acc: 0.5" in out
    code, _, err = type_("show", "d-m", "--runs-dir", runs_dir)
    assert code == 2
    assert err.startswith("error: 'd-m' must be in the name of exactly one run: 4 in ")


def test_export_and_import_merge_by_identity(type_, runs_dir, tmp_path):
    archive, other = tmp_path / "runs.tar.gz", tmp_path / "other"
    make(other, 0, "done", result={"test/acc": 0.75})  # done here too: stays as it is
    make(other, 1, "interrupted")
    assert type_("export", archive, "--runs-dir", runs_dir)[1].endswith(": 2 finished runs\n")
    _, out, _ = type_("import", archive, "--runs-dir", other)
    assert out.endswith("1 runs added, 1 were already here\n")
    assert Run(config(other, seed=0)).status()["result"] == {"test/acc": 0.75}
    assert Run(config(other, seed=1)).status()["state"] == "diverged"
    assert not [path for path in other.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "entry",
    ["../evil/status.json", "../status.json", "run/other.txt", "status.json", "/run/status.json"],
)
def test_an_archive_with_other_entries_is_refused(type_, tmp_path, entry):
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo(entry)
        info.size = 2
        tar.addfile(info, io.BytesIO(b"{}"))
    code, _, err = type_("import", archive, "--runs-dir", tmp_path / "runs")
    assert code == 2
    assert "refused" in err
    assert list((tmp_path / "runs").iterdir()) == []


def test_an_archive_whose_records_are_not_what_they_say(type_, tmp_path):
    archive = tmp_path / "x.tar.gz"
    data = json.dumps({"state": "done", "identity": "0123456789"}).encode()
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("some-run/status.json")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    code, _, err = type_("import", archive, "--runs-dir", tmp_path / "runs")
    assert code == 2
    assert "not the record of a finished run" in err


@pytest.mark.parametrize("data", [None, b"", b"not an archive"])
def test_no_archive(type_, tmp_path, data):
    archive = tmp_path / "x.tar.gz"
    if data is not None:
        archive.write_bytes(data)
    code, _, err = type_("import", archive, "--runs-dir", tmp_path / "runs")
    assert code == 2
    assert str(archive) in err


def test_prune_removes_what_did_not_end(type_, runs_dir):
    _, out, _ = type_("prune", "--runs-dir", runs_dir)
    assert out.endswith("2 runs removed\n")
    assert len(list(runs_dir.iterdir())) == 2


def test_a_folder_that_is_not_there(type_, tmp_path):
    code, _, err = type_("status", "--runs-dir", tmp_path / "nowhere")
    assert code == 2
    assert err.startswith("error: there is no folder ")
