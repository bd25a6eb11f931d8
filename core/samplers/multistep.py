"""A rule with memory: DPM-Solver++ in its second-order multistep form."""

from __future__ import annotations

import math

from ..schedules import Schedule
from .rule import Rule, sampler


@sampler(
    "DPM++ 2M", formula="x_{s} = σ_{s}/σ_{t} x_{t} + (α_{s} − σ_{s} α_{t}/σ_{t}) [ (1 + c) x̂_{0} − c x̂_{0}′ ]",
    figures="xₛ = {x_t:.3f} · xₜ + {data:.3f} · [ {x0:.3f} · x̂₀ − {x0_before:.3f} · x̂₀′ ]",
    note="x̂₀′ is the guess of the step before, c = h / 2h′ with h the stride of log α/σ",
    line="x_s = (sigma_s/sigma_t)·x_t + data·[ (1 + c)·x0 − c·x0_before ]")
def dpmpp_2m(schedule: Schedule) -> Rule:
    """DPM-Solver++(2M), second order with one network evaluation a step (Lu et al. 2022, "DPM-Solver++", algorithm 2).

    x_s = (sigma_s/sigma_t)·x_t + data·[ (1 + c)·x0 − c·x0_before ], data = alpha_s − alpha_t·sigma_s/sigma_t:
    the ODE's solution, to second order, for an x0 that goes on along the line through this prediction and that of the
    step before. With h the stride of log(alpha/sigma) in this step and h_before in the last, c = h/(2·h_before). c = 0,
    hence DDIM, where there is no line: at the first step, at the one after alpha = 0, and at the last, to sigma = 0.

    Use a fresh rule for each walk. One that is shown a step that does not go on where its last ended starts anew.
    """
    last = None  # (t, s, x0) of the step before

    def log_ratio(t) -> float:
        alpha, sigma = schedule.at(t)
        return math.log(alpha / sigma) if alpha > 0 else -math.inf

    def coefficients(t, s, before=None):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule.at(t), schedule.at(s)
        c = 0.0
        if before is not None and sigma_s > 0:
            c = (log_ratio(s) - log_ratio(t)) / (log_ratio(t) - log_ratio(before)) / 2
        return {"x_t": sigma_s / sigma_t, "data": alpha_s - sigma_s * alpha_t / sigma_t, "x0": 1 + c, "x0_before": c,
                "std": 0.0}

    def take(denoise, x_t, prediction, t, s):
        nonlocal last
        goes_on = last is not None and float(last[1]) == float(t) and last[2].shape == x_t.shape
        n = coefficients(t, s, last[0] if goes_on else None)
        x0 = n["x0"] * prediction.x0 - n["x0_before"] * last[2] if n["x0_before"] else prediction.x0
        last = (t, s, prediction.x0)
        return n["x_t"] * x_t + n["data"] * x0, n

    return Rule(take, coefficients)
