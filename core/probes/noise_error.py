"""The noise lens: is the predicted noise the true noise? For known data, known noise, and every t.

Sampling never knows the true noise. Here the data are noised by us, so eps is known, and so is the best guess that any
network could make (the exact denoiser's): what is left between the two is what training has yet to learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..forward import Noised, noised
from ..prediction import Denoise, Prediction
from ..schedules import Schedule


def mse(a: Tensor, b: Tensor) -> float:
    """Mean over samples and entries of (a − b)²."""
    return float((a - b).square().mean())


def cosine(a: Tensor, b: Tensor) -> float:
    """Mean over samples of a·b / (|a||b|), each sample one long vector. 1: the same direction; 0: unrelated."""
    return float(torch.nn.functional.cosine_similarity(a.flatten(1), b.flatten(1), dim=1).mean())


@dataclass(frozen=True)
class NoiseError:
    """One timestep under the lens."""

    index: int
    t: Tensor  #: ()
    noised: Noised
    predicted: Prediction
    exact: Prediction

    @property
    def mse(self) -> float:
        """E(ε̂ − ε)²: 1 for a network that always says 0."""
        return mse(self.predicted.eps, self.noised.eps)

    @property
    def floor(self) -> float:
        """The exact denoiser's E(ε̂ − ε)² on the same samples: what cannot be learned."""
        return mse(self.exact.eps, self.noised.eps)

    @property
    def excess(self) -> float:
        """E(ε̂ − ε_exact)²: what can be learned and is not; sigma² times the error of the score."""
        return mse(self.predicted.eps, self.exact.eps)

    @property
    def cosine(self) -> float:
        return cosine(self.predicted.eps, self.noised.eps)

    @property
    def exact_cosine(self) -> float:
        return cosine(self.exact.eps, self.noised.eps)


def lens_times(schedule: Schedule, count: int) -> Tensor:
    """`count` times from 1 (or the last with any signal) down to 1/T, evenly; t = 0 has no noise to predict.

    On a discrete schedule they are timesteps k/T. ValueError for a count that is not within 2 … T.
    """
    if not 2 <= count <= schedule.T:
        raise ValueError(f"{count} timesteps under the lens; between 2 and T = {schedule.T} are possible")
    t = torch.linspace(schedule.start_for("eps"), 1 / schedule.T, count, dtype=torch.float64)
    return (t * schedule.T).round() / schedule.T if schedule.discrete else t


@torch.no_grad()
def measure(denoise: Denoise, exact: Denoise, schedule: Schedule, x0: Tensor, eps: Tensor,
         times: Tensor) -> Iterator[NoiseError]:
    """Look at every time of the grid, through the same data and the same noise: x0 and eps of shape (B, ...)."""
    for index, t in enumerate(times):
        event = noised(schedule, x0, t, eps)
        yield NoiseError(index, t, event, denoise(event.x_t, t), exact(event.x_t, t))


@torch.no_grad()
def eps_errors(denoise: Denoise, schedule: Schedule, draw, times: Tensor, count: int,
               generator: torch.Generator) -> Tensor:
    """E|ε − ε̂|² at each row of `times`, (K,): a mean over `count` samples. Of the exact denoiser, the irreducible loss.

    draw(count, generator)[0] gives the data; times: (K,), or (K, count) with a time for each sample.
    """
    x0 = draw(count, generator)[0]
    eps = torch.randn(x0.shape, generator=generator).to(x0)
    return torch.tensor([mse(denoise(noised(schedule, x0, t, eps).x_t, t).eps, eps) for t in times])
