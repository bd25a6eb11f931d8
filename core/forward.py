"""The forward process: data dissolves into noise, in one jump or one step at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .schedules import Schedule


def expand(a: Tensor, x: Tensor) -> Tensor:
    """A number for each sample, (B,) or (), shaped so that it multiplies x of shape (B, ...) sample by sample.

    ValueError if a has another shape: (B, 1) against (B,) would broadcast to (B, B) and train quietly on nonsense.
    """
    if a.ndim == 0:
        return a
    if a.shape != x.shape[:1]:
        raise ValueError(
            f"one number a sample is wanted, shape () or ({x.shape[0]},); "
            f"given {tuple(a.shape)} for x of {tuple(x.shape)}"
        )
    return a.reshape(-1, *[1] * (x.ndim - 1))


@dataclass(frozen=True)
class Noised:
    """One noising event, shared by the loss and by inspection: x_t = alpha·x0 + sigma·eps."""

    x0: Tensor  #: (B, ...)
    eps: Tensor  #: (B, ...), standard normal
    t: Tensor  #: () or (B,)
    x_t: Tensor  #: (B, ...)


def noised(schedule: Schedule, x0: Tensor, t: Tensor, eps: Tensor) -> Noised:
    """Jump to time t at once: x_t = alpha_t·x0 + sigma_t·eps (Ho et al. 2020, eq. 4). t of shape () or (B,)."""
    alpha, sigma = schedule(t)
    alpha, sigma = expand(alpha, x0).to(x0.dtype), expand(sigma, x0).to(x0.dtype)
    return Noised(x0, eps, t, alpha * x0 + sigma * eps)


def transition(schedule: Schedule, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The kernel q(x_t | x_s) = N(a·x_s, b²) for s < t: a = alpha_t/alpha_s, b² = sigma_t² − a²·sigma_s².

    One step of it is eq. 2 of Ho et al. 2020, a = √(1−β), b² = β (for any schedule: Kingma et al. 2021, appendix A.1).
    """
    (alpha_s, sigma_s), (alpha_t, sigma_t) = schedule(s), schedule(t)
    a = alpha_t / alpha_s
    return a, (sigma_t**2 - a**2 * sigma_s**2).clamp(min=0).sqrt()


def forward_walk(schedule: Schedule, x0: Tensor, times: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    """The same journey one small step at a time, fresh noise in each: yields x at every time of the ascending grid.

    The path differs from the closed form's; its distribution at each time does not.
    """
    x = x0
    previous = torch.zeros((), dtype=times.dtype)
    for t in times:
        a, b = transition(schedule, previous, t)
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        x = a.to(x) * x + b.to(x) * noise
        yield x
        previous = t
