"""The contract of a post step: names, groups, states, what is refused, and the order of things."""

import copy
from typing import Any

import pytest
import torch

from gofau import optim
from gofau.optim import Hyperparameter, register_post_step
from gofau.optim.bases.sgd import SGDDirection
from gofau.optim.projection import Projection
from tests.optim.reference import BASES
from tests.optim.stepping import FOREACH, FUSED, LOOP, parameters, run
from tests.optim.versions import FLAGGED

PATHS: dict[str, dict[str, Any]] = {"loop": LOOP, "foreach": FOREACH, "fused": FUSED}


@pytest.fixture
def registry():
    """Left as it was."""
    before = dict(optim.POST_STEPS)
    yield optim.POST_STEPS
    optim.POST_STEPS.clear()
    optim.POST_STEPS.update(before)


def two(dtype=torch.float64):
    values = [torch.tensor([3.0, -4.0], dtype=dtype), torch.tensor([[2.0], [1.0]], dtype=dtype)]
    return [v.requires_grad_() for v in values]


def step(optimizer, params, gradient=0.5):
    for p in params:
        p.grad = torch.full_like(p, gradient)
    optimizer.step()


# Nothing, unless it is asked for.


@pytest.mark.parametrize("base", BASES)
def test_without_one_nothing_is_called(base, monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr("gofau.optim.optimizer.after", never)
    optimizer = run(base, {}, parameters(torch.float32), 1)
    (group,) = optimizer.param_groups
    assert group["post_step"] == "none"
    assert not [key for key in group if key.startswith("ham")]


def test_ham_keeps_no_state():
    params = two()
    optimizer = optim.SGD(params, lr=0.1, post_step="ham")
    step(optimizer, params)
    assert optimizer.state_dict()["state"] == {}


# Names and hyperparameters.


@pytest.mark.parametrize("base", BASES)
def test_an_unknown_one_is_refused_with_the_nearest(base):
    make = BASES[base][0]
    with pytest.raises(ValueError, match=r"post_step must be one of none, ham.*Did you mean 'ham'"):
        make(two(), post_step="hamm")
    with pytest.raises(ValueError, match=r"no key 'poststep'\. Did you mean 'post_step'"):
        make([{"params": two(), "poststep": "ham"}])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ham_alpha": -1}, "ham_alpha must be ≥ 0 and finite, got -1"),
        ({"ham_beta": float("inf")}, "ham_beta must be ≥ 0 and finite, got inf"),
        ({"ham_beta": "x"}, "ham_beta must be a number"),
    ],
)
def test_what_cannot_be_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        optim.SGD(two(), post_step="ham", **given)


def test_its_hyperparameters_belong_to_it():
    with pytest.raises(TypeError, match="rule 'hybrid' has no hyperparameter 'ham_alpha'"):
        optim.SGD(two(), rule="hybrid", ham_alpha=1.0)
    with pytest.raises(TypeError, match=r"rule 'additive' and post step 'ham' have no .* 'alpha'"):
        optim.SGD(two(), post_step="ham", alpha=1.0)
    with pytest.raises(ValueError, match="post step 'ham' needs the hyperparameter 'ham_alpha'"):
        optim.SGD([{"params": two(), "post_step": "ham"}])
    optimizer = optim.AdamW(two(), rule="power", stepsize="trust_ratio", post_step="ham")
    assert optimizer.param_groups[0]["ham_alpha"] == 200.0
    assert optimizer.param_groups[0]["ham_beta"] == 1e-3


@pytest.mark.parametrize("path", PATHS)
def test_each_group_may_have_its_own(path):
    ends = {}
    for own in ("none", "ham", "both"):
        p, q, r = params = [*two(), torch.tensor([1.0], dtype=torch.float64, requires_grad=True)]
        groups: list[dict[str, Any]] = [{"params": params, "post_step": own}]
        if own == "both":
            groups = [{"params": [p], "ham_alpha": 2.0}, {"params": [q], "post_step": "none"}]
            groups.append({"params": [r], "ham_alpha": torch.tensor(0.0), "ham_beta": 0.0})
        more = {"ham_alpha": 1.0} if own != "none" else {}
        name = "none" if own == "none" else "ham"
        optimizer = optim.Adam(groups, lr=0.1, post_step=name, **more, **PATHS[path])
        step(optimizer, params)
        ends[own] = [x.detach() for x in params]
    plain, ham, both = ends["none"], ends["ham"], ends["both"]
    factor = torch.exp(-0.1 * (2 * plain[0].sign() * 0.5 + 1e-3))
    torch.testing.assert_close(both[0], plain[0] * factor, rtol=1e-13, atol=0)
    assert torch.equal(both[1], plain[1])
    assert not torch.equal(both[1], ham[1])
    assert torch.equal(both[2], plain[2])


def test_groups_by_name_have_it():
    model = torch.nn.Linear(3, 2)
    own = {"post_step": "ham", "ham_alpha": 1.0, "ham_beta": 0.0}
    groups = optim.param_groups(model, **own, overrides={"bias": {"post_step": "none"}})
    optimizer = optim.SGD(groups)
    assert [g["post_step"] for g in optimizer.param_groups] == ["ham", "none"]


# State dicts, pickles, torch.


def test_state_dicts_carry_it_and_torchs_leave_it():
    theirs = torch.optim.Adam(two(), lr=0.25)
    optimizer = optim.Adam(two(), post_step="ham", ham_alpha=3.0)
    optimizer.load_state_dict(theirs.state_dict())
    assert optimizer.param_groups[0]["post_step"] == "ham"
    other = optim.Adam(two())
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert other.param_groups[0]["ham_alpha"] == 3.0
    with pytest.raises(ValueError, match=r"torch\.optim has no post step 'ham'"):
        optimizer.torch_state_dict()
    optimizer.param_groups[0]["post_step"] = "none"
    given = optimizer.torch_state_dict()["param_groups"][0]
    later: set[str] = set() if FLAGGED else {"decoupled_weight_decay"}
    assert given.keys() - later == theirs.state_dict()["param_groups"][0].keys()


def test_a_state_dict_from_before_there_were_any_keeps_the_present_one():
    optimizer = optim.SGD(two(), post_step="ham", ham_alpha=3.0)
    old = copy.deepcopy(optim.SGD(two(), lr=0.5).state_dict())
    del old["param_groups"][0]["post_step"]
    optimizer.load_state_dict(old)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert optimizer.param_groups[0]["post_step"] == "ham"


def test_one_pickled_before_there_were_any_has_none():
    optimizer = optim.Adam(two())
    del optimizer.param_groups[0]["post_step"], optimizer.defaults["post_step"]
    again = copy.deepcopy(optimizer)  # which asks what pickle asks
    assert again.param_groups[0]["post_step"] == "none"
    again.add_param_group({"params": [torch.ones(1, requires_grad=True)]})
    assert again.param_groups[1]["post_step"] == "none"


# What goes with it.


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("base", ["sgd", "adamw"])
def test_it_comes_after_a_step_size(base, path):
    ends = []
    for name in ("none", "ham"):
        params = two()
        options: dict[str, Any] = {
            "stepsize": "trust_ratio",
            "post_step": name,
            "weight_decay": 0.1,
        }
        step(BASES[base][0](params, lr=0.01, rule="hybrid", **options, **PATHS[path]), params)
        ends.append([p.detach() for p in params])
    for p, q in zip(*ends, strict=True):
        factor = torch.exp(-0.01 * (200 * p.sign() * 0.5 + 1e-3))
        torch.testing.assert_close(q, p * factor, rtol=1e-13, atol=0)


def test_its_rate_is_that_of_the_group_also_where_a_step_size_replaces_eta():
    p = torch.tensor([3.0, -4.0], dtype=torch.float64, requires_grad=True)
    own: dict[str, Any] = {"stepsize": "layerwise_exact", "post_step": "ham", "ham_beta": 0.25}
    optimizer = optim.SGD([p], lr=0.5, ham_alpha=0.0, damping=0.0, smoothing=0.0, **own)
    optimizer.step(lambda: 0.5 * p.square().sum())  # l = 1: half of the way to the minimum
    expected = torch.tensor([1.5, -2.0], dtype=torch.float64) * torch.tensor(-0.125).exp()
    torch.testing.assert_close(p.detach(), expected, rtol=1e-6, atol=0)


class InBall(Projection):
    """|θ| ≤ 1."""

    def __call__(self, items, group):
        for x in items:
            x.p.clamp_(-1, 1)


class Bounded(optim.RuleOptimizer):
    """SGD with bounded weights."""

    direction, projection = SGDDirection(), InBall()

    def __init__(self, params, **options):
        own = optim.SGD([torch.ones(1)]).defaults
        super().__init__(params, {k: v for k, v in own.items() if k != "post_step"}, options)


def test_a_projection_has_the_last_word():
    params = two()
    optimizer = Bounded(params, post_step="ham", ham_alpha=1e3)
    step(optimizer, params, -0.5)
    assert all((p.abs() <= 1).all() for p in params)
    assert params[1].tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("optimizer", [optim.Madam, optim.Fromage, optim.Nero])
def test_an_optimizer_with_a_rule_of_its_own_takes_none(optimizer):
    own = {"post_step": "ham", "ham_alpha": 1.0, "ham_beta": 0.0}
    with pytest.raises(
        ValueError, match=f"{optimizer.__name__} has a rule of its own: it takes no"
    ):
        optimizer([{"params": two(), **own}])


def test_attach_has_none_and_goes_on_none():
    theirs = torch.optim.SGD(two(), lr=0.1)
    with pytest.raises(ValueError, match="attach has no post_step: it needs the gradient"):
        optim.attach(theirs, post_step="ham")
    ours = optim.SGD(two(), lr=0.1, post_step="ham")
    with pytest.raises(ValueError, match="SGD has the post step 'ham', which would no longer be"):
        optim.attach(ours)
    ours.param_groups[0]["post_step"] = "none"
    with optim.attach(ours):
        ours.param_groups[0]["post_step"] = "ham"
        before = [p.detach().clone() for p in ours.param_groups[0]["params"]]
        with pytest.raises(ValueError, match="SGD has the post step 'ham'"):
            step(ours, ours.param_groups[0]["params"])
        pairs = zip(before, ours.param_groups[0]["params"], strict=True)
        assert all(torch.equal(p, q) for p, q in pairs)


def test_what_is_observed_includes_it():
    p = torch.tensor([4.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0, post_step="ham", ham_alpha=0.0, ham_beta=0.5)
    p.grad = torch.zeros(1)
    with optim.observe(optimizer) as seen:
        optimizer.step()
    moved = 1 - torch.tensor(-0.5).exp().item()
    assert seen.result()["update_ratio/all"] == pytest.approx(moved, rel=1e-6)


# One's own.


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.usefixtures("registry")
def test_one_of_your_own(path):
    @register_post_step("drop_small", Hyperparameter("smallest", "κ", 0.5))
    def drop_small(theta, g, eta, *, smallest):
        return theta * (theta.abs() < smallest)

    params, plain = parameters(torch.float64), parameters(torch.float64)
    flags = PATHS[path]
    run("adam", {"post_step": "drop_small", "smallest": 0.25} | flags, params, 1)
    run("adam", flags, plain, 1)
    for p, q in zip(params, plain, strict=True):
        moved = q.grad is not None
        assert torch.equal(p, q * (q.abs() >= 0.25) if moved else q)


@pytest.mark.usefixtures("registry")
def test_one_that_reads_the_whole_tensor_is_stepped_by_the_loop():
    @register_post_step("normed")
    def normed(theta, g, eta):
        return theta - theta / theta.norm()

    params = two()
    optimizer = optim.Adam(params, lr=0.1, post_step="normed")
    step(optimizer, params)
    assert [p.norm().item() for p in params] == pytest.approx([1, 1])


@pytest.mark.usefixtures("registry")
def test_what_cannot_be_registered_or_returned():
    with pytest.raises(ValueError, match="post step 'ham' is already registered by ham"):
        register_post_step("ham")(lambda theta, g, eta: theta)
    with pytest.raises(ValueError, match="post step 'mine': a param group has a 'gamma' already"):

        @register_post_step("mine")
        def mine(theta, g, eta, *, gamma):
            return gamma * theta

    register_post_step("odd")(lambda theta, g, eta: theta.sum())
    params = two()
    optimizer = optim.SGD(params, post_step="odd")
    with pytest.raises(ValueError, match="post step 'odd' must return a tensor of shape"):
        step(optimizer, params)
