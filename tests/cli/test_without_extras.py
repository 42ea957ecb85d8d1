"""Every command where only torch is installed: one sentence that names what is missing."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

from gofau.cli.explain import PACKAGES, explain
from tests.command_line import ROOT

WORDS = {
    "train.py": ["seed=1"],
    "gofau": ["train"],
    "gofau.evaluate": ["runs/x", "--data", "path=y"],
    "gofau.measure": ["experiment=descent"],
    "gofau.report": ["tables"],
    "gofau.report.measure": ["descent"],
    "gofau.report.toy": ["tab1_toy"],
    "gofau.toy": ["experiment=tab1_toy"],
}
"""Entry → what is typed after it."""
# All in one process: the first of them that imports torch pays for it.
CODE = """
import contextlib, io, json, runpy, sys
packages, entries = json.loads(sys.argv[1])

class Hiding:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hiding())
for entry, words in entries.items():
    sys.argv = [entry, *words]
    start = runpy.run_path if entry.endswith(".py") else runpy.run_module
    code, said = 0, io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            start(entry, run_name="__main__")
        except SystemExit as e:
            code = e.code
    print(json.dumps([entry, code, said.getvalue()]))
"""


def test_each_entry_names_what_is_missing():
    found = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("gofau/**/__main__.py")
    }
    assert {*WORDS, "gofau.runs"} == {*found, "train.py"}  # gofau.runs needs nothing
    # torch itself warns that there is no numpy.
    command = [sys.executable, "-W", "ignore", "-c", CODE, json.dumps([PACKAGES, WORDS])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry for entry, _, _ in lines] == [*WORDS]
    sentence = r"error: this needs the package \w+: pip install 'gofau\[train,report\]'\.\n"
    for entry, code, said in lines:
        assert code == 2, entry
        assert re.fullmatch(sentence, said), (entry, said)


def test_the_packages_are_those_of_the_extras():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    wanted = {re.split(r"[<>=]", need)[0] for need in extras["train"] + extras["report"]}
    of = packages_distributions()
    assert {of[name][0].lower() for name in PACKAGES} == wanted - {"hydra-joblib-launcher", "torch"}


def test_a_package_of_the_users_code_is_not_ours_to_name():
    assert explain(ModuleNotFoundError("no mine", name="mine")) is None
    assert explain(ModuleNotFoundError("no hydra.x", name="hydra.x")) is None
