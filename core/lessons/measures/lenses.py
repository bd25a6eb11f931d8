"""Measures of the noise lens: predicted against true noise, at known data, noise and time."""

from __future__ import annotations

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
