"""Whom a recipe speaks of: the data set, the denoiser, the schedule it is walked on."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch

from ..checkpoints.models import load_pretrained, pretrained_for
from ..data.datasets import Dataset, load
from ..denoisers.base import Denoiser
from ..denoisers.exact import Exact
from ..denoisers.linear import Linear, linear
from ..denoisers.wrappers import reschedule
from ..edits import compose, drop_noise, during, nudge
from ..guidance.classifier import LogPosterior
from ..prediction import Denoise
from ..recipe.models import MEMORY, SHIPPED, SOLVED
from ..recipe.recipe import OWN, Recipe
from ..reverse import Edit
from ..schedules import Schedule, make_schedule
from ..views.nearest import memorization_cards
from .brought import Brought


class CannotShow(ValueError):
    """What was asked for does not exist here yet; the message says what to press."""


@dataclass(frozen=True)
class ResolvedRun:
    """A data set, a denoiser for it and its truth, all on one schedule."""

    dataset: Dataset
    schedule: Schedule
    denoise: Denoise
    exact: Exact
    start: float = 1.0  #: the time at which a walk with this denoiser can start
    network: Denoiser | None = None  #: what is asked in the end, on its own schedule; None for the exact one
    held_out: tuple[str, ...] = ()  #: labels, one a condition, that were together in no row of its training
    classifier: LogPosterior | None = None  #: what guides in place of the data's own, on the same schedule


#: Principal components that linear diffusion looks along.
COMPONENTS = 30
#: Numbers in the directions of a linear network: 128 MB, and ten seconds or so to solve.
MOST_WEIGHTS = 16_000_000
#: Linear networks that are kept for a data set: by how many rows and along how many components.
MOST_SOLVED = 3
_solved: WeakKeyDictionary[Dataset, dict[tuple[int, int], Linear]] = WeakKeyDictionary()


def dataset_of(recipe: Recipe, brought: Brought | None) -> Dataset:
    """The data of a recipe, no more rows than it says; CannotShow if they should be one's own and there are none."""
    if recipe.data != OWN:
        whole = load(recipe.data)
    elif brought is None or brought.data is None:
        raise CannotShow("There is no data set of your own here. Open “your own data” in the recipe and bring one, or "
                         "pick another.")
    else:
        whole = brought.data
    return whole if recipe.train_size is None else whole.first(min(recipe.train_size, len(whole)))


def model_choices(recipe: Recipe, brought: Brought | None) -> list[str]:
    """Which models can be used with the recipe's data, the best known first."""
    shipped = pretrained_for(recipe.data)
    choices = [name for name, role in SHIPPED.items() if role in shipped]
    if _has_own(recipe, brought):
        choices.append("mine")
    return choices + list(SOLVED) + [MEMORY] * bool(memorization_cards(recipe.data))


def usual_model(recipe: Recipe, brought: Brought | None) -> str:
    """Which model stands for the recipe's data where nobody chose one: one that was trained, or else the exact one."""
    choices = model_choices(recipe, brought)
    return next((name for name in (*SHIPPED, "mine") if name in choices), "exact")


def _has_own(recipe: Recipe, brought: Brought | None) -> bool:
    if brought is None or brought.denoiser is None or brought.card["data"] != recipe.data:
        return False
    # Of data of one's own there can be a new set by now.
    return recipe.data != OWN or brought.data is not None and brought.card["whole"] == brought.data.hash


def resolve(recipe: Recipe, brought: Brought | None) -> ResolvedRun:
    """Everything a walk or a lens needs. CannotShow if the model is not there for this data."""
    return replace(_resolved(recipe, brought), classifier=brought.classifier if brought is not None else None)


def _resolved(recipe: Recipe, brought: Brought | None) -> ResolvedRun:
    if recipe.model == MEMORY:
        raise CannotShow("The networks trained on few rows are a film of their own, in Denoise. Here take “pretrained” "
                         "and one number of rows.")
    dataset, schedule = dataset_of(recipe, brought), make_schedule(recipe.schedule, recipe.T)
    exact = Exact.of(dataset, schedule)
    if recipe.model != "mine" and recipe.weights != "averaged":
        raise CannotShow("Raw and earlier weights are there of a model of your own alone: train one, and take "
                         "“my training”.")
    if recipe.model == "exact":
        return ResolvedRun(dataset, schedule, exact, exact)
    if recipe.model in ("linear", "wiener"):
        network = solved(recipe, brought, dataset)
        model = Denoiser(network, schedule, "x0", sigma_data=1.0, labels=network.labels).eval()
        return ResolvedRun(dataset, schedule, model, exact, network=model)
    denoiser, card = network_of(recipe, brought, dataset)
    moved = reschedule(denoiser, denoiser.schedule, schedule)
    held_out = tuple(card.get("training", {}).get("without", ()))
    start = schedule.start_for(denoiser.prediction_type)
    return ResolvedRun(dataset, schedule, moved, exact, start, denoiser, held_out)


def solved(recipe: Recipe, brought: Brought | None, dataset: Dataset) -> Linear:
    """The network of linear diffusion on just these rows, along no more directions than the data have.

    One solution serves every schedule. Of pictures of many pixels it takes seconds, so the last few of a data set are
    kept for as long as the data are. CannotShow for a Wiener filter of more numbers than anybody should wait for.
    """
    size, rows = dataset.x0[0].numel(), 1 + (dataset.classes if isinstance(dataset.classes, int) else 0)
    components = min(COMPONENTS, size) if recipe.model == "linear" else size
    if rows * components * size > MOST_WEIGHTS:
        raise CannotShow(f"The Wiener filter of pictures of {size:,} values"
                         + (f" with {rows - 1} labels" if rows > 1 else "")
                         + f" holds {rows * size**2:,} numbers, and {MOST_WEIGHTS:,} are the most: take the linear "
                         "model, or bring smaller pictures.")
    known = _solved.setdefault(dataset_of(recipe.with_(train_size=None), brought), {})
    network = known.get((len(dataset), components))
    if network is None:
        network = linear(dataset, make_schedule(recipe.schedule, recipe.T), components).network
        for key in list(known)[: max(0, len(known) + 1 - MOST_SOLVED)]:
            known.pop(key, None)
        known[len(dataset), components] = network
    return network


def network_of(recipe: Recipe, brought: Brought | None, dataset: Dataset) -> tuple[Denoiser, dict]:
    """The trained network that a recipe names, and its card. CannotShow says what to press if there is none."""
    if recipe.model == "mine":
        if not _has_own(recipe, brought):
            raise CannotShow(f"No model of yours for “{dataset.title}” is here. Train one in the Train tab, or pick "
                             "another model.")
        return own_denoiser(recipe, brought), brought.card
    shipped, role = pretrained_for(recipe.data), SHIPPED[recipe.model]
    whole = len(dataset_of(recipe.with_(train_size=None), brought))
    if recipe.model == "pretrained" and recipe.train_size is not None and recipe.train_size < whole:
        role = f"rows{recipe.train_size}"
        if role not in shipped:
            there = ", ".join(map(str, memorization_cards(recipe.data))) or "none"
            raise CannotShow(f"No model is shipped that was trained on {recipe.train_size:,} of “{dataset.title}”; "
                             f"there are some of: {there}. Train one in the Train tab, or pick the exact denoiser.")
    if role not in shipped:
        raise CannotShow(f"No model of that kind is shipped for “{dataset.title}”. Train one in the Train tab, or pick "
                         f"another: {', '.join(model_choices(recipe, brought))}.")
    return load_pretrained(shipped[role])


def own_denoiser(recipe: Recipe, brought: Brought) -> Denoiser:
    """The caller's own model with the weights that the recipe names. CannotShow tells which of them are there."""
    if recipe.weights == "averaged":
        return brought.denoiser
    training = brought.training
    if training is None or training.trainer is None or training.dataset.hash != brought.card["hash"]:
        raise CannotShow("Raw and earlier weights of your training are not kept any more; train again, or take the "
                         "averaged ones.")
    if recipe.weights == "raw":
        return copy.deepcopy(training.trainer.denoiser).eval()  # a training under way goes on changing its own
    if int(recipe.weights) not in training.kept:
        there = ", ".join(map(str, sorted(training.kept)))
        raise CannotShow(f"No weights were kept after step {recipe.weights}; they were after the steps {there}.")
    return training.kept[int(recipe.weights)]


def edit_of(recipe: Recipe) -> Edit | None:
    """The recipe's edits of the step: noise left out for a range of times, the state nudged a little in each step."""
    edits = []
    if recipe.drop_noise:
        edits.append(during(drop_noise, *recipe.drop_noise))
    if recipe.nudge:
        edits.append(nudge(recipe.nudge / recipe.steps))
    return compose(*edits) if edits else None


def generator_of(recipe: Recipe) -> torch.Generator:
    """The recipe's seed as a source of noise of its own."""
    return torch.Generator().manual_seed(recipe.seed)


