"""Interventions: change a run at the seam after the update, or at any named place of it.

An edit is Step → Step. `Hooks` is the same two seams with names: a hook observes (returns None) or replaces (returns a
value), for a range of times, and leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .forward import expand
from .prediction import Denoise, Prediction
from .reverse import Edit, Step
from .schedules import Schedule


def during(edit: Edit, begin: float = 1.0, end: float = 0.0) -> Edit:
    """Use an edit for steps that start at t with begin ≥ t ≥ end; other steps pass as they are."""
    if not 1 >= begin >= end >= 0:
        raise ValueError(f"times from {begin} to {end}; a walk runs down from 1 to 0, so 1 ≥ begin ≥ end ≥ 0")
    return lambda step: edit(step) if begin >= float(step.t) >= end else step


def compose(*edits: Edit) -> Edit:
    """Several edits, one after another."""
    def edit(step: Step) -> Step:
        for each in edits:
            step = each(step)
        return step

    return edit


def drop_noise(step: Step) -> Step:
    """Leave the noise term out: std = 0. The mean of many possible pasts is taken for one of them."""
    return replace(step, std=torch.zeros_like(step.std))


def nudge(by: Tensor | float) -> Edit:
    """Push the state: x_s + by, where `by` broadcasts to a sample."""
    return lambda step: replace(step, mean=step.mean + by)


#: Where a hook can sit: what the model is given, what it says, and what the step makes of it.
PLACES = ("x_t", "t", "x0", "eps", "mean", "std", "noise", "x_s")

Hook = Callable[[Tensor, Tensor], Tensor | None]


@dataclass(frozen=True)
class Hooks:
    """Named hooks: place → hook(value, t), called with the value there and the time of the call.

    x_t, t    what the model is given; the state and the time themselves stay, and its velocity is taken at its word
    x0, eps   what it says; replacing one makes the other follow, so that x_t = alpha·x0 + sigma·eps still holds
    mean, std, noise, x_s    the step; replacing x_s moves the mean

    A rule that asks the model twice a step (Heun) calls the first four twice.
    Use: `denoise, edit = hooks.on(denoise, schedule)`.
    """

    hooks: dict[str, Hook]
    begin: float = 1.0
    end: float = 0.0

    def __post_init__(self):
        for place in self.hooks:
            if place not in PLACES:
                raise ValueError(f"no place called {place!r} for a hook; there are {', '.join(PLACES)}")
        if not 1 >= self.begin >= self.end >= 0:
            raise ValueError(
                f"times from {self.begin} to {self.end}; a walk runs down from 1 to 0, so 1 ≥ begin ≥ end ≥ 0"
            )

    def _ask(self, place: str, value: Tensor, t: Tensor) -> Tensor:
        hook = self.hooks.get(place)
        answer = hook(value, t) if hook else None
        if answer is None:
            return value
        if answer.shape != value.shape:
            raise ValueError(
                f"the hook at {place!r} gave shape {tuple(answer.shape)}, it was given {tuple(value.shape)}; "
                "give back the same shape, or None to look only"
            )
        return answer

    def on(self, denoise: Denoise, schedule: Schedule, edit: Edit | None = None) -> tuple[Denoise, Edit]:
        """The two seams with the hooks in them; `edit` runs before the hooks."""

        def hooked_denoise(x_t: Tensor, t: Tensor) -> Prediction:
            if not self.begin >= float(t) >= self.end:
                return denoise(x_t, t)
            given, told = self._ask("x_t", x_t, t), self._ask("t", t, t)
            p = denoise(given, told)
            if given is not x_t or told is not t:
                p = p.at(x_t, *(expand(a.to(x_t), x_t) for a in schedule(t)))
            x0 = self._ask("x0", p.x0, t)
            if x0 is not p.x0:
                p = Prediction.from_x0(x0, x_t, p.alpha, p.sigma)
            eps = self._ask("eps", p.eps, t)
            return p if eps is p.eps else Prediction.from_eps(eps, x_t, p.alpha, p.sigma)

        def hooked_edit(step: Step) -> Step:
            step = edit(step) if edit else step
            if not self.begin >= float(step.t) >= self.end:
                return step
            step = replace(step, mean=self._ask("mean", step.mean, step.t), std=self._ask("std", step.std, step.t),
                           noise=self._ask("noise", step.noise, step.t))
            before = step.x_s
            after = self._ask("x_s", before, step.t)
            return step if after is before else replace(step, mean=step.mean + (after - before))

        return hooked_denoise, hooked_edit
