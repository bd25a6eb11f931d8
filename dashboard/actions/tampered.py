"""A recipe's edits of what a model is told and what it says."""

from __future__ import annotations

from dataclasses import replace

from core.guidance import clip_x0, scale_eps, tell_time
from dashboard.actions.guided import guided
from dashboard.actions.subject import Subject
from dashboard.recipe import Recipe


def tampered(subject: Subject, recipe: Recipe) -> Subject:
    """The subject as the recipe walks it: asked for its labels, with its edits of what the model is told and what it
    says, and with clipping after them."""
    denoise = guided(subject, recipe).denoise
    if recipe.tell:
        denoise = tell_time(denoise, subject.schedule, recipe.tell)
    if recipe.scale_eps != 1:
        denoise = scale_eps(denoise, recipe.scale_eps)
    return replace(subject, denoise=clip_x0(denoise, recipe.clip))
