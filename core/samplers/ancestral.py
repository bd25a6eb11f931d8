"""DDPM, DDIM and everything between: one rule with one number, and DDPM's other choice of variance.

Each step is the forward process's own posterior q(x_s | x_t, x0), with the model's guess in the place of x0.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..schedules import Schedule
from .rule import Rule, sampler


def step_std(schedule: Schedule, t: Tensor | float, s: Tensor | float) -> float:
    """The standard deviation of q(x_t | x_s): √(sigma_t² − (alpha_t/alpha_s)²·sigma_s²).

    With alpha² + sigma² = 1 its square is 1 − ᾱ_t/ᾱ_s, DDPM's β of a step from s to t (Ho et al. 2020, eq. 2).
    """
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule.at(t), schedule.at(s)
    return math.sqrt(max(0.0, sigma_t**2 - (alpha_t / alpha_s * sigma_s) ** 2))


def posterior_std(schedule: Schedule, t: Tensor | float, s: Tensor | float) -> float:
    """The standard deviation of q(x_s | x_t, x0): (sigma_s/sigma_t)·√(sigma_t² − (alpha_t/alpha_s)²·sigma_s²).

    With alpha² + sigma² = 1 its square is β̃ = (1−ᾱ_s)/(1−ᾱ_t)·(1 − ᾱ_t/ᾱ_s) (Ho et al. 2020, eq. 7).
    """
    return schedule.at(s)[1] / schedule.at(t)[1] * step_std(schedule, t, s)


def _rule(schedule: Schedule, kept, added) -> Rule:
    """mean = alpha_s·x0 + √(sigma_s² − kept²)·eps, std = added; both of (t, s)."""

    def coefficients(t, s, before=None):
        alpha_s, sigma_s = schedule.at(s)
        # What is left of the noise once `kept` of it is drawn afresh: the total stays sigma_s.
        direction = math.sqrt(max(0.0, sigma_s**2 - kept(t, s) ** 2))
        return {"x0": alpha_s, "eps": direction, "std": added(t, s)}

    def take(denoise, x_t, prediction, t, s):
        n = coefficients(t, s)
        mean = torch.add(n["x0"] * prediction.x0, prediction.eps, alpha=n["eps"])  # a pass fewer
        return mean, n

    return Rule(take, coefficients)


_POSTERIOR: dict[str, Any] = dict(
    formula="x_{s} = α_{s} x̂_{0} + √(σ_{s}² − std²) ε̂ + std\u00a0·\u00a0z",
    figures="xₛ = {x0:.3f} · x̂₀ + {eps:.3f} · ε̂ + {std:.3f} · z")


@sampler(
    "DDIM", **_POSTERIOR, note="std = η · posterior std unless dropped",
    line="mean = alpha_s·x0 + √(sigma_s² − std²)·eps")
def ddim(schedule: Schedule, eta: float = 0.0) -> Rule:
    """mean = alpha_s·x0 + √(sigma_s² − std²)·eps, std = eta·posterior_std (Song et al. 2020, eq. 12 and 16).

    eta = 0 is DDIM: no noise, Euler's method for the probability-flow ODE in the variable sigma/alpha.
    eta = 1 is ancestral DDPM: the mean is then that of q(x_s | x_t, x0) (Ho et al. 2020, eq. 7), to rounding.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta is {eta}; it scales the noise from 0 (DDIM) to 1 (ancestral DDPM)")

    def std(t, s):
        return eta * posterior_std(schedule, t, s)

    return _rule(schedule, std, std)


@sampler(
    "DDPM", **_POSTERIOR, note="std = posterior std unless dropped",
    line="mean = alpha_s·x0 + √(sigma_s² − std²)·eps")
def ddpm(schedule: Schedule) -> Rule:
    """Ancestral sampling with the posterior's variance (Ho et al. 2020, algorithm 2): `ddim` at eta = 1.

    It leaves out that x0 itself is uncertain: exact for data that are a single point, too little noise for all others.
    """
    return ddim(schedule, eta=1.0)


@sampler(
    "DDPM with β", formula="x_{s} = α_{s} x̂_{0} + √(σ_{s}² − posterior std²) ε̂ + √β · z", figures=_POSTERIOR["figures"],
    note="√β of the step is the std unless dropped", line="the mean of `ddpm`, std = step_std")
def ddpm_beta(schedule: Schedule) -> Rule:
    """Ancestral sampling with DDPM's other variance: the mean of `ddpm`, std = step_std, so β in the place of β̃.

    Exact for data of unit variance, and too much noise for data of less (Ho et al. 2020, section 3.2: the two choices
    bound the truth). Made for all T steps: with few, β is large. The last step adds none (algorithm 2, line 3).
    """
    def beta(t, s):
        return step_std(schedule, t, s) if schedule.at(s)[1] > 0 else 0.0

    return _rule(schedule, lambda t, s: posterior_std(schedule, t, s), beta)
