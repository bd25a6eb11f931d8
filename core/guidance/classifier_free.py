"""A denoiser asked for labels, and pushed towards them by itself: classifier-free guidance (Ho & Salimans 2022)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..denoisers.embeddings import null_labels
from ..forward import expand
from ..prediction import Denoise, Prediction

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
