"""What can be typed or lie on the disk wrongly, as one table: each case is one sentence on stderr
and exit code 2, and the records that are there stay as they are."""

import shlex
from pathlib import Path

import matplotlib.font_manager as _fonts  # logs its first import, which no test should see
import pytest

from gofau.cli.entry import one_sentence
from tests.data.conftest import Make

RUNS = {
    # whole numbers, and their limits
    "seed=18446744073709551616": "seed must be at most 9,007,199,254,740,992, got 184",
    "seed=9007199254740993": "seed must be at most 9,007,199,254,740,992",
    "dataset.split_seed=18446744073709551616": "dataset.split_seed must be at most",
    "trainer.epochs=1000000000": "trainer.epochs must be at most 1,000,000, got 1000000000",
    "trainer.epochs=1e3": "trainer.epochs must be a whole number ≥ 1, got 1000.0",
    "trainer.threads=100000": "trainer.threads must be at most 1,024, got 100000",
    "trainer.batch_size=99999999999999999999": "trainer.batch_size must be at most",
    "trainer.limit_batches=99999999999999999999": "trainer.limit_batches must be at most",
    "trainer.checkpoint.epochs=99999999999999999999": "trainer.checkpoint.epochs must be at most",
    "model=mlp model.hidden=[99999999999999999999]": "model.hidden must be a list, each at most",
    "dataset.augment.crop=99999999999999999999": "dataset.augment.crop must be at most",
    "search=wide search.trial=99999999999999999999": "search.trial must be at most",
    "problem=grammar_chars model.layers=1000000": "model.layers must be at most 1,000",
    "problem=grammar_chars problem.context=1000000": "problem.context must be at most 10,000",
    "problem=grammar_chars problem.blocks=1000000000": "problem.blocks must be at most",
    "problem=grammar_chars dataset.characters=1000000000": "dataset.characters must be at most",
    # numbers out of range
    "optimizer.momentum=1": "optimizer.momentum must be in [0, 1), got 1",
    "optimizer.momentum=1e30": "optimizer.momentum must be in [0, 1)",
    "optimizer=rmsprop optimizer.alpha=1.5": "optimizer.alpha must be in [0, 1), got 1.5",
    "optimizer.dampening=-5": "optimizer.dampening must be in [0, 1], got -5",
    "scheduler.final=5": "scheduler.final must be a number in [0, 1], got 5",
    "scheduler=step scheduler.gamma=1e30": "scheduler.gamma must be a number in",
    "scheduler=one_cycle scheduler.initial_divisor=1e-30": "scheduler.initial_divisor must be",
    "init=normal init.scale=1e30": "init.scale must be a number in [1e-06, 1000], or null",
    "init=normal init.scale=1e-300": "init.scale must be a number in [1e-06, 1000], or null",
    "optimizer=integer_madam optimizer.levels=1000000000": "levels must be a whole number in",
    "rule=hypentropy rule.hyp_beta=0": "rule.hyp_beta must be in",
    "stepsize=layerwise stepsize.smoothing=2": "stepsize.smoothing must be in [0, 1), got 2",
    "dataset.val_fraction=1": "dataset.val_fraction must be a number in [0, 1), got 1.\n",
    # lists
    "scheduler=step scheduler.milestones=[0.75,0.5]": "scheduler.milestones must be a rising list",
    "scheduler=step scheduler.milestones=[0.5,0.5]": "scheduler.milestones must be a rising list",
    "scheduler=step scheduler.milestones=[]": "scheduler.milestones must be a rising list",
    "optimizer=adam optimizer.betas=[]": "optimizer.betas must be a pair of numbers, got []",
    "dataset=tiny_imagenet dataset.archive=[]": "dataset.archive must be a text, or a list of at",
    "seed=[0,1]": "seed must be a whole number ≥ 0, got [0, 1]",
    # of another kind
    "dataset=image_folder dataset.path=5": "dataset.path must be a text, got 5",
    "dataset=image_folder dataset.path=[a]": "dataset.path must be a text, got ['a']",
    "dataset.augment=null": "dataset.augment must be a section with crop, flip, cutout, got None",
    "trainer.checkpoint=null": "trainer.checkpoint must be a section with epochs, seconds, got",
    "trainer=[]": "trainer.batch_size is required",
    "trainer=5": "A group is chosen by the name of one of its files",
    "sweep=5": "sweep must be a section with minutes, got 5",
    "sweep=null": "sweep must be a section with minutes, got None",
    "search=wide search.lr=5": "search.lr must have a range per name, got 5",
    "paths.runs_dir=[a]": "Cannot convert 'ListConfig' to string",
    "model.name=a/b": "model.name must be a name of at most 100 characters without '/', got 'a/b'",
    "hydra.job.chdir=abc": "hydra.job.chdir=abc: Value 'abc' is not a valid bool",
    "model._target_=5": "model._target_ must be the import name of a class or function, got 5",
    "dataset._target_=torch.nn.Linear": "dataset: torch.nn.Linear refuses its keys",
    "problem._target_=torch.nn.Linear": "problem: torch.nn.Linear refuses its keys",
    "scheduler._target_=torch.nn.Linear": "scheduler: torch.nn.Linear refuses its keys",
    "trainer.device=meta": "trainer.device: torch cannot use 'meta'",
    # several values, functions and options of Hydra
    "seed=0,1": "seed=0,1 has several values: add -m to run each of them",
    "optimizer=sgd,adam": "optimizer=sgd,adam has several values: add -m",
    "seed=choice()": "'seed=choice()': Hydra reads choice(…) as a call of its own",
    "optimizer.lr=float(abc)": "'optimizer.lr=float(abc)': Hydra reads float(…) as a call",
    "experiment=first_run experiment=sanity_text": "give one experiment per command",
    "paths.runs_dir=null": "paths.runs_dir must not be null",
    "dataset.augment={}": "dataset.augment={} changes nothing: it leaves what is in",
    "--package trainer": "--package has an effect only on --cfg",
    "--cfg job --info config": "--cfg and --info do not go together",
    # removed
    "~seed": "seed is required: give seed=",
    "~stale": "stale is required",
    "~reuse": "~reuse: there is no such key, or it is null already",
    "~sweep": "sweep is required",
    "~trainer": "trainer.batch_size is required",
    "~rule": "optimizer and rule must each be the name of one option",
    "~dataset": "dataset is required: give dataset=",
    "~logger": "logger is required",
    "~trainer.epochs": "~trainer.epochs: this key is needed: give it a value, trainer.epochs=",
    "~optimizer.momentum": "~optimizer.momentum: this key is needed",
    "~optimizer._target_": "~optimizer._target_: this key is needed",
    "~rule.eta_in": "~rule.eta_in: this key is needed",
    "~scheduler.final": "~scheduler.final: this key is needed",
    "~dataset.augment": "~dataset.augment: this key is needed",
    "~dataset.val_fraction": "~dataset.val_fraction: this key is needed",
    "~problem.label_smoothing": "~problem.label_smoothing: this key is needed",
    "~paths.data_dir": "~paths.data_dir: this key is needed",
    "stepsize=layerwise ~stepsize.damping": "~stepsize.damping: this key is needed",
    "search=wide ~search.gamma": "search.gamma is required",
    # added
    "+foo=1": "foo: the configuration has no key 'foo' (it has: seed,",
    "++foo.bar=1": "foo: the configuration has no key 'foo'",
    "+sed=1": "Did you mean 'seed'?",
    "+trainer.epoch=3": "trainer has no key 'epoch'",
    "++trainer.epoch=3": "Did you mean 'epochs'?",
    "+trainer.checkpoint.foo=1": "trainer.checkpoint has no key 'foo'",
    "+dataset.augment.foo=1": "dataset.augment has no key 'foo'",
    "+init.foo=1": "init has no key 'foo' (it has: name, scale)",
    "+paths.foo=1": "paths has no key 'foo'",
    "+sweep.foo=1": "sweep has no key 'foo'",
    "+search.foo=1": "search has no key 'foo'",
    "+logger.foo=1": "gofau.loggers.Nothing does not accept its keys",
    "+hydra.foo=1": "hydra has no key 'foo'",
    "+model.depth=2": "gofau.models.small_cnn.SmallCNN refuses its keys",
    "tuned=adam-hybrid": "tuned=adam-hybrid does not fit optimizer=sgd rule=hybrid",
    "tuned=nothing": "tuned=nothing does not fit optimizer=sgd rule=hybrid",
    # what does not fit
    "model.width=1000000": "model=small_cnn has 90,000,063,000,010 parameters: training needs at",
    "model=mlp model.hidden=[1000000,1000000]": "of memory, there is",
    "dataset.augment.crop=8": "dataset.augment.crop must be at most 7 for images of 8×8 pixels",
    "dataset.augment.cutout=9": "dataset.augment.cutout must be at most 8 for images of 8×8",
    "model=resnet18 model.stem=imagenet trainer.batch_size=1293": "leaves a batch of 1 example",
    "dataset=image_folder dataset.path=mine dataset.image_size=100000": "at most 10,000, got 1000",
    "dataset=image_folder dataset.path=mine dataset.image_size=10000": "32 images of 9.6 GB",
    # the command itself
    "experiment=first_run": "is a sweep over optimizer, rule, seed: add -m, or give a value of",
    "hydra/launcher=slurm": "hydra/launcher=slurm has an effect only on a sweep: add -m",
    "hydra.launcher.n_jobs=2": "hydra.launcher.n_jobs=2 has an effect only on a sweep: add -m",
    "--foo": "unrecognized arguments: --foo",
    "--cfg nothing": "invalid choice: 'nothing'",
    "--resolve": "--resolve has an effect only on --cfg",
    "--experimental-rerun x": "--experimental-rerun is not supported",
    "--shell-completion foo": "--shell-completion needs install=bash, uninstall=bash or query",
    "hydra.verbose=5": "hydra.verbose=5: it must be true, false, or the names of loggers",
    "trainer.threads=1024": "trainer.threads must be at most",
    "seed": "'seed' cannot be read: a word of the command must be KEY=VALUE",
    "seed:1": "'seed:1' cannot be read",
    "trainer.epochs=[1": "'trainer.epochs=[1' cannot be read",
    "paths.runs_dir=my runs": "'runs' cannot be read: a word of the command must be KEY=VALUE",
    "'paths.runs_dir=runs (1)'": "a value with spaces or brackets needs quotes inside those",
    "--config-dir nowhere": "nowhere' not found",
    # files and folders
    "paths.runs_dir=/proc/x": "/proc/x cannot be written",
    "paths.runs_dir=/dev/null/x": "/dev/null/x cannot be written",
    "hydra.run.dir=/proc/x": "/proc/x cannot be written",
    "dataset=image_folder dataset.path=locked.zip": "locked.zip cannot be read: ",
    "dataset=image_folder dataset.path=torn.zip": "torn.zip is neither a folder nor a complete zip",
    "reuse=broken": "broken/x/runs.csv cannot be read",
    "reuse=nowhere": "reuse=nowhere: there are no records",
    "--config-dir own model=untargeted": "model._target_ must be the import name of a class",
    "--config-dir own model=torn": "torn.yaml, line 2: this is not YAML",
    "--config-dir own experiment=bare": "experiment: its file needs '# @package _global_' as its",
    "--config-dir own problem=bare": "problem: its file needs '# @package _global_' as its first",
    "--config-dir own experiment=typo": "trainer has no key 'epoch'",
    "--config-dir own model=nameless": "model.name is required",
    "--config-dir own model=absent": "model._target_: there is no nowhere.Net",
}
SWEEPS = {
    "seed=0,0,0": "seed=0,0,0 has the value 0 more than once",
    "seed=0,1 optimizer.lr=0.1,1e-1": "optimizer.lr=0.1,1e-1 has the value 0.1 more than once",
    "rule=hybrid,additive,hybrid": "rule=hybrid,additive,hybrid has the value hybrid more than",
    "seed=range(0)": "seed=range(0) has no values: there is nothing to run",
    "seed=,": "'seed=,' cannot be read",
    "seed=0,1,abc": "seed must be a whole number ≥ 0, got 'abc'",
    "seed=0,18446744073709551616": "seed must be at most",
    "+foo=1,2": "the configuration has no key 'foo'",
    "+model.depth=1,2": "gofau.models.small_cnn.SmallCNN refuses its keys",
    "+optimizer.power=1,2": "has no hyperparameter 'power'",
    "~optimizer.momentum seed=0,1": "~optimizer.momentum: this key is needed",
    "tuned=adam-hybrid,sgd-hybrid": "tuned=adam-hybrid does not fit",
    "experiment=first_run,autoencoder": "give one experiment per command",
    "hydra.launcher.n_jobs=0 seed=0,1": "hydra.launcher.n_jobs must be the number of runs",
    "hydra.launcher.n_jobs=abc seed=0,1": "could not be converted to Integer",
    "hydra.launcher.n_jobs=-5 seed=0,1": "hydra.launcher.n_jobs must be the number of runs",
    "hydra.launcher.n_jobs=100000 seed=0,1": "hydra.launcher.n_jobs must be the number of runs",
    "hydra.launcher.batch_size=abc seed=0,1": "joblib refuses its keys: batch_size must be",
    "hydra.launcher.max_nbytes=x seed=0,1": "joblib refuses its keys: Invalid literal for size",
    "hydra.launcher.backend=nothing seed=0,1": "joblib refuses its keys: Invalid backend",
    "hydra.launcher.timeout=-1 seed=0,1": "hydra.launcher.timeout must be seconds > 0",
    "hydra.launcher.pre_dispatch=x seed=0,1": "hydra.launcher.pre_dispatch must be all, a number",
    "hydra.launcher.mmap_mode=x seed=0,1": "hydra.launcher.mmap_mode must be r, r+, w+ or c",
    "hydra.launcher.temp_folder=/proc/x seed=0,1": "there is no such folder to write to",
    "hydra.launcher=5 seed=0,1": "this is a section; hydra/launcher=NAME chooses one",
    "hydra.sweeper=5 seed=0,1": "this is a section; hydra/sweeper=NAME chooses one",
    "hydra.sweeper.arms=5 seed=0,1": "hydra.sweeper.arms must be a list of sections",
    "hydra.sweeper.arms=[5] seed=0,1": "hydra.sweeper.arms must be a list of sections",
    "hydra.sweeper.arms=[{}] seed=0,1": "hydra.sweeper.arms must be a list of sections",
    "hydra.sweeper.params=5 seed=0,1": "hydra.sweeper.params must be a section",
    "seed=range(0,5,0)": "seed=range(0,5,0): the third number, the step, must not be 0",
    "seed=range(0,100000000)": "a sweep of 100,000,000 runs: at most 100,000 go in one command",
    "optimizer.lr=range(0,1,1e-9)": "a sweep of 1,000,000,000 runs",
    "seed=range(0,1000) trainer.epochs=range(1,1000)": "a sweep of 999,000 runs",
    "optimizer.lr=interval(0,1)": "an interval has no list of values; hydra/sweeper=optuna",
    "experiment=first_run experiment=autoencoder": "give one experiment per command",
    "--info config seed=0,1": "--multirun and --info do not go together",
    "model.width=4,8 dataset.augment={}": "dataset.augment={} changes nothing",
    "--cfg job seed=0,1": "-m and --cfg do not go together",
    "hydra.sweeper.max_batch_size=0 seed=0,1": "hydra.sweeper.max_batch_size must be a whole",
    "paths.runs_dir=/proc/x seed=0,1": "/proc/x cannot be written",
    "hydra/launcher=slurm seed=0,1": "there is no Slurm on this machine",
    "optimizer.momentum=0.9,1": "optimizer.momentum must be in [0, 1), got 1",
}
TOYS = {
    "toy.lrs=[]": "toy.lrs must be a list of at least one number > 0, got []",
    "toy.steps=1000000000000": "toy.steps must be at most 10,000,000",
    "toy.starts=1000000": "toy.starts must be a whole number from 1 to 2000",
    "toy.results_dir=/proc/x": "/proc/x cannot be written",
    "toy.rules={}": "toy.rules={} changes nothing: it leaves what is in toy.rules",
    "experiment=problems": "experiment=problems is for another command, which its file names",
    "toy.rules.hybrid=5": "toy.rules must be rules with their hyperparameters",
    "toy.optimizers=5": "toy.optimizers must be hyperparameters by optimizer",
    "+toy.optimizers.sgdd={}": "there is no optimizer 'sgdd'",
    "+toy.optimizers.sgd.lr=-1": "toy.optimizers.sgd.lr has no effect",
    "+toy.foo=1": "toy has no key 'foo'",
    "+foo=1": "the configuration has no key 'foo'",
    "~toy": "toy is required",
    "toy=draws +toy.draws.foo=1": "toy.draws has no key 'foo'",
    "toy=draws toy.draws.repeats=1000000000": "toy.draws.repeats must be at most 100,000",
    "toy=draws toy.draws.looks=[1000000000000]": "toy.draws.looks must be a list, each at most",
    "-m toy.steps=x,y": "toy.steps must be a whole number ≥ 1, got 'x'",
}
COMMANDS = {
    "gofau.report tables": "there is no folder results in",
    "gofau.report report": "there is no folder results in",
    "gofau.report.toy": "there is no folder results in",
    "gofau.runs": "the following arguments are required: command",
    "gofau.runs statuss": "invalid choice: 'statuss'",
    "gofau.runs prune --states done": "invalid choice: 'done'",
    "gofau.runs status --runs-dir nowhere": "there is no folder nowhere",
    "gofau.runs show unread": "runs/digits-unread/config.yaml is damaged",
    "gofau.report collect fig1_toy_paths": "experiment=fig1_toy_paths is one in two variables",
    "gofau.report collect descent": "experiment=descent measures along its trainings",
    "gofau.runs export nowhere/x.tar.gz": "nowhere/x.tar.gz cannot be written",
    "gofau.runs export runs": "runs is a folder: name a file to export to",
    "gofau.runs import nowhere.tar.gz": "there is no nowhere.tar.gz",
    "gofau.runs import torn.zip": "torn.zip is not a complete archive of runs",
    "gofau.evaluate": "the following arguments are required: run",
    "gofau.evaluate nowhere": "nowhere is not the folder of a run",
    "gofau.evaluate damaged": "damaged/config.yaml is damaged",
}
RECORDS = {
    "": "No columns to parse from file",
    "identity,state\n": "there is no column seed",
    "a,b\n1,2\n": "there is no column identity",
    "identity,state,seed,dataset.name,model.name,optimizer.name,rule.name\n": "there are no rows",
    "\xff\xfe": "can't decode byte",
    'identity,state\n"abc': "EOF inside string",
}
OWN = {
    "model/untargeted.yaml": "name: untargeted\n",
    "model/nameless.yaml": "_target_: gofau.models.mlp.MLP\n",
    "model/absent.yaml": "_target_: nowhere.Net\nname: absent\n",
    "model/torn.yaml": "name: torn\n  hidden: [16\n",
    "experiment/bare.yaml": "trainer: {epochs: 3}\n",
    "experiment/typo.yaml": "# @package _global_\ntrainer: {epoch: 3}\n",
    "problem/bare.yaml": "model: {name: mlp}\ntrainer: {epochs: 3}\n",
}


QUICK = (
    "seed=18446744073709551616",
    "trainer.epochs=1000000000",
    "trainer.threads=100000",
    "optimizer.momentum=1",
    "scheduler.final=5",
    "init=normal init.scale=1e30",
    "scheduler=step scheduler.milestones=[0.75,0.5]",
    "scheduler=step scheduler.milestones=[]",
    "dataset=image_folder dataset.path=5",
    "dataset=image_folder dataset.path=[a]",
    "dataset.augment=null",
    "trainer.checkpoint=null",
    "trainer=[]",
    "~seed",
    "~trainer.epochs",
    "~optimizer.momentum",
    "~rule",
    "~stale",
    "+foo=1",
    "+trainer.epoch=3",
    "+logger.foo=1",
    "+paths.foo=1",
    "tuned=adam-hybrid",
    "model.width=1000000",
    "model=mlp model.hidden=[1000000,1000000]",
    "dataset.augment.crop=8",
    "dataset.augment.cutout=9",
    "model=resnet18 model.stem=imagenet trainer.batch_size=1293",
    "dataset=image_folder dataset.path=mine dataset.image_size=100000",
    "dataset=image_folder dataset.path=mine dataset.image_size=10000",
    "experiment=first_run",
    "paths.runs_dir=my runs",
    "paths.runs_dir=/proc/x",
    "dataset=image_folder dataset.path=locked.zip",
    "dataset.val_fraction=1",
    "reuse=broken",
    "--config-dir own model=untargeted",
    "--config-dir own model=torn",
    "--config-dir own experiment=bare",
    "--foo",
    "trainer.device=meta",
    "problem._target_=torch.nn.Linear",
    "seed=0,0,0",
    "hydra.launcher.n_jobs=0 seed=0,1",
    "hydra.launcher.n_jobs=abc seed=0,1",
    "hydra/launcher=slurm seed=0,1",
    "hydra.launcher.batch_size=abc seed=0,1",
    "hydra.sweeper.arms=[5] seed=0,1",
    "seed=range(0,100000000)",
    "--resolve",
    "trainer.threads=1024",
    "+model.depth=1,2",
    "seed=0,1,abc",
    "toy.lrs=[]",
    "toy.results_dir=/proc/x",
)
"""The other cases of runs, sweeps and toys have the marker long."""


def table(cases: dict[str, str]) -> list[object]:
    def marks(words: str) -> tuple[pytest.MarkDecorator, ...]:
        return () if words in QUICK else (pytest.mark.long,)

    return [pytest.param(*case, marks=marks(case[0]), id=case[0]) for case in cases.items()]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a finished record, and the broken files that the table names."""
    monkeypatch.chdir(tmp_path)
    files = {
        "runs/digits-old/status.json": '{"state": "done", "result": {"test/acc": 1}}',
        "runs/digits-old/config.yaml": "seed: 0\n",
        "runs/digits-unread/status.json": '{"state": "done", "result": {"test/acc": 1}}',
        "runs/digits-unread/config.yaml": "a: ]",
        "broken/x/runs.csv": "identity,state\nabc,done\n\xff",
        "damaged/config.yaml": "dataset: 5\n",
        "torn.zip": "PK\x03\x04 and no more",
        "locked.zip": "",
        **{f"own/{name}": text for name, text in OWN.items()},
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1")
    return tmp_path


@pytest.fixture(autouse=True)
def locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """``locked.zip`` cannot be read. By a patch, since root may read every file."""
    import zipfile

    whole = zipfile.ZipFile

    def opened(path, *args):
        if Path(path).name == "locked.zip":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *args)

    monkeypatch.setattr("zipfile.ZipFile", opened)
    monkeypatch.setattr("gofau.data.decode.available", lambda: 4_000_000_000)


@pytest.fixture
def images(folder: Path) -> None:
    """16 images in each of two classes, half of them for testing."""
    for split in ("train", "test"):
        for label in "ab":
            where = folder / "data" / "mine" / split / label
            where.mkdir(parents=True)
            for i in range(8):
                (where / f"{i}.png").write_bytes(Make.image(20 * i, size=(8, 8)))


def records(folder: Path) -> dict[Path, bytes]:
    """All that a mistake must not change."""
    found = [p for name in ("runs", "results", "broken") for p in (folder / name).rglob("*")]
    return {path: path.read_bytes() for path in found if path.is_file()}


def check(found: tuple[object, str, str], sentence: str, before: dict, folder: Path) -> None:
    code, out, err = found
    assert code == 2, err
    assert not [line for line in out.splitlines() if "decoding" not in line and "HYDRA" not in line]
    assert sentence in err
    assert err.startswith("error: ")
    assert err.endswith((".\n", "?\n"))
    assert err.count("\n") == 1
    assert records(folder) == before


@pytest.mark.parametrize(("words", "sentence"), table(RUNS))
def test_a_run(train, folder, images, words, sentence):
    before = records(folder)
    check(train("debug=fast", *shlex.split(words)), sentence, before, folder)


@pytest.mark.parametrize(("words", "sentence"), table(SWEEPS))
def test_a_sweep_is_refused_before_its_first_run(train, folder, monkeypatch, words, sentence):
    monkeypatch.setenv("PATH", "")
    before = records(folder)
    check(train("debug=fast", "-m", *shlex.split(words)), sentence, before, folder)


@pytest.mark.parametrize(("words", "sentence"), table(TOYS))
def test_an_experiment_in_two_variables(toy, folder, words, sentence):
    check(toy(*shlex.split(words)), sentence, records(folder), folder)


def command(capsys, monkeypatch, line: str) -> tuple[object, str, str]:
    """Exit code, stdout, stderr of ``python -m LINE``."""
    module, *words = shlex.split(line)
    main = __import__(f"{module}.__main__", fromlist=["main"]).main
    monkeypatch.setattr("sys.argv", [f"python -m {module}", *words])
    code: object = 0
    try:
        with one_sentence():
            main(words)
    except SystemExit as e:
        code = e.code
    return code, *capsys.readouterr()


@pytest.mark.parametrize(("line", "sentence"), COMMANDS.items(), ids=[*COMMANDS])
def test_another_command(capsys, monkeypatch, folder, line, sentence):
    check(command(capsys, monkeypatch, line), sentence, records(folder), folder)


@pytest.mark.parametrize("kind", ["tables", "figures"])
@pytest.mark.parametrize(("text", "sentence"), RECORDS.items(), ids=map(repr, RECORDS))
def test_records_that_are_broken(capsys, monkeypatch, folder, kind, text, sentence):
    path = folder / "results" / "x" / "runs.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="latin-1")
    found = command(capsys, monkeypatch, f"gofau.report {kind} x")
    check(found, sentence, records(folder), folder)
    assert "results/x/runs.csv cannot be read" in found[2]


def test_a_number_of_processes_that_is_none(train, folder, monkeypatch):
    monkeypatch.setenv("GOFAU_JOBS", "0")
    found = train("debug=fast", "-m", "seed=0,1")
    check(found, "error: GOFAU_JOBS must be a whole number", records(folder), folder)


@pytest.mark.long
def test_slurm_that_takes_no_jobs(train, folder, monkeypatch):
    programs = folder / "programs"
    programs.mkdir()
    sbatch = programs / "sbatch"
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: Invalid account' >&2\nexit 1\n")
    sbatch.chmod(0o755)
    for name in ("squeue", "srun"):  # Slurm answers; submitit looks whether there is an srun
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    before = records(folder)
    code, _, err = train("debug=fast", "-m", "hydra/launcher=slurm", "seed=0,1")
    assert code == 2
    assert err.splitlines()[-1].startswith("error: Slurm does not take the job: sbatch: error: Inv")
    assert "Traceback" not in err
    assert {k: v for k, v in records(folder).items() if ".sweep" not in k.parts} == before


def test_slurm_that_does_not_answer(train, folder, monkeypatch):
    programs = folder / "programs"
    programs.mkdir()
    for name in ("sbatch", "squeue"):
        (programs / name).write_text("#!/bin/sh\necho 'error: Unable to contact' >&2\nexit 1\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    code, _, err = train("debug=fast", "-m", "hydra/launcher=slurm", "seed=0,1")
    assert code == 2
    assert err == "error: Slurm does not answer (squeue): nothing was submitted.\n"


def test_the_table_is_long_enough():
    assert _fonts is not None
    tables = (RUNS, SWEEPS, TOYS, COMMANDS, RECORDS, RECORDS)
    assert sum(map(len, tables)) >= 150
