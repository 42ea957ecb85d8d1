"""Parts that are built by their import names."""

import pytest

from gofau.errors import UserError
from gofau.runs.fingerprint import fingerprint
from gofau.session.build import call_of


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
