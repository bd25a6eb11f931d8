"""Measures of a schedule, and of the forward process on it."""

from __future__ import annotations

import math

import torch

from ...forward import noised
from ...schedules import Schedule, make_schedule
from ...views import ForwardView
from ..evidence import Walk
from .known import measure


def _schedule(of: Schedule | Walk) -> Schedule:
    return of.schedule if isinstance(of, Walk) else of


@measure
def alpha(of: Schedule | Walk, t: float) -> float:
    """α at time t: how much of the data is left in x_t."""
    return _schedule(of).at(t)[0]


@measure
def alpha_as(of: Schedule, name: str, t: float) -> float:
    """α at time t of another schedule, by its name, with as many timesteps."""
    return make_schedule(name, of.T).at(t)[0]


@measure
def sigma(of: Schedule | Walk, t: float) -> float:
    """σ at time t: how much noise is in x_t."""
    return _schedule(of).at(t)[1]


@measure
def beta(of: Schedule | Walk, t: float) -> float:
    """β at time t: the share of the signal's variance lost in the last of T steps."""
    return float(_schedule(of).beta(torch.tensor(float(t), dtype=torch.float64)))


@measure
def log_snr(of: Schedule | Walk, t: float) -> float:
    """log α²/σ² at time t; −80 at the least, where no signal is left, and 80 at the most, where there is no noise."""
    a, s = _schedule(of).at(t)
    return max(-80.0, min(80.0, 2 * (math.log(max(a, 1e-40)) - math.log(max(s, 1e-40)))))


@measure
def signal_left(of: Schedule | Walk) -> float:
    """α at t = 1: what of the data can still be seen in what should be noise alone."""
    return _schedule(of).at(1.0)[0]


@measure
def spread_of_noised(of: ForwardView, t: float) -> float:
    """Standard deviation of x_t over the samples of Forward, in one jump, over all coordinates."""
    time = torch.tensor(float(t), dtype=torch.float64)
    x = noised(of.schedule, of.x0, time, of.eps).x_t.flatten(1).double()
    return float((x - x.mean(0)).square().mean().sqrt())


@measure
def width_over_t(of: ForwardView) -> list[tuple[float, float]]:
    """`spread_of_noised` at 21 times from t = 0 to t = 1."""
    return [(k / 20, spread_of_noised(of, k / 20)) for k in range(21)]


@measure
def spread_of_walked(of: ForwardView, t: float) -> float:
    """Standard deviation of x_t over the samples of Forward, walked there step by step, over all coordinates."""
    k = int((of.t - t).abs().argmin())
    x = of.stepwise(k, k + 1)[0].flatten(1).double()
    return float((x - x.mean(0)).square().mean().sqrt())
