"""Rules with fresh noise in them besides ancestral sampling: the reverse SDE, Langevin dynamics, and both together.

Some draw noise within a step, from a generator of their own; the last of it is always the walk's, so an edit that drops
a step's noise drops that alone. All steps to sigma = 0 add none and take the guess x0, or the reverse SDE's mean.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..schedules import Schedule
from .ancestral import posterior_std, step_std
from .rule import Rule, sampler


@sampler(
    "reverse SDE", formula="x_{s} = (2 − a) x_{t} − b²/σ_{t} ε̂ + b z",
    figures="xₛ = {x_t:.3f} · xₜ − {eps:.3f} · ε̂ + {std:.3f} · z",
    note="the forward step is xₜ = a xₛ + b z",
    line="x_s = (2 − a)·x_t − (b²/sigma_t)·eps + b·z")
def euler_maruyama(schedule: Schedule) -> Rule:
    """The reverse SDE by Euler and Maruyama's method: x_s = (2 − a)·x_t − (b²/sigma_t)·eps + b·z, z standard normal.

    a = alpha_t/alpha_s and b = step_std are those of the forward step q(x_t | x_s) = N(a·x_s, b²), so the drift of the
    forward SDE is (a − 1)·x_t and its diffusion b; backwards the drift turns round and b²·score joins, with score =
    −eps/sigma (Song et al. 2021, eq. 6; their appendix E calls this discretisation reverse diffusion). The last step
    adds no noise.
    """

    def coefficients(t, s, before=None):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule.at(t), schedule.at(s)
        b = step_std(schedule, t, s)
        return {"x_t": 2 - alpha_t / alpha_s, "eps": b**2 / sigma_t, "std": b if sigma_s > 0 else 0.0}

    def take(denoise, x_t, prediction, t, s):
        n = coefficients(t, s)
        return n["x_t"] * x_t - n["eps"] * prediction.eps, n

    return Rule(take, coefficients)


def _normal(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)


@sampler(
    "Langevin", formula="x ← x − ½ δ σ_{s} ε̂(x, s) + √δ σ_{s} z",
    figures="x ← x − {eps:.3f} · ε̂(x, s) + {inner_std:.3f} · z, {inner:.0f} times, the last with {std:.3f} · z",
    note="from xₜ to xₛ; the last step, to 0, takes x̂₀",
    line="x ← x − ½·size·sigma_s·eps(x, s) + √size·sigma_s·z")
def langevin(schedule: Schedule, generator: torch.Generator, inner: int = 5, size: float = 0.2) -> Rule:
    """Annealed Langevin dynamics (Song & Ermon 2019, algorithm 1): `inner` steps of it at noise level s, then on.

    x ← x − ½·size·sigma_s·eps(x, s) + √size·sigma_s·z, which is x + (δ/2)·score + √δ·z with δ = size·sigma_s². Nothing
    else moves the state from one level to the next: at each it is drawn towards p_s from wherever it is. If it had the
    time to settle, its variance would still be too large, by 1/(1 − ¼·size·sigma_s²/v) where p_s is a Gaussian of
    variance v: the price of a step that is not infinitely small. Song & Ermon choose size = 0.2.
    1 + inner evaluations of the network a step: the prediction at t is shown, and used in the last step alone.
    """

    def coefficients(t, s, before=None):
        sigma = schedule.at(s)[1]
        std = math.sqrt(size) * sigma
        return {"eps": size / 2 * sigma, "inner_std": std, "inner": inner if sigma > 0 else 0, "std": std}

    def take(denoise, x_t, prediction, t, s):
        n = coefficients(t, s)
        mean = x_t if n["inner"] else prediction.x0
        for k in range(n["inner"]):
            x = mean + n["inner_std"] * _normal(mean, generator) if k else mean
            mean = x - n["eps"] * denoise(x, s).eps
        return mean, n

    return Rule(take, coefficients)


@sampler(
    "PC sampler",
    formula="y = α_{s} x̂_{0} + √(σ_{s}² − std²) ε̂ + std · z′,  x_{s} = y − ½ δ σ_{s} ε̂(y, s) + √δ σ_{s} z",
    figures="y = {x0:.3f} · x̂₀ + {eps:.3f} · ε̂ + {inner_std:.3f} · z′,  "
    "xₛ = y − {eps_y:.3f} · ε̂(y, s) + {std:.3f} · z",
    note="z′ and z are fresh noise, std the posterior's",
    line="x_s = y − ½·size·sigma_s·eps(y, s) + √size·sigma_s·z")
def predictor_corrector(schedule: Schedule, generator: torch.Generator, size: float = 0.1) -> Rule:
    """Predict x_s by an ancestral step, then correct it by one of Langevin dynamics (Song et al. 2021, algorithm 1).

    y = alpha_s·x0 + √(sigma_s² − inner²)·eps + inner·z', inner = posterior_std
    x_s = y − ½·size·sigma_s·eps(y, s) + √size·sigma_s·z

    Their step size is 2r²·|z|²/|score|², which for a score of about the noise's size is 2r²·sigma_s², and size = 4r²:
    their r = 0.16 is 0.1. Two evaluations of the network a step, and one at the last, which corrects nothing.
    """

    def coefficients(t, s, before=None):
        alpha_s, sigma_s = schedule.at(s)
        inner = posterior_std(schedule, t, s)
        return {"x0": alpha_s, "eps": math.sqrt(max(0.0, sigma_s**2 - inner**2)), "inner_std": inner,
                "eps_y": size / 2 * sigma_s, "std": math.sqrt(size) * sigma_s}

    def take(denoise, x_t, prediction, t, s):
        n = coefficients(t, s)
        mean = n["x0"] * prediction.x0 + n["eps"] * prediction.eps
        if n["std"]:
            y = mean + n["inner_std"] * _normal(x_t, generator)
            mean = y - n["eps_y"] * denoise(y, s).eps
        return mean, n

    return Rule(take, coefficients)
