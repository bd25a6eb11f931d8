"""Sampling with a consistency model: jump to the data, noise what is found afresh, jump again."""

from __future__ import annotations

from ..schedules import Schedule
from .rule import Rule, sampler


@sampler(
    "consistency", formula="x_{s} = α_{s} x̂_{0} + σ_{s} z", figures="xₛ = {x0:.3f} · x̂₀ + {std:.3f} · z",
    note="multistep consistency sampling: a one-step model's x̂₀ is a jump to the data; any other's x̂₀ is a mean, and "
    "this is no sampler",
    line="x_s = alpha_s·x0 + sigma_s·noise")
def multistep_consistency(schedule: Schedule) -> Rule:
    """x_s = alpha_s·x0 + sigma_s·noise (Song et al. 2023, algorithm 1).

    Each step takes the jump to the data, then noises what it finds afresh, so that a later jump can do better.
    One step, from t = 1 to 0, is the jump itself. With a usual denoiser it is no sampler: x0 is a mean there.
    """

    def coefficients(t, s, before=None):
        alpha_s, sigma_s = schedule.at(s)
        return {"x0": alpha_s, "std": sigma_s}

    def take(denoise, x_t, prediction, t, s):
        n = coefficients(t, s)
        return n["x0"] * prediction.x0, n

    return Rule(take, coefficients)
