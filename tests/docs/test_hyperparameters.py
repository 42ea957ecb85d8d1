"""Hyperparameters are said once: configs/ and docs/library.md say what the code declares."""

import importlib
import inspect

import pytest
import yaml

from gofau import optim
from gofau.optim import POST_STEPS, RULES, STEPSIZES
from gofau.optim.hyperparameters import SHARED
from tests.command_line import ROOT

OWN = [n for n, rule in RULES.items() if rule.xi.__module__.startswith("gofau.optim.")]
SIZES = [n for n, s in STEPSIZES.items() if type(s).__module__.startswith("gofau.optim.")]
POST = [n for n, p in POST_STEPS.items() if p.xi.__module__.startswith("gofau.optim.")]
OPTIMIZERS = [
    name
    for name in optim.__all__
    if inspect.isclass(x := getattr(optim, name))
    and issubclass(x, optim.RuleOptimizer)
    and x is not optim.RuleOptimizer
]
WITH_OWN_RULE = [name for name in OPTIMIZERS if getattr(optim, name).own_rule]
BASES = [name for name in OPTIMIZERS if name not in WITH_OWN_RULE]
PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("write_configs")


def test_there_is_a_file_for_each_of_our_rules_and_no_other(script):
    assert [rule.name for rule in script.rules()] == OWN
    assert {"additive", "multiplicative", "hybrid", "exponential", "power"} <= set(OWN)
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


def test_every_part_has_its_page_of_the_reference(script):
    pages = script.reference()
    for file, text in pages.items():
        assert file.read_text(encoding="utf-8") == text, file
    for kind, names in (("rules", OWN), ("stepsizes", SIZES), ("optimizers", OPTIMIZERS)):
        there = {path.stem for path in (ROOT / "docs" / "reference" / kind).glob("*.md")}
        assert there - {"integermadam"} == {name.lower() for name in names}  # it takes no rule


def test_the_table_of_the_page_is_what_the_rules_declare(script):
    (block,) = script.BLOCK.findall(PAGE)
    assert block == script.table()
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in block.splitlines()[2:]]
    parts = (*script.rules(), *script.stepsizes(), *script.post_steps())
    ours = {h.name: h for part in parts for h in part.own.values()}
    assert SHARED.keys() <= ours.keys()
    assert [row[:3] for row in rows] == [[h.name, h.symbol, str(h.default)] for h in ours.values()]
    for name, *_, rules in [row for row in rows if row[0] in SHARED]:
        assert rules.replace("`", "").split(", ") == [
            rule for rule in OWN if name in inspect.signature(RULES[rule].xi).parameters
        ]


def test_there_is_a_file_for_each_of_our_step_sizes_and_no_other(script):
    assert [stepsize.name for stepsize in script.stepsizes()] == SIZES
    files = {path.stem for path in (ROOT / "configs" / "stepsize").glob("*.yaml")}
    assert files == set(SIZES) >= {"base", "trust_ratio"}


@pytest.mark.parametrize("stepsize", SIZES)
def test_its_file_is_what_the_step_size_declares(script, stepsize):
    written = (ROOT / "configs" / "stepsize" / f"{stepsize}.yaml").read_text(encoding="utf-8")
    assert written == script.stepsize_text(STEPSIZES[stepsize])
    values = yaml.safe_load(written)
    if STEPSIZES[stepsize].role == "eta":  # the learning rate is its factor
        assert values["optimizer"] == {"lr": 1}
        values = values["stepsize"]
    assert values.pop("name") == stepsize
    assert values == {h.name: h.default for h in STEPSIZES[stepsize].hyperparameters}


def test_there_is_a_file_for_each_of_our_post_steps_and_no_other(script):
    assert [post_step.name for post_step in script.post_steps()] == POST
    files = {path.stem for path in (ROOT / "configs" / "post_step").glob("*.yaml")}
    assert files == set(POST) == {"none", "ham"}


@pytest.mark.parametrize("post_step", POST)
def test_its_file_is_what_the_post_step_declares(script, post_step):
    file = ROOT / "configs" / "post_step" / f"{post_step}.yaml"
    written = file.read_text(encoding="utf-8")
    assert written == script.post_step_text(POST_STEPS[post_step])
    values = yaml.safe_load(written)
    assert values.pop("name") == post_step
    assert values == {h.name: h.default for h in POST_STEPS[post_step].own.values()}


@pytest.mark.parametrize("base", BASES)
def test_the_file_of_a_base_has_its_hyperparameters(script, base):
    """All of them, and their defaults; but for those that were chosen for our experiments."""
    made = getattr(optim, base)
    written = (ROOT / "configs" / "optimizer" / f"{base.lower()}.yaml").read_text(encoding="utf-8")
    values, new = yaml.safe_load(written), yaml.safe_load(script.optimizer_text(made))
    assert values.keys() == new.keys() == {"_target_", "name", *script.options(made)}
    assert all(values[key] == new[key] for key in values if key not in ("lr", "momentum"))


@pytest.mark.parametrize("name", WITH_OWN_RULE)
def test_the_file_of_an_optimizer_with_its_own_rule_has_its_defaults(name):
    written = (ROOT / "configs" / "optimizer" / f"{name.lower()}.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(written)
    assert values.pop("_target_") == f"gofau.optim.{name}"
    assert (values.pop("name"), values.pop("own_rule")) == (name.lower(), True)
    parameters = inspect.signature(getattr(optim, name)).parameters
    how = {"params", "maximize", "foreach", "capturable", "differentiable", "fused"}
    assert values == {k: p.default for k, p in parameters.items() if k not in how}


@pytest.mark.parametrize("base", BASES)
def test_the_constructors_have_the_same_defaults(base):
    arguments = inspect.signature(getattr(optim, base)).parameters
    for h in SHARED.values():
        assert arguments[h.name].kind is inspect.Parameter.KEYWORD_ONLY
        assert arguments[h.name].default == h.default
    assert arguments["rule"].default == "additive"
    assert arguments["stepsize"].default == "base"


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
