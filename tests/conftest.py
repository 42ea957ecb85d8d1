"""Every test is deterministic, offline and quick; hypothesis repeats the same examples."""

import os

import pytest
from hydra._internal.hydra import Hydra
from hypothesis import settings

from tests.command_line import train
from tests.toy_command_line import toy

__all__ = ["toy", "train"]

settings.register_profile("gofau", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("gofau")


def pytest_terminal_summary(terminalreporter):
    """Show how far the additive rule is from torch.optim, as the tests that just ran measured."""
    worst: dict[str, float] = {}
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "additive_vs_torch":
                case, error = value
                worst[case] = max(worst.get(case, 0.0), error)
    if worst:
        terminalreporter.section("additive against torch.optim: largest relative difference")
        for case, error in sorted(worst.items()):
            terminalreporter.line(f"{case:<24} {error:.1e}")


@pytest.fixture(autouse=True)
def _seeded():
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory):
    """One for the session and all of its processes, so that a step is compiled once."""
    base = tmp_path_factory.getbasetemp()
    # Each process of pytest-xdist has a folder of its own in that of the session.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared-cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True, scope="session")
def _composed_once():
    """Hydra composes each configuration twice, the first time only to read ``hydra.mode``, which
    takes half of the time of a refused command. None of ours sets it (tests/config)."""
    read = Hydra.get_mode

    def get_mode(self, config_name, overrides, *more, **named):
        typed = any("hydra.mode" in word for word in overrides)
        return read(self, config_name, overrides, *more, **named) if typed else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hydra, "get_mode", get_mode)
        yield


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch, cache_home):
    """No test sees the user's data, runs or cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    for name in [n for n in os.environ if n.startswith("GOFAU_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOFAU_JOBS", "1")  # sweeps in this process: no worker to start and import
