"""A compiled step that clips on its way leaves what the step and then `Clamp` leave."""

import math

import pytest
import torch

from gofau.optim import RULES, Madam
from gofau.optim.execution import sizing
from gofau.optim.execution.clipping import bound_of
from gofau.optim.execution.native import compiler
from gofau.optim.projection import Clamp
from gofau.optim.update import Item
from tests.optim.stepping import FOREACH, FUSED, LOOP, parameters, set_gradients

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")
FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
SCALES = (0.9, 0.3)
LARGE, CHANNELS_LAST, WITH_HOLES, TRANSPOSED, ZERO = 0, 4, 5, 6, 7  # of `parameters`


@pytest.fixture
def projected(monkeypatch):
    """Collects the parameters that `Clamp` is given."""
    given, project = [], Clamp.__call__

    def call(self, items, group):
        given.extend(item.p for item in items)
        project(self, items, group)

    monkeypatch.setattr(Clamp, "__call__", call)
    return given


def walk(dtype, path=FUSED):
    """Four steps of Madam, its bounds in reach, over all sorts of tensors in two groups. Before the
    last step some weights become large or not a number."""
    params = parameters(dtype)
    groups = [{"params": params[i::2], "p_scale": scale} for i, scale in enumerate(SCALES)]
    optimizer = Madam(groups, lr=0.2, g_bound=2.0, **path)
    for t in range(4):
        set_gradients(params, t)
        if t == 3:
            with torch.no_grad():
                params[LARGE][-3:] = torch.tensor([math.nan, 1e4, -1e4])
                params[CHANNELS_LAST][1, 2, 0, 1] = math.nan
        optimizer.step()
    return params, optimizer


@needs_compiler
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_to_the_bit_it_is_the_step_and_then_the_clamp(dtype, monkeypatch):
    clipped, optimizer = walk(dtype)
    monkeypatch.setattr(sizing, "bound_of", lambda *_: None)
    apart, _ = walk(dtype)
    for p, q in zip(clipped, apart, strict=True):
        assert torch.equal(p.isnan(), q.isnan())
        assert torch.equal(p.nan_to_num(7), q.nan_to_num(7))
    assert clipped[LARGE].isnan().sum() == clipped[CHANNELS_LAST].isnan().sum() == 1
    for i in (LARGE, CHANNELS_LAST, WITH_HOLES, TRANSPOSED):
        bound = SCALES[i % 2] * optimizer.state[clipped[i]]["theta_rms"]
        limit = torch.tensor(bound, dtype=torch.float64).to(dtype)
        at, most = clipped[i].abs() == limit, clipped[i].nan_to_num(0).abs().max()
        assert at.sum() > 3
        assert most == limit
    assert clipped[ZERO].abs().max() > 0  # stepped, and never clipped


@needs_compiler
def test_what_it_has_clipped_is_not_read_again(projected):
    params, _ = walk(torch.float32)
    left = {id(params[i]) for i in (WITH_HOLES, TRANSPOSED)}
    assert {id(p) for p in projected} == left
    projected.clear()
    walk(torch.float32, LOOP)
    assert len({id(p) for p in projected}) == len(params)


def test_another_path_leaves_the_clipping_to_the_projection(projected):
    params, _ = walk(torch.float32, FOREACH)
    assert {id(p) for p in projected} == {id(p) for p in params}


def test_only_a_clamp_directly_after_the_step_is_a_bound():
    class Mine(Clamp):
        """May do anything."""

    group = {"p_scale": torch.tensor(0.5), "post_step": "none"}
    assert bound_of(None, group) is None
    assert bound_of(Mine(), group) is None
    assert bound_of(Clamp(), group | {"post_step": "ham"}) is None
    bound = bound_of(Clamp(), group)
    assert bound is not None
    p, rule = torch.ones(1), RULES["exponential"]
    found = [bound(Item(p, p, {"theta_rms": x}, rule)) for x in (3.0, 0.0, math.nan)]
    assert found == [1.5, math.inf, math.inf]
