"""What counts as the same code, and what does not."""

import ast

import pytest

from gofau.runs import fingerprint as fingerprints
from gofau.runs import modules, sources
from gofau.runs.fingerprint import changed, fingerprint
from gofau.runs.functions import digest_function
from tests.command_line import ROOT

NET = '''
"""Mine."""
import math
from helpers import width as breadth
from package.parts import deep

DEPTH = 3
TABLE = {"a": 1}
TABLE["b"] = 2
UNUSED = 4


def block(n):
    return n * DEPTH


class Net:
    """A net."""

    def __init__(self, n: int = 2) -> None:
        # So wide.
        self.n = block(n) + breadth() + TABLE["a"] + deep.layer(1)

    def area(self):
        if self.n < 0:
            raise ValueError("never")
        return math.pi


def other():
    return UNUSED
'''
FILES = {
    "net.py": NET,
    "helpers.py": "def width():\n    return 1\n\ndef height():\n    return 2\n",
    "package/__init__.py": "from package.parts.deep import layer as again\n",
    "package/parts/__init__.py": "",
    "package/parts/deep.py": "from . import deeper\n\ndef layer(n):\n    return deeper.BASE + n\n",
    "package/parts/deeper.py": "BASE = 1\n",
}


@pytest.fixture
def code(tmp_path, monkeypatch):
    """Writes files that can be imported, and gives the digest of ``net.Net``, or of what is
    named, as a new process would find it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def digest(changes=None, name="net.Net"):
        for path, text in (FILES | (changes or {})).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        as_a_new_process()
        return sources.digest([name])

    yield digest
    as_a_new_process()


def as_a_new_process():
    for cached in (modules._read, modules.is_installed, sources._texts):
        cached.cache_clear()
    fingerprints._registrations.cache_clear()


def edit(file, old, new):
    assert old in FILES[file]
    return {file: FILES[file].replace(old, new)}


@pytest.mark.parametrize(
    "change",
    [
        edit("net.py", "n * DEPTH", "n + DEPTH"),
        edit("net.py", "DEPTH = 3", "DEPTH = 4"),
        edit("net.py", 'TABLE["b"] = 2', 'TABLE["a"] = 2'),
        edit("net.py", "n: int = 2", "n: int = 3"),
        edit("net.py", "self.n < 0", "self.n < 1"),
        edit("net.py", "return math.pi", "return math.e"),
        edit("net.py", "width as", "height as"),
        edit("helpers.py", "return 1", "return 2"),
        edit("package/parts/deep.py", "+ n", "- n"),
        edit("package/parts/deeper.py", "1", "2"),
    ],
    ids=lambda change: f"{next(iter(change))}",
)
def test_what_is_read_counts_wherever_it_stands(code, change):
    assert code(change) != code()


@pytest.mark.parametrize(
    "change",
    [
        edit("net.py", "# So wide.", "# Quite wide."),
        edit("net.py", '"""A net."""', '"""Another text."""'),
        edit("net.py", "return n * DEPTH", "return (\n        n\n        * DEPTH\n    )"),
        edit("net.py", "n: int = 2", "n: float = 2"),
        edit("net.py", '"never"', '"not ever"'),
        edit("net.py", "UNUSED = 4", "UNUSED = 5"),
        edit("net.py", "return UNUSED", "return 0"),
        edit("helpers.py", "return 2", "return 3"),
    ],
)
def test_what_changes_no_result_does_not_count(code, change):
    assert code(change) == code()


def test_a_definition_may_move_to_another_file(code):
    moved = {"block.py": "DEPTH = 3\n\ndef block(n):\n    return n * DEPTH\n"}
    text = NET.replace("DEPTH = 3", "from block import block")
    text = text.replace("def block(n):\n    return n * DEPTH\n", "")
    assert code(moved | {"net.py": text}) == code()


def test_a_name_that_is_handed_on_is_what_it_stands_for(code):
    assert code(name="package.again") == code(name="package.parts.deep.layer")


@pytest.mark.parametrize(
    "name", ["net.Nett", "nett.Net", "gofau.models.none.None", "gofau.optim.Adamm", "json.x.y"]
)
def test_what_is_not_there_is_missing(code, name):
    with pytest.raises(sources.Missing):
        code(name=name)


def test_a_folder_has_modules_and_no_names(code):
    files = {"folder/net.py": FILES["helpers.py"]}
    assert code(files, "folder.net.width") == code(name="helpers.width")
    for name in ("folder.Net", "folder.Net.of"):  # although the folder can be imported
        with pytest.raises(sources.Missing):
            code(files, name)


def test_nothing_is_imported(code):
    import sys

    code({"net.py": NET + "\nraise SystemExit\n"})
    assert not {"net", "helpers", "package"} & sys.modules.keys()


def test_the_dump_says_what_the_tree_says():
    for one, other in (("x = None", "x = 0"), ("f(a)", "f(*a)"), ("{**a}", "{a: a}"), ("1", "'1'")):
        dumps = {
            sources.dump(ast.parse(f"y = [{text}]" if "=" not in text else text))
            for text in (one, other)
        }
        assert len(dumps) == 2


CONFIG = {
    "problem": {"_target_": "gofau.problems.image_classification.ImageClassification"},
    "model": {"name": "mlp", "_target_": "gofau.models.mlp.MLP"},
    "init": {"name": "default"},
    "optimizer": {"name": "adam", "_target_": "gofau.optim.Adam"},
    "rule": {"name": "hybrid"},
    "stepsize": {"name": "base"},
    "scheduler": {"name": "cosine", "_target_": "gofau.engine.schedulers.cosine"},
}


@pytest.fixture
def edited(monkeypatch):
    """Edits a file of gofau, for whoever reads it as text."""

    def apply(file, old, new):
        whole = modules.text_of

        def text_of(path):
            text = whole(path)
            if path.as_posix().endswith(file):
                assert old.encode() in text
                text = text.replace(old.encode(), new.encode())
            return text

        monkeypatch.setattr(modules, "text_of", text_of)
        monkeypatch.setattr(fingerprints, "text_of", text_of)
        as_a_new_process()

    yield apply
    as_a_new_process()


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        ("gofau/optim/rules.py", "return eta * d", "return eta * d * 2", ["rule"]),
        ("gofau/optim/rules.py", "torch.expm1(x)", "(torch.exp(x) - 1)", []),  # of other rules
        ("gofau/optim/bases/adam.py", "v.sqrt() * group", "v.sqrt() + group", ["optimizer"]),
        ("gofau/optim/bases/adagrad.py", "total.sqrt()", "total", []),  # Adagrad's
        ("gofau/optim/update.py", "return theta - rule", "return theta + rule", ["optimizer"]),
        ("gofau/models/mlp.py", "nn.ReLU", "nn.Tanh", ["model"]),
        ("gofau/models/init.py", "std=scale", "std=2 * scale", []),  # init=default
        ("gofau/engine/schedulers.py", "math.pi * done", "math.pi", ["scheduler"]),
    ],
)
def test_an_edit_is_seen_in_the_part_that_it_changes(edited, file, old, new, parts):
    before = fingerprint(CONFIG, "data")
    assert set(before) == {"problem", "model", "optimizer", "rule", "scheduler", "data"}
    edited(file, old, new)
    assert changed(before, fingerprint(CONFIG, "data")) == parts


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("gofau/optim/post_steps.py", "ham_alpha * g", "ham_alpha * g.abs()"),
        ("gofau/optim/post_steps.py", "return p - rule", "return p + rule"),
        ("gofau/optim/rules.py", "torch.expm1(x)", "(torch.exp(x) - 1)"),
    ],
)
def test_a_post_step_is_known_by_its_code_and_by_how_it_is_applied(edited, file, old, new):
    config = CONFIG | {"post_step": {"name": "ham", "ham_alpha": 200.0}}
    before, without = fingerprint(config), fingerprint(CONFIG | {"post_step": {"name": "none"}})
    assert before.keys() - without.keys() == {"post_step"}
    edited(file, old, new)
    assert changed(before, fingerprint(config)) == ["post_step"]
    assert changed(without, fingerprint(CONFIG)) == []


def test_a_scheme_of_initialisation_is_known_by_its_code(edited):
    config = CONFIG | {"init": {"name": "normal"}}
    before = fingerprint(config)
    edited("gofau/models/init.py", "std=scale", "std=2 * scale")
    assert changed(before, fingerprint(config)) == ["init"]


def make(limit):
    def clipped(theta, d, eta):
        return (eta * d).clamp(-limit, limit)

    return clipped


BOUND = 1.0


def bounded(theta, d, eta):
    return (eta * d).clamp(-BOUND, _twice(BOUND))


def _twice(x):
    return 2 * x


def test_a_registered_function_is_what_it_says_and_what_it_holds(monkeypatch):
    assert digest_function(make(0.1)) == digest_function(make(0.1)) != digest_function(make(0.2))
    before = digest_function(bounded)
    assert before != digest_function(make(0.1))
    monkeypatch.setattr(f"{__name__}.BOUND", 2.0)
    assert digest_function(bounded) != before


def test_a_rule_that_the_user_registered_has_a_fingerprint():
    from gofau.optim import RULES, register_rule

    config = CONFIG | {"rule": {"name": "mine"}}
    assert "rule" not in fingerprint(config)
    found = []
    for limit in (0.1, 0.1, 0.2):
        register_rule("mine")(make(limit))
        try:
            found.append(fingerprint(config)["rule"])
        finally:
            del RULES["mine"]
    assert found[0] == found[1] != found[2]


def test_a_post_step_that_the_user_registered_has_a_fingerprint_of_its_own():
    from gofau.optim import POST_STEPS, register_post_step

    config = CONFIG | {"post_step": {"name": "mine"}}
    assert "post_step" not in fingerprint(config)
    found = []
    for limit in (0.1, 0.1, 0.2):
        register_post_step("mine")(make(limit))
        try:
            found.append(fingerprint(config)["post_step"])
        finally:
            del POST_STEPS["mine"]
    assert found[0] == found[1] != found[2]


def test_every_target_of_the_configurations_is_found():
    lines = [
        line
        for path in (ROOT / "configs").rglob("*.yaml")
        for line in path.read_text().splitlines()
        if line.startswith("_target_: gofau.")
    ]
    assert len(lines) > 20
    assert len({sources.digest([line.split()[1]]) for line in lines}) > 20
