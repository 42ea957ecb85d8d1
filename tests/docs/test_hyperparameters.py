"""A rule says its hyperparameters once: files and page say what it says."""

import importlib
import inspect

import pytest
import yaml

from gofau import optim
from gofau.optim.hyperparameters import SHARED
from gofau.optim.rules import RULES
from tests.command_line import ROOT

OWN = ("additive", "multiplicative", "hybrid", "exponential", "power")
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("rule_configs")


def test_there_is_a_file_for_each_of_our_rules_and_no_other(script):
    assert sorted(rule.name for rule in script.own()) == sorted(OWN)
    files = {path.stem for path in (ROOT / "configs" / "rule").glob("*.yaml")}
    assert files == set(OWN)


@pytest.mark.parametrize("rule", OWN)
def test_its_file_is_what_the_rule_declares(script, rule):
    written = (ROOT / "configs" / "rule" / f"{rule}.yaml").read_text(encoding="utf-8")
    assert written == script.text(RULES[rule])
    values = yaml.safe_load(written)
    assert values.pop("name") == rule
    assert values.pop("zero_init", "additive") == "additive"
    assert values == {h.name: h.default for h in RULES[rule].hyperparameters.values()}


def test_the_table_of_the_page_is_what_the_rules_declare(script):
    (block,) = script.BLOCK.findall(PAGE)
    assert block == script.table()
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in block.splitlines()[2:]]
    assert [row[:3] for row in rows] == [
        [h.name, h.symbol, str(h.default)] for h in SHARED.values()
    ]
    for name, *_, rules in rows:
        assert rules.replace("`", "").split(", ") == [
            rule for rule in OWN if name in inspect.signature(RULES[rule].xi).parameters
        ]


@pytest.mark.parametrize("base", ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW"])
def test_the_constructors_have_the_same_defaults(base):
    arguments = inspect.signature(getattr(optim, base)).parameters
    for h in SHARED.values():
        assert arguments[h.name].kind is inspect.Parameter.KEYWORD_ONLY
        assert arguments[h.name].default == h.default
    assert arguments["rule"].default == "additive"


def test_a_file_follows_the_declaration(script):
    """Of a rule made here: its file says its own default and its own words."""
    h = optim.Hyperparameter("kappa", "κ", 0.25, meaning="a bend")

    def bent(theta, d, eta, *, eta_out, kappa):
        """ξ = η_out · d / (κ + |d|). Ours."""
        return eta_out * d / (kappa + d.abs())

    registered = optim.register_rule("bent", h)(bent)
    assert registered is bent
    lines = script.text(RULES.pop("bent")).splitlines()
    assert lines[0].split("   # ") == ["name: bent         ", "ξ = η_out·d / (κ + |d|)"]
    assert "kappa: 0.25" in lines[2]
    assert lines[2].endswith("# κ: a bend")
