"""Loggers: what they write is read back; what they raise stops nothing."""

import io
import json
import logging
import os
import struct
import sys
from collections import defaultdict
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from gofau.errors import UserError
from gofau.loggers import Guarded, Logger, Nothing, open_logger
from gofau.loggers.tensorboard import TensorBoard
from gofau.runs import SECTIONS, identity, science
from tests.command_line import ROOT

QUICK = ["model=mlp", "model.hidden=[16]", "trainer.epochs=2", "dataset.train_size=200"]
KEY = "dummy" * 8  # as long as a real one


class Recorder(Logger):
    """Remembers what it was told, and fails where it is asked to."""

    def __init__(self, broken: tuple[str, ...] = ()) -> None:
        self.broken, self.told = broken, []

    def log(self, row, step):
        self._tell("log", dict(row), step)

    def finish(self, state, result):
        self._tell("finish", state, dict(result))

    def _tell(self, *what):
        self.told.append(what)
        if what[0] in self.broken:
            raise OSError(f"no {what[0]}\nsecond line")


def section(name: str) -> dict[str, Any]:
    """What configs/logger says of a logger."""
    return yaml.safe_load((ROOT / f"configs/logger/{name}.yaml").read_text(encoding="utf-8"))


CSV = section("csv")


def test_missing_values_are_left_out():
    logger = Recorder()
    with Guarded("test", lambda: logger) as guarded:
        guarded.log({"epoch": 1, "train/loss": 0.0, "val/loss": None}, step=1)
        guarded.finish("done", {"test/acc": None, "steps": 7})
    assert logger.told == [
        ("log", {"epoch": 1, "train/loss": 0.0}, 1),
        ("finish", "done", {"steps": 7}),
    ]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ZeroDivisionError, "failed"),
        (KeyboardInterrupt, "interrupted"),
        (SystemExit, "interrupted"),
    ],
)
def test_a_run_that_does_not_come_to_its_end_is_finished_too(error, state):
    logger = Recorder()
    with pytest.raises(error), Guarded("test", lambda: logger):
        raise error
    assert logger.told == [("finish", state, {})]


@pytest.mark.parametrize("broken", [("log",), ("finish",), ("log", "finish")], ids=str)
def test_a_logger_that_fails_is_dropped_with_one_warning(broken, caplog):
    logger = Recorder(broken)
    with Guarded("test", lambda: logger) as guarded:
        for step in (1, 2, 3):
            guarded.log({"epoch": step}, step)
        guarded.finish("done", {})
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "logger=test failed and was dropped; metrics.csv is complete "
        f"(OSError: no {broken[0]} second line)"
    )
    calls = [what[0] for what in logger.told]
    assert calls == (["log"] if "log" in broken else ["log"] * 3) + ["finish"]


def test_a_logger_that_cannot_be_opened_is_a_warning(caplog):
    def refuse():
        raise PermissionError("not yours")

    with Guarded("test", refuse) as guarded:
        guarded.log({"epoch": 1}, 1)
        guarded.finish("done", {})
    assert [r.getMessage().endswith("(PermissionError: not yours)") for r in caplog.records] == [
        True
    ]


def test_ctrl_c_passes():
    class Slow(Recorder):
        def log(self, row, step):
            raise KeyboardInterrupt

    logger = Slow()
    with pytest.raises(KeyboardInterrupt), Guarded("test", lambda: logger) as guarded:
        guarded.log({"epoch": 1}, 1)
    assert logger.told == [("finish", "interrupted", {})]


@pytest.mark.parametrize("broken", ["log", "finish"])
def test_training_outlives_its_logger(train, monkeypatch, broken):
    monkeypatch.setattr(TensorBoard, broken, Recorder((broken,)).__getattribute__(broken))
    code, out, err = train(*QUICK, "logger=tensorboard")
    assert (code, err) == (0, "")
    assert out.count("logger=tensorboard failed") == 1
    (folder,) = train.runs()
    assert train.status(folder)["state"] == "done"
    assert len(train.rows(folder)) == 2


@pytest.mark.parametrize(
    ("name", "behind"), [("wandb", "wandb"), ("tensorboard", "torch.utils.tensorboard")]
)
def test_a_missing_package_is_one_sentence(train, monkeypatch, name, behind):
    for module in (f"gofau.loggers.{name}", behind):  # so that they are imported anew
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    code, out, err = train(*QUICK, f"logger={name}")
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert f'logger={name} needs the package {name}: pip install "gofau[loggers]"' in line
    assert train.runs() == []


def test_a_folder_of_the_same_name_is_not_the_package(tmp_path, monkeypatch):
    import_module("wandb")  # so that the real one is put back
    (tmp_path / "wandb").mkdir()
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "wandb")
        patch.delitem(sys.modules, "gofau.loggers.wandb", raising=False)
        patch.setattr(sys, "path", [str(tmp_path)])
        with pytest.raises(UserError, match="needs the package wandb"):
            open_logger({"logger": section("wandb")}, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_target_": "gofau.loggers.tensorbord.TensorBoard"}, "there is no logger._target_"),
        ({"_target_": "gofau.loggers.tensorboard.Board"}, "there is no logger._target_"),
        ({"_target_": "TensorBoard"}, "there is no logger._target_"),
        ({"_target_": ""}, "there is no logger._target_"),
        ({"_target_": "gofau.loggers.Guarded"}, "must be a Logger"),
        ({"_target_": "gofau.runs.identity"}, "must be a Logger"),
        ({"every": 3}, "does not accept its keys: got an unexpected keyword argument 'every'"),
        ({"_target_": "homeless.Homeless"}, "needs the package no_such_home: pip"),
    ],
)
def test_what_is_no_logger_is_one_sentence(tmp_path, monkeypatch, change, message):
    (tmp_path / "homeless.py").write_text("import no_such_home")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=message):
        open_logger({"logger": section("tensorboard") | change}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Listed(Recorder):
    """A logger of one's own, with a key of its own whose name W&B gives another meaning."""

    made: ClassVar[list["Listed"]] = []

    def __init__(self, *, config, folder, resume, mode):
        super().__init__()
        self.given = (config["seed"], folder, resume, mode)
        self.made.append(self)


def test_a_logger_of_ones_own_needs_a_class_and_no_registry(train):
    own = ["logger.name=listed", f"logger._target_={__name__}.Listed", "+logger.mode=7"]
    code, _, err = train(*QUICK, *own)
    assert (code, err) == (0, "")
    (folder,) = train.runs()
    (logger,) = Listed.made
    assert logger.given == (0, Path("runs") / folder.name, False, 7)
    assert [what[0] for what in logger.told] == ["log", "log", "finish"]


@pytest.mark.parametrize("config", [{}, {"logger": None}, {"logger": CSV}], ids=str)
def test_without_a_logger_nothing_is_written(tmp_path, config):
    with open_logger(config, tmp_path / "run") as logger:
        logger.log({"epoch": 1}, 1)
        logger.finish("done", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_of_several_processes_one_logs(tmp_path, name):
    with open_logger({"logger": section(name)}, tmp_path / "run", writes=False) as logger:
        assert isinstance(logger._logger, Nothing)
        logger.log({"epoch": 1}, 1)
    assert list(tmp_path.iterdir()) == []


def test_the_logger_is_no_part_of_a_runs_identity():
    made = {section: {"name": section} for section in SECTIONS} | {"seed": 0}
    names = ("csv", "tensorboard", "wandb")
    assert len({identity(made | {"logger": {"name": name}}) for name in names}) == 1


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("logger=tensorbord", "Did you mean 'tensorboard'?"),
        ("logger.mode=onlin", "logger.mode must be one of offline, online, disabled"),
        ("logger.project=", "logger.project must be a text"),
        ("logger.tags=paper", "logger.tags must be a list, each a text"),
        ("logger.key=secret", "no key 'key'"),
    ],
)
def test_what_can_be_typed_wrong(train, word, message):
    code, out, err = train("logger=wandb", word) if "." in word else train(word)
    assert (code, out) == (2, "")
    assert message in err


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_tensorboard_has_what_metrics_csv_has(train):
    assert train(*QUICK, "logger=tensorboard", "dataset.val_fraction=0")[0] == 0
    (folder,) = train.runs()
    found, rows = curves(folder), train.rows(folder)
    assert "val/loss" not in found
    for key in ("train/loss", "train/acc", "lr", "seconds"):
        assert found[key] == [(i, pytest.approx(float(r[key]))) for i, r in enumerate(rows, 1)]
    result = train.status(folder)["result"]
    assert found["test/acc"] == [(2, pytest.approx(result["test/acc"]))]
    before = found["seconds"]
    train(*QUICK, "logger=tensorboard", "dataset.val_fraction=0", "rerun=true")
    assert len(curves(folder)["seconds"]) == len(before)  # begun anew: not one over the other


def test_tensorboard_resumed_goes_on_where_the_checkpoint_was(tmp_path):
    config = {"logger": section("tensorboard")}
    with open_logger(config, tmp_path) as logger:
        for step in (1, 2, 3):
            logger.log({"loss": 1.0}, step)
        logger.finish("interrupted", {})
    with open_logger(config, tmp_path, resume=True) as logger:
        for step in (3, 4):
            logger.log({"loss": 0.5}, step)
        logger.finish("done", {})
    assert curves(tmp_path)["loss"] == [(1, 1.0), (2, 1.0), (3, 0.5), (4, 0.5)]


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    """The real package, offline, with a home of its own, and a key that no file may hold."""
    import wandb

    for name in [n for n in os.environ if n.startswith("WANDB_") or n == "NETRC"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "home" / name.lower()))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", "online")  # what the configuration says, counts
    monkeypatch.setenv("WANDB_RUN_ID", "not-this")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    wandb.teardown()
    yield wandb
    wandb.teardown()


def files(folder: Path) -> list[Path]:
    """The files of the W&B runs in a run's folder, the oldest first."""
    import wandb

    wandb.teardown()  # its process writes the last of them while it ends
    found = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    return sorted(found, key=lambda path: path.stat().st_mtime)


def ids(folder: Path) -> list[str]:
    return [path.stem.removeprefix("run-") for path in files(folder)]


def records(path: Path) -> dict[str, list[Any]]:
    """What a W&B file holds, by kind: LevelDB's log format around protobuf messages."""
    from wandb.proto.wandb_internal_pb2 import Record  # pyright: ignore[reportAttributeAccessIssue]

    data, at, message = path.read_bytes(), 7, b""
    found = defaultdict(list)
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:  # the end of a block is too small for a header
            at += left
            continue
        _, size, part = struct.unpack_from("<IHB", data, at)
        message += data[at + 7 : at + 7 + size]
        at += 7 + size
        if part in (1, 4):  # whole, or the last part
            record = Record.FromString(message)
            kind = record.WhichOneof("record_type")
            found[kind].append(getattr(record, kind))
            message = b""
    return found


def values(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def no_key_below(folder: Path) -> None:
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert files
    assert not [p for p in files if KEY.encode() in p.read_bytes()]


@pytest.mark.long
def test_wandb_offline_makes_one_run_for_each_run_of_a_sweep(train, wandb, tmp_path):
    code, out, err = train("-m", *QUICK, "logger=wandb", "seed=0,1")
    assert (code, err) == (0, "")
    assert "failed" not in out
    assert wandb.run is None
    (one,), (other,) = (ids(folder) for folder in train.runs())
    assert one != other
    assert [(folder / "wandb-id").read_text() for folder in train.runs()] == [one, other]
    held = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in held if KEY.encode() in path.read_bytes()]


def test_wandb_has_the_numbers_the_configuration_and_the_result(train, wandb):
    words = ["dataset.val_fraction=0", "logger.tags=[a,b]", "logger.entity=us"]
    assert train(*QUICK, "logger=wandb", *words)[0] == 0
    (folder,) = train.runs()
    (path,) = files(folder)
    found, rows, result = records(path), train.rows(folder), train.status(folder)["result"]
    (begun,) = found["run"]
    assert (begun.project, begun.entity, begun.display_name) == ("gofau", "us", folder.name)
    assert (begun.run_group, list(begun.tags)) == ("digits-mlp-sgd-hybrid", ["a", "b"])
    config = values(begun.config.update)
    config.pop("_wandb")
    settled = yaml.safe_load((folder / "config.yaml").read_text())
    assert config == science(settled)
    epochs = [values(record.item) for record in found["history"]]
    assert [record.step.num for record in found["history"]] == [1, 2]
    measured = {key for key, value in rows[0].items() if value}
    for epoch, row in zip(epochs, rows, strict=True):
        assert {key for key in epoch if key[0] != "_"} == measured
        assert epoch["train/loss"] == float(row["train/loss"])
    summary: dict[str, Any] = {}
    for record in found["summary"]:
        summary |= values(record.update)
    assert summary["state"] == "done"
    assert summary["test/acc"] == result["test/acc"]
    assert [record.exit_code for record in found["exit"]] == [0]


def test_wandb_resumed_is_the_same_run_and_repeated_is_another(wandb, tmp_path):
    config = {name: {"name": name} for name in SECTIONS}
    config |= {"seed": 0, "logger": section("wandb")}
    folder = tmp_path / "a-run-s0-0123456789"
    with suppress(KeyboardInterrupt), open_logger(config, folder) as logger:
        logger.log({"loss": 1.0}, 1)
        raise KeyboardInterrupt
    with open_logger(config, folder, resume=True) as logger:
        logger.log({"loss": 0.5}, 2)
        logger.finish("done", {})
    with open_logger(config, folder) as logger:
        logger.log({"loss": 1.0}, 1)
        logger.finish("failed", {})
    first, second, third = files(folder)
    assert ids(folder)[0] == ids(folder)[1] != ids(folder)[2]
    assert (folder / "wandb-id").read_text() == ids(folder)[2]
    steps = [[r.step.num for r in records(path)["history"]] for path in (first, second, third)]
    assert steps == [[1], [2], [1]]
    codes = [[r.exit_code for r in records(path)["exit"]] for path in (first, second, third)]
    assert codes == [[130], [0], [1]]


def test_wandb_online_without_a_key_does_not_stop_training(train, wandb, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # nobody to ask
    code, out, _ = train(*QUICK, "logger=wandb", "logger.mode=online")
    assert code == 0
    assert out.count("logger=wandb failed and was dropped") == 1
    (folder,) = train.runs()
    assert train.status(folder)["state"] == "done"


def test_wandb_disabled_writes_nothing(train, wandb):
    assert train(*QUICK, "logger=wandb", "logger.mode=disabled")[0] == 0
    (folder,) = train.runs()
    assert not files(folder)
