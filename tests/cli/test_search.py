"""``hydra/sweeper=optuna``: a search of ordinary runs, which begins again where it stopped."""

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from gofau.cli.search import OptunaSweeper
from gofau.cli.space import space
from gofau.errors import UserError

QUICK = ["debug=fast", "model=mlp", "model.hidden=[8]", "trainer.test=false"]
QUICK += ["hydra/sweeper=optuna", "hydra.sweeper.batch=2", "trainer.progress=lines"]
SPACE = ["optimizer.lr=tag(log,interval(1e-3,1))", "rule=additive,hybrid"]


def spanned(*words):
    return space(OverridesParser.create().parse_overrides([*words]))


@pytest.fixture
def studies(monkeypatch):
    """The studies of the searches, in the order in which they are made."""
    kept, sweep = [], OptunaSweeper.sweep

    def keeping(self, arguments):
        kept.append(sweep(self, arguments))
        return kept[-1]

    monkeypatch.setattr(OptunaSweeper, "sweep", keeping)
    return kept


def told(study):
    return [(trial.params, trial.value) for trial in study.trials]


def test_a_search_is_deterministic_and_goes_on_where_it_stopped(train, studies, monkeypatch):
    from gofau.engine.trainer import Trainer

    words = ["-m", *QUICK, *SPACE, "hydra.sweeper.trials=4"]
    code, out, err = train(*words, "paths.runs_dir=whole")
    assert (code, err) == (0, "")
    assert out.startswith("Search: 4 trials of optimizer.lr, rule, 2 at a time; launcher local;")
    whole, begun = Trainer.run_epoch, []

    def run_epoch(self, on_batch):
        begun.append(self)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return whole(self, on_batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", run_epoch)
        assert train(*words, "hydra.sweeper.trials=3")[0] == 130
    # Resumed, and with one trial more: the trials are those of the whole search.
    code, out, _ = train(*words)
    assert code == 0
    assert "2 done already in runs" in out
    uninterrupted, resumed = studies
    assert told(resumed) == told(uninterrupted)
    assert len({trial.params["optimizer.lr"] for trial in resumed.trials}) == 4
    # Ordinary records: the best is a command that finds its result there.
    (best,) = (line for line in out.splitlines() if line.startswith("Best: "))
    values = [trial.value for trial in resumed.trials]
    chosen = resumed.trials[values.index(min(values))].params
    assert f"rule={chosen['rule']}" in best
    overrides = [w for w in best.split()[1:] if not w.startswith("hydra")]
    assert "done already" in train(*overrides)[1]
    # What is maximised is the accuracy on the validation split.
    records = {train.status(folder)["result"]["val/acc"] for folder in train.runs()}
    assert records == {-value for value in values}


def test_each_trial_is_run_with_every_seed_and_a_loss_is_minimised(train, studies):
    words = ["problem=digits_autoencoder", "model.hidden=[8]", "model.code=4", "seed=0,1"]
    words += ["optimizer.lr=interval(0.01,0.1)", "hydra.sweeper.trials=2"]
    quick = [word for word in QUICK if not word.startswith("model")]
    assert train("-m", *quick, *words)[0] == 0
    losses = {}
    for folder in train.runs():
        lr = yaml.safe_load((folder / "config.yaml").read_text())["optimizer"]["lr"]
        losses.setdefault(lr, []).append(train.status(folder)["result"]["val/loss"])
    means = {lr: sum(both) / 2 for lr, both in losses.items() if len(both) == 2}
    told = {float(f"{t.params['optimizer.lr']:.4g}"): t.value for t in studies[0].trials}
    assert told == pytest.approx(means)
    assert len(told) == 2


def test_a_trial_that_fails_has_no_value_and_the_others_go_on(train, studies, monkeypatch):
    from gofau.engine.trainer import Trainer

    whole, begun = Trainer.run_epoch, []

    def run_epoch(self, on_batch):
        begun.append(self)
        if len(begun) == 2:
            raise RuntimeError("the second one breaks")
        return whole(self, on_batch)

    monkeypatch.setattr(Trainer, "run_epoch", run_epoch)
    code, _, err = train("-m", *QUICK, *SPACE, "hydra.sweeper.trials=4")
    states = [trial.state.name for trial in studies[0].trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert code == 1
    assert "the second one breaks" in err


def test_the_space_is_typed_as_in_hydra():
    found = spanned(
        "optimizer.lr=tag(log,interval(1e-4,1))",
        "model.width=range(8,33,8)",
        "model.layers=int(interval(1,4))",
        "rule=additive,hybrid",
        "model.hidden=choice([8],[16,4])",
        "seed=0,1",
        "trainer.epochs=3",
        "rule=hybrid",
    )
    kinds = {key: str(each) for key, each in found.distributions.items()}
    assert kinds == {
        "optimizer.lr": "FloatDistribution(high=1.0, log=True, low=0.0001, step=None)",
        "model.width": "IntDistribution(high=32, log=False, low=8, step=8)",
        "model.layers": "IntDistribution(high=4, log=False, low=1, step=1)",
        "model.hidden": "CategoricalDistribution(choices=('[8]', '[16,4]'))",
    }
    params = {"optimizer.lr": 0.012345678, "model.width": 8, "model.hidden": "[16,4]"}
    fixed = ["trainer.epochs=3", "rule=hybrid"]
    chosen = ["optimizer.lr=0.01235", "model.width=8", "model.hidden=[16,4]"]
    assert found.runs(params) == [[*fixed, *chosen, f"seed={seed}"] for seed in (0, 1)]


def test_a_rounded_value_stays_within_the_bounds():
    found = spanned("x=interval(0.123456,0.123457)")
    for value in (0.123456, 0.123457):
        assert found.runs({"x": value}) == [[f"x={value}"]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rule=hybrid", "seed=0,1"], "has nothing to search"),
        (["optimizer.lr=tag(log,interval(0,1))"], "optimizer.lr: Optuna refuses tag"),
        (["optimizer.lr=interval(1,0)"], "optimizer.lr: Optuna refuses"),
    ],
)
def test_a_space_that_is_none(words, message):
    with pytest.raises(UserError, match=message):
        spanned(*words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["hydra.sweeper.trials=0"],
            "error: hydra.sweeper.trials must be a whole number ≥ 1, got 0",
        ),
        (["hydra.sweeper.sampler=tpa"], "Did you mean 'tpe'?"),
        (["optimizer.lr=interval(-2,-1)"], "optimizer.lr must be ≥ 0"),
        (["rule=additive,hybird"], "there is no such rule"),
        (["trainer.progress=line"], "trainer.progress must be one of"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(train, words, message):
    quick = [word for word in QUICK if not word.startswith("trainer.progress")]
    code, out, err = train("-m", *quick, *SPACE, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (train.folder / "runs").exists()
