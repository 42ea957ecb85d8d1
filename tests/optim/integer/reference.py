"""B-bit Madam as SPEC states it, in numpy and one tensor at a time: what the optimizer is compared
with. Nothing of ours is used."""

import numpy as np


def trajectory(
    theta,
    gradient,
    steps,
    *,
    base_lr=0.001,
    lr_factor=lambda t: 10.0,
    levels=4096,
    p_scale=3.0,
    g_bound=10.0,
    beta=0.999,
):
    """k after every step, and the signs.

    Args:
        theta: θ_0, an array; all is computed in its dtype.
        gradient: called as ``gradient(theta, t)`` for t = 1, 2, …
        lr_factor: of the step t.
    """
    kind = theta.dtype.type
    theta_max = p_scale * np.sqrt(np.mean(np.square(theta, dtype=np.float64)))
    sign = np.where(theta < 0, -1, 1)
    k = np.rint(np.log(theta_max / np.abs(theta.astype(np.float64))) / base_lr)
    k = np.clip(k, 0, levels - 1).astype(np.int64)
    v, seen = np.zeros_like(theta), []
    for t in range(1, steps + 1):
        size = np.exp(-base_lr * k.astype(np.float64)).astype(kind)
        g = gradient(size * kind(theta_max) * sign.astype(kind), t)
        v = kind(beta) * v + kind(1 - beta) * g * g
        normal = np.sqrt(v / kind(1 - beta**t))
        direction = np.clip(g / np.where(normal == 0, kind(1), normal), -g_bound, g_bound)
        move = np.rint(kind(lr_factor(t)) * direction).astype(np.int64)
        k = np.clip(k + move * sign, 0, levels - 1)
        seen.append(k)
    return seen, sign
