"""Wrappers of `denoise`: what is changed about a prediction before a sampler hears of it.

Each takes a denoise and gives back a denoise, so they stack, and no sampler knows that they exist.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..forward import expand
from ..prediction import Denoise, Prediction
from ..schedules import Schedule

THRESHOLDINGS = ("none", "static", "dynamic")


def clip_x0(denoise: Denoise, mode: str, limit: float = 1.0, quantile: float = 0.995) -> Denoise:
    """Keep x̂0 where data can be, and let eps follow: eps = (x_t − alpha·x̂0)/sigma.

    static   clamp to [−limit, limit] (Ho et al. 2020's code).
    dynamic  for each sample s = max(limit, its |x̂0| at this quantile); clamp to [−s, s] and scale by limit/s
             (Saharia et al. 2022, section 2.3).
    """
    if mode not in THRESHOLDINGS:
        raise ValueError(f"clipping {mode!r}; it can be {', '.join(THRESHOLDINGS)}")
    if mode == "none":
        return denoise

    def clipped(x_t, t):
        p = denoise(x_t, t)
        if mode == "static":
            x0 = p.x0.clamp(-limit, limit)
        else:
            s = torch.quantile(p.x0.flatten(1).abs().float(), quantile, dim=1).clamp(min=limit).to(p.x0)
            s = expand(s, p.x0)
            x0 = torch.maximum(torch.minimum(p.x0, s), -s) * (limit / s)
        return Prediction.from_x0(x0, x_t, p.alpha, p.sigma)

    return clipped


def shift_time(denoise: Denoise, schedule: Schedule, shift: float) -> Denoise:
    """Tell the model t + shift instead of t, clamped to its range; x̂0 and eps are then worked out with the true t.

    This is the bug of an off-by-some timestep: the model answers for another noise level, and the sampler takes the
    direction it points in, its velocity, at its word. (Taking eps at its word instead divides its error by alpha,
    which is 0 at t = 1 of the flow.)
    """
    if not -1 <= shift <= 1:
        raise ValueError(f"shift of the told time is {shift}; it lies in [-1, 1], as t does")

    def told(x_t, t):
        alpha, sigma = (expand(a.to(x_t), x_t) for a in schedule(t))
        return denoise(x_t, (t + shift).clamp(1 / schedule.T, 1)).at(x_t, alpha, sigma)

    return told


def reschedule(denoise: Denoise, trained: Schedule, schedule: Schedule) -> Denoise:
    """Walk a model trained on one schedule along another: ask it at the time of equal SNR, with x scaled to match.

    x_t/alpha_t = x0 + (sigma/alpha)·eps is the same variable on every schedule (Karras et al. 2022, section 2; Kingma
    et al. 2021, section 5.1), so x0 and eps are too. Exact within the noise levels both schedules have; beyond them the
    model is asked at its nearest. A denoiser's labels stay: (x_t, t, cond) → Prediction.
    """
    if trained.name == schedule.name and trained.T == schedule.T:
        return denoise

    def moved(x_t, t, *cond):
        alpha, sigma = (expand(a.to(x_t), x_t) for a in schedule(t))
        p = denoise(*twin(trained, schedule, x_t, t), *cond)
        return Prediction(p.x0, p.eps, alpha, sigma)

    # It can be asked for labels, as what it wraps can.
    moved.labels = getattr(denoise, "labels", 0)  # type: ignore[attr-defined]
    return moved


def twin(trained: Schedule, schedule: Schedule, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The same state on another schedule: x_t scaled, and the time of equal SNR there (see `reschedule`)."""
    alpha, sigma = (expand(a.to(x_t), x_t) for a in schedule(t))
    time = trained.t_at(schedule.log_snr(t.to(torch.float64)))
    alpha_twin, sigma_twin = (expand(a.to(x_t), x_t) for a in trained(time))
    # √(alpha² + sigma²) grows with neither end's infinity, which alpha_twin/alpha does where alpha = 0.
    return ((alpha_twin**2 + sigma_twin**2) / (alpha**2 + sigma**2)).sqrt() * x_t, time


def scale_eps(denoise: Denoise, factor: float) -> Denoise:
    """Ablate the predicted noise: eps becomes factor·eps (0 removes it, −1 flips its sign); x̂0 follows."""

    def ablated(x_t, t):
        p = denoise(x_t, t)
        return Prediction.from_eps(factor * p.eps, x_t, p.alpha, p.sigma)

    return ablated
