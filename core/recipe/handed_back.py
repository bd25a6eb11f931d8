"""A recipe that comes back: from a film, a trace or JSON that was handed out.

    recipe, complaints = recipe_in("noisescope-denoise.gif")

What is in such a file is foreign again by the time it comes back. It is looked at before it is parsed, and what a
recipe does not have, or cannot be, is named and passed over, as with a link.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..doors.jsons import parse_json, read_json
from ..doors.tensors import read_metadata
from ..drawing.export import FORMATS, read_recipe
from ..former import named_now
from .recipe import MAX_COMPLAINTS, SAID_BESIDES, SPECS, Recipe, steps_for
from .values import Invalid, shown

#: What can hold a recipe, by suffix: films, a recipe or its file as JSON, a trace.
HANDED_OUT = (*(f".{suffix}" for suffix in FORMATS), ".json", ".safetensors")
#: The page takes no models: it would have to take two files that belong together, and to believe one of the other.
USE_MODEL = ("The page takes no models of yours but those it trains; with weights and card side by side the command "
             "line does: python -m core sample --model FILE")


def recipe_in(path: Path | str) -> tuple[Recipe, list[str]]:
    """The recipe in a file that was handed out, by whatever name, and what of it could not be used, a sentence each.

    ValueError if there is none in it.
    """
    path = Path(path)
    with path.open("rb") as file:
        begins = file.read(16)
    if begins.lstrip()[:1] == b"{":
        return recipe_of(read_json(path, path.name))
    if begins[8:9] == b"{":
        return recipe_of(_about_of_trace(path))
    return recipe_of(read_recipe(path))


def recipe_from_json(text: str) -> tuple[Recipe, list[str]]:
    """As `recipe_in`, of JSON itself."""
    return recipe_of(parse_json(text, "the recipe"))


def recipe_of(about: Any) -> tuple[Recipe, list[str]]:
    """The recipe that JSON says, and what of it could not be used. ValueError if it says none."""
    if isinstance(about, Mapping) and isinstance(about.get("recipe"), Mapping):
        about = about["recipe"]  # as it stands in a film, with what it was made with
    if isinstance(about, Mapping) and "architecture" in about:
        raise ValueError(f"it holds no recipe but a model's card. {USE_MODEL}")
    if not isinstance(about, Mapping) or not named_now(about).keys() & SPECS.keys():
        raise ValueError("it holds no recipe but JSON of something else; a recipe has fields such as data, model and "
                         "sampler")
    values, complaints = {}, []
    for name, value in named_now(about).items():
        if name in SAID_BESIDES:
            continue
        if name not in SPECS:
            complaints.append(f"{shown(name)} is no setting and is passed over")
            continue
        try:
            values[name] = SPECS[name].check(tuple(value) if isinstance(value, list) else value)
        except (ValueError, TypeError):
            complaints.append(f"{name} = {shown(value)} cannot be; it can be {SPECS[name].allowed}")
    while True:
        try:
            recipe = Recipe(**{"steps": steps_for(values), **values})
            break
        except Invalid as wrong:  # allowed by itself, but not beside the others
            complaints.append(f"{wrong}")
            values.pop(wrong.field)
    if len(complaints) > MAX_COMPLAINTS:
        more = len(complaints) - MAX_COMPLAINTS + 1
        complaints[MAX_COMPLAINTS - 1:] = [f"{more} more things in it could not be used"]
    return recipe, complaints


def _about_of_trace(path: Path) -> Any:
    try:
        about = read_metadata(path).get("about")
    except ValueError as error:
        raise ValueError(f"{path.name!r} holds no recipe: it is no whole trace ({error})") from error
    if about is None:
        raise ValueError(f"{path.name} holds no recipe: it is no trace but weights. {USE_MODEL}")
    return parse_json(about, "what the trace is about")
