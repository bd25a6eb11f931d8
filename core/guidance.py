"""Wrappers of `denoise`: what is changed about a prediction before a sampler hears of it.

Each takes a denoise and gives back a denoise, so they stack, and no sampler knows that they exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from core.denoisers.embeddings import null_labels
from core.forward import expand
from core.prediction import Prediction
from core.samplers import Denoise
from core.schedules import Schedule

CLIPPINGS = ("none", "static", "dynamic")


def clip_x0(denoise: Denoise, mode: str, limit: float = 1.0, quantile: float = 0.995) -> Denoise:
    """Keep x̂0 where data can be, and let eps follow: eps = (x_t − alpha·x̂0)/sigma.

    static   clamp to [−limit, limit] (Ho et al. 2020's code).
    dynamic  for each sample s = max(limit, its |x̂0| at this quantile); clamp to [−s, s] and scale by limit/s
             (Saharia et al. 2022, section 2.3).
    """
    if mode not in CLIPPINGS:
        raise ValueError(f"clipping {mode!r}; it can be {', '.join(CLIPPINGS)}")
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


def tell_time(denoise: Denoise, schedule: Schedule, shift: float) -> Denoise:
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

    moved.labels = getattr(denoise, "labels", 0)  # it can be asked for labels, as what it wraps can
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


def condition(denoiser, cond: Tensor | None) -> Denoise:
    """A denoiser with its labels fixed: denoise(x_t, t) = denoiser(x_t, t, cond).

    cond    (B,) or (B, K), a label for each sample; with B = 1 the same for all, however many; None for the null label
    """
    if cond is None:
        return lambda x_t, t: denoiser(x_t, t, None)
    return lambda x_t, t: denoiser(x_t, t, _for_each(cond, x_t))


def both(denoiser, cond: Tensor) -> Callable[[Tensor, Tensor], tuple[Prediction, Prediction]]:
    """(x_t, t) → what the denoiser says given the label, and given none, by one call for twice as many samples."""

    def pair(x_t, t):
        told = torch.cat([_for_each(cond, x_t), null_labels(denoiser.labels, len(x_t)).to(x_t.device)])
        p = denoiser(torch.cat([x_t, x_t]), torch.cat([t, t]) if t.ndim else t, told)
        parts = [a.chunk(2) if a.ndim else (a, a) for a in (p.x0, p.eps, p.alpha, p.sigma)]
        return tuple(Prediction(*half) for half in zip(*parts))

    return pair


def classifier_free(denoiser, cond: Tensor, scale: float, between: tuple[float, float] = (1.0, 0.0)) -> Denoise:
    """Classifier-free guidance: eps = eps_u + scale·(eps_c − eps_u), and x0 likewise (Ho & Salimans 2022).

    eps_c is what the denoiser says given the label and eps_u what it says given none. Their difference is
    −sigma·∇log p(c | x_t), so the score becomes ∇log [p(x_t)·p(c | x_t)^scale]. scale 1 is the conditional model and
    0 the unconditional one; eq. 6 of the paper counts from the former: its w is scale − 1.

    cond        (B,) or (B, K), a label for each sample; with B = 1 the same for all, however many
    between     the times from which and down to which to guide, ends included; outside of them scale is 1 (Kynkäänniemi
                et al. 2024, "Applying Guidance in a Limited Interval")

    ValueError if the denoiser knows no labels, for a scale that is no finite number, or times not within [0, 1].
    """
    if not getattr(denoiser, "labels", 0):
        raise ValueError("the denoiser knows no labels, so nothing can guide it; take one trained with labels")
    scales = scale_at(scale, between, outside=1.0)
    conditional, unconditional, pair = condition(denoiser, cond), condition(denoiser, None), both(denoiser, cond)

    def guided(x_t, t):
        w = scales(t)
        if (w == 1).all():
            return conditional(x_t, t)
        if (w == 0).all():
            return unconditional(x_t, t)
        c, u = pair(x_t, t)
        w = expand(w, x_t).to(x_t)
        return Prediction(u.x0 + w * (c.x0 - u.x0), u.eps + w * (c.eps - u.eps), c.alpha, c.sigma)

    return guided


def scale_at(scale: float, between: tuple[float, float], outside: float) -> Callable[[Tensor], Tensor]:
    """t → the scale of guidance at it, of t's shape: `scale` from the first time down to the second, else `outside`.

    ValueError for a scale that is no finite number, or times that do not go down within [0, 1].
    """
    first, last = between
    if not math.isfinite(scale):
        raise ValueError(f"the scale of guidance is {scale}; it must be a finite number, 1 is the conditional model")
    if not 1 >= first >= last >= 0:
        raise ValueError(f"guidance between t = {first} and {last}; give the times as they come, from 1 down to 0")
    return lambda t: torch.where((t <= first) & (t >= last), scale, outside)


def _for_each(cond: Tensor, x_t: Tensor) -> Tensor:
    """The labels, one a sample of x_t. ValueError if there are neither as many nor one for all."""
    if len(cond) not in (1, len(x_t)):
        raise ValueError(f"{len(cond)} labels for {len(x_t)} samples; give one for each, or one for all")
    return cond if len(cond) == len(x_t) else cond.expand(len(x_t), *cond.shape[1:])
