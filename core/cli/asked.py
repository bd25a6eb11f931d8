"""From the words of `sample` and `gif` to a recipe and what comes along with it: `core.runs` does the rest."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch

from ..checkpoints.classifiers import load_classifier, pretrained_classifier
from ..checkpoints.models import load_checkpoint, load_pretrained, pretrained, pretrained_for
from ..data.datasets import Dataset, load, names
from ..denoisers.base import Denoiser
from ..denoisers.embeddings import Labels, label_counts
from ..denoisers.exact import Exact
from ..guidance.classifier import ExactClassifier, LogPosterior, reschedule_classifier
from ..recipe.handed_back import HANDED_OUT, recipe_in
from ..recipe.models import SHIPPED, SOLVED
from ..recipe.recipe import OWN, SPECS, Recipe, as_refusal
from ..runs.brought import Brought
from ..schedules import Schedule, make_schedule

#: Options that are fields of the recipe as they stand.
PLAIN = ("sampler", "steps", "eta", "spacing", "thresholding", "guidance_scale", "guidance_interval", "nudge",
         "time_shift", "scale_eps", "seed", "layer", "T", "train_size", "forward", "weights")
#: Options whose text is that of a link.
AS_IN_A_LINK = ("drop_noise", "schedule")


@dataclass(frozen=True)
class Asked:
    """What a command line asks for. known: whether the data of the model are here, to be shown beside its samples."""

    recipe: Recipe
    brought: Brought
    known: bool = True


def asked_of(options: argparse.Namespace, data_of: Callable[[argparse.Namespace], Dataset | None]) -> Asked:
    """The recipe of these options, on that of --link if one is given. ValueError says what cannot be."""
    base = linked(options.link) if options.link else Recipe()
    if options.model is None and not options.link:
        raise ValueError(f"say with --model whose walk it is: {', '.join(pretrained())}, a .safetensors file that "
                         f"`train` saved, or {', '.join(SOLVED)} with --data; or give a --link of the page")
    changes: dict[str, Any] = {name: value for name in PLAIN if (value := getattr(options, name, None)) is not None}
    for name in AS_IN_A_LINK:
        if getattr(options, name, None) is not None:
            changes[name] = parsed(name, getattr(options, name))
    if options.n is not None:
        changes["samples"] = options.n
    if getattr(options, "variants", None):
        changes |= {"variants": parsed("variants", ",".join(options.variants)), "tab": "compare"}
    if getattr(options, "film", None):
        changes["tab"] = options.film
    if getattr(options, "panels", None):
        changes["panels"] = tuple(options.panels.split(","))
    brought, known, labels = Brought(most_images=None), True, 0
    if options.model is not None:
        model, brought, known, labels = model_of(options, data_of(options))
        changes = model | changes
    elif (given := data_of(options)) is not None:
        changes |= whose(given, brought)
    labelled = _labels(options, base, changes, brought, labels)
    return Asked(base.with_(**changes, **labelled), brought, known)


def linked(text: str) -> Recipe:
    """The recipe of a link of the page, of its query alone, or in a film, trace or JSON that was handed out.

    ValueError where something in it cannot be used.
    """
    if Path(text).suffix.lower() in HANDED_OUT and Path(text).is_file():
        recipe, complaints = recipe_in(text)
    else:
        recipe, complaints = Recipe.from_query(urlparse(text).query if "://" in text else text)
    if complaints:
        raise ValueError(as_refusal(complaints))
    return recipe


def parsed(name: str, text: str) -> Any:
    """A value as it is written in a link. ValueError as the recipe has it."""
    try:
        return SPECS[name].parse(text)
    except ValueError as error:
        raise ValueError(f"{name} = {text} {error}") from None


def model_of(options: argparse.Namespace, given: Dataset | None) -> tuple[dict[str, Any], Brought, bool, Labels]:
    """(fields of the recipe, what comes along, whether its data are here, the labels it knows) of --model."""
    brought = Brought(most_images=None)
    if options.model in SOLVED:
        if given is None:
            raise ValueError(f"the model {options.model} is made of some data; say of which with --data")
        return {"model": options.model} | whose(given, brought), brought, True, given.classes or 0
    denoiser, card, dataset = network_of(options.model, given)
    fields = whose(dataset or stand_in(card["shape"], denoiser.labels), brought)
    fields |= {"schedule": denoiser.schedule.name, "T": denoiser.schedule.T}
    role = role_in_a_recipe(options.model, fields)
    if role is None:
        whole = brought.data or load(fields["data"])
        if dataset is None:  # labels held out of training are known by names that are not here
            card = card | {"training": {**card.get("training", {}), "without": ()}}
        brought.learned(denoiser, card | {"data": fields["data"], "hash": whole.hash, "whole": whole.hash})
    return fields | {"model": role or "mine"}, brought, dataset is not None, denoiser.labels


def network_of(model: str, given: Dataset | None) -> tuple[Denoiser, dict[str, Any], Dataset | None]:
    """(denoiser, card, data) of a network by its name or file; the data are those given, or as far as known here."""
    if model in pretrained():
        denoiser, card = load_pretrained(model)
    elif model.endswith(".safetensors"):
        denoiser, card = load_checkpoint(model)
    else:
        raise ValueError(f"no model {model!r}; pretrained are {', '.join(pretrained()) or 'none'}. Give one of "
                         f"these, a .safetensors file that `train` saved, or {', '.join(SOLVED)} with --data")
    dataset = given or (load(card["data"]) if card.get("data") in names() else None)
    if dataset and not given and "train_size" in card:
        dataset = dataset.first(card["train_size"])
    shape = tuple(card.get("shape") or (dataset.shape if dataset else ()))
    if dataset and dataset.shape != shape:
        raise ValueError(f"the model makes samples of shape {shape}, and those of {dataset.name} are {dataset.shape}; "
                         "give --data what the model was trained on")
    if not shape:
        raise ValueError(f"the card of {model} does not say of what shape its samples are; say with --data")
    return denoiser, card | {"shape": shape}, dataset


def role_in_a_recipe(name: str, fields: dict[str, Any]) -> str | None:
    """What a recipe of these data calls the shipped model of that name; None if it is none of theirs."""
    shipped = pretrained_for(fields["data"])
    if fields.get("train_size"):
        return "pretrained" if shipped.get(f"rows{fields['train_size']}") == name else None
    return next((model for model, role in SHIPPED.items() if shipped.get(role) == name), None)


def whose(dataset: Dataset, brought: Brought) -> dict[str, Any]:
    """The recipe's fields of a data set; one that is none of those shipped comes along."""
    if dataset.name in names():
        whole = load(dataset.name)
        if dataset is whole:
            return {"data": dataset.name}
        if dataset.hash == whole.first(len(dataset)).hash:
            return {"data": dataset.name, "train_size": len(dataset)}
    brought.data = dataset
    return {"data": OWN}


def stand_in(shape: tuple[int, ...], labels: Labels) -> Dataset:
    """A data set of that shape and labels in place of one that is not here: nothing of it is ever shown."""
    kind = "points" if len(shape) == 1 else "images"
    counts = label_counts(labels) if labels else ()
    conditions = [(torch.zeros(1, dtype=torch.int64), tuple(map(str, range(count)))) for count in counts]
    first = {"labels": conditions[0][0], "label_names": conditions[0][1]} if conditions else {}
    return Dataset("unknown", "data that are not here", kind, torch.zeros(1, *shape), **first,
                   extra={f"label {k + 2}": condition for k, condition in enumerate(conditions[1:])})


def _labels(options: argparse.Namespace, base: Recipe, changes: dict[str, Any], brought: Brought,
            labels: Labels) -> dict[str, Any]:
    """The recipe's fields of --label and --classifier."""
    fields: dict[str, Any] = {}
    if options.label is None:
        if base.label == base.label2 == "any" and (
                options.guidance_scale is not None or options.guidance_interval is not None or options.classifier):
            raise ValueError("guidance leads towards a label; say with --label which")
        return fields
    recipe = base.with_(**changes)
    dataset = brought.data or load(recipe.data)
    if not (labels or options.classifier):
        raise ValueError(f"--label {options.label}: the model knows no labels; train one with --labels, or guide it "
                         "with a --classifier of data that have some")
    asked = options.label.split(",")
    cond = dataset.cond_of(*(None if word in ("any", "each") else word for word in asked)).reshape(-1).tolist()
    counts = label_counts(dataset.classes)
    fields |= {name: word if word in ("any", "each") else str(number)
               for name, word, number in zip(("label", "label2"), asked, cond)}
    if options.classifier:
        classifier, which = classifier_of(options.classifier, dataset, make_schedule(recipe.schedule, recipe.T))
        if fields[("label", "label2")[which]] == "any":
            raise ValueError(f"--label {options.label} asks for any {dataset.conditions[which][0]}, which is all that "
                             "the classifier tells apart")
        fields |= {"guidance_method": "classifier", ("label2", "label")[which]: "any"} if len(counts) > 1 else {
            "guidance_method": "classifier"}
        brought.classifier = classifier
    return fields


def classifier_of(name: str, dataset: Dataset, schedule: Schedule) -> tuple[LogPosterior, int]:
    """The classifier of that name on this schedule, and which of the data's conditions it tells.

    ValueError if there is none such, or if it is of other data.
    """
    if name == "exact":
        return ExactClassifier(Exact.of(dataset, schedule)), 0
    found, card = load_classifier(name) if name.endswith(".safetensors") else pretrained_classifier(Path(name).name)
    titles = [title for title, _ in dataset.conditions]
    if card["data_hash"] != dataset.hash or card["condition"] not in titles:
        raise ValueError(f"the classifier {name} is one of {card['data']}, and these data are {dataset.name}")
    return reschedule_classifier(found, found.schedule, schedule), titles.index(card["condition"])
