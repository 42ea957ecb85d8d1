"""The state of a parameter in `IntegerMadam`: create it, store it, and keep it equal to the values
of the parameter.

The state consists of

``step``, ``exp_avg_sq``
    as in Adam: the number of steps, and v in float32 (float64 for a float64 parameter);
``k``, ``sign``, ``theta_max``
    the weights, `gofau.optim.lns.Code`; missing if the parameter was all zero;
``version``
    torch's counter of in-place changes of the parameter, as it was after the optimizer's last one.

A stored state has ``packed`` in place of ``k`` and ``sign``, or ``values`` if those are missing,
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
"""The two possible sets of keys of a stored state."""


def number_system(group: Group) -> NumberSystem:
    """The number system of a param group."""
    return NumberSystem(group["base_lr"], group["levels"])


def code_of(state: State) -> Code:
    return Code(state["k"], state["sign"], state["theta_max"])


def begin(p: Tensor, state: State, group: Group, init: str) -> None:
    """Create the state of a parameter before its first step. Call `write` afterwards.

    Raises:
        ValueError: a weight is infinite or NaN.
    """
    encode(p, state, group)
    if init == "random" and "k" in state:
        # Drawn by the CPU's generator, so that a seed gives the same weights on every device.
        state["k"].copy_(
            torch.randint(0, group["levels"], p.shape, dtype=torch.int32, device="cpu")
        )
    state["step"] = torch.tensor(0.0, device="cpu")
    state["exp_avg_sq"] = torch.zeros(p.shape, dtype=wide_dtype(p), device=p.device)


def encode(p: Tensor, state: State, group: Group) -> None:
    """Encode a parameter's present values into its state; θ_max is computed from them."""
    zero = all_zero(p)
    code = {} if zero else number_system(group).encode(p, group["p_scale"])._asdict()
    for name in ("k", "sign", "theta_max"):
        state.pop(name, None)
    state.update(code)


@torch.no_grad()
def write(p: Tensor, state: State, group: Group) -> None:
    """Set a parameter to the values that its state holds."""
    if "k" in state:
        p.copy_(number_system(group).decode(code_of(state), p.dtype))
    elif "values" in state:
        p.copy_(state.pop("values"))
    state["version"] = p._version


def must_be_ours(p: Tensor, state: State, group: Group) -> None:
    """Raise a RuntimeError if something else has changed the values of a parameter, such as loading
    weights into the model: the next step would silently undo that."""
    if "k" not in state or state.get("version") == p._version:
        return
    # The counter differs, but the values may be the same: averaged weights were swapped in and out
    # again, or the parameter is a copy.
    if not torch.equal(p, number_system(group).decode(code_of(state), p.dtype)):
        raise RuntimeError(
            f"a parameter of shape {tuple(p.shape)} was changed outside IntegerMadam, whose"
            " integers are the weights: call optimizer.from_float() after loading or changing them"
        )


def to_stored(p: Tensor, state: State, group: Group) -> State:
    """The state as it is stored in a state_dict: with packed integers, or with the values."""
    kept = {name: state[name] for name in ("step", "exp_avg_sq")}
    if "k" not in state:
        # The values are needed even if the model is stored too: an optimizer made for the loaded
        # model encodes its weights, which are not zero any more and would change.
        return kept | {"values": p.detach().clone()}
    return kept | number_system(group).pack(code_of(state))


def on_its_own(p: Tensor, state: State, group: Group) -> dict[str, Any]:
    """The weights in packed form with everything needed to decode them, or the ``values`` of a
    parameter that is kept in floats. `gofau.optim.lns.float_weights` decodes them."""
    if "k" not in state:
        return {"values": p.detach().clone()}
    system = number_system(group)
    about = {"base_lr": system.base_lr, "levels": system.levels, "shape": list(p.shape)}
    return system.pack(code_of(state)) | about


def from_stored(stored: Mapping[str, Any], p: Tensor, group: Group) -> State:
    """The exact inverse of `to_stored` for the parameter ``p``. Call `write` afterwards.

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
    """The dtype in which a step of a parameter is computed."""
    return torch.promote_types(p.dtype, torch.float32)
