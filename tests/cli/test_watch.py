"""A sweep that is shown: header, lines, table; nothing where nothing is asked for."""

import io
import sys

import pytest
from omegaconf import DictConfig, OmegaConf

from gofau.cli.display import STEPS, Bar, Plain, Silent, display_for
from gofau.cli.tally import Tally
from gofau.cli.watch import Watch, watch

QUICK = ["debug=fast", "model=mlp", "model.hidden=[16]"]


def test_a_log_gets_a_header_a_line_per_run_and_a_table(train):
    code, out, err = train("-m", *QUICK, "rule=additive,hybrid", "seed=0,1")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == (
        "Sweep: 4 runs (rule 2 × seed 2); launcher local, 1 at a time; records in runs"
    )
    assert lines[-5].startswith("4/4 runs  4 done") or "4/4 runs" in out
    total, head, additive, hybrid = lines[-4:]
    assert total.startswith("4 runs in 0:")
    assert total.endswith(": 4 done")
    assert head.split("  ")[0] == "rule"
    tests = {}
    for folder in train.runs():
        status = train.status(folder)
        rule = folder.name.split("-")[3]
        tests.setdefault(rule, []).append(status["result"]["test/acc"])
    for line, rule in ((additive, "additive"), (hybrid, "hybrid")):
        assert line.split()[:3] == [rule, "2", f"{sum(tests[rule]) / 2:.2%}"]
    assert "epoch" not in out
    assert not list((train.folder / "runs" / ".sweep").glob("*.events"))


def test_none_is_silent_and_failures_are_told(train, monkeypatch):
    words = ["-m", *QUICK, "trainer.progress=none", "seed=0,1"]
    assert train(*words) == (0, "", "")
    from gofau.engine.trainer import Trainer

    def broken(self, on_batch):
        raise RuntimeError("the machine is on fire")

    monkeypatch.setattr(Trainer, "run_epoch", broken)
    code, out, err = train(*words, "rerun=true")
    assert (code, out) == (1, "")
    assert err.splitlines()[0].startswith("failed: ")


def test_runs_of_other_code_are_told_once_and_counted(train, monkeypatch):
    words = ["-m", *QUICK, "seed=0,1,2"]
    train(*words)
    monkeypatch.setattr("gofau.cli.run.fingerprint", lambda *_: {"rule": "other", "data": "x"})
    monkeypatch.setattr("gofau.cli.preflight.fingerprint", lambda *_: {"rule": "other"})
    out = train(*words, "stale=keep")[1]
    assert out.count("done already (test accuracy") == 1
    assert "3 done already in runs\n" in out
    assert "3 done already, but with different code or data: rule, data\n" in out


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({}, True),
        ({"toy": {"cases": []}}, False),
        ({"hydra": {"launcher": {"_target_": "x.RayLauncher"}}}, False),
        ({"hydra": {"launcher": {"_target_": "x.SlurmLauncher", "wait": False}}}, False),
    ],
)
def test_what_is_shown(tmp_path, config, shown):
    """No experiments in two variables, which have no records; no runs that cannot tell."""
    whole = {
        "trainer": {"progress": "none"},
        "paths": {"runs_dir": str(tmp_path)},
        "hydra": {"launcher": {"_target_": "x.BasicLauncher"}, "runtime": {"choices": {}}},
    }
    merged = OmegaConf.merge(whole, config)
    assert isinstance(merged, DictConfig)
    assert isinstance(watch(merged, [["seed=0"]]), Watch) == shown


def test_of_several_processes_one_shows_the_sweep(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert not isinstance(watch(OmegaConf.create({"trainer": {}}), []), Watch)


def test_ctrl_c_says_how_far_the_sweep_was(train, monkeypatch):
    from gofau.engine.trainer import Trainer

    whole, begun = Trainer.run_epoch, []

    def run_epoch(self, on_batch):
        begun.append(self)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return whole(self, on_batch)

    monkeypatch.setattr(Trainer, "run_epoch", run_epoch)
    code, out, err = train("-m", *QUICK, "seed=0,1,2")
    assert (code, err) == (130, "")
    *_, states, last = out.splitlines()
    assert states.endswith("1 done, 1 interrupted, 1 not begun or not ended")
    assert last.startswith("Interrupted; finished work is kept.")


def test_a_log_gets_few_lines_of_a_large_sweep(capsys):
    tally, display = Tally(1000), Plain()
    for run in range(1000):
        tally.take({"run": run, "state": "done"}, 0.0)
        display.update(tally)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == STEPS
    assert lines[-1] == "1000/1000 runs  1000 done"


def test_a_terminal_gets_one_live_line(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    display, tally = Bar(), Tally(2)
    display.start()
    for run in range(2):
        tally.take({"run": run, "state": "done"}, 0.0)
        display.update(tally)
    display.line("a line that stays")
    display.stop()
    text = terminal.getvalue()
    assert "1/2 runs  1 done" in text
    assert "2/2 runs  2 done" in text
    assert text.count("\n") <= 4  # it is drawn in place
    assert "a line that stays" in text


@pytest.mark.parametrize(
    ("kind", "terminal", "expected"),
    [("auto", True, Bar), ("auto", False, Plain), ("bar", False, Bar), ("none", True, Silent)],
)
def test_auto_looks_whether_it_is_a_terminal(monkeypatch, kind, terminal, expected):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    assert type(display_for(kind)) is expected


def test_who_watches_what_jobs_of_a_cluster_do_does_not_mute_them(tmp_path):
    def mute(launcher):
        config = {
            "trainer": {"progress": "none"},
            "paths": {"runs_dir": str(tmp_path)},
            "hydra": {"launcher": {"_target_": f"x.{launcher}"}},
        }
        return Watch(OmegaConf.create(config), [], "", 1).events.mute

    assert mute("BasicLauncher")
    assert mute("JoblibLauncher")
    assert not mute("SlurmLauncher")
