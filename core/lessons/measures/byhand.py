"""Measures of one sample, to be worked out by hand."""

from __future__ import annotations

from ..evidence import Walk
from .known import measure


@measure
def place_of_first(of: Walk, t: float) -> tuple[float, float]:
    """Where the first point is at the kept moment nearest to t, (x, y)."""
    x, y = of.state(t)[0].double().tolist()
    return x, y


@measure
def across_of_first(of: Walk, t: float) -> float:
    """The first coordinate of the first point at the kept moment nearest to t."""
    return float(of.state(t)[0].flatten()[0])


@measure
def guess_across_of_first(of: Walk, t: float) -> float:
    """The first coordinate of the guess x̂₀ for the first point, at the kept moment nearest to t."""
    return float(of.guess(t)[0].flatten()[0])


@measure
def next_time(of: Walk, t: float) -> float:
    """The time s that the step from the kept moment nearest to t leads to."""
    return float(of.trace.s[_step(of, t)])


@measure
def step_std(of: Walk, t: float) -> float:
    """The standard deviation of the fresh noise in the step from the kept moment nearest to t."""
    return float(of.trace.std[_step(of, t)])


def _step(of: Walk, t: float) -> int:
    return int((of.trace.t - t).abs().argmin())
