"""A recipe in words, field by field: what a film was made from can then be held against what the recipe says now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.data.datasets import load
from core.recipe.recipe import FIELDS, OWN, SPECS

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


def _words(name: str, value: Any) -> str:
    if name == "data":
        return "your own data" if value == OWN else load(value).title
    spec = SPECS[name]
    value = tuple(value) if isinstance(value, list) else value
    text = spec.unset if value is None and hasattr(spec, "unset") else spec.text(value)
    return f"{FIELDS[name].label} {FIELDS[name].words.get(value, text) or 'none'}"
