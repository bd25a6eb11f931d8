"""Kinds of shipped models: which command makes one, how it draws samples, and which figures tell how good it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ..checkpoints.models import load_checkpoint, role_of
from ..data.datasets import Dataset, load
from ..metrics.distances import agreement, draw_samples, sample_quality
from ..metrics.memorization import memorization_card
from ..training.consistency import jump
from ..training.presets import TrainingConfig, make_denoiser
from ..training.reflow import few_steps, straightness

Card = dict[str, Any]


def no_more(model: Any, dataset: Dataset) -> Card:
    """No figures beside the quality of samples."""
    return {}


def by_steps(model: Any, dataset: Dataset) -> Card:
    """A flow's distance from unseen data after 1, 2 and 4 steps of Euler's method, and its `straightness`."""
    found = {n: sample_quality(model, dataset, draw=partial(few_steps, steps=n)) for n in (1, 2, 4)}
    euler = {str(n): quality["sliced_wasserstein"] for n, quality in found.items() if quality}
    walks = 1000 if dataset.kind == "points" else 50
    return {"euler": euler, "straightness": round(straightness(model, dataset.shape, walks), 6)}


def memories(model: Any, dataset: Dataset) -> Card:
    """How much a model remembers of the few rows that it was trained on."""
    return {"memorization": memorization_card(model, dataset)}


def as_trained(model: Any, card: Card, dataset: Dataset) -> Iterator[str]:
    """What is wrong with a network's settings: they must make this very model."""
    config = TrainingConfig.from_dict(card["training"])
    again = make_denoiser(config, dataset)
    for what, made, found in (("network", again.network.architecture, model.network.architecture),
                              ("prediction_type", again.prediction_type, model.prediction_type),
                              ("schedule", (again.schedule.name, again.schedule.T),
                               (model.schedule.name, model.schedule.T)),
                              ("steps", config.steps, card["steps"])):
        if made != found:
            yield f"its settings make the {what} {made}, and it has {found}"
    if abs(again.sigma_data - model.sigma_data) > 0.01:
        yield f"its data have the spread {again.sigma_data:.3f}, and it was told {model.sigma_data:.3f}"


def as_it_is(model: Any, card: Card, dataset: Dataset) -> Iterator[str]:
    """Nothing to find: a model that is solved has no settings but its architecture, which its weights fit."""
    yield from ()


@dataclass(frozen=True)
class Role:
    """A kind of model. `draw` samples in the way this kind is for: (model, shape, n, seed=, cond=) → (n, *shape)."""

    what: str  #: what it is, for a reader of the gallery
    sampling: str  #: how `draw` makes a sample, for the same reader
    command: str = "train"  #: of python -m core, which makes such models
    teacher: str | None = None  #: the role of the model that it is made of
    draw: Callable[..., Tensor] = draw_samples
    more: Callable[[Any, Dataset], Card] = no_more  #: (model, data) → figures for the card beside its quality
    load: Callable[[Path], tuple[Any, Card]] = load_checkpoint  #: reads a model and its card
    agrees: Callable[[Any, Card, Dataset], Iterator[str]] = as_trained  #: (model, card, data) → what is wrong


ROLES = {
    "diffusion": Role("diffusion", "Heun, 25 steps"),
    "flow": Role("rectified flow", "Heun, 25 steps", more=by_steps),
    "reflow": Role("straightened flow", "Euler, 1 step", "reflow", "flow", partial(few_steps, steps=1), by_steps),
    "consistency": Role("consistency model", "one jump", "distil", "diffusion", jump),
    "linear": Role("linear diffusion", "Heun, 25 steps", "linear", agrees=as_it_is),
    "rows": Role("diffusion from few rows", "Heun, 25 steps", more=memories),
}


def role_name(card: Card) -> str:
    """The key in ROLES of a card's model: without the number of one in a series, as "rows64". ValueError for others."""
    name = re.sub(r"\d+$", "", role_of(card))
    if name not in ROLES:
        raise ValueError(f"role {role_of(card)!r} is unknown; there are {', '.join(ROLES)}")
    return name


def role_for(card: Card) -> Role:
    """The role of a card's model. ValueError for an unknown one."""
    return ROLES[role_name(card)]


def data_for(card: Card) -> Dataset:
    """The data that a card's model was trained on. ValueError if they are none of the shipped ones."""
    dataset = load(card["data"])
    return dataset.first(card["train_size"]) if "train_size" in card else dataset


def figures(model: Any, card: Card, dataset: Dataset) -> Card:
    """How good a model is, in its own role: {"quality": …} with real data's own distances, and more for some roles."""
    role = role_for(card)
    found: Card = {"quality": sample_quality(model, dataset, draw=role.draw)}
    if card.get("training", {}).get("without"):
        found["composed"] = composed(model, dataset, card["training"]["without"], role.draw)
    return found | (role.more(model, dataset) if found["quality"] else {})


def composed(model: Any, dataset: Dataset, pair: list[str], draw: Callable[..., Tensor], n: int = 128) -> Card:
    """Whether a model makes a combination that training never saw: its "composed" on a card.

    agreement       the share of n samples of that combination whose nearest row of *all* the data is called so
    real_agreement  the same of the data's own rows of that combination, their nearest other row
    by_chance       the share of such rows in the data
    """
    asked, rows = dataset.cond_of(*pair), dataset.x0[dataset.rows_of(*pair)]
    samples = draw(model, dataset.shape, n, seed=0, cond=asked.expand(n, *asked.shape[1:]))
    return {"pair": list(pair), "samples": n,
            "agreement": round(agreement(samples, asked.expand(n, *asked.shape[1:]), dataset), 5),
            "real_agreement": round(agreement(rows, asked.expand(len(rows), *asked.shape[1:]), dataset, skip=1), 5),
            "by_chance": round(len(rows) / len(dataset), 5)}
