"""The packages that are published: what is in them, and that the library works with torch alone."""

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import NamedTuple

import pytest

from gofau import __version__
from tests.command_line import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
HIDING = """
import json, sys
hidden = {*json.loads(sys.argv.pop(1))}

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        seen = name.partition(".")[0] not in hidden
        return self.finder.find_spec(name, path, target) if seen else None

sys.meta_path[:] = map(Hiding, sys.meta_path)
"""
LIBRARY = """
import importlib, pkgutil
import gofau.optim
for module in pkgutil.walk_packages(gofau.optim.__path__, "gofau.optim."):
    importlib.import_module(module.name)
for code in sys.argv[1:]:
    exec(compile(code, "README.md", "exec"), {})
print(gofau.__file__)
"""
COMMAND = "from gofau.__main__ import main; main(sys.argv[1:])"


class Dist(NamedTuple):
    """The two packages, and a folder that the wheel is installed in, without what it needs."""

    sdist: Path
    wheel: Path
    folder: Path

    def metadata(self) -> Message:
        with zipfile.ZipFile(self.wheel) as z:
            (name,) = (n for n in z.namelist() if n.endswith("/METADATA"))
            return Parser().parsestr(z.read(name).decode())

    def python(self, cwd: Path, *words: str, hidden: Iterable[str] = ()) -> str:
        """What Python prints that finds the installed wheel before the checkout."""
        command = [sys.executable, "-c", HIDING + words[0], json.dumps(sorted(hidden)), *words[1:]]
        path = {"PYTHONPATH": str(self.folder), "PATH": "/usr/bin:/bin", "HOME": str(cwd)}
        done = subprocess.run(command, cwd=cwd, env=path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


def needs(name: str) -> set[str]:
    """A distribution and all that it needs, without extras."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        found = re.match(r"[\w.-]+", todo.pop())
        assert found
        one = re.sub(r"[-_.]+", "-", found[0]).lower()
        if one not in seen:
            seen.add(one)
            todo += [need for need in _requires(one) if "extra ==" not in need]
    return seen


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except ModuleNotFoundError:  # of another platform or Python
        return []


def all_but(name: str) -> set[str]:
    """The modules that are installed here, and not with this distribution."""
    kept = needs(name)
    found = packages_distributions()
    return {m for m, of in found.items() if not {d.replace("_", "-").lower() for d in of} & kept}


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Dist:
    """The sdist, and the wheel that is built from it."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    with zipfile.ZipFile(wheel) as z:  # a wheel of Python alone is installed by unpacking it
        z.extractall(out / "site")
    return Dist(sdist, wheel, out / "site")


def committed(*folders: str) -> set[str]:
    """The files of these folders that git has or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {path for path in listed.stdout.splitlines() if (ROOT / path).exists()}


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_the_configs(dist):
    with zipfile.ZipFile(dist.wheel) as z:
        package = {n for n in z.namelist() if ".dist-info/" not in n}
    assert package == committed("gofau") | {f"gofau/{path}" for path in committed("configs")}
    assert {"gofau/py.typed", "gofau/configs/train.yaml", "gofau/report/page.html.j2"} <= package


@pytest.mark.slow
def test_the_sdist_holds_what_the_wheel_is_built_from(dist):
    with tarfile.open(dist.sdist) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    files = {"pyproject.toml", "train.py", "scripts/index_page.py"}
    files |= {"README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE"}
    made = {".gitignore", "PKG-INFO"}
    assert names - made == committed("gofau", "configs") | files


@pytest.mark.slow
def test_its_metadata(dist):
    headers = dist.metadata()
    assert headers["Version"] == __version__
    assert headers["License-Expression"] == "MIT"
    every = headers.get_all("Requires-Dist", [])
    assert [need for need in every if "extra ==" not in need] == ["torch>=2.6"]
    extras = {"train", "report", "loggers", "launchers", "search", "docs", "dev"}
    assert set(headers.get_all("Provides-Extra", [])) == extras
    links = dict(url.split(", ") for url in headers.get_all("Project-URL", []))
    assert links["Paper"] == "https://arxiv.org/abs/2307.07189"
    page = headers.get_payload()
    assert isinstance(page, str)
    assert "from gofau.optim import Adam" in page  # README, and no link or picture that is broken
    assert re.findall(r"\]\((?!https?://|#)[^)]*\)", page) == []


@pytest.mark.slow
def test_the_library_works_with_torch_alone(dist, tmp_path):
    """All its modules, and README's examples, where nothing else can be imported."""
    hidden = all_but("torch")
    assert {"hydra", "numpy", "omegaconf", "pandas", "sklearn", "torchvision"} <= hidden
    assert not {"torch", "sympy", "typing_extensions"} & hidden
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    out = dist.python(tmp_path, LIBRARY, *examples, hidden=hidden)
    assert out.splitlines()[-1] == str(dist.folder / "gofau/__init__.py")


@pytest.mark.slow
def test_runs_are_shown_where_only_python_is(dist, tmp_path):
    (tmp_path / "runs").mkdir()
    everything = set(packages_distributions())
    assert {"torch", "hydra", "numpy", "yaml"} <= everything
    shown = dist.python(tmp_path, COMMAND, "runs", "status", hidden=everything)
    assert shown.split() == ["all", "0"]
    code = "import runpy; runpy.run_module('gofau.runs', run_name='__main__')"
    assert dist.python(tmp_path, code, "status", hidden=everything) == shown
    assert "usage: gofau COMMAND" in dist.python(tmp_path, COMMAND, "--help", hidden=everything)


@pytest.mark.long
def test_experiments_run_without_a_checkout(dist, tmp_path):
    """The configurations are those of the package."""
    dist.python(tmp_path, COMMAND, "train", "debug=fast", "model=mlp", "trainer.progress=none")
    (run,) = (tmp_path / "runs").glob("*/status.json")
    record = json.loads(run.read_text(encoding="utf-8"))
    assert record["state"] == "done"
    assert record["provenance"]["versions"]["gofau"] == __version__
    words = ["experiment=descent", "optimizer=sgd", "seed=0", "trainer.epochs=1"]
    words += ["dataset.train_size=100", "model.width=4", "measure.moments=[0]"]
    measure = "from gofau.measure.__main__ import main; main(sys.argv[1:])"
    assert "results/descent/steps.csv.gz" in dist.python(tmp_path, measure, *words)
