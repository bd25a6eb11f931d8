"""A recipe in words, field by field: what a film was made from can then be held against what the recipe says now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..data.datasets import Dataset, load
from .recipe import DEFAULTS, FIELDS, OWN, SPECS, Recipe

#: What the next training is made from, and nothing else.
TRAINING = ("preset", "network", "prediction_type", "weighting", "time_sampling", "labels", "baseline", "train_steps",
            "batch", "lr")
#: What is examined.
DEBUG = ("bug", "against")
#: What says how a film is looked at, not what it is made from.
VIEW = ("tab", "panels", "frame")


def uses(tab: str) -> tuple[str, ...]:
    """The fields that what this tab shows is made from."""
    if tab in ("train", "clocks"):
        return ("data", "train_size", "schedule", "T", "seed", *TRAINING)
    others = (*TRAINING, *VIEW, *(() if tab == "compare" else ("variants",)), *(() if tab == "debug" else DEBUG))
    return tuple(name for name in SPECS if name not in others)


def words(values: Mapping[str, Any]) -> dict[str, str]:
    """{field: what it says, for people} of a recipe's fields; those that say how to look are left out."""
    return {name: _words(name, values[name]) for name in SPECS if name in values and name not in VIEW}


#: (what a film of this kind always says that it is made from, what else where it is not as usual)
_WALK = ("data", "model", "sampler", "steps"), tuple({*uses("denoise")} - {"lens_samples", "forward", "layer"})
_SAID = {
    "forward": (("data", "schedule"), ("train_size", "T", "samples", "seed")),
    "heat": (("data", "forward"), ("samples", "seed")),
    "lens": (("data", "model"),
             ("weights", "train_size", "schedule", "T", "time_shift", "scale_eps", "lens_samples", "seed")),
    "memorization": (("data", "model"), ("samples", "seed")),
    "train": (("data", "preset"), uses("train")),
    "denoise": _WALK, "compare": _WALK, "debug": _WALK,
}


def film_of(recipe: Recipe, kind: str, dataset: Dataset) -> dict[str, Any]:
    """What a film carries wherever it goes: the recipe that it is made from, and under "made" that recipe in words.

    "T-Rex · model pretrained · sampler DDIM · steps 20 · seed 3"; kind: one of `_SAID`.
    """
    always, else_ = _SAID[kind]
    said = words(recipe.to_dict()) | {"data": dataset.title}
    for (_, kinds), name in zip(dataset.conditions, ("label", "label2")):
        if (asked := getattr(recipe, name)).isdigit() and int(asked) < len(kinds):
            said[name] = f"{FIELDS[name].label} {kinds[int(asked)]}"
    names = (name for name in SPECS
             if name in always or name in else_ and getattr(recipe, name) != DEFAULTS[name])
    return recipe.to_dict() | {"made": " · ".join(said[name] for name in names)}


def _words(name: str, value: Any) -> str:
    if name == "data":
        return "your own data" if value == OWN else load(value).title
    spec = SPECS[name]
    value = tuple(value) if isinstance(value, list) else value
    text = spec.unset if value is None and hasattr(spec, "unset") else spec.text(value)
    return f"{FIELDS[name].label} {FIELDS[name].words.get(value, text) or 'none'}"
