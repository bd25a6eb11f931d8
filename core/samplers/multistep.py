"""A rule with memory: DPM-Solver++ in its second-order multistep form."""

from __future__ import annotations

import math

from ..schedules import Schedule
from .rule import Rule, sampler


@sampler(
    "DPM++ 2M", formula="x_{s} = σ_{s}/σ_{t} x_{t} + (α_{s} − σ_{s} α_{t}/σ_{t}) [ (1 + c) x̂_{0} − c x̂_{0}′ ]",
    figures="xₛ = {keep:.3f} · xₜ + {gain:.3f} · [ {now:.3f} · x̂₀ − {then:.3f} · x̂₀′ ]",
    note="x̂₀′ is the guess of the step before, c = h / 2h′ with h the stride of log α/σ",
    line="x_s = keep·x_t + gain·[ (1 + c)·x0 − c·x0_before ]")
def dpmpp_2m(schedule: Schedule) -> Rule:
    """DPM-Solver++(2M), second order with one network evaluation a step (Lu et al. 2022, "DPM-Solver++", algorithm 2).

    x_s = keep·x_t + gain·[ (1 + c)·x0 − c·x0_before ], keep = sigma_s/sigma_t, gain = alpha_s − keep·alpha_t:
    the ODE's solution, to second order, for an x0 that goes on along the line through this prediction and that of the
    step before. With h the stride of log(alpha/sigma) in this step and h_before in the last, c = h/(2·h_before). c = 0,
    hence DDIM, where there is no line: at the first step, at the one after alpha = 0, and at the last, to sigma = 0.

    Use a fresh rule for each walk. One that is shown a step that does not go on where its last ended starts anew.
    """
    last = None  # (t, s, x0) of the step before

    def log_ratio(t) -> float:
        alpha, sigma = schedule.at(t)
        return math.log(alpha / sigma) if alpha > 0 else -math.inf

    def numbers(t, s, before=None):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule.at(t), schedule.at(s)
        c = 0.0
        if before is not None and sigma_s > 0:
            c = (log_ratio(s) - log_ratio(t)) / (log_ratio(t) - log_ratio(before)) / 2
        return {"keep": sigma_s / sigma_t, "gain": alpha_s - sigma_s * alpha_t / sigma_t, "now": 1 + c, "then": c,
                "std": 0.0}

    def update(denoise, x_t, prediction, t, s):
        nonlocal last
        goes_on = last is not None and float(last[1]) == float(t) and last[2].shape == x_t.shape
        n = numbers(t, s, last[0] if goes_on else None)
        x0 = n["now"] * prediction.x0 - n["then"] * last[2] if n["then"] else prediction.x0
        last = (t, s, prediction.x0)
        return n["keep"] * x_t + n["gain"] * x0, x_t.new_full((), 0.0)

    return Rule(update, numbers)
