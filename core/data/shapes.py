"""The point sets that are drawn by a formula.

Each is a `Shape`: centres that lie exactly on noise-free curves or areas; `SHAPES` adds the standard deviation of the
normal noise around them. A set drawn from both is a Gaussian mixture whose density, score and ideal denoiser are known
in closed form. Nothing here is random: centres are evenly spaced, so a curve is as even as it can be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

COUNT = 2000  #: centres of a curve


class Shape(NamedTuple):
    """Centres (N, 2) float64 in coordinates of their own, the label of each (N,), and the names of the labels."""

    centres: np.ndarray
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()


def _together(names: tuple[str, ...], *parts: np.ndarray) -> Shape:
    """One shape out of labelled parts."""
    return Shape(np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts]), names)


def _polar(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def _even(count: int, end: float) -> np.ndarray:
    """`count` values in (0, end), at the middles of equal intervals: closed curves meet without a doubled point."""
    return (np.arange(count) + 0.5) * end / count


def moons() -> Shape:
    """Two half circles of radius 1, the lower one moved by (1, 1/2), as scikit-learn's make_moons has them."""
    upper = _polar(np.ones(COUNT // 2), _even(COUNT // 2, np.pi))
    return _together(("upper", "lower"), upper, np.array([1.0, 0.5]) - upper)


def swiss_roll() -> Shape:
    """A spiral r = angle from 1.5π to 4.5π, even in the angle: the plane section of scikit-learn's make_swiss_roll."""
    angle = 1.5 * np.pi + _even(COUNT, 3 * np.pi)
    return Shape(_polar(angle, angle))


def gaussians8() -> Shape:
    """Eight centres on a circle."""
    angle = np.arange(8) * np.pi / 4
    return Shape(_polar(np.ones(8), angle), np.arange(8), tuple(f"{degrees}°" for degrees in range(0, 360, 45)))


def checkerboard() -> Shape:
    """The dark fields of a board of 4 × 4, each filled with a lattice of 16 × 16 centres."""
    row, column = np.divmod(np.arange(64 * 64), 64)
    dark = (row // 16 + column // 16) % 2 == 0
    return Shape(np.stack([column, row], axis=-1)[dark] + 0.5)


def spiral() -> Shape:
    """Two arms r = angle from 0 to 3π, half a turn apart, nearly even in length."""
    angle = np.sqrt(_even(COUNT // 2, 1)) * 3 * np.pi  # an arm's length grows with the square of its angle
    arm = _polar(angle, angle)
    return _together(("one arm", "other arm"), arm, -arm)


def rings() -> Shape:
    """Four rings with radii 1 : 2 : 3 : 4, even in length."""
    parts = [_polar(np.full(COUNT * k // 10, float(k)), _even(COUNT * k // 10, 2 * np.pi)) for k in (1, 2, 3, 4)]
    return _together(("inmost", "second", "third", "outmost"), *parts)


def heart() -> Shape:
    """The curve x = 16 sin³ a, y = 13 cos a − 5 cos 2a − 2 cos 3a − cos 4a, even in length."""
    a = np.linspace(0, 2 * np.pi, 20 * COUNT + 1)
    y = 13 * np.cos(a) - 5 * np.cos(2 * a) - 2 * np.cos(3 * a) - np.cos(4 * a)
    curve = np.stack([16 * np.sin(a) ** 3, y], axis=-1)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=-1))])
    at = _even(COUNT, length[-1])
    return Shape(np.stack([np.interp(at, length, coordinate) for coordinate in curve.T], axis=-1))


#: name → (title, what draws it, bandwidth in units of half the longer side, one line about it)
SHAPES: dict[str, tuple[str, Callable[[], Shape], float, str]] = {
    "moons": ("Moons", moons, 0.03, "two half circles that hold each other"),
    "swiss_roll": ("Swiss roll", swiss_roll, 0.02, "one spiral, thinner towards its end"),
    "gaussians8": ("Eight Gaussians", gaussians8, 0.06, "eight round clouds on a circle"),
    "checkerboard": ("Checkerboard", checkerboard, 0.016, "the dark fields of a board of 4 × 4"),
    "spiral": ("Spiral", spiral, 0.02, "two arms that wind around each other"),
    "rings": ("Rings", rings, 0.02, "four circles around one centre"),
    "heart": ("Heart", heart, 0.02, "the outline of a heart"),
}
