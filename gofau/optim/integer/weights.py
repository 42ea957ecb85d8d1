"""A parameter whose values are integers: what `IntegerMadam` keeps of it, and how the two agree.

The state of such a parameter is

``step``, ``exp_avg_sq``
    as of Adam: the number of steps, and v in float32 (float64 for a float64 parameter);
``k``, ``sign``, ``theta_max``
    the weights, `gofau.optim.lns.Code`; missing where the parameter was all zero;
``version``
    torch's count of the parameter's changes, as it was after the optimizer's own.

A stored state has ``packed`` in place of ``k`` and ``sign``, or ``values`` where those are missing,
and no ``version``.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gofau.optim.lns import Code, NumberSystem
from gofau.optim.update import all_zero

Group = dict[str, Any]
State = dict[str, Any]

STORED = ({"step", "exp_avg_sq", "packed", "theta_max"}, {"step", "exp_avg_sq", "values"})
"""What a stored state may consist of."""


def number_system(group: Group) -> NumberSystem:
    """The one of a param group."""
    return NumberSystem(group["base_lr"], group["levels"])


def code_of(state: State) -> Code:
    return Code(state["k"], state["sign"], state["theta_max"])


def begin(p: Tensor, state: State, group: Group, init: str) -> None:
    """Give a parameter its state before the first step. To be followed by `write`.

    Raises:
        ValueError: a weight is infinite or NaN.
    """
    encode(p, state, group)
    if init == "random" and "k" in state:
        # Drawn by the CPU's generator, so that a seed means the same on every device.
        state["k"].copy_(
            torch.randint(0, group["levels"], p.shape, dtype=torch.int32, device="cpu")
        )
    state["step"] = torch.tensor(0.0, device="cpu")
    state["exp_avg_sq"] = torch.zeros(p.shape, dtype=wide_dtype(p), device=p.device)


def encode(p: Tensor, state: State, group: Group) -> None:
    """Take a parameter's present values for its weights; θ_max is from them."""
    zero = all_zero(p)
    code = {} if zero else number_system(group).encode(p, group["p_scale"])._asdict()
    for name in ("k", "sign", "theta_max"):
        state.pop(name, None)
    state.update(code)


@torch.no_grad()
def write(p: Tensor, state: State, group: Group) -> None:
    """Set a parameter to what its state says of its values."""
    if "k" in state:
        p.copy_(number_system(group).decode(code_of(state), p.dtype))
    elif "values" in state:
        p.copy_(state.pop("values"))
    state["version"] = p._version


def must_be_ours(p: Tensor, state: State, group: Group) -> None:
    """A RuntimeError where somebody else has changed the values of a parameter, as loading weights
    into the model does: the next step would silently undo that."""
    if "k" not in state or state.get("version") == p._version:
        return
    # Touched, but perhaps put back, as where averaged weights stood in for a while; or a copy.
    if not torch.equal(p, number_system(group).decode(code_of(state), p.dtype)):
        raise RuntimeError(
            f"a parameter of shape {tuple(p.shape)} was changed outside IntegerMadam, whose"
            " integers are the weights: call optimizer.from_float() after loading or changing them"
        )


def to_stored(p: Tensor, state: State, group: Group) -> State:
    """A state as it goes into a state_dict: with the weights, their integers packed."""
    kept = {name: state[name] for name in ("step", "exp_avg_sq")}
    if "k" not in state:
        # Also where the model is stored: an optimizer that is made for weights that have been
        # loaded encodes them first, as they are not zero any more.
        return kept | {"values": p.detach().clone()}
    return kept | number_system(group).pack(code_of(state))


def on_its_own(p: Tensor, state: State, group: Group) -> dict[str, Any]:
    """The weights in packed form with all that decoding needs, or the ``values`` of a parameter
    that is held in floats. The way back is `gofau.optim.lns.float_weights`."""
    if "k" not in state:
        return {"values": p.detach().clone()}
    system = number_system(group)
    about = {"base_lr": system.base_lr, "levels": system.levels, "shape": list(p.shape)}
    return system.pack(code_of(state)) | about


def from_stored(stored: Mapping[str, Any], p: Tensor, group: Group) -> State:
    """The way back from `to_stored`, exact, for the parameter ``p``: to be followed by `write`.

    Raises:
        ValueError: it was stored by another kind of optimizer, or for another shape.
    """
    v = stored.get("exp_avg_sq")
    if stored.keys() not in STORED or not isinstance(v, Tensor) or v.shape != p.shape:
        shape = f" of shape {tuple(v.shape)}" if isinstance(v, Tensor) else ""
        raise ValueError(
            f"IntegerMadam's state of a parameter of shape {tuple(p.shape)} is needed, got one with"
            f" {', '.join(map(str, stored))}{shape}"
        )
    state: State = {
        "step": torch.tensor(float(stored["step"]), device="cpu"),
        "exp_avg_sq": v.detach().to(p.device, wide_dtype(p), copy=True).contiguous(),
    }
    if "packed" in stored:
        code = number_system(group).unpack(stored, tuple(p.shape))
        state |= {"k": code.k.to(p.device), "sign": code.sign.to(p.device)}
        state["theta_max"] = code.theta_max
    else:
        state["values"] = stored["values"]
    return state


def wide_dtype(p: Tensor) -> torch.dtype:
    """What a step of a parameter is computed in."""
    return torch.promote_types(p.dtype, torch.float32)
