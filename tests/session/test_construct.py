"""Parts that are built by their import names."""

import pytest
import yaml
from hydra.utils import instantiate

from gofau.errors import UserError
from gofau.runs.fingerprint import fingerprint
from gofau.session import construct
from gofau.session.construct import call_of
from tests.command_line import ROOT

GROUPS = ("dataset", "logger", "model", "optimizer", "problem", "scheduler")
PARTS = [
    (group, path)
    for group in GROUPS
    for path in sorted((ROOT / "configs" / group).glob("*.yaml"))
    if "_target_: " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize(
    ("group", "path"), PARTS, ids=[f"{group}/{path.stem}" for group, path in PARTS]
)
def test_it_is_what_hydra_makes_of_every_part(group, path):
    text = yaml.safe_load(path.read_text(encoding="utf-8"))
    config = text if "_target_" in text else text[group]
    given = {k: v for k, v in config.items() if not (isinstance(v, str) and "${" in v)}
    call = call_of(group, given)
    keys = {key: value for key, value in given.items() if key != "name"}
    hydras = instantiate(keys | {"_partial_": True, "_convert_": "all"})
    assert (call.func, call.args, call.keywords) == (hydras.func, hydras.args, hydras.keywords)


def test_hydra_is_asked_once_for_a_target_and_always_for_what_it_builds(monkeypatch):
    asked = []

    def instantiated(keys):
        asked.append(keys)
        return instantiate(keys | {"_partial_": True, "_convert_": "all"})

    monkeypatch.setattr(construct, "_instantiated", instantiated)
    monkeypatch.setattr(construct, "_known", {})
    plain = {"_target_": "gofau.models.mlp.MLP", "hidden": [8]}
    first, second = call_of("model", plain), call_of("model", plain)
    assert asked == [{"_target_": plain["_target_"]}]
    assert first.keywords == second.keywords == {"hidden": [8]}
    second.keywords["hidden"].append(9)
    assert plain["hidden"] == [8]

    monkeypatch.setattr("gofau.models.mlp.MLP", Twin)
    assert call_of("model", plain).func is Twin  # the name stands for something else by now

    nested = {"_target_": "gofau.models.mlp.MLP", "act": {"_target_": "torch.nn.ReLU"}}
    for keys in (nested, {**plain, "_recursive_": False}, {**plain, "hidden": "${oc.env:HOME}"}):
        asked.clear()
        call_of("model", keys)
        assert asked == [keys]
    assert call_of("model", nested).keywords["act"].__class__.__name__ == "ReLU"


class Twin:
    pass


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("no_such_package.Net", "model._target_: there is no no_such_package.Net"),
        ("a_folder.Net", "model._target_: there is no a_folder.Net"),
        ("gofau.models.mlp.MPL", "model._target_: there is no gofau.models.mlp.MPL"),
    ],
)
def test_a_target_that_does_not_exist_is_told_in_the_same_words_whoever_looks_first(
    target, sentence, tmp_path, monkeypatch
):
    (tmp_path / "a_folder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    config = {"model": {"name": "mine", "_target_": target}}
    said = []
    for look in (lambda: fingerprint(config), lambda: call_of("model", config["model"])):
        with pytest.raises(UserError) as e:
            look()
        said.append(str(e.value))
    assert said[0] == said[1]
    assert said[0].startswith(sentence)


def test_what_fails_while_it_is_imported_is_told_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "broken_net.py").write_text("import no_such_package\n\nclass Net:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"^model\._target_: .*No module named 'no_such_package'"):
        call_of("model", {"_target_": "broken_net.Net"})
