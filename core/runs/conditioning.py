"""Guidance: a walk asked for labels, and pushed towards them by the network itself or by a classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from ..checkpoints.classifiers import classifiers, pretrained_classifier
from ..guidance.classifier import ExactClassifier, LogPosterior, classifier_guidance, reschedule_classifier
from ..guidance.classifier_free import classifier_free, condition
from ..prediction import Denoise
from ..recipe.recipe import Recipe
from ..views import TraceView
from ..views.guided import offer_guidance
from .resolve import CannotShow, ResolvedRun

UNKNOWING = ("This model knows no labels, so it cannot be asked for one: let a classifier guide it, take another "
             "model, or ask for any.")
ONE_LABEL = "A classifier guides to one kind of label: ask for any of the other, or guide classifier-free."


def cond_of(recipe: Recipe, resolved: ResolvedRun, count: int) -> Tensor | None:
    """What each of `count` samples is to be, (count,) or (count, K); None where anything may come.

    CannotShow for a label that there is not.
    """
    conditions = resolved.dataset.conditions
    asked = (recipe.label, recipe.label2)[: max(1, len(conditions))]
    if all(label == "any" for label in asked):
        return None
    if not conditions:
        raise CannotShow(f"“{resolved.dataset.title}” has no labels to ask for: ask for any, or take other data.")
    columns = []
    for label, (title, names) in zip(asked, conditions):
        if label.isdigit() and int(label) >= len(names):
            raise CannotShow(f"There is no {title} with the number {label}: there are 0 to {len(names) - 1}, "
                             f"{', '.join(names[:8])}{', …' if len(names) > 8 else ''}.")
        turn = torch.arange(count)
        if columns and asked[0] == "each":  # each of the second for every one of the first
            turn = turn // len(conditions[0][1])
        number = len(names) if label == "any" else 0 if label == "each" else int(label)
        columns.append(turn % len(names) if label == "each" else torch.full((count,), number))
    return torch.stack(columns, 1) if len(columns) > 1 else columns[0]


def guided(resolved: ResolvedRun, recipe: Recipe, scale: float | None = None) -> ResolvedRun:
    """The subject asked for the recipe's labels, and pushed towards them as hard as it says, or as `scale`."""
    if cond_of(recipe, resolved, 1) is None:
        return resolved
    push = _classifier(resolved, recipe) if recipe.guidance_method == "classifier" else _free(resolved)
    scale, between = recipe.guidance_scale if scale is None else scale, recipe.guidance_interval or (0.0, 0.0)

    @cache
    def asked(count: int) -> Denoise:
        # As many labels as there are samples in the call: a comparison asks for its own and, later, for more of them.
        return push(cond_of(recipe, resolved, count), scale, between)

    return replace(resolved, denoise=lambda x_t, t: asked(len(x_t))(x_t, t))


Push = Callable[[Tensor, float, tuple[float, float]], Denoise]


def _free(resolved: ResolvedRun) -> Push:
    if not getattr(resolved.denoise, "labels", 0):
        raise CannotShow(UNKNOWING)
    return lambda cond, scale, between: classifier_free(resolved.denoise, cond, scale, between)


def _classifier(resolved: ResolvedRun, recipe: Recipe) -> Push:
    asked = [k for k, label in enumerate((recipe.label, recipe.label2)) if label != "any"]
    if len(asked) > 1:
        raise CannotShow(ONE_LABEL)
    classifier = resolved.classifier or classifier_of(resolved, asked[0])
    knows = getattr(resolved.denoise, "labels", 0)
    plain = condition(resolved.denoise, None) if knows else resolved.denoise

    def push(cond: Tensor, scale: float, between: tuple[float, float]) -> Denoise:
        label = cond if cond.ndim == 1 else cond[:, asked[0]]
        return classifier_guidance(plain, classifier, label, scale, between)

    return push


def classifier_of(resolved: ResolvedRun, condition: int) -> LogPosterior:
    """The small network that is shipped for these data, which looks at noisy pictures; else the exact classifier."""
    if resolved.dataset.name not in classifiers() or condition:
        return ExactClassifier(resolved.exact, condition)
    network, _ = pretrained_classifier(resolved.dataset.name)
    return reschedule_classifier(network, network.schedule, resolved.schedule)


def for_the_plane(recipe: Recipe) -> Recipe:
    """The recipe for places of the plane rather than samples: where each label is asked for in turn, that of any."""
    return recipe.with_(**{name: "any" for name in ("label", "label2") if getattr(recipe, name) == "each"})


def offer_labels(film: TraceView, resolved: ResolvedRun, recipe: Recipe) -> None:
    """Offer what the label changes on a walk that was asked for one; of points, for one that is the same for all."""
    cond, points = cond_of(recipe, resolved, 1), film.dataset.kind == "points"
    if cond is None or points and recipe != for_the_plane(recipe):
        return
    whole = recipe.with_(guidance_interval=(1.0, 0.0))
    with_label, without = (guided(resolved, whole, scale).denoise for scale in (1.0, 0.0))
    asked = (recipe.label, recipe.label2)[: len(resolved.dataset.conditions)]
    rows = resolved.dataset.rows_of(*(None if label == "any" else label for label in asked)) if points else None
    offer_guidance(film, with_label, without, recipe.guidance_scale, recipe.guidance_interval or (0.0, 0.0), rows,
                   outside=0.0 if recipe.guidance_method == "classifier" else 1.0)


def never_seen(resolved: ResolvedRun, recipe: Recipe, count: int) -> str:
    """A sentence where some of the samples are asked for labels that training never had together; else ""."""
    cond = cond_of(recipe, resolved, count)
    if cond is None or not resolved.held_out:
        return ""
    asked = (cond.reshape(count, -1) == resolved.dataset.cond_of(*resolved.held_out)).all(1)
    if not asked.any():
        return ""
    of = "All" if asked.all() else f"{int(asked.sum())}"
    return f" {of} of them are asked to be what training never had together: {', '.join(resolved.held_out)}."
