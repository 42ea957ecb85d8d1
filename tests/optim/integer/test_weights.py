"""Saving, loading and copying: exact, packed, and as if nothing had happened."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from gofau.models.resnet18 import resnet18
from gofau.optim import Adam, IntegerMadam
from gofau.optim.lns import float_weights


def net(seed=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3))


def made(model, **settings):
    settings = {"levels": 300, "base_lr": 0.01, "lr_factor": 3} | settings
    return IntegerMadam(model.named_parameters(), **settings)


def train(model, optimizer, steps):
    for t in steps:
        generator = torch.Generator().manual_seed(t)
        optimizer.zero_grad()
        model(torch.randn(16, 5, generator=generator)).square().mean().backward()
        optimizer.step()


def same(a, b):
    """Two states, to the bit."""
    assert a.keys() == b.keys()
    for name, value in a.items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == b[name].dtype
            assert torch.equal(value, b[name]), name
        else:
            assert value == b[name], name


def saved(state_dict):
    """Through a file, as a checkpoint is."""
    file = io.BytesIO()
    torch.save(state_dict, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


@pytest.mark.parametrize("levels", [256, 300, 4096, 40000])
def test_going_on_from_a_checkpoint_equals_never_having_stopped(levels):
    model, settings = net(), {"levels": levels, "base_lr": 4 / levels}
    optimizer = made(model, **settings)
    train(model, optimizer, range(10))
    weights, state = saved(model.state_dict()), saved(optimizer.state_dict())
    train(model, optimizer, range(10, 20))

    resumed = net(seed=99)
    resumed.load_state_dict(weights)
    other = made(resumed, **settings)
    other.load_state_dict(state)
    train(resumed, other, range(10, 20))
    for a, b in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(
        optimizer.state_dict()["state"].values(), other.state_dict()["state"].values(), strict=True
    ):
        same(a, b)


def test_the_optimizers_state_alone_makes_the_weights_again():
    model = net()
    optimizer = made(model)
    train(model, optimizer, range(5))
    fresh = net(seed=99)
    other = made(fresh)
    other.load_state_dict(saved(optimizer.state_dict()))
    assert all(map(torch.equal, model.parameters(), fresh.parameters()))


def test_a_state_dict_brings_its_own_levels():
    model = net()
    optimizer = made(model, levels=1000)
    train(model, optimizer, range(3))
    twin = copy.deepcopy(model)
    other = made(twin, levels=16, base_lr=0.3)
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["levels"] == 1000
    assert all(map(torch.equal, model.parameters(), twin.parameters()))


def test_a_state_dict_holds_bytes_and_shares_none_with_the_optimizer_that_loads_it():
    model = net()
    optimizer = made(model, levels=4096)
    train(model, optimizer, range(3))
    state = optimizer.state_dict()["state"]
    assert set(state[0]) == {"step", "exp_avg_sq", "packed", "theta_max"}
    assert state[0]["packed"].dtype == torch.uint8
    assert state[0]["packed"].numel() == -(-35 * 13 // 8)
    assert set(state[3]) == {"step", "exp_avg_sq", "values"}  # BatchNorm's shift: zero at the start
    twin = copy.deepcopy(model)
    other = made(twin)
    other.load_state_dict(optimizer.state_dict())
    before = state[0]["exp_avg_sq"].clone()
    train(twin, other, range(3, 5))
    assert torch.equal(state[0]["exp_avg_sq"], before)


def test_loading_sees_what_other_hooks_make_of_the_state_dict():
    model, seen = net(), []
    optimizer = made(model)
    train(model, optimizer, range(3))
    state = optimizer.state_dict()
    other = made(net(seed=99))
    other.register_load_state_dict_pre_hook(lambda o, d: {**state})
    other.register_load_state_dict_post_hook(
        lambda o: seen.append(o.state[o.param_groups[0]["params"][0]]["k"].dtype)
    )
    for _ in range(2):
        other.load_state_dict({"state": {}, "param_groups": []})
    assert seen == [torch.int16] * 2
    same(state["state"][0], other.state_dict()["state"][0])


def test_a_state_dict_of_another_kind_or_shape_is_refused():
    model = net()
    optimizer = made(model)
    train(model, optimizer, range(3))
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match="not a state_dict of IntegerMadam: it has no base_lr"):
        optimizer.load_state_dict(Adam(net().parameters()).state_dict())
    wide = nn.Sequential(nn.Linear(6, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3))
    with pytest.raises(ValueError, match=r"shape \(7, 5\) is needed, got .* of shape \(7, 6\)"):
        optimizer.load_state_dict(made(wide).state_dict())
    foreign = optimizer.state_dict()
    foreign["state"][0]["momentum_buffer"] = torch.zeros(7, 5)
    with pytest.raises(ValueError, match=r"got one with step, .*momentum_buffer"):
        optimizer.load_state_dict(foreign)
    foreign["param_groups"].append(foreign["param_groups"][0])
    del foreign["state"][0]["momentum_buffer"]
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict(foreign)
    for i, state in before["state"].items():
        same(state, optimizer.state_dict()["state"][i])
    train(model, optimizer, range(3, 5))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_model_and_optimizer_go_on_alike(copied):
    model = net()
    optimizer = made(model)
    train(model, optimizer, range(5))
    twin, other = copied((model, optimizer))
    train(model, optimizer, range(5, 10))
    train(twin, other, range(5, 10))
    assert all(map(torch.equal, model.parameters(), twin.parameters()))
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        mine, theirs = dict(optimizer.state[p]), dict(other.state[q])
        del mine["version"], theirs["version"]
        same(mine, theirs)


def test_half_precision_loses_nothing_in_a_checkpoint():
    model = net().bfloat16()
    optimizer = made(model)
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    optimizer.step()
    twin = copy.deepcopy(model)
    other = made(twin)
    other.load_state_dict(saved(optimizer.state_dict()))
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(optimizer.state[p]["exp_avg_sq"], other.state[q]["exp_avg_sq"])
    assert all(map(torch.equal, model.parameters(), twin.parameters()))


def test_packed_weights_are_enough_to_use_a_model():
    model = net()
    optimizer = made(model)
    train(model, optimizer, range(5))
    weights = float_weights(saved(optimizer.packed_weights()))
    fresh = net(seed=99)
    missing = fresh.load_state_dict(weights, strict=False).missing_keys
    assert missing == ["1.running_mean", "1.running_var"]
    assert all(map(torch.equal, model.parameters(), fresh.parameters()))
    unnamed = IntegerMadam([{"params": [nn.Parameter(torch.ones(2))]}]).packed_weights()
    assert list(unnamed) == ["0.0"]


def test_the_bytes_of_a_stored_resnet18():
    model = resnet18((3, 32, 32), 10)
    floats = sum(p.nbytes for p in model.parameters())
    optimizer = IntegerMadam(model.named_parameters())  # 12 bits, and the sign
    file = io.BytesIO()
    torch.save(optimizer.packed_weights(), file)
    assert 0.40 * floats < len(file.getvalue()) <= 0.41 * floats
    entries = optimizer.state_dict()["state"].values()
    held = sum(s["packed" if "packed" in s else "values"].nbytes for s in entries)
    assert held <= 0.41 * floats
    assert sum(s["exp_avg_sq"].nbytes for s in entries) == floats  # what v costs on top
