"""Rules of one's own: what they may do, and that no path takes a step the plain loop would not."""

import time

import pytest
import torch

import gofau.optim as optim
from gofau.optim.execution import guards
from gofau.optim.execution.foreach import buckets
from gofau.optim.execution.native import compiler, kernels
from gofau.optim.execution.program import tell_once
from tests.optim.stepping import FOREACH, FUSED, LOOP

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")
FAST = [FOREACH, pytest.param(FUSED, marks=needs_compiler)]
on_fast_paths = pytest.mark.parametrize("path", FAST, ids=str)
on_every_path = pytest.mark.parametrize("path", [LOOP, *FAST], ids=str)
LIMIT = 0.5
COUNT = 0


@pytest.fixture(autouse=True)
def apart(own_rules, monkeypatch):
    """Nothing that other tests have registered, recorded, compiled or been told."""
    monkeypatch.setattr(buckets, "_programs", {})
    monkeypatch.setattr(kernels, "_kernels", {})
    monkeypatch.setattr(guards, "_seen", {})
    tell_once.cache_clear()
    yield
    tell_once.cache_clear()


def stepped(path, steps=1, dtype=torch.float32, before=lambda t: None, shape=(3, 2)):
    """Weights after steps with η = 1 along gradients of ones: of ones, by ξ(1, 1, 1) each."""
    p = torch.ones(shape, dtype=dtype, requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0, rule="own", **path)
    for t in range(steps):
        before(t)
        p.grad = torch.ones_like(p)
        optimizer.step()
    return p.detach()


def recorded_steps():
    return [made for made in (*buckets._programs.values(), *kernels._kernels.values()) if made]


@on_every_path
def test_a_global_that_changes_is_read_at_every_step(path, monkeypatch):
    @optim.register_rule("own")
    def own(theta, d, eta):
        return (eta * d).clamp(max=LIMIT)

    def change(t):
        monkeypatch.setitem(globals(), "LIMIT", (0.5, 0.25, 0.5)[t])

    assert torch.equal(stepped(path, 3, before=change), torch.full((3, 2), -0.25))
    assert len(recorded_steps()) == (0 if path is LOOP else 2)  # one for each value


@on_every_path
def test_an_outer_variable_that_changes_is_read_at_every_step(path):
    limit = 0.5

    def helper(x):
        return x.clamp(max=limit)

    @optim.register_rule("own")
    def own(theta, d, eta):
        return helper(eta * d)

    def change(t):
        nonlocal limit
        limit = (0.5, 0.25)[t]

    assert torch.equal(stepped(path, 2, before=change), torch.full((3, 2), 0.25))
    assert len(recorded_steps()) == (0 if path is LOOP else 2)


@on_fast_paths
def test_what_changes_too_often_is_left_to_the_loop(path, monkeypatch):
    @optim.register_rule("own")
    def own(theta, d, eta):
        return eta * d * LIMIT

    def change(t):
        monkeypatch.setitem(globals(), "LIMIT", 2.0**-t)

    with pytest.warns(RuntimeWarning, match="what it reads from outside has changed 8 times"):
        got = stepped(path, 12, before=change)
    assert torch.equal(got, torch.full((3, 2), 1 - sum(2.0**-t for t in range(12))))
    assert len(recorded_steps()) == 8


@on_every_path
def test_a_dtype_is_asked_for_anew_in_every_precision(path):
    @optim.register_rule("own")
    def own(theta, d, eta):
        return torch.finfo(theta.dtype).eps * d * 1000

    for dtype in (torch.float32, torch.float64, torch.float32):
        expected = 1 - torch.finfo(dtype).eps * 1000
        assert torch.equal(stepped(path, dtype=dtype), torch.full((3, 2), expected, dtype=dtype))
    assert len(recorded_steps()) == (0 if path is LOOP else 2)


def scaled(factor):
    def xi(theta, d, eta):
        return factor * eta * d

    return xi


@on_every_path
def test_two_rules_of_one_factory_are_two_rules(path):
    """They share their code and their names."""
    optim.register_rule("own")(scaled(0.5))
    optim.register_rule("other")(scaled(0.25))
    assert torch.equal(stepped(path), torch.full((3, 2), 0.5))
    p = torch.ones(2, requires_grad=True)
    p.grad = torch.ones(2)
    optim.SGD([p], lr=1.0, rule="other", **path).step()
    assert torch.equal(p.detach(), torch.full((2,), 0.75))


def test_a_name_is_not_given_twice():
    optim.register_rule("own")(scaled(0.5))
    optim.register_rule("own")(scaled(0.5))  # the same thing, as when a notebook's cell runs again
    with pytest.raises(ValueError, match="rule 'own' is already registered by scaled"):
        optim.register_rule("own")(scaled(0.25))
    assert torch.equal(stepped(LOOP), torch.full((3, 2), 0.5))


def _writes_into_theta(theta, d, eta):
    return theta.mul_(0.5) * eta


def _writes_into_d(theta, d, eta):
    return d.mul_(eta)


@pytest.mark.parametrize("xi", [_writes_into_theta, _writes_into_d])
@on_every_path
def test_a_rule_must_leave_its_arguments_alone(path, xi):
    optim.register_rule("own")(xi)
    with pytest.raises(ValueError, match="'own' writes into θ or d: it must leave them alone"):
        with_warning_if_fast(path, lambda: stepped(path))


def _a_number(theta, d, eta):
    return 0.5


def _a_scalar(theta, d, eta):
    return d.new_ones(())


def _a_sum(theta, d, eta):
    return d.sum()


def _another_shape(theta, d, eta):
    return d.reshape(-1)


@pytest.mark.parametrize("xi", [_a_number, _a_scalar, _a_sum, _another_shape])
@on_every_path
def test_a_rule_must_return_a_tensor_of_thetas_shape(path, xi):
    optim.register_rule("own")(xi)
    with pytest.raises(ValueError, match=r"'own' must return a tensor of shape \(3, 2\), got"):
        with_warning_if_fast(path, lambda: stepped(path))


def _complex(theta, d, eta):
    return eta * d * 1j


def _sparse(theta, d, eta):
    return (eta * d).to_sparse()


@pytest.mark.parametrize(
    ("xi", "got"), [(_complex, "strided, complex64"), (_sparse, "sparse_coo, float32")]
)
@on_every_path
def test_a_rule_must_return_dense_real_numbers(path, xi, got):
    optim.register_rule("own")(xi)
    with pytest.raises(ValueError, match=f"'own' must return a dense tensor of real .*, got {got}"):
        with_warning_if_fast(path, lambda: stepped(path))


@pytest.mark.parametrize(
    "xi",
    [
        lambda theta: theta,
        lambda theta, d: d,
        lambda theta, d, eta, kappa: d,
        lambda *, theta, d, eta: d,
    ],
)
def test_a_rule_must_take_theta_d_and_eta(xi):
    with pytest.raises(ValueError, match=r"must take \(theta, d, eta\), and its hyperparameters"):
        optim.register_rule("own")(xi)


def test_a_rule_must_be_a_function():
    with pytest.raises(ValueError, match=r"must be a function of \(theta, d, eta\), got 5"):
        optim.register_rule("own")(5)  # type: ignore[arg-type]


def with_warning_if_fast(path, call):
    if path is LOOP:
        return call()
    with pytest.warns(RuntimeWarning, match="rule 'own'"):
        return call()


def _by_dim(theta, d, eta):
    return eta * d * (0.5 if theta.dim() > 1 else 0.25)


def _by_shape(theta, d, eta):
    return eta * d / theta.shape[0]


def _by_size(theta, d, eta):
    return eta * d / d.numel()


def _by_length(theta, d, eta):
    return eta * d / len(d)


def _by_layout(theta, d, eta):
    return eta * d * (0.5 if theta.is_contiguous() and theta.stride(-1) == 1 else 0.25)


def _by_neighbours(theta, d, eta):
    return eta * (d - 0.5 * d.mean())


def _by_rows(theta, d, eta):
    return eta * d.cumsum(0) * 0.1


def _by_a_squeeze(theta, d, eta):
    return eta * d.squeeze().add(1) * 0.1


def _by_a_branch(theta, d, eta):
    return eta * d * (0.5 if (d > 0).any() else 0.25)


@pytest.mark.parametrize(
    "xi", [_by_dim, _by_shape, _by_size, _by_length, _by_layout, _by_neighbours, _by_a_branch]
)
@on_fast_paths
def test_a_rule_that_looks_at_more_than_one_element_is_stepped_by_the_loop(path, xi):
    optim.register_rule("own")(xi)
    shapes = (3, 2), (7,)
    with pytest.warns(RuntimeWarning, match="rule 'own'") as told:
        got = [stepped(path, 2, shape=shape) for shape in shapes]
    assert len(told) == 1
    assert recorded_steps() == []
    for p, shape in zip(got, shapes, strict=True):
        assert torch.equal(p, stepped(LOOP, 2, shape=shape))


def test_an_operation_on_neighbours_that_keeps_the_shape_is_done_on_each_tensor():
    optim.register_rule("own")(_by_rows)
    assert torch.equal(stepped(FOREACH), stepped(LOOP))
    assert len(recorded_steps()) == 1


@on_fast_paths
def test_a_view_is_not_written_over(path):
    """Not the gradient either, which is d here."""
    optim.register_rule("own")(_by_a_squeeze)
    p = torch.ones(3, 2, requires_grad=True)
    p.grad = torch.ones(3, 2)
    with pytest.warns(RuntimeWarning, match="rule 'own'"):
        optim.SGD([p], lr=1.0, rule="own", **path).step()
    assert torch.equal(p.detach(), torch.full((3, 2), 0.8))
    assert torch.equal(p.grad, torch.ones(3, 2))


SETTINGS = {"limit": 0.5}
HISTORY: list[float] = []


class Settings:
    limit = 0.5


def _reads_a_dictionary(theta, d, eta):
    return eta * d * SETTINGS["limit"]


def _reads_a_list(theta, d, eta):
    return eta * d * (0.5 + len(HISTORY))


def _reads_an_object(theta, d, eta, settings=Settings()):  # noqa: B008  # as people write it
    return eta * d * settings.limit


def _reads_a_class(theta, d, eta):
    return eta * d * Settings.limit


def _reads_a_clock(theta, d, eta):
    return eta * d * (0.5 if time.time() > 0 else 1.0)


def _writes_a_global(theta, d, eta):
    global COUNT
    COUNT += 1
    return eta * d * 0.5


def _imports(theta, d, eta):
    import random

    return eta * d * (0.5 if random.random() < 2 else 1.0)


def _has_a_memory(theta, d, eta):
    _has_a_memory.calls += 1  # type: ignore[attr-defined]
    return eta * d * 0.5


_has_a_memory.calls = 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "xi",
    [
        _reads_a_dictionary,
        _reads_a_list,
        _reads_an_object,
        _reads_a_class,
        _reads_a_clock,
        _writes_a_global,
        _imports,
        _has_a_memory,
    ],
)
@on_fast_paths
def test_a_rule_that_reads_what_may_change_unseen_is_stepped_by_the_loop(path, xi):
    optim.register_rule("own")(xi)
    with pytest.warns(RuntimeWarning, match="rule 'own'") as told:
        assert torch.equal(stepped(path, 3), torch.full((3, 2), -0.5))
    assert len(told) == 1  # not at every step
    assert recorded_steps() == []


@on_fast_paths
def test_numpys_random_numbers_are_drawn_anew(path):
    numpy = pytest.importorskip("numpy")
    generator = numpy.random.default_rng(0)

    @optim.register_rule("own")
    def own(theta, d, eta):
        return eta * d * generator.random()

    with pytest.warns(RuntimeWarning, match="rule 'own'"):
        got = stepped(path, 3)
    drawn = numpy.random.default_rng(0).random(4)[1:]  # the first for whether it moves zeros
    assert got[0, 0].item() == pytest.approx(1 - drawn.sum(), abs=1e-6)


@on_fast_paths
def test_a_recorded_step_that_is_not_the_loops_is_not_taken(path):
    """Whatever made it so; here, that chance has a part in it."""

    @optim.register_rule("own")
    def own(theta, d, eta):
        return eta * torch.rand_like(d)

    with pytest.warns(RuntimeWarning, match="rule 'own'"):
        p = stepped(path)
    assert p.unique().numel() == 6
    assert recorded_steps() == []


@on_every_path
def test_a_rule_may_use_constants_helpers_and_hyperparameters(path):
    bounds: tuple[float, float] = (-0.5, 0.5)

    @optim.register_rule("own", optim.Hyperparameter("power", "k", 1.0))
    def own(theta, d, eta, *, power, eta_in):
        return torch.sign(d) * (eta_in * eta * d.abs() ** power).clamp(*bounds)

    assert torch.equal(stepped(path, 2), torch.zeros(3, 2))
    assert len(recorded_steps()) == (0 if path is LOOP else 1)


def test_the_log_says_what_nobody_has_asked_for(caplog):
    optim.register_rule("own")(_reads_a_clock)
    p = torch.ones(1 << 17, requires_grad=True)
    p.grad = torch.ones_like(p)
    with caplog.at_level("INFO", "gofau.optim"):
        optim.SGD([p], lr=1.0, rule="own").step()
    if compiler.find() is not None:
        assert "it reads 'time'" in caplog.text
    assert (p == 0.5).all()
