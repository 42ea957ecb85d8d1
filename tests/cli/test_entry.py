"""What a user types, right and wrong."""

import csv
import subprocess
import sys

import pytest
import yaml

from gofau.runs import folder_name
from tests.command_line import ROOT

BASES = ["sgd", "adagrad", "rmsprop", "adam", "adamw"]
RULES = ["additive", "multiplicative", "hybrid", "exponential", "power"]
QUICK = ["debug=fast", "model=mlp", "model.hidden=[16]"]


def test_a_run_leaves_its_record(train):
    code, out, err = train("optimizer=sgd", "rule=hybrid", "trainer.epochs=3", "model=mlp")
    assert (code, err) == (0, "")
    (folder,) = train.runs()
    assert str(folder.name) in out
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["rule"]["name"] == "hybrid"
    assert folder.name == folder_name(config)
    rows = train.rows(folder)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    status = train.status(folder)
    assert status["state"] == "done"
    assert status["result"]["test/acc"] > 0.8
    assert status["result"]["val/acc"] == float(rows[-1]["val/acc"])
    assert set(status["rules"]) == {"hybrid"}  # torch draws the biases of linear layers
    assert status["provenance"]["versions"]["torch"]
    assert status["images"] == {"train": 1294, "validation": 144, "test": 359}


def test_diagnostics_are_written_where_asked_for(train):
    words = ["model=mlp", "trainer.epochs=2", "trainer.diagnostics_every=10"]
    assert train(*words)[0] == 0
    (folder,) = train.runs()
    lines = (folder / "diagnostics.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert [row["step"] for row in rows] == ["10", "20", "30", "40"]
    assert all(0 < float(row["update_ratio/all"]) < 1 for row in rows)
    assert all(0 <= float(row["saturation/all"]) <= 1 for row in rows)
    train(*words[:2], "rerun=true")  # no part of the run's identity: the same folder
    assert train.runs() == [folder]
    assert not (folder / "diagnostics.csv").exists()


def test_a_run_that_only_chooses_leaves_the_test_set_alone(train, monkeypatch):
    def never(*_):
        raise AssertionError("the test set is read")

    monkeypatch.setattr("gofau.session.lifecycle._test", never)
    assert train(*QUICK, "trainer.test=false")[0] == 0
    result = train.status(train.runs()[0])["result"]
    assert 0 <= result["val/acc"] <= 1
    assert not [key for key in result if key.startswith("test/")]
    with pytest.raises(AssertionError, match="is read"):
        train(*QUICK)


def test_the_same_command_again_returns_what_is_there(train):
    train(*QUICK)
    (folder,) = train.runs()
    before = (folder / "status.json").read_bytes()
    code, out, _ = train(*QUICK)
    assert code == 0
    assert "done already" in out
    assert (folder / "status.json").read_bytes() == before
    train(*QUICK, "rerun=true")
    assert (folder / "status.json").read_bytes() != before
    assert train.runs() == [folder]


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(train):
    results = []
    for words in (["seed=1"], ["seed=1", "rerun=true"], ["seed=2"]):
        train(*QUICK, *words)
        folder = next(f for f in train.runs() if f"-{words[0].replace('seed=', 's')}-" in f.name)
        results.append(train.status(folder)["result"]["test/loss"])
    assert results[0] == results[1] != results[2]


@pytest.mark.long
def test_every_base_and_rule_in_one_sweep(train):
    code, _, err = train("-m", *QUICK, f"optimizer={','.join(BASES)}", f"rule={','.join(RULES)}")
    assert (code, err) == (0, "")
    states = [train.status(folder)["state"] for folder in train.runs()]
    assert len(states) == len(BASES) * len(RULES)
    assert set(states) <= {"done", "diverged"}


def test_divergence_is_a_result_with_its_step(train):
    code, out, _ = train("model=mlp", "optimizer.lr=1e12", "rule=additive", "trainer.epochs=4")
    assert code == 0
    assert "diverged" in out
    (folder,) = train.runs()
    assert "NaN" not in (folder / "status.json").read_text()
    status = train.status(folder)
    assert status["state"] == "diverged"
    assert 1 <= status["divergence"]["step"] <= 21
    assert status["result"]["test/acc"] is None
    assert status["result"]["epochs"] == 1
    assert (
        "diverged already"
        in train("model=mlp", "optimizer.lr=1e12", "rule=additive", "trainer.epochs=4")[1]
    )


def test_ctrl_c_ends_cleanly_and_the_next_run_begins_anew(train, monkeypatch):
    from gofau.engine.trainer import Trainer

    whole = Trainer.run_epoch

    def interrupted(self, on_batch):
        if self.epoch == 2:
            raise KeyboardInterrupt
        return whole(self, on_batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", interrupted)
        code, out, err = train("model=mlp", "trainer.epochs=4")
    assert (code, err) == (130, "")
    assert "Interrupted" in out
    (folder,) = train.runs()
    assert train.status(folder)["state"] == "interrupted"
    assert len(train.rows(folder)) == 2
    assert train("model=mlp", "trainer.epochs=4")[0] == 0
    assert train.status(folder)["state"] == "done"
    assert len(train.rows(folder)) == 4


def test_a_bug_is_recorded_with_its_traceback(train, monkeypatch):
    from gofau.engine.trainer import Trainer

    def broken(self, on_batch):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Trainer, "run_epoch", broken)
    with pytest.raises(ZeroDivisionError):
        train(*QUICK)
    (folder,) = train.runs()
    status = train.status(folder)
    assert status["state"] == "failed"
    assert status["error"] == "ZeroDivisionError: a bug"
    assert "test_entry.py" in status["traceback"]


BAD = [
    ("optimizer=sdg", "there is no such optimizer", "Did you mean 'sgd'?"),
    ("rule=null", "group cannot be null", "~NAME"),
    ("rule=hybird", "there is no such rule", "Did you mean 'hybrid'?"),
    ("dataset=cifar", "there is no such dataset", "cifar10"),
    ("model=resnet", "there is no such model", "resnet8"),
    ("init=kaiming", "there is no such init", "kaiming"),
    ("scheduler=cosin", "there is no such scheduler", "Did you mean 'cosine'?"),
    ("experiment=nothing", "there is no such experiment", ""),
    ("optimiser=sgd", "no key 'optimiser'", "Did you mean 'optimizer'?"),
    ("trainer.epoch=3", "no key 'epoch'", "Did you mean 'epochs'?"),
    ("optimizer.learning_rate=3", "no key 'learning_rate'", "lr"),
    ("rule.eta=3", "no key 'eta'", "eta_in"),
    ("optimizer.lr=-0.1", "optimizer.lr must be ≥ 0, got -0.1", ""),
    ("optimizer.lr=fast", "optimizer.lr must be a number, got 'fast'", ""),
    ("optimizer.lr=nan", "optimizer.lr must be a finite number, got nan", ""),
    ("optimizer.momentum=-1", "optimizer.momentum must be in [0, 1)", ""),
    ("optimizer.nesterov=1", "optimizer.nesterov must be true or false", ""),
    ("rule.gamma=1.5", "rule.gamma must be in [0, 1], got 1.5", ""),
    ("rule.eta_out=0", "rule.eta_out must be > 0 and finite, got 0", ""),
    ("rule.eta_in=-1", "rule.eta_in must be > 0", ""),
    ("rule.eta_in=null", "rule.eta_in must be a number, got None", ""),
    ("rule.alpha=0.5", "no key 'alpha'", ""),
    ("rule.zero_init=frozen", "rule.zero_init must be one of", "Did you mean 'freeze'?"),
    ("rule.name=additiv", "rule.name must be one of", "Did you mean 'additive'?"),
    ("trainer.batch_size=0", "trainer.batch_size must be a whole number ≥ 1, got 0", ""),
    ("trainer.batch_size=2.5", "trainer.batch_size must be a whole number", ""),
    ("trainer.epochs=-1", "trainer.epochs must be a whole number ≥ 1, got -1", ""),
    ("trainer.epochs=many", "trainer.epochs must be a whole number", "'many'"),
    ("problem.label_smoothing=1", "problem.label_smoothing must be a number in [0, 1)", ""),
    ("trainer.clip_norm=0", "trainer.clip_norm must be a number > 0, or null", ""),
    ("trainer.progress=line", "trainer.progress must be one of", "Did you mean 'lines'?"),
    ("trainer.device=gpu", "torch cannot use 'gpu'", ""),
    ("trainer.threads=0", "trainer.threads must be a whole number ≥ 1", ""),
    ("trainer.test=no test", "trainer.test must be true or false", ""),
    ("search=narrow", "there is no such search", "wide"),
    ("seed=-1", "seed must be a whole number ≥ 0", ""),
    ("seed=0,1", "add -m to run each of them", ""),
    ("dataset.val_fraction=1", "dataset.val_fraction must be a number in [0, 1)", ""),
    ("dataset.train_size=0", "dataset.train_size must be a whole number ≥ 1", ""),
    ("dataset.augment.flip=yes please", "dataset.augment.flip must be true or false", ""),
    ("dataset=image_folder", "dataset.path is required", ""),
    ("dataset=cifar10_jpeg", "cifar10-jpeg.zip", "GOFAU_DATA"),
    ("model=vgg11", "vgg11 needs images of at least 32×32", ""),
    ("model.width=0", "model.width must be a whole number ≥ 1", ""),
    ("model._target_=gofau.models.none.None", "model._target_", ""),
    ("init.scale=-1", "init.scale must be a number in [1e-06, 1000], or null", ""),
    ("init.name=kaiming", "kaiming", "Did you mean"),
    ("stepsize.name=layer", "stepsize.name must be one of base", ""),
    ("paths.data_dir=${oc.env:NO_SUCH_VARIABLE}", "NO_SUCH_VARIABLE", ""),
    ("trainer.epochs=", "trainer.epochs must be a whole number", ""),
    ("=", "", ""),
]


AGAIN = (
    *("dataset=cifar", "model=resnet", "init=kaiming", "scheduler=cosin", "search=narrow"),
    *("optimizer.learning_rate=3", "rule.eta=3", "rule.alpha=0.5", "rule.name=additiv"),
    *("rule.gamma=1.5", "rule.eta_out=0", "rule.eta_in=-1", "trainer.batch_size=2.5"),
    *("trainer.epochs=-1", "trainer.epochs=many", "trainer.threads=0", "trainer.test=no test"),
    *("dataset.val_fraction=1", "dataset.train_size=0", "seed=-1"),
)
"""Refused by the same check as another case of the table: these have the marker long."""


def bad_inputs() -> list[object]:
    assert {*AGAIN} <= {bad[0] for bad in BAD}
    marks = dict.fromkeys(AGAIN, pytest.mark.long)
    return [pytest.param(*bad, id=bad[0], marks=marks.get(bad[0], ())) for bad in BAD]


@pytest.mark.parametrize(("word", "message", "hint"), bad_inputs())
def test_bad_input_is_one_sentence_and_exit_code_2(train, word, message, hint):
    code, out, err = train(word)
    assert code == 2
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert line[-1] in ".?"
    assert any(part in line for part in message.split("|"))
    assert hint in line
    assert train.runs() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer=adam", "optimizer.betas=[0.9,1.0]"], "optimizer.betas[1] must be in [0, 1)"),
        (["optimizer=adam", "optimizer.betas=0.9"], "optimizer.betas must be a pair of numbers"),
        (["optimizer.nesterov=true", "optimizer.momentum=0"], "nesterov needs a momentum above 0"),
        (["+optimizer.power=2"], "has no hyperparameter 'power'"),
        (["+model.depth=2"], "refuses its keys"),
        (["search=wide", "search.trial=-1"], "search.trial must be a whole number ≥ 0, got -1"),
        (["search=wide", "search.gamma=[1,0]"], "a range of search must be [low, high]"),
        (["search=wide", "~search.lr.sgd"], "search.lr has no range for sgd"),
        (["scheduler=cosine", "scheduler.warmup_epochs=99"], "scheduler.warmup_epochs must be"),
        (["scheduler=step", "scheduler.milestones=[0.5,2]"], "scheduler.milestones must be"),
        (["dataset.train_size=999999"], "999999"),
        (["dataset=cifar10", "dataset.download=false"], "cifar-10-python.tar.gz"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_combinations(train, words, message):
    code, out, err = train(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert train.runs() == []


def test_a_run_that_only_its_combination_makes_wrong_fails_and_the_others_are_done(train):
    sweep = ["optimizer.nesterov=false,true", "optimizer.momentum=0.9,0"]
    code, _, err = train("-m", *QUICK, *sweep)
    assert code == 2
    assert err.splitlines()[-2] == "1 run(s) of this sweep failed:"
    assert "optimizer.nesterov=True optimizer.momentum=0: " in err.splitlines()[-1]
    assert "nesterov needs a momentum above 0" in err.splitlines()[-1]
    assert [train.status(folder)["state"] for folder in train.runs()] == ["done"] * 3


def test_a_run_that_fails_leaves_its_traceback_and_the_others_go_on(train, monkeypatch):
    import gofau.session.lifecycle as module

    evaluate = module.evaluate

    def broken(problem, model, *rest):
        if model[1].out_features == 17:
            raise RuntimeError("the machine is on fire")
        return evaluate(problem, model, *rest)

    sweep = ["-m", *QUICK[:-1], "model.hidden=[17],[16]"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "evaluate", broken)
        code, _, err = train(*sweep)
    assert code == 1
    assert "RuntimeError: the machine is on fire." in err.splitlines()[-1]
    states = sorted((train.status(f)["state"], f) for f in train.runs())
    assert [state for state, _ in states] == ["done", "failed"]
    status = train.status(states[1][1])
    assert "the machine is on fire" in status["traceback"]
    code, out, _ = train(*sweep, "retry_failed=false")
    assert "failed before" in out
    assert "done already" in out
    code, out, err = train(*sweep)
    assert (code, err) == (0, "")
    assert {train.status(f)["state"] for f in train.runs()} == {"done"}


@pytest.mark.slow
def test_the_script_itself_in_a_process_of_its_own(tmp_path):
    def type_(*words):
        command = [sys.executable, str(ROOT / "train.py"), *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    groups = type_("--help").stdout
    assert all(f"{group}: " in groups for group in ("problem", "optimizer", "rule", "stepsize"))
    assert "rmsprop" in groups
    done = type_(*QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    bad = type_("rule.gamma=2")
    assert (bad.returncode, bad.stderr) == (2, "error: rule.gamma must be in [0, 1], got 2.\n")


def test_train_py_is_short():
    assert len((ROOT / "train.py").read_text().splitlines()) <= 30
