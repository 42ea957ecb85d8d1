"""The command ``gofau``: each word does what its module does."""

import sys

import pytest
from hydra.core.global_hydra import GlobalHydra

from gofau import __version__
from gofau.cli import command
from tests.command_line import ROOT


@pytest.fixture
def gofau(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gofau"])  # and what a command makes of it is undone

    def call(*words):
        GlobalHydra.instance().clear()
        code = 0
        try:
            command.main(words)
        except SystemExit as e:
            code = e.code
        return code, *capsys.readouterr()

    return call


QUICK = ["debug=fast", "model=mlp", "model.hidden=[8]", "trainer.progress=none"]


def test_help_lists_every_command_with_one_line(gofau):
    for words in ((), ("--help",), ("-h",)):
        code, out, _ = gofau(*words)
        assert code == 0
        names = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
        assert names == ["train", "sweep", "runs", "report", "toy", "evaluate"]
        assert all(len(line) <= 80 for line in out.splitlines())


def test_the_version(gofau):
    assert gofau("--version") == (0, f"gofau {__version__}\n", "")


def test_an_unknown_command(gofau):
    code, out, err = gofau("trian", "seed=1")
    assert (code, out) == (2, "")
    assert err.startswith("error: gofau trian: there is no such command (there is: train, ")
    assert err.endswith("Did you mean 'train'?\n")


def test_train_sweep_and_runs(gofau, train):
    assert gofau("train", *QUICK)[0] == 0
    assert gofau("sweep", *QUICK, "seed=0,1")[0] == 0
    folders = train.runs()
    assert len(folders) == 2
    typed = [train.status(folder)["provenance"]["command"] for folder in folders]
    assert typed == [
        f"gofau train {' '.join(QUICK)}",
        f"gofau train -m {' '.join(QUICK)} seed=0,1",
    ]
    assert "done already" in train(*QUICK)[1]  # the same run as train.py's
    assert gofau("runs", "status")[1].startswith("done              2\n")
    code, out, err = gofau("train", "rule=hybird")
    assert (code, out) == (2, "")
    assert "Did you mean 'hybrid'?" in err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["runs", "--help"], "usage: gofau runs "),
        (["runs", "status", "--help"], "usage: gofau runs status"),
        (["report", "--help"], "usage: gofau report "),
        (["report", "collect", "--help"], "usage: gofau report collect"),
        (["report", "figures", "--help"], "usage: gofau report figures"),
        (["report", "toy", "--help"], "usage: gofau report toy"),
        (["evaluate", "--help"], "usage: gofau evaluate"),
    ],
    ids=" ".join,
)
def test_help_of_each(gofau, words, text):
    code, out, _ = gofau(*words)
    assert code == 0
    assert out.startswith(text)


def test_toy(gofau):
    code, out, err = gofau("toy", "toy.cases=[beale/adam]", "toy.starts=0")
    assert (code, out) == (2, "")
    assert "toy.starts" in err


def test_the_configs_are_those_of_the_checkout():
    from gofau.config.place import configs

    assert configs() == ROOT / "configs"
