"""What IntegerMadam takes, refuses and says of itself."""

import pytest
import torch
from torch import nn

import gofau.optim
from gofau.optim import IntegerMadam, attach, observe
from gofau.optim.lns import NumberSystem


class Net(nn.Module):
    def __init__(self, seed=1):
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).flatten(1))


def backward(model, seed=0):
    model.zero_grad()
    x = torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    model(x).square().mean().backward()


def test_the_models_own_weights_are_encoded():
    model = Net()
    start = [p.detach().clone() for p in model.parameters()]
    optimizer = IntegerMadam(model.parameters())
    for p, theta in zip(model.parameters(), start, strict=True):
        if not theta.any():
            assert torch.equal(p, theta)
            continue
        code = NumberSystem().encode(theta)
        assert torch.equal(p, NumberSystem().decode(code))
        assert torch.equal(optimizer.state[p]["k"], code.k)
    assert torch.allclose(model.norm.weight, torch.ones(4), rtol=6e-4)  # BatchNorm's


def test_no_float_copy_of_a_weight_is_kept():
    model = Net()
    optimizer = IntegerMadam(model.parameters())
    backward(model)
    optimizer.step()
    for p in model.parameters():
        floats = [
            name
            for name, value in optimizer.state[p].items()
            if isinstance(value, torch.Tensor) and value.is_floating_point() and value.dim() > 0
        ]
        assert floats == ["exp_avg_sq"]


def test_random_integers_keep_scale_and_signs_and_follow_torchs_seed():
    theta = torch.randn(100, 50)

    def drawn(seed):
        p = nn.Parameter(theta.clone())
        torch.manual_seed(seed)
        return p, IntegerMadam([p], init="random", levels=100, base_lr=0.01).state[p]

    (p, state), (again, _), (other, _) = drawn(0), drawn(0), drawn(1)
    assert torch.equal(p, again)
    assert not torch.equal(p, other)
    assert torch.equal(p.sign(), theta.sign())
    assert state["theta_max"] == NumberSystem(0.01, 100).encode(theta).theta_max
    counts = torch.bincount(state["k"].view(-1).int(), minlength=100)
    assert len(counts) == 100
    assert counts.min() >= 25  # 50 expected
    assert counts.max() <= 80


@pytest.mark.parametrize("zero_init", ["additive", "freeze"])
def test_what_is_zero_at_the_start_is_stepped_in_floats_or_left(zero_init):
    zero, other = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.ones(2))
    optimizer = IntegerMadam([zero, other], zero_init=zero_init, lr_factor=16)
    zero.grad, other.grad = torch.tensor([2.0, -0.1, 0.0]), torch.ones(2)
    optimizer.step()
    if zero_init == "freeze":
        assert not zero.any()
    else:  # ĝ is the sign at the first step; base_lr · lr_factor of it
        assert torch.allclose(zero, torch.tensor([-0.016, 0.016, 0.0]), rtol=1e-5)
    for _ in range(3):
        optimizer.step()
    assert bool(zero.any()) == (zero_init == "additive")
    name = {"additive": "additive", "freeze": "frozen"}[zero_init]
    assert optimizer.rule_counts() == {
        name: {"tensors": 1, "elements": 3},
        "integer": {"tensors": 1, "elements": 2},
    }


def test_a_single_zero_becomes_the_smallest_weight():
    p = nn.Parameter(torch.tensor([0.0, -0.0, 1.0]))
    state = IntegerMadam([p]).state[p]
    assert state["k"].tolist()[:2] == [4095, 4095]
    assert (p[:2] > 0).all()


def test_frozen_parameters_are_left_alone_until_they_get_a_gradient():
    p = nn.Parameter(torch.tensor([0.123456789, 2.0]), requires_grad=False)
    before = p.clone()
    optimizer = IntegerMadam([p, nn.Parameter(torch.ones(1))], init="random")
    optimizer.step()
    assert torch.equal(p, before)
    assert optimizer.rule_counts()["integer"]["tensors"] == 2
    p.requires_grad_(True)
    p.grad = torch.zeros(2)
    optimizer.step()
    assert torch.equal(p, NumberSystem().decode(NumberSystem().encode(before)))


def test_the_closure_is_called_with_gradients_and_its_loss_is_returned():
    p = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = IntegerMadam([p])

    def closure():
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(3)]
    assert losses[0] == pytest.approx(5, rel=2e-3)
    assert losses[0] > losses[1] > losses[2]


def test_weights_that_were_changed_by_somebody_else_are_not_overwritten():
    model, other = Net(), Net(seed=2)
    optimizer = IntegerMadam(model.parameters())
    model.load_state_dict(other.state_dict())
    backward(model)
    with pytest.raises(
        RuntimeError, match=r"\(4, 1, 3, 3\) was changed outside .* call optimizer.from_float\(\)"
    ):
        optimizer.step()
    assert torch.equal(model.head.weight, other.head.weight)
    optimizer.from_float()
    assert (model.head.weight / other.head.weight - 1).abs().median() <= 6e-4
    optimizer.step()


def test_no_parameter_is_stepped_where_one_is_at_fault():
    first, last = (nn.Parameter(torch.randn(4)) for _ in range(2))
    optimizer = IntegerMadam([first, last])
    before = first.detach().clone()
    first.grad, last.grad = torch.ones(4), torch.ones(4)
    with torch.no_grad():
        last[2] += 1
    with pytest.raises(RuntimeError, match="changed outside"):
        optimizer.step()
    assert torch.equal(first, before)


def test_weights_that_were_put_back_are_no_fault():
    model = Net()
    optimizer = IntegerMadam(model.parameters())
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()  # as averaged weights do for an evaluation
    model.load_state_dict(before)
    backward(model)
    optimizer.step()


def test_to_float_undoes_what_was_done_to_the_parameters():
    p = nn.Parameter(torch.randn(5))
    optimizer = IntegerMadam([p])
    ours = p.detach().clone()
    with torch.no_grad():
        p.mul_(2)
    optimizer.to_float()
    assert torch.equal(p, ours)


def test_from_float_takes_the_scale_of_the_new_weights_and_keeps_the_rest():
    p = nn.Parameter(torch.randn(50))
    optimizer = IntegerMadam([p])
    p.grad = torch.randn(50)
    optimizer.step()
    state = optimizer.state[p]
    v = state["exp_avg_sq"].clone()
    with torch.no_grad():
        p.mul_(-8)
    new = p.detach().clone()
    optimizer.from_float()
    assert state["theta_max"] == NumberSystem().encode(new).theta_max
    assert torch.equal(state["sign"].float(), new.sign())
    # The smallest are below a range that ends at 0.05 rms.
    assert (p / new - 1).abs().median() <= 6e-4
    assert torch.equal(state["exp_avg_sq"], v)
    assert state["step"] == 1
    with torch.no_grad():
        p.zero_()
    optimizer.from_float()
    assert "k" not in state
    assert not p.any()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"lr_factor": 0.5}, r"^lr_factor must be ≥ min_lr_factor, which is 1, got 0.5$"),
        ({"lr_factor": -1.0}, r"^lr_factor must be ≥ 0 and finite, got -1.0"),
        ({"lr_factor": "10"}, r"^lr_factor must be a number, got '10'"),
        ({"min_lr_factor": -1}, "min_lr_factor must be ≥ 0"),
        ({"base_lr": 0}, "base_lr must be > 0"),
        ({"levels": 1 << 17}, r"levels must be a whole number in \[2, 65536\], got 131072"),
        ({"p_scale": 0.0}, "p_scale must be > 0 and finite, got 0.0"),
        ({"g_bound": 0.0}, "g_bound must be > 0, got 0.0"),
        ({"beta": 1.0}, r"beta must be in \[0, 1\), got 1.0"),
        ({"init": "randn"}, r"init must be one of encode, random, got 'randn'. Did you mean 'ran"),
        ({"zero_init": "frozen"}, r"zero_init must be .* Did you mean 'freeze'"),
        ({"maximize": 1}, "maximize must be true or false, got 1"),
        ({"foreach": True}, r"^IntegerMadam has no foreach: leave it out$"),
        ({"fused": True}, "no fused"),
        ({"capturable": True}, "no capturable"),
        ({"differentiable": True}, "no differentiable"),
    ],
)
def test_an_argument_out_of_range_is_one_sentence_and_changes_nothing(arguments, sentence):
    p = nn.Parameter(torch.randn(4))
    before = p.detach().clone()
    with pytest.raises(ValueError, match=sentence):
        IntegerMadam([p], **arguments)
    optimizer = IntegerMadam([nn.Parameter(torch.ones(1))])
    with pytest.raises(ValueError, match=sentence):
        optimizer.add_param_group({"params": [p], **arguments})
    assert len(optimizer.param_groups) == 1
    assert len(optimizer.state) == 1
    assert torch.equal(p, before)


def test_lr_and_lr_factor_are_one_thing():
    p = nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match="one thing here"):
        IntegerMadam([{"params": [p], "lr": 3.0, "lr_factor": 4.0}])
    assert IntegerMadam([{"params": [p], "lr": 3.0}]).param_groups[0]["lr"] == 3.0
    assert IntegerMadam([p], lr=4.0).param_groups[0]["lr"] == 4.0
    assert IntegerMadam([p]).param_groups[0]["lr"] == 10


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (torch.ones(2, dtype=torch.complex64), "complex64"),
        (torch.ones(2, device="meta"), "meta"),
    ],
)
def test_parameters_without_real_values_are_refused(value, kind):
    with pytest.raises(ValueError, match=rf"takes plain tensors of real floats, got .*{kind}"):
        IntegerMadam([nn.Parameter(value)])


def test_a_weight_that_is_no_number_is_refused_and_its_neighbours_are_left():
    fine, bad = nn.Parameter(torch.randn(9)), nn.Parameter(torch.tensor([1.0, float("nan")]))
    before = fine.detach().clone()
    with pytest.raises(ValueError, match="infinite or NaN"):
        IntegerMadam([fine, bad])
    assert torch.equal(fine, before)


def test_sparse_gradients_are_refused():
    table = nn.Embedding(4, 2, sparse=True)
    optimizer = IntegerMadam(table.parameters())
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="IntegerMadam does not support sparse gradients"):
        optimizer.step()


def test_a_rule_cannot_be_attached():
    p = nn.Parameter(torch.ones(2))
    optimizer = IntegerMadam([p])
    p.grad = torch.ones(2)
    with attach(optimizer, rule="multiplicative"):
        optimizer.step()
        with pytest.raises(RuntimeError, match="changed outside IntegerMadam"):
            optimizer.step()


def test_its_steps_can_be_observed():
    p = nn.Parameter(torch.ones(4))
    optimizer = IntegerMadam([p])
    p.grad = torch.ones(4)
    with observe(optimizer, per_layer=False) as seen:
        optimizer.step()
    assert seen.result()["update_ratio/all"] == pytest.approx(0.01, rel=0.01)
    assert seen.result()["sign_flips/all"] == 0


def test_it_is_found_where_the_others_are():
    assert gofau.optim.IntegerMadam is IntegerMadam
    assert "IntegerMadam" in gofau.optim.__all__
