"""GradScaler, gradient accumulation, a compiled train step, torch's state_dicts and checkpoints."""

import copy
import shutil

import pytest
import torch
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.nn.functional import cross_entropy

from tests.ecosystem.nets import assert_same, batches, data, model, optimizer, plain, weights
from tests.optim.reference import BASES

RULES = ["additive", "multiplicative", "hybrid", "exponential"]


@pytest.mark.parametrize("rule", RULES)
def test_a_grad_scaler_changes_nothing_and_skips_steps_that_overflow(rule):
    """tanh is not scale-free: this holds because the scaler unscales before the step."""
    net = model()
    expected = plain(net, optimizer(net, rule=rule), batches())
    net = model()
    opt = optimizer(net, rule=rule)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    for i, (x, y) in enumerate(batches()):
        if i == 3:  # a step that overflows is skipped, and leaves no trace
            before, state = weights(net), copy.deepcopy(opt.state_dict())
            opt.zero_grad()
            scaler.scale(cross_entropy(net(x), y) * torch.inf).backward()
            scaler.step(opt)
            scaler.update()
            assert_same(weights(net), before, rtol=0, atol=0)
            assert str(opt.state_dict()) == str(state)
        opt.zero_grad()
        scaler.scale(cross_entropy(net(x), y)).backward()
        scaler.step(opt)
        scaler.update()
    assert scaler.get_scale() < 2.0**12
    assert_same(weights(net), expected, rtol=1e-4, atol=1e-6)


def test_gradient_accumulation_is_the_joint_batch():
    net = model()
    expected = plain(net, optimizer(net), batches(16))
    net = model()
    opt = optimizer(net)
    for x, y in batches(16):
        opt.zero_grad()
        for part, label in zip(x.split(4), y.split(4), strict=True):
            (cross_entropy(net(part), label) / 4).backward()
        opt.step()
    assert_same(weights(net), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.long
@pytest.mark.filterwarnings("default")  # torch's own, raised while it traces
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile on a CPU needs a C++ compiler")
def test_a_whole_train_step_can_be_compiled():
    net = model()
    expected = plain(net, optimizer(net), batches())
    net = model()
    opt = optimizer(net)

    @torch.compile
    def step(x, y):
        opt.zero_grad()
        loss = cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        return loss

    for x, y in batches():
        step(x, y)
    assert_same(weights(net), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("base", BASES)
def test_a_state_dict_goes_to_torch_and_back(base):
    make, make_torch = BASES[base]
    own = {"alpha": 0.9} if base == "rmsprop" else {}
    nets = [model() for _ in range(3)]
    ours = make(nets[0].parameters(), lr=0.02, weight_decay=0.01, rule="additive", **own)
    whole = make(nets[2].parameters(), lr=0.02, weight_decay=0.01, rule="additive", **own)
    plain(nets[0], ours, batches())
    theirs = make_torch(nets[1].parameters())
    nets[1].load_state_dict(nets[0].state_dict())
    theirs.load_state_dict(copy.deepcopy(ours.torch_state_dict()))
    assert theirs.param_groups[0]["lr"] == 0.02
    if base == "rmsprop":
        assert theirs.param_groups[0]["alpha"] == 0.9
    plain(nets[1], theirs, batches())
    back = make(nets[0].parameters(), rule="additive")
    nets[0].load_state_dict(nets[1].state_dict())
    back.load_state_dict(copy.deepcopy(theirs.state_dict()))
    plain(nets[0], back, batches())
    plain(nets[2], whole, batches() * 3)
    assert_same(weights(nets[0]), weights(nets[2]), rtol=1e-4, atol=1e-6)


def test_only_the_additive_rule_has_a_state_dict_for_torch():
    with pytest.raises(ValueError, match="only the additive rule"):
        optimizer(model(), rule="hybrid").torch_state_dict()


@pytest.fixture
def one_rank(tmp_path):
    store = f"file://{tmp_path}/rendezvous"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("rule", RULES)
def test_torch_distributed_checkpoint_resumes(rule, tmp_path, one_rank):
    steps = batches(epochs=4)
    net = model()
    expected = plain(net, optimizer(net, rule=rule), steps)
    net = model()
    opt = optimizer(net, rule=rule)
    plain(net, opt, steps[:7])
    here = tmp_path / "checkpoint"
    of_model, of_optimizer = get_state_dict(net, opt)
    save({"model": of_model, "optimizer": of_optimizer}, checkpoint_id=here)
    net = model()
    opt = optimizer(net, rule=rule)
    of_model, of_optimizer = get_state_dict(net, opt)
    load({"model": of_model, "optimizer": of_optimizer}, checkpoint_id=here)
    set_state_dict(net, opt, model_state_dict=of_model, optim_state_dict=of_optimizer)
    assert opt.param_groups[0]["rule"] == rule
    assert_same(plain(net, opt, steps[7:]), expected, rtol=0, atol=0)


def test_data_is_what_the_others_use():
    x, y = data()
    assert (x.shape, y.shape) == ((32, 6), (32,))
