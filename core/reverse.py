"""The only reverse loop, and it is the hook: a generator that yields every step it takes.

A whole trace is `list(walk(...))`; streaming is `for step in walk(...)`; stopping is to stop asking. Two seams change a
run: before the update, wrap `denoise` (clipping, guidance, a swapped timestep); after it, pass `edit`, which gets each
step and gives back the one to go on with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from .prediction import Denoise, Prediction
from .samplers import Coefficients, Rule, Update
from .schedules import Schedule


@dataclass(frozen=True)
class Step:
    """One step from t down to s. x_s is derived, so an edited step cannot contradict itself."""

    index: int
    t: Tensor  #: ()
    s: Tensor  #: ()
    x_t: Tensor  #: (B, ...)
    prediction: Prediction
    mean: Tensor  #: (B, ...): of x_s
    std: Tensor  #: ()
    noise: Tensor  #: (B, ...), standard normal
    coefficients: Coefficients = field(default_factory=dict)  #: what the rule made mean and std with, by its symbols

    @cached_property  # the walk, the trace and the hooks all ask for it
    def x_s(self) -> Tensor:
        """mean + std·noise: where the step arrives."""
        return self.mean + self.std * self.noise


Edit = Callable[[Step], Step]


def normal(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Standard normal noise of `like`'s dtype and device, drawn on the CPU: a seed is the same noise everywhere."""
    return torch.randn(shape, generator=generator, dtype=like.dtype).to(like.device)


def start_noise(schedule: Schedule, shape: tuple[int, ...], t: Tensor, generator: torch.Generator,
                like: Tensor | None = None) -> Tensor:
    """Where a walk begins: pure noise of the forward process's size at t, sigma_t·eps."""
    like = torch.zeros(()) if like is None else like
    return schedule(t)[1].to(like) * normal(shape, generator, like)


def take(update: Update, denoise: Denoise, x: Tensor, prediction: Prediction, t: Tensor,
         s: Tensor) -> tuple[Tensor, Tensor, Coefficients]:
    """(mean, std, coefficients) of a step; a plain function tells none but its std."""
    if isinstance(update, Rule):
        mean, used = update.take(denoise, x, prediction, t, s)
        return mean, x.new_full((), used["std"]), used
    mean, std = update(denoise, x, prediction, t, s)
    return mean, std, {"std": float(std)}


@torch.no_grad()  # on the function, not around a yield: torch then sets the mode anew whenever the generator goes on
def walk(denoise: Denoise, update: Update, x: Tensor, times: Tensor, generator: torch.Generator,
         edit: Edit | None = None) -> Iterator[Step]:
    """Walk from x at times[0] down the grid to times[-1], yielding every Step.

    Noise is drawn even where std is 0, so that runs with and without noise stay comparable step by step.
    ValueError if the grid does not descend within [0, 1].
    """
    if times.ndim != 1 or len(times) < 2 or (times.diff() >= 0).any() or times[0] > 1 or times[-1] < 0:
        raise ValueError(f"times must descend strictly within [0, 1], at least 2 of them; given {times.tolist()[:6]} …")
    for index, (t, s) in enumerate(zip(times[:-1], times[1:])):
        prediction = denoise(x, t)
        mean, std, used = take(update, denoise, x, prediction, t, s)
        step = Step(index, t, s, x, prediction, mean, std, normal(x.shape, generator, x), used)
        if edit is not None:
            step = edit(step)
        yield step
        x = step.x_s
