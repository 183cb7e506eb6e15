"""The arithmetic of the instructions, written once for numpy and torch.

Inside a compiled program the batch axis is last: a vector of N worlds is (k, N), a number is (N,), a constant has a
last axis of 1. Per-world shapes then broadcast by the ordinary rules, and reductions run over contiguous rows. Each
`bind` takes the library (`xp`), the per-world shapes of the inputs and the static arguments, and gives a callable on
arrays.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from robot_learn.scene import Array

Shape = tuple[int, ...]
Bind = Callable[[Any, tuple[Shape, ...], tuple[Any, ...]], Callable[..., Array]]


def ufunc(name: str, torch: str | None = None) -> Bind:
    """A function that both libraries have, where torch may call it otherwise."""

    def bind(xp: Any, shapes: tuple[Shape, ...], static: tuple[Any, ...]) -> Callable[..., Array]:
        function: Callable[..., Array] = getattr(xp, torch if torch and xp.__name__ == "torch" else name)
        return function

    return bind


def kernel(function: Callable[..., Array]) -> Bind:
    """A function of (xp, *arrays)."""
    return lambda xp, shapes, static: lambda *arrays: function(xp, *arrays)


def reduction(function: Callable[[Any, Array, int], Array]) -> Bind:
    """A function of (xp, array, axis) that takes one axis away; with axis None, all of them."""

    def bind(xp: Any, shapes: tuple[Shape, ...], static: tuple[Any, ...]) -> Callable[..., Array]:
        rank, axis = len(shapes[0]), static[-1]
        if axis is None and rank != 1:
            # A number counts as an array of one element, a matrix as one row.
            return lambda x: function(xp, x.reshape(-1, x.shape[-1]), 0)
        at = 0 if axis is None else axis % rank
        return lambda x: function(xp, x, at)

    return bind


def norm(xp: Any, shapes: tuple[Shape, ...], static: tuple[Any, ...]) -> Callable[..., Array]:
    """The 1-, 2- or maximum norm along an axis. Static: (order, axis)."""
    order, _ = static
    if order == 1:
        by = reduction(lambda xp, x, axis: abs(x).sum(axis))
    elif order == float("inf"):
        by = reduction(lambda xp, x, axis: xp.amax(abs(x), axis))
    else:
        by = reduction(lambda xp, x, axis: xp.sqrt((x * x).sum(axis)))
    return by(xp, shapes, static)


def variance(xp: Any, x: Array, axis: int) -> Array:
    return xp.square(x - x.mean(axis, keepdims=True)).mean(axis)


def matmul(xp: Any, shapes: tuple[Shape, ...], static: tuple[Any, ...]) -> Callable[..., Array]:
    """Products of vectors (k,) and matrices (n, k), as `@` has them."""
    ranks = (len(shapes[0]), len(shapes[1]))
    if ranks == (1, 1):
        return lambda a, b: (a * b).sum(0)
    if ranks == (2, 1):
        return lambda a, b: (a * b).sum(1)
    if ranks == (1, 2):
        return lambda a, b: (a[:, None] * b).sum(0)
    return lambda a, b: (a[:, :, None] * b[None]).sum(1)


def index(xp: Any, shapes: tuple[Shape, ...], static: tuple[Any, ...]) -> Callable[..., Array]:
    """Static: one entry per axis, an int or ("slice", start, stop, step)."""
    return operator.itemgetter(tuple(slice(*item[1:]) if isinstance(item, tuple) else item for item in static))


def stack(xp: Any, shapes: tuple[Shape, ...], static: tuple[Any, ...]) -> Callable[..., Array]:
    """Equal shapes as the rows of a new first axis."""
    return lambda *rows: xp.stack(_same_batch(xp, rows), 0)


def concatenate(xp: Any, shapes: tuple[Shape, ...], static: tuple[Any, ...]) -> Callable[..., Array]:
    return lambda *parts: xp.concatenate(_same_batch(xp, parts), 0)


def _same_batch(xp: Any, arrays: tuple[Array, ...]) -> list[Array]:
    """Constants have one world; repeat it as often as the others have worlds."""
    worlds = max(array.shape[-1] for array in arrays)
    return [a if a.shape[-1] == worlds else xp.broadcast_to(a, (*a.shape[:-1], worlds)) for a in arrays]


def clip(xp: Any, x: Array, lower: Array, upper: Array) -> Array:
    return xp.minimum(xp.maximum(x, lower), upper)


def cross(xp: Any, a: Array, b: Array) -> Array:
    (ax, ay, az), (bx, by, bz) = a, b
    return xp.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 0)


def tolerance(xp: Any, x: Array, lower: Array, upper: Array, margin: Array) -> Array:
    """1 inside [lower, upper]; outside 1 / (1 + (3 gap / margin)^2), which is 0.1 at the margin and never flat."""
    outside = xp.maximum(lower - x, x - upper)
    gap = 0.5 * (outside + abs(outside))  # its positive part
    return 1.0 / (1.0 + xp.square(3.0 * gap / margin))


def wrap_angle(xp: Any, x: Array) -> Array:
    return xp.arctan2(xp.sin(x), xp.cos(x))


# Quaternions are (w, x, y, z): `q` turns a vector from the body's frame into the world's. A length other than 1, from
# rounding or a literal, does not stretch what is turned.


def quat_multiply(xp: Any, p: Array, q: Array) -> Array:
    (pw, px, py, pz), (qw, qx, qy, qz) = p, q
    return xp.stack(
        [
            pw * qw - px * qx - py * qy - pz * qz,
            pw * qx + px * qw + py * qz - pz * qy,
            pw * qy - px * qz + py * qw + pz * qx,
            pw * qz + px * qy - py * qx + pz * qw,
        ],
        0,
    )


def quat_conjugate(xp: Any, q: Array) -> Array:
    return xp.concatenate([q[:1], -q[1:]], 0)


def quat_rotate(xp: Any, q: Array, v: Array) -> Array:
    """v + w t + u x t, with q = (w, u) and t = 2 u x v / |q|^2."""
    twice = 2.0 / (q * q).sum(0) * cross(xp, q[1:], v)
    return v + q[0] * twice + cross(xp, q[1:], twice)


def quat_angle(xp: Any, p: Array, q: Array) -> Array:
    """2 atan2(|u|, |w|) of conj(p) q: exact near 0, where an arccos of the dot product is not."""
    between = quat_multiply(xp, quat_conjugate(xp, p), q)
    return 2.0 * xp.arctan2(xp.sqrt(xp.square(between[1:]).sum(0)), abs(between[0]))


def quat_to_euler(xp: Any, q: Array) -> Array:
    """Roll about x, then pitch about y, then yaw about z, all about the world's axes."""
    (w, x, y, z), twice = q, 2.0 / (q * q).sum(0)
    sine = twice * (w * y - z * x)
    roll = xp.arctan2(twice * (w * x + y * z), 1.0 - twice * (x * x + y * y))
    # atan2 needs no clipping at the poles, where rounding takes the sine past 1.
    cosine = xp.sqrt(xp.maximum(1.0 - sine * sine, 0.0 * sine))
    yaw = xp.arctan2(twice * (w * z + x * y), 1.0 - twice * (y * y + z * z))
    return xp.stack([roll, xp.arctan2(sine, cosine), yaw], 0)


def quat_up(xp: Any, q: Array) -> Array:
    (w, x, y, z), twice = q, 2.0 / (q * q).sum(0)
    return xp.stack([twice * (x * z + w * y), twice * (y * z - w * x), 1.0 - twice * (x * x + y * y)], 0)
