"""What several rooms work out: the cells of a view, a step of Runge and Kutta's, whether settings are in range."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


def centres(view: float, cells: int, dtype: torch.dtype | None = None) -> Tensor:
    """The centres of `cells` cells from −view to view, (cells,)."""
    edge = view * (1 - 1 / cells)
    return torch.linspace(-edge, edge, cells, dtype=dtype)


def grid(view: float, cells: int, top: bool = True) -> Tensor:
    """The centres of cells² cells over [−view, view]², (cells², 2), row by row, the first at the top or the bottom."""
    axis = centres(view, cells)
    y, x = torch.meshgrid(axis.flip(0) if top else axis, axis, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def runge_kutta(slope: Callable[[Tensor, Any], tuple[Tensor, ...]], x: Tensor, at: tuple[Any, Any, Any],
                step: float) -> tuple[Tensor, ...]:
    """What a step of the classical method adds to x, and to whatever else `slope` gives beside dx; its error: step⁵.

    at: what `slope(x, at)` is told at the beginning, in the middle and at the end.
    """
    begin, middle, end = at
    a = slope(x, begin)
    b = slope(x + step / 2 * a[0], middle)
    c = slope(x + step / 2 * b[0], middle)
    d = slope(x + step * c[0], end)
    return tuple(step / 6 * (p + 2 * q + 2 * r + s) for p, q, r, s in zip(a, b, c, d))


def check_ranges(settings: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """ValueError naming the first attribute that is out of its range: a whole number, where that begins with one."""
    for name, (low, high) in ranges.items():
        value, kind = getattr(settings, name), int if isinstance(low, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
            what = "whole number" if kind is int else "number"
            raise ValueError(f"{name} is {value!r}; it must be a {what} from {low} to {high}")
