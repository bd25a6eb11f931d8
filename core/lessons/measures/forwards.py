"""Measures of the forward process: the same journey in one jump and step by step."""

from __future__ import annotations

import torch
from torch import Tensor

from ...forward import noised
from ...metrics.distances import sliced_wasserstein
from ...views import ForwardView
from .known import measure

DIRECTIONS = 256


def _both(of: ForwardView, t: float) -> tuple[Tensor, Tensor]:
    """x_t in one jump and step by step, at the frame whose time is nearest to t."""
    k = int((of.t - t).abs().argmin())
    return of.jump(k, k + 1)[0], of.stepwise(k, k + 1)[0]


@measure
def jump_apart(of: ForwardView, t: float) -> float:
    """Root mean square distance at time t between x_t in one jump and step by step, the same sample of each."""
    jumped, walked = _both(of, t)
    return float((jumped - walked).double().square().mean().sqrt())


@measure
def jump_distance(of: ForwardView, t: float) -> float:
    """Sliced Wasserstein distance at time t between all x_t in one jump and all step by step, whichever is which."""
    return sliced_wasserstein(*_both(of, t), directions=DIRECTIONS)


@measure
def chance_distance(of: ForwardView, t: float) -> float:
    """Sliced Wasserstein distance at time t between two jumps of fresh data and fresh noise: what chance makes."""
    generator, clouds = torch.Generator().manual_seed(of.about.get("seed", 0) + 2), []
    for _ in range(2):
        x0 = of.dataset.draw(len(of.x0), generator)[0]
        eps = torch.randn(x0.shape, generator=generator)
        clouds.append(noised(of.schedule, x0, torch.tensor(float(t), dtype=torch.float64), eps).x_t)
    return sliced_wasserstein(*clouds, directions=DIRECTIONS)


@measure
def detour_of_jump(of: ForwardView) -> float:
    """How many times as long the way of x_t is as its ends are apart, with one noise for all t; the median."""
    return _detour(of.jump(0, of.frames))


@measure
def detour_of_steps(of: ForwardView) -> float:
    """How many times as long the way of x_t is as its ends are apart, with fresh noise in each step; the median."""
    return _detour(of.stepwise(0, of.frames))


def _detour(ways: Tensor) -> float:
    """Of ways (F, B, ...)."""
    ways = ways.flatten(2).double()
    return float((ways.diff(dim=0).norm(dim=-1).sum(0) / (ways[-1] - ways[0]).norm(dim=-1)).median())
