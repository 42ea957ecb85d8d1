"""What torch users rely on, as one table: every case × every property × every execution path."""

import pytest
import torch

from tests.optim.reference import BASES, CASES, LR

PATHS = {"loop": {"foreach": False, "fused": False}, "foreach": {"foreach": True}}
PATHS |= {"fused": {"fused": True}}
RULES = ["additive", "multiplicative", "hybrid", "exponential", "power"]
# A rule changes nothing about these properties that its base does not: each case has one in turn.
TABLE = [
    pytest.param(base, options | {"rule": RULES[i // 2 % 5]}, path, id=f"{base}-{options}-{path}")
    for i, (base, options) in enumerate(CASES)
    if i % 4 in (0, 3)  # plain, and with weight decay and maximize together
    for path in PATHS
]
cases = pytest.mark.parametrize(("base", "options", "path"), TABLE)


def make(base, params, options, path, **more):
    own = {"lr": LR[base], **options, **PATHS[path], **more}
    return BASES[base][0](params, **own)


def values(*shapes, dtype=torch.float32):
    generator = torch.Generator().manual_seed(5)
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [d.to(dtype).requires_grad_() for d in drawn]


def walk(optimizer, params, steps=4):
    for t in range(steps):
        for i, p in enumerate(params):
            if p.requires_grad:
                p.grad = torch.tanh(p.detach() - 0.2 * (t + i))
        optimizer.step()
    return [p.detach().clone() for p in params]


@cases
def test_gradients_are_left_as_they_were(base, options, path):
    params = values((3, 2), ())
    optimizer = make(base, params, options, path)
    for p in params:
        p.grad = torch.full_like(p, 0.3)
    before = [p.grad.clone() for p in params]  # type: ignore[union-attr]
    for _ in range(3):
        optimizer.step()
    for p, grad in zip(params, before, strict=True):
        assert torch.equal(p.grad, grad)  # type: ignore[arg-type]


@cases
def test_parameters_without_gradient_keep_their_values_and_have_no_state(base, options, path):
    params = values((3,), (2,), (4,))
    optimizer = make(base, params, options, path)
    still = params[1].detach().clone()
    for _ in range(3):
        params[0].grad, params[2].grad = torch.ones(3), torch.ones(4)
        optimizer.step()
    assert torch.equal(params[1], still)
    if base == "adagrad":  # as in torch, whose Adagrad has its state from the start
        assert optimizer.state[params[1]]["step"] == 0
    else:
        assert params[1] not in optimizer.state
    params[1].grad = torch.ones(2)  # a late comer begins at its own step 1
    optimizer.step()
    assert not torch.equal(params[1], still)
    if "step" in optimizer.state[params[1]]:
        assert (optimizer.state[params[1]]["step"], optimizer.state[params[0]]["step"]) == (1, 4)


@cases
def test_no_gradients_and_empty_tensors_are_no_trouble(base, options, path):
    params = values((0,), (2, 0), (3,))
    optimizer = make(base, params, options, path)
    optimizer.step()
    ends = walk(optimizer, params)
    assert [tuple(e.shape) for e in ends] == [(0,), (2, 0), (3,)]


@cases
def test_a_scalar_is_an_element(base, options, path):
    (row,) = values((1,))
    scalar = row.detach()[0].clone().requires_grad_()
    a = walk(make(base, [row], options, path), [row])[0]
    b = walk(make(base, [scalar], options, path), [scalar])[0]
    assert b.shape == ()
    torch.testing.assert_close(a[0], b, rtol=1e-6, atol=1e-7)


@cases
def test_lr_as_a_tensor(base, options, path):
    (a,), (b,) = values((5,)), values((5,))
    expected = walk(make(base, [a], options, path), [a])[0]
    lr = torch.tensor(LR[base], dtype=torch.float64)
    got = walk(make(base, [b], options, path, lr=lr), [b])[0]
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    assert lr.item() == LR[base]


@cases
def test_memory_layout_changes_nothing_and_is_kept(base, options, path):
    (plain,) = values((2, 3, 4, 5))
    last = plain.detach().clone(memory_format=torch.channels_last).requires_grad_()
    strided = torch.empty(2, 3, 4, 10)[..., ::2].copy_(plain.detach()).requires_grad_()
    odd = plain.detach().clone(memory_format=torch.channels_last).requires_grad_()
    ends = {}
    for name, p in {"plain": plain, "last": last, "strided": strided}.items():
        ends[name] = walk(make(base, [p], options, path), [p])[0]
    optimizer = make(base, [odd], options, path)
    for t in range(4):  # gradient and parameter laid out differently
        odd.grad = torch.tanh(odd.detach() - 0.2 * t).contiguous()
        optimizer.step()
    for p in (ends["last"], ends["strided"], odd.detach()):
        torch.testing.assert_close(p, ends["plain"], rtol=1e-6, atol=1e-7)
    assert last.is_contiguous(memory_format=torch.channels_last)


@cases
def test_mixed_dtypes_in_one_group_go_as_they_go_alone(base, options, path):
    kinds = [torch.float32, torch.float64, torch.bfloat16]
    together = [values((6,), dtype=kind)[0] for kind in kinds]
    joint = walk(make(base, together, options, path), together)
    for i, kind in enumerate(kinds):
        (alone,) = values((6,), dtype=kind)
        optimizer = make(base, [alone], options, path)
        for t in range(4):
            alone.grad = torch.tanh(alone.detach() - 0.2 * (t + i))
            optimizer.step()
        assert joint[i].dtype == kind
        torch.testing.assert_close(alone.detach(), joint[i])


@cases
def test_bfloat16_follows_float32_as_torchs_own_does(base, options, path):
    (low,), (high,) = values((64,), dtype=torch.bfloat16), values((64,), dtype=torch.float32)
    with torch.no_grad():
        high.copy_(low)
    got = walk(make(base, [low], options, path), [low])[0]
    expected = walk(make(base, [high], options, path), [high])[0]
    torch.testing.assert_close(got.float(), expected, rtol=3e-2, atol=3e-2)


@cases
def test_a_group_added_later_goes_as_one_that_begins_then(base, options, path):
    first, late = values((3,), (4,))
    optimizer = make(base, [first], options, path)
    walk(optimizer, [first], 3)
    optimizer.add_param_group({"params": [late]})
    (alone,) = [late.detach().clone().requires_grad_()]
    other = make(base, [alone], options, path)
    for t in range(3):
        for p in (first, late, alone):
            p.grad = torch.tanh(p.detach() - 0.1 * t)
        optimizer.step()
        other.step()
    torch.testing.assert_close(late, alone, rtol=1e-6, atol=1e-7)


@cases
def test_hooks_and_names(base, options, path):
    named = dict(zip(("a", "b"), values((3,), (2,)), strict=True))
    optimizer = make(base, named.items(), options, path)
    assert optimizer.param_groups[0]["param_names"] == ["a", "b"]
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    walk(optimizer, [*named.values()], 1)
    assert seen == ["before", "after"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("base", BASES)
def test_what_is_not_supported_is_refused_in_a_sentence(base, path):
    embedding = torch.nn.Embedding(4, 2, sparse=True)
    optimizer = make(base, embedding.parameters(), {}, path)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        optimizer.step()
    with pytest.raises(ValueError, match="complex"):
        make(base, [torch.ones(2, dtype=torch.complex64, requires_grad=True)], {}, path)
    with pytest.raises(ValueError, match="empty parameter list"):
        make(base, [], {}, path)
    with pytest.raises(ValueError, match="non-leaf"):
        make(base, [torch.ones(2, requires_grad=True) * 2], {}, path)
