"""Whom a recipe speaks of: the data set, the denoiser, the schedule it is walked on."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch

from core.checkpoints import load_pretrained, pretrained
from core.datasets import Dataset, load
from core.denoisers.base import Denoiser
from core.denoisers.exact import Exact
from core.edits import during, drop_noise, in_order, nudge
from core.guidance import clip_x0, reschedule, scale_eps, tell_time
from core.samplers import Denoise
from core.schedules import Schedule, make_schedule
from core.walk import Edit
from dashboard.recipe import OWN, Recipe
from dashboard.visitors import Visitor


class CannotShow(ValueError):
    """What was asked for does not exist here yet; the message says what to press."""


@dataclass(frozen=True)
class Subject:
    """A data set, a denoiser for it and its truth, all on one schedule."""

    dataset: Dataset
    schedule: Schedule
    denoise: Denoise
    exact: Exact
    start: float = 1.0  #: the time at which a walk with this denoiser can start


def dataset_of(recipe: Recipe, visitor: Visitor | None) -> Dataset:
    """The data set of a recipe; CannotShow if it is the visitor's own and there is none."""
    if recipe.data != OWN:
        return load(recipe.data)
    if visitor is None or visitor.data is None:
        raise CannotShow("There is no data set of your own here. Open “your own data” in the recipe and bring one, or pick another.")
    return visitor.data


def model_choices(recipe: Recipe, visitor: Visitor | None) -> list[str]:
    """Which of "pretrained", "exact" and "mine" this visitor can use with the recipe's data."""
    choices = ["pretrained"] if recipe.data in pretrained() else []
    if _has_own(recipe, visitor):
        choices.append("mine")
    return choices + ["exact"]


def _has_own(recipe: Recipe, visitor: Visitor | None) -> bool:
    if visitor is None or visitor.denoiser is None or visitor.card["data"] != recipe.data:
        return False
    # Of data of one's own there can be a new set by now.
    return recipe.data != OWN or visitor.data is not None and visitor.card["hash"] == visitor.data.hash


def subject_of(recipe: Recipe, visitor: Visitor | None) -> Subject:
    """Everything a walk or a lens needs. CannotShow if the model is not there for this data."""
    dataset, schedule = dataset_of(recipe, visitor), make_schedule(recipe.schedule, recipe.T)
    exact = Exact(dataset.x0, schedule, dataset.bandwidth)
    if recipe.model != "mine" and recipe.weights != "averaged":
        raise CannotShow("Raw and earlier weights are there of a model of your own alone: train one, and take "
                         "“my training”.")
    if recipe.model == "exact":
        return Subject(dataset, schedule, exact, exact)
    if recipe.model == "mine":
        if not _has_own(recipe, visitor):
            raise CannotShow(f"No model of yours for “{dataset.title}” is here. Train one in the Train tab, or pick another model.")
        denoiser = own_denoiser(recipe, visitor)
    else:
        if recipe.data not in pretrained():
            raise CannotShow(f"No trained model is shipped for “{dataset.title}”. Train one in the Train tab, or pick the exact denoiser.")
        denoiser = load_pretrained(recipe.data)[0]
    moved = reschedule(denoiser, denoiser.schedule, schedule)
    return Subject(dataset, schedule, moved, exact, schedule.start_for(denoiser.target))


def own_denoiser(recipe: Recipe, visitor: Visitor) -> Denoiser:
    """The visitor's own model with the weights that the recipe names. CannotShow tells which of them are there."""
    if recipe.weights == "averaged":
        return visitor.denoiser
    training = visitor.trace("training")
    if training is None or training.trainer is None or training.dataset.hash != visitor.card["hash"]:
        raise CannotShow("Raw and earlier weights of your training are not kept any more; train again, or take the "
                         "averaged ones.")
    if recipe.weights == "raw":
        return copy.deepcopy(training.trainer.denoiser).eval()  # a training under way goes on changing its own
    if int(recipe.weights) not in training.kept:
        there = ", ".join(map(str, sorted(training.kept)))
        raise CannotShow(f"No weights were kept after step {recipe.weights}; they were after the steps {there}.")
    return training.kept[int(recipe.weights)]


def tampered(subject: Subject, recipe: Recipe) -> Subject:
    """The subject with the recipe's edits of what the model is told and what it says, and with clipping after them."""
    denoise = subject.denoise
    if recipe.tell:
        denoise = tell_time(denoise, subject.schedule, recipe.tell)
    if recipe.scale_eps != 1:
        denoise = scale_eps(denoise, recipe.scale_eps)
    return replace(subject, denoise=clip_x0(denoise, recipe.clip))


def edit_of(recipe: Recipe) -> Edit | None:
    """The recipe's edits of the step: noise left out for a range of times, the state nudged a little in each step."""
    edits = []
    if recipe.drop_noise:
        edits.append(during(drop_noise, *recipe.drop_noise))
    if recipe.nudge:
        edits.append(nudge(recipe.nudge / recipe.steps))
    return in_order(*edits) if edits else None


def generator_of(recipe: Recipe) -> torch.Generator:
    """The recipe's seed as a source of noise of its own."""
    return torch.Generator().manual_seed(recipe.seed)


