"""A recipe's edits of what a model is told and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..denoisers.wrappers import clip_x0, scale_eps, shift_time
from ..prediction import Denoise
from ..recipe.recipe import Recipe
from .conditioning import guided
from .resolve import ResolvedRun


def with_interventions(resolved: ResolvedRun, recipe: Recipe,
                       hear: Callable[[Denoise], Denoise] = lambda denoise: denoise) -> ResolvedRun:
    """The subject as the recipe walks it: asked for its labels, with its edits of what the model is told and what it
    says, and with clipping after them. `hear` wraps what these edits are around."""
    denoise = hear(guided(resolved, recipe).denoise)
    if recipe.time_shift:
        denoise = shift_time(denoise, resolved.schedule, recipe.time_shift)
    if recipe.scale_eps != 1:
        denoise = scale_eps(denoise, recipe.scale_eps)
    return replace(resolved, denoise=clip_x0(denoise, recipe.thresholding))
