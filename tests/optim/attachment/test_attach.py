"""A rule on a foreign optimizer: gofau's own steps, and the optimizer none the worse."""

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest
import torch

import gofau.optim as optim
from gofau.optim import attach, attached
from gofau.optim.execution.native import compiler
from gofau.optim.execution.native.kernels import step as native_step
from tests.optim.reference import BASES, CASES, LR, TABLE, pair, scalar_rule
from tests.optim.versions import FLAGGED

RULES = ["additive", "multiplicative", "hybrid", "exponential", "power"]
HYPER: dict[str, Any] = {"eta_in": 7.0, "eta_out": 0.2, "gamma": 0.3}
HYBRID: dict[str, Any] = {"rule": "hybrid"}
KEYS = ["rule", "stepsize", "eta_in", "eta_out", "gamma", "zero_init", "decoupled_weight_decay"]


class Lion(torch.optim.Optimizer):
    """A third party's optimizer, with decoupled weight decay."""

    def __init__(self, params, lr=1e-2, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> Any:
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * torch.sign(m.lerp(p.grad, 1 - group["betas"][0])))
                m.lerp_(p.grad, 1 - group["betas"][1])


class Bare(torch.optim.Optimizer):
    """Steps of 0.1·g, and what its groups say of a learning rate is up to the caller."""

    def __init__(self, params, **defaults):
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(0.1 * p.grad)


def leaves(dtype=torch.float64, seed=0):
    """A matrix, a tensor that starts at zero, a vector with one zero, a 0-d and an empty one."""
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(s, generator=generator, dtype=dtype) for s in ((4, 3), (), (0, 2))]
    values += [torch.zeros(3, dtype=dtype), torch.tensor([0.0, 1.0, -1.0], dtype=dtype)]
    return [v.requires_grad_() for v in values]


def set_gradients(params, t, sign=1):
    with torch.no_grad():
        for i, p in enumerate(params):
            p.grad = sign * torch.tanh(p - torch.tensor(0.3 * t + i).sin().to(p.dtype))


def train(optimizer, params, steps=10, start=0, sign=1):
    for t in range(start, start + steps):
        set_gradients(params, t, sign)
        optimizer.step()


def eta_of(optimizer):
    lr = optimizer.param_groups[0].get("lr")
    return 1.0 if lr is None or lr == 0 else float(lr)


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


def close(a, b, rtol=1e-9, atol=1e-11):
    for p, q in zip(a, b, strict=True):
        torch.testing.assert_close(p.detach(), q.detach(), rtol=rtol, atol=atol)


class Watcher:
    """Keeps every d it is shown."""

    def __init__(self):
        self.seen, self.ends = [], 0

    def see(self, p, d, rule, settings):
        self.seen.append(d)

    def end(self):
        self.ends += 1


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))


def walk(model, optimizer, steps=4, start=0):
    for t in range(start, start + steps):
        x = torch.randn(8, 5, generator=torch.Generator().manual_seed(t))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


# Invariant 7.


@pytest.mark.parametrize("eta_out", [0.2, None])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("base", "options"), CASES, ids=str)
def test_an_attached_rule_is_the_native_one(base, options, rule, eta_out):
    zero_init = "freeze" if options.get("maximize") else "additive"
    a, b = leaves(), leaves()
    hyper = HYPER | {"eta_out": eta_out}
    native, foreign = pair(base, options, a, b, rule=rule, zero_init=zero_init, **hyper)
    decoupled = TABLE[base].decay is not None  # torch's own are recognised
    attach(foreign, rule=rule, zero_init=zero_init, decoupled_weight_decay=decoupled, **hyper)
    sign = -1 if options.get("maximize") else 1
    for t in range(12):
        train(native, a, 1, t, sign)
        train(foreign, b, 1, t, sign)
        close(a, b)


@pytest.mark.parametrize("eta_out", [None, 0.2])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_the_same_in_float32_within_the_rounding_of_d(base, rule, eta_out):
    a, b = leaves(torch.float32), leaves(torch.float32)
    options = {"momentum": 0.9} if base == "sgd" else {}
    hyper = HYPER | {"eta_out": eta_out}
    native, foreign = pair(base, options, a, b, rule=rule, **hyper)
    attach(foreign, rule=rule, **hyper)
    train(native, a)
    train(foreign, b)
    # d is off by ulp/(2η), and η_out·η_in times that goes into each of the 10 steps.
    gain = 1.0 if eta_out is None else eta_out / LR[base]
    tolerance = 1e-5 * max(1.0, gain * HYPER["eta_in"] / 10)
    close(a, b, rtol=tolerance, atol=tolerance)


def test_the_error_of_d_is_half_an_ulp_of_the_weight_over_the_learning_rate():
    theta = torch.tensor([1.0, 1.0, 3.0], requires_grad=True)
    optimizer = torch.optim.SGD([theta], lr=0.25)
    handle = attach(optimizer, rule="multiplicative")
    handle.watcher = watcher = Watcher()
    gradient = torch.tensor([2.0**-24, 1.2, 0.4])
    theta.grad = gradient
    before = theta.detach().clone()
    optimizer.step()
    (d,) = watcher.seen
    error = (d - gradient).abs()
    assert d[0] == 0  # a step below half an ulp: lost
    assert (error <= 2.0**-24 * before / 0.25).all()
    assert error[1:].max() > 0


@pytest.mark.parametrize(
    ("make", "additive"),
    [
        (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), {}),
        (lambda p: torch.optim.AdamW(p, lr=0.1), {}),
        (lambda p: Lion(p, weight_decay=0.1), {}),
        (lambda p: optim.SGD(p, lr=0.1, rule="additive"), {}),
        (lambda p: torch.optim.SGD(p, lr=0.1), {"decoupled_weight_decay": True}),
    ],
)
def test_additive_leaves_the_parameters_alone_bit_for_bit(make, additive):
    a, b = leaves(torch.float32), leaves(torch.float32)
    bare, with_rule = make(a), make(b)
    handle = attach(with_rule, rule="additive", **additive)
    train(bare, a)
    train(with_rule, b)
    assert same(a, b)
    assert not handle._buffers


# Any optimizer: θ' = θ − ξ(θ, d; η) with θ after decay, and η·d from a twin that walks along.

FOREIGN = {
    "lion": (lambda p: Lion(p, weight_decay=0.3), 0.3e-2, {"decoupled_weight_decay": True}),
    "lion, decay within d": (lambda p: Lion(p, weight_decay=0.3), 0.0, {}),
    "adamw foreach": (lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.3, foreach=True), 3e-3),
    "adamw fused": (lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.3, fused=True), 3e-3),
    "nadam decoupled": (
        lambda p: torch.optim.NAdam(p, 0.01, weight_decay=0.3, decoupled_weight_decay=True),
        3e-3,
    ),
    "radam decoupled": (
        lambda p: torch.optim.RAdam(p, 0.01, weight_decay=0.3, decoupled_weight_decay=True),
        3e-3,
    ),
    "adafactor": (lambda p: torch.optim.Adafactor(p, 0.01, weight_decay=0.3), 3e-3),
    "adam L2": (lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.3), 0.0),
    "adam fused": (lambda p: torch.optim.Adam(p, 0.01, fused=True), 0.0),
    "sgd fused": (lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, fused=True), 0.0),
    "sgd foreach": (lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, foreach=True), 0.0),
    "adagrad fused": (lambda p: torch.optim.Adagrad(p, 0.1, fused=True), 0.0),
    "rmsprop foreach": (lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, foreach=True), 0.0),
    "asgd": (lambda p: torch.optim.ASGD(p, 0.01), 0.0),
    "adadelta": (lambda p: torch.optim.Adadelta(p, 0.5), 0.0),
    "adamax": (lambda p: torch.optim.Adamax(p, 0.01), 0.0),
    "rprop": (lambda p: torch.optim.Rprop(p, 0.01), 0.0),
    "gofau additive": (lambda p: optim.Adam(p, 0.01, rule="additive"), 0.0),
    "gofau adamw": (lambda p: optim.AdamW(p, 0.01, weight_decay=0.3), 3e-3),
    "tensor lr": (lambda p: torch.optim.Adam(p, torch.tensor(0.01), foreach=False), 0.0),
    "tensor lr, decay": (
        lambda p: torch.optim.AdamW(p, torch.tensor(0.01, dtype=torch.float64), weight_decay=0.3),
        3e-3,
    ),
    "no decay at lr 0": (lambda p: torch.optim.AdamW(p, 0.0, weight_decay=0.3), 0.0),
    "no lr": (lambda p: Bare(p), 0.0),
    "lr of no number": (lambda p: Bare(p, lr=None), 0.0),
}
if FLAGGED:
    FOREIGN |= {
        "adam decoupled": (
            lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.3, decoupled_weight_decay=True),
            3e-3,
        ),
        "lr of one element": (
            lambda p: torch.optim.Adam(p, torch.tensor([0.01]), foreach=False),
            0.0,
        ),
    }


@pytest.mark.parametrize("rule", RULES[1:])
@pytest.mark.parametrize("name", FOREIGN)
def test_any_optimizers_own_step_goes_through_the_rule(name, rule):
    make, decay, *options = FOREIGN[name]
    a, b = leaves()[:1], leaves()[:1]
    ruled, twin = make(a), make(b)
    attach(ruled, rule=rule, **HYPER, **(options[0] if options else {}))
    for t in range(6):
        before = a[0].detach().clone()
        train(twin, b, 1, t)
        train(ruled, a, 1, t)
        theta = before * (1 - decay)
        u = theta - b[0].detach()
        eta = eta_of(ruled)
        flat = zip(theta.flatten().tolist(), (u / eta).flatten().tolist(), strict=True)
        flat = [x - scalar_rule(rule, x, d, eta, **HYPER) for x, d in flat]
        expected = torch.tensor(flat, dtype=theta.dtype).view_as(theta)
        close(a, [expected])
        b[0].data.copy_(a[0].data)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has no Muon before 2.9")
def test_muon_keeps_its_decay_out_of_the_rule():
    p = torch.full((2, 2), 2.0, requires_grad=True)
    optimizer = torch.optim.Muon([p], lr=0.1, weight_decay=0.5)
    attach(optimizer, rule="multiplicative", eta_in=1e6, eta_out=1e-6)
    p.grad = torch.zeros(2, 2)
    optimizer.step()
    torch.testing.assert_close(p.detach(), torch.full((2, 2), 2.0 * 0.95), rtol=1e-5, atol=0)


def test_large_tensors_are_worked_on_in_pieces_and_odd_layouts_whole(monkeypatch):
    monkeypatch.setattr("gofau.optim.attachment.step.PIECE", 7)
    values = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    ends = []
    for layout in (
        lambda v: v,
        lambda v: v.contiguous(memory_format=torch.channels_last),
        _strided,
    ):
        p = layout(values.clone()).requires_grad_()
        optimizer = torch.optim.SGD([p], lr=0.1)
        attach(optimizer, rule="hybrid")
        p.grad = values.clone()
        optimizer.step()
        ends.append(p.detach())
    assert same(ends[:1] * 2, ends[1:])


def _strided(values):
    return torch.stack([values, values], -1)[..., 0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision(dtype):
    p = torch.tensor([1.0, -2.0], dtype=dtype, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=1.0)
    attach(optimizer, rule="multiplicative", eta_in=1e3, eta_out=0.25)
    p.grad = torch.tensor([0.5, 0.5], dtype=dtype)
    optimizer.step()
    assert p.tolist() == [0.75, -2.5]
    assert p.dtype == dtype


# What the optimizer is used with.


def test_the_settings_live_in_the_groups_beside_the_optimizers_own():
    optimizer = torch.optim.RMSprop([{"params": leaves(), "gamma": 0.77}])
    attach(optimizer, gamma=0.25)
    group = optimizer.param_groups[0]
    assert (group["gamma"], group["gofau_gamma"]) == (0.77, 0.25)
    assert {"gofau_" + key for key in KEYS} == {k for k in group if k.startswith("gofau_")}


def test_settings_in_the_groups_drive_the_next_step():
    p, q = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    groups = [{"params": [p]}, {"params": [q], "gofau_rule": "additive"}]
    optimizer = torch.optim.SGD(groups, lr=0.25)
    attach(optimizer, rule="multiplicative", eta_in=1e6, eta_out=0.5)
    p.grad = q.grad = torch.ones(1)
    optimizer.step()
    assert (p.item(), q.item()) == (0.5, 0.75)
    optimizer.param_groups[0]["gofau_eta_out"] = 0.25
    optimizer.param_groups[1]["gofau_rule"] = "multiplicative"
    optimizer.step()
    assert (p.item(), q.item()) == (0.375, 0.375)


@pytest.mark.parametrize("before", [True, False])
def test_schedulers_go_on_as_before(before):
    ends = []
    for make in BASES["adam"]:
        params = leaves()
        optimizer = make(params, lr=0.1, **(HYBRID if make is optim.Adam else {}))
        if make is torch.optim.Adam and before:
            attach(optimizer)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=9)
        if make is torch.optim.Adam and not before:
            attach(optimizer)
        for t in range(8):
            train(optimizer, params, 1, t)
            schedule.step()
        ends.append(params)
    close(*ends)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", BASES)
def test_resume_from_a_state_dict_is_bit_identical(base, rule, tmp_path):
    make = BASES[base][1]
    whole, part, resumed = leaves(), leaves(), leaves(seed=1)
    straight, first, again = make(whole), make(part), make(resumed)
    for o in (straight, first):
        attach(o, rule=rule, zero_init="additive", **HYPER)
    attach(again, rule="additive", zero_init="freeze")
    train(straight, whole, 8)
    train(first, part, 3)
    torch.save([part, first.state_dict()], tmp_path / "checkpoint.pt")
    weights, state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for p, value in zip(resumed, weights, strict=True):
        p.data.copy_(value)
    again.load_state_dict(state)
    train(again, resumed, 5, start=3)
    assert same(whole, resumed)
    assert (whole[3] != 0).all()  # the tensor that started at zero moved all the way


@pytest.mark.parametrize("base", BASES)
def test_the_bases_state_is_its_own(base):
    a, b = leaves(), leaves()
    bare, ruled = BASES[base][1](a), BASES[base][1](b)
    attach(ruled)
    train(bare, a, 2)
    train(ruled, b, 2)
    mine, theirs = ruled.state_dict(), bare.state_dict()
    assert {k: set(v) for k, v in mine["state"].items()} == {
        k: set(v) for k, v in theirs["state"].items()
    }
    ruled.load_state_dict(copy.deepcopy(theirs))  # from before the attachment: the rule stays
    assert ruled.param_groups[0]["gofau_rule"] == "hybrid"
    assert "gofau_rule" not in theirs["param_groups"][0]
    train(ruled, b, 1)
    bare.load_state_dict(mine)  # and back
    train(bare, a, 1)


def test_a_state_dict_of_other_groups_is_torchs_own_error():
    one, two = leaves(), leaves()
    optimizer = torch.optim.SGD(one)
    attach(optimizer)
    other = torch.optim.SGD([{"params": two[:1]}, {"params": two[1:]}])
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict(other.state_dict())


class Scaler(torch.amp.GradScaler):
    """The scaler of CUDA, on a CPU whose gradients we can overflow at will."""

    def __init__(self):
        super().__init__("cpu", init_scale=2.0**10)


@pytest.mark.parametrize("fused", [False, True])
def test_a_scaler_gives_unscaled_steps_and_a_skipped_one_changes_nothing(fused):
    plain, scaled = net(), net()
    make = {"lr": 0.01, "weight_decay": 0.3, "fused": fused}
    one = torch.optim.AdamW(plain.parameters(), **make)
    other = torch.optim.AdamW(scaled.parameters(), **make)
    attach(one)
    attach(other)
    scaler = Scaler()
    for t in range(6):
        x = torch.randn(8, 5, generator=torch.Generator().manual_seed(t))
        if t == 3:
            before = [p.detach().clone() for p in scaled.parameters()]
            other.zero_grad()
            scaler.scale(scaled(x).square().mean() * float("inf")).backward()
            scaler.step(other)
            scaler.update()
            assert same(before, scaled.parameters())
        for model, optimizer in ((plain, one), (scaled, other)):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            if model is plain:
                loss.backward()
                optimizer.step()
            else:
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
    close(plain.parameters(), scaled.parameters(), rtol=1e-4, atol=1e-6)


def test_gradient_accumulation_is_one_step():
    whole, parts = net(), net()
    one, other = (torch.optim.Adam(m.parameters(), lr=0.01) for m in (whole, parts))
    attach(one)
    attach(other)
    for t in range(3):
        x = torch.randn(8, 5, generator=torch.Generator().manual_seed(t))
        one.zero_grad()
        other.zero_grad()
        whole(x).square().mean().backward()
        for half in x.chunk(2):
            (parts(half).square().mean() / 2).backward()
        one.step()
        other.step()
    close(whole.parameters(), parts.parameters(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("keyword", [False, True])
def test_a_closure_makes_its_gradients_inside_the_step(keyword):
    ends = []
    for make in (optim.AdamW, torch.optim.AdamW):
        p, q, idle = (torch.full((2,), v, requires_grad=True) for v in (1.0, 0.0, 5.0))
        own = HYBRID if make is optim.AdamW else {}
        optimizer = make([p, q, idle], lr=0.1, weight_decay=0.1, **own)
        if make is torch.optim.AdamW:
            attach(optimizer)

        def closure(optimizer=optimizer, p=p, q=q):
            optimizer.zero_grad()
            loss = (p - 3).square().sum() + (q - 1).square().sum()
            loss.backward()
            return loss

        for _ in range(3):
            loss = optimizer.step(closure=closure) if keyword else optimizer.step(closure)
            assert loss is not None
        ends.append((p, q))
        assert idle.tolist() == [5.0, 5.0]
    close(*ends, rtol=1e-6, atol=1e-6)


def test_parameters_whose_gradients_come_and_go():
    ends = []
    for make in (optim.Adam, torch.optim.Adam):
        params = leaves()
        optimizer = make(params, lr=0.1, **(HYBRID if make is optim.Adam else {}))
        if make is torch.optim.Adam:
            attach(optimizer)
        for t in range(6):
            set_gradients(params, t)
            params[t % 5].grad = None
            before = params[t % 5].detach().clone()
            optimizer.step()
            assert torch.equal(params[t % 5], before)
        ends.append(params)
    close(*ends)


def test_a_zero_start_is_judged_at_the_first_step_not_at_attach():
    p = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=0.1)
    attach(optimizer, rule="multiplicative", eta_out=0.5, eta_in=1e6)
    p.data.fill_(1.0)  # as when weights are loaded after the optimizer was made
    p.grad = torch.ones(2)
    optimizer.step()
    assert p.tolist() == [0.5, 0.5]


def test_groups_added_later_have_the_rule_too():
    p, q, r = (torch.ones(1, requires_grad=True) for _ in range(3))
    optimizer = torch.optim.SGD([p], lr=0.25)
    attach(optimizer, rule="multiplicative", eta_in=1e6, eta_out=0.5)
    optimizer.add_param_group({"params": [q]})
    optimizer.add_param_group({"params": [r], "gofau_eta_out": 0.25})
    p.grad = q.grad = r.grad = torch.ones(1)
    optimizer.step()
    assert (p.item(), q.item(), r.item()) == (0.5, 0.5, 0.75)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"gofau_eta_outt": 1.0}, "Did you mean 'eta_out'"),
        ({"gofau_gamma": 2.0}, "gamma must be in"),
        ({"gofau_rule": "hybird"}, "Did you mean 'hybrid'"),
    ],
)
def test_a_group_that_is_off_is_told_at_its_first_step(extra, message):
    p, q = (torch.ones(1, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([p])
    attach(optimizer)
    optimizer.add_param_group({"params": [q], **extra})
    p.grad = q.grad = torch.ones(1)
    with pytest.raises(ValueError, match=message):
        optimizer.step()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_has_no_hooks_and_goes_on_once_attached_again(copied):
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    attach(optimizer, rule="multiplicative", eta_out=0.3)
    walk(model, optimizer, 3)
    twin_model, twin = copied((model, optimizer))
    assert attached(twin) is None
    assert attached(optimizer) is not None
    attach(twin)
    assert twin.param_groups[0]["gofau_eta_out"] == 0.3
    walk(model, optimizer, 3, start=3)
    walk(twin_model, twin, 3, start=3)
    assert same(model.parameters(), twin_model.parameters())


def test_sparse_gradients_move_their_rows_alone():
    ends = []
    for sparse, make in ((True, torch.optim.SparseAdam), (False, None)):
        torch.manual_seed(0)
        table = torch.nn.Embedding(5, 2, sparse=sparse)
        optimizer = (make or torch.optim.SGD)(table.parameters(), lr=0.1)
        attach(optimizer)
        before = table.weight.detach().clone()
        table(torch.tensor([1, 3])).square().sum().backward()
        optimizer.step()
        ends.append((table.weight.detach() != before).any(1).tolist())
    assert ends[0] == ends[1] == [False, True, False, True, False]


def test_remove_undoes_everything():
    a, b = leaves(), leaves()
    bare, ruled = torch.optim.Adam(a), torch.optim.Adam(b)
    keys, defaults = set(ruled.param_groups[0]), dict(ruled.defaults)
    handle = attach(ruled)
    assert attached(ruled) is handle
    train(ruled, b, 2)
    handle.remove()
    handle.remove()
    assert (set(ruled.param_groups[0]), ruled.defaults) == (keys, defaults)
    assert not handle._buffers
    assert attached(ruled) is None
    for p, q in zip(a, b, strict=True):
        p.data.copy_(q.data)
    bare.load_state_dict(copy.deepcopy(ruled.state_dict()))
    train(bare, a, 3)
    train(ruled, b, 3)
    assert same(a, b)
    attach(ruled).remove()


def test_a_handle_is_a_context_manager():
    p = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=0.25)
    p.grad = torch.ones(1)
    with attach(optimizer, rule="multiplicative", eta_in=1e6, eta_out=0.5):
        optimizer.step()
    optimizer.step()
    assert p.item() == 0.25
    assert attached(optimizer) is None


def test_one_copy_of_the_parameters_used_again_and_nothing_outlives_the_optimizer():
    params = leaves()
    optimizer = torch.optim.SGD(params)
    handle = attach(optimizer, rule="multiplicative")
    train(optimizer, params, 3)
    buffers = {id(p): b.data_ptr() for p, b in handle._buffers.items()}
    train(optimizer, params, 2)
    assert {id(p): b.data_ptr() for p, b in handle._buffers.items()} == buffers
    held = sum(b.numel() for b in handle._buffers.values())
    assert held == sum(p.numel() for p in params) - 3  # the one that started at zero needs none
    gone = weakref.ref(optimizer)
    del optimizer, handle
    gc.collect()
    assert gone() is None


def test_a_model_cast_between_steps_goes_on():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    handle = attach(optimizer)
    walk(model, optimizer, 1)
    model.double()
    optimizer.zero_grad()
    model(torch.ones(2, 5, dtype=torch.float64)).sum().backward()
    optimizer.step()
    assert {b.dtype for b in handle._buffers.values()} == {torch.float64}


class Wrapping(torch.optim.SGD):
    """A subclass whose step calls its parent's: torch fires the hooks once for each."""

    @torch.no_grad()
    def step(self, closure=None) -> Any:
        if closure == "stop":
            raise KeyError("stop")
        super().step()
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(0.25)


def test_a_step_within_a_step_is_one_step_and_an_aborted_one_none():
    p = torch.ones(1, requires_grad=True)
    p.grad = torch.ones(1)
    torch.optim.SGD([p], lr=0.0).step()  # from now on torch.optim.SGD.step has hooks of its own
    optimizer, watcher = Wrapping([p], lr=0.25), Watcher()
    handle = attach(optimizer, rule="multiplicative", eta_in=1e6, eta_out=0.5)
    for expected in (0.5, 0.25):
        handle.watcher = watcher
        optimizer.step()
        assert p.item() == expected
        with pytest.raises(KeyError):
            optimizer.step("stop")
    assert ([d.item() for d in watcher.seen], watcher.ends) == ([2.0, 2.0], 2)


def test_a_compiled_train_step_says_nothing_and_does_the_same():
    models = net(), net()
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in models]
    for model, optimizer in zip(models, optimizers, strict=True):
        attach(optimizer)

        def train_step(x, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()

        step = torch.compile(train_step, backend="eager") if model is models[1] else train_step
        for t in range(4):
            step(torch.randn(4, 5, generator=torch.Generator().manual_seed(t)))
    close(*(m.parameters() for m in models), rtol=1e-6, atol=1e-7)


# What is refused.


def test_what_cannot_have_a_rule_is_refused_in_one_sentence():
    params = leaves()
    optimizer = torch.optim.SGD(params)
    attach(optimizer)

    class Wrapper(torch.optim.Optimizer):
        def __init__(self, inner):
            self.optimizer, self.defaults, self.param_groups = inner, {}, inner.param_groups

        def step(self, closure=None) -> Any:
            self.optimizer.step()

    class Hookless(torch.optim.Optimizer):
        def __init__(self, params):
            self.defaults, self.param_groups = {}, [{"params": params}]

        def step(self, closure=None) -> Any:
            pass

    table = [
        (optimizer, ValueError, "SGD already has a rule attached"),
        (torch.optim.LBFGS(params), ValueError, "LBFGS computes its curvature"),
        (optim.Adam(params, rule="power"), ValueError, "Adam has a rule of its own, 'power'"),
        (torch.optim.SGD(params, differentiable=True), ValueError, "SGD is differentiable"),
        (Wrapper(optimizer), ValueError, "Wrapper wraps another optimizer: .* its .optimizer"),
        (Hookless(params), ValueError, "Hookless.step runs no step hooks"),
        (params, TypeError, "needs a torch.optim.Optimizer, got list"),
        (
            torch.optim.SGD([torch.ones(2, dtype=torch.complex64, requires_grad=True)]),
            ValueError,
            "complex parameters",
        ),
    ]
    for bad, error, message in table:
        with pytest.raises(error, match=message):
            attach(bad)


BAD = [
    ({"rule": "hybird"}, ValueError, "Did you mean 'hybrid'"),
    ({"eta_in": 0}, ValueError, "eta_in must be > 0 and finite, got 0"),
    ({"gamma": 2}, ValueError, r"gamma must be in \[0, 1\], got 2"),
    ({"zero_init": "frozen"}, ValueError, "Did you mean 'freeze'"),
    ({"decoupled_weight_decay": "yes"}, ValueError, "decoupled_weight_decay must be true, false"),
    ({"power": 2}, TypeError, "rule 'hybrid' has no hyperparameter 'power'"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD, ids=str)
def test_bad_settings_are_refused_and_leave_no_trace(options, error, message):
    optimizer = torch.optim.SGD(leaves())
    before = set(optimizer.param_groups[0])
    with pytest.raises(error, match=message):
        attach(optimizer, **options)
    assert set(optimizer.param_groups[0]) == before
    attach(optimizer)


def test_an_own_rule_brings_its_options(monkeypatch):
    rules = dict(optim.RULES)
    monkeypatch.setattr("gofau.optim.registry.RULES", rules)
    monkeypatch.setattr("gofau.optim.attachment.settings.RULES", rules)
    optim.register_rule("raised")(_raised)
    p = torch.tensor([1.0], requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=0.5)
    with pytest.raises(ValueError, match="needs the hyperparameter 'gofau_exponent'"):
        attach(optimizer, rule="raised")
    attach(optimizer, rule="raised", exponent=2)
    p.grad = torch.tensor([0.5])
    optimizer.step()
    assert (p.item(), optimizer.param_groups[0]["gofau_exponent"]) == (0.875, 2)


def _raised(theta, d, eta, *, exponent):
    return eta * d**exponent


def test_a_rule_that_is_changed_must_have_its_hyperparameters(monkeypatch):
    rules = dict(optim.RULES)
    monkeypatch.setattr("gofau.optim.registry.RULES", rules)
    monkeypatch.setattr("gofau.optim.attachment.settings.RULES", rules)
    optim.register_rule("raised")(_raised)
    p = torch.tensor([1.0], requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=0.5)
    attach(optimizer)
    p.grad = torch.tensor([0.5])
    optimizer.param_groups[0]["gofau_rule"] = "raised"
    with pytest.raises(ValueError, match="needs the hyperparameter 'gofau_exponent'"):
        optimizer.step()
    assert p.item() == 1.0


LARGE = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.3),
    "tensor lr": lambda p: torch.optim.AdamW(p, torch.tensor(0.1), weight_decay=0.3, foreach=False),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("rule", RULES[1:])
@pytest.mark.parametrize("base", LARGE)
def test_large_parameters_take_the_compiled_step_to_the_same_end(base, rule, dtype, monkeypatch):
    """`push` in one compiled pass where there is a compiler, in torch's operations where not."""
    ends, left = [], []

    def step(*args):
        left.append(native_step(*args))
        return left[-1]

    monkeypatch.setattr("gofau.optim.attachment.step.kernels.step", step)
    for compiled in (True, False):
        monkeypatch.setattr(
            "gofau.optim.attachment.step.pays", lambda _, compiled=compiled: compiled
        )
        generator = torch.Generator().manual_seed(0)
        params = [
            torch.randn(shape, generator=generator).to(dtype).requires_grad_()
            for shape in ((300, 500), (7,), ())
        ]
        optimizer = LARGE[base](params)
        with attach(optimizer, rule=rule):
            for t in range(3):
                for p in params:
                    p.grad = torch.tanh(p.detach() - 0.2 * t)
                optimizer.step()
        ends.append([p.detach() for p in params])
    assert left == [[]] * 3 if compiler.find() else all(left)
    rounding = 2.0**-7 if dtype == torch.bfloat16 else 2e-6
    absolute = 1e-8 if base == "sgd" else 1e-7  # steps of 0.1, and their rounding
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=rounding, atol=absolute)
