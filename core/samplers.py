"""Samplers are update rules: (denoise, x_t, prediction, t, s) → (mean, std) of x_s, for a step from t down to s < t.

They hear (t, s) and nothing else of the grid; the walk adds std·noise. DDPM, DDIM and everything between are one rule
with one number, and on the flow schedule that rule at eta = 0 is Euler's method.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from core.prediction import Prediction
from core.schedules import Schedule

Denoise = Callable[[Tensor, Tensor], Prediction]
Update = Callable[[Denoise, Tensor, Prediction, Tensor, Tensor], tuple[Tensor, Tensor]]


def posterior_std(schedule: Schedule, t: Tensor | float, s: Tensor | float) -> float:
    """The standard deviation of q(x_s | x_t, x0): (sigma_s/sigma_t)·√(sigma_t² − (alpha_t/alpha_s)²·sigma_s²).

    With alpha² + sigma² = 1 its square is β̃ = (1−ᾱ_s)/(1−ᾱ_t)·(1 − ᾱ_t/ᾱ_s) (Ho et al. 2020, eq. 7).
    """
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule.at(t), schedule.at(s)
    noise_of_step = math.sqrt(max(0.0, sigma_t**2 - (alpha_t / alpha_s * sigma_s) ** 2))
    return sigma_s / sigma_t * noise_of_step


def ddim(schedule: Schedule, eta: float = 0.0) -> Update:
    """mean = alpha_s·x0 + √(sigma_s² − std²)·eps, std = eta·posterior_std (Song et al. 2020, eq. 12 and 16).

    eta = 0 is DDIM: no noise, Euler's method for the probability-flow ODE in the variable sigma/alpha.
    eta = 1 is ancestral DDPM: the mean is then that of q(x_s | x_t, x0) (Ho et al. 2020, eq. 7), to rounding.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta is {eta}; it scales the noise from 0 (DDIM) to 1 (ancestral DDPM)")

    def update(denoise, x_t, prediction, t, s):
        alpha_s, sigma_s = schedule.at(s)
        std = eta * posterior_std(schedule, t, s)
        # What is left of the noise once `std` of it is drawn afresh: the total stays sigma_s.
        direction = math.sqrt(max(0.0, sigma_s**2 - std**2))
        mean = torch.add(alpha_s * prediction.x0, prediction.eps, alpha=direction)  # one pass fewer than with * and +
        return mean, x_t.new_full((), std)

    return update


def ddpm(schedule: Schedule) -> Update:
    """Ancestral sampling with the posterior's variance (Ho et al. 2020, algorithm 2): `ddim` at eta = 1."""
    return ddim(schedule, eta=1.0)


def heun(schedule: Schedule) -> Update:
    """Heun's second-order method for the probability-flow ODE; two network evaluations a step, one at the last.

    Every schedule is the straight path in other clothes: with r = sigma/(alpha + sigma), z = x/(alpha + sigma) obeys
    dz/dr = eps − x0. An Euler step in (z, r) is DDIM; this averages the slope at both of its ends. Karras et al. 2022
    (algorithm 1) average in x/alpha over sigma/alpha instead, which is infinite where no signal is left; r is finite
    at both ends of time. The last step, to sigma = 0, is Euler's, as theirs: there is no eps to ask for at the data.
    Its error goes with the square of the sigma it starts from, so choose times that are dense there ("log_snr"): 20
    uniform steps of the linear schedule leave sigma = 0.18 to it, and it then outweighs all the others.
    """

    def update(denoise, x_t, prediction, t, s):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule.at(t), schedule.at(s)
        scale_t, scale_s = alpha_t + sigma_t, alpha_s + sigma_s
        z, dr = x_t / scale_t, sigma_s / scale_s - sigma_t / scale_t
        slope = prediction.velocity
        if sigma_s > 0:
            euler = scale_s * (z + dr * slope)
            slope = (slope + denoise(euler, s).velocity) / 2
        return scale_s * (z + dr * slope), x_t.new_full((), 0.0)

    return update


#: name → schedule, eta → rule. What `eta` means for each is in the rule's docstring; heun has none.
SAMPLERS: dict[str, Callable[[Schedule, float], Update]] = {
    "ddim": ddim,
    "ddpm": lambda schedule, eta: ddpm(schedule),
    "heun": lambda schedule, eta: heun(schedule),
}


def make_sampler(name: str, schedule: Schedule, eta: float = 0.0) -> Update:
    """The update rule of that name. eta is heard by "ddim" alone. ValueError for an unknown name or eta."""
    if name not in SAMPLERS:
        raise ValueError(f"sampler {name!r}; there are {', '.join(SAMPLERS)}")
    return SAMPLERS[name](schedule, eta)
