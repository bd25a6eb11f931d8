"""Measures of the noise lens: predicted against true noise, at known data, noise and time."""

from __future__ import annotations

import math

import torch

from ...views import NoiseErrorView
from .known import measure


@measure
def eps_error(of: NoiseErrorView, t: float) -> float:
    """mean (ε̂ − ε)² at the time nearest to t: 1 for a network that always says 0."""
    return of.figure("mse", t)


@measure
def eps_floor(of: NoiseErrorView, t: float) -> float:
    """mean (ε_exact − ε)² at the time nearest to t: what nobody can do better."""
    return of.figure("floor", t)


@measure
def x0_error(of: NoiseErrorView, t: float) -> float:
    """mean (x̂₀ − x₀)² at the time nearest to t: the error of the noise, times σ²/α²."""
    alpha, sigma = of.schedule.at(float(of.times[of.index(t)]))
    return of.figure("mse", t) * sigma**2 / alpha**2


@measure
def cosine_to_exact(of: NoiseErrorView, t: float) -> float:
    """The cosine between predicted and true noise at the time nearest to t, mean over samples."""
    return of.figure("cosine", t)


@measure
def missed_of_x0(of: NoiseErrorView, t: float) -> float:
    """mean (x̂₀ − x₀)² over the variance of the data, at the time nearest to t: 1 for who always says their mean."""
    return x0_error(of, t) / of.variance


@measure
def as_hard_at(of: NoiseErrorView) -> float:
    """The time at which noise and data are equally hard to tell, each by the share of its variance that is missed.

    The two are `eps_error` and `eps_error`·σ²/(α²·Var), so they are one where σ² = α²·Var, whatever the network.
    """
    level = torch.tensor(-math.log(of.variance), dtype=torch.float64)
    return float(of.schedule.t_at(level))


@measure
def state_of_first(of: NoiseErrorView, t: float) -> float:
    """The first coordinate of the first sample's x_t, at the time nearest to t."""
    return _first(of, "x_t", t)


@measure
def eps_of_first(of: NoiseErrorView, t: float) -> float:
    """The first coordinate of the noise ε̂ that is predicted in the first sample, at the time nearest to t."""
    return _first(of, "eps", t)


@measure
def x0_of_first(of: NoiseErrorView, t: float) -> float:
    """The first coordinate of the guess x̂₀ of the first sample, at the time nearest to t."""
    return _first(of, "x0", t)


def _first(of: NoiseErrorView, name: str, t: float) -> float:
    k = of.index(t)
    return float(of.rows(name, k, k + 1).flatten()[0])
