"""What the sidebar has to offer for a recipe: which models, labels and layers there are, which groups are of use."""

from __future__ import annotations

import gradio as gr

from core.checkpoints.models import pretrained_for
from core.denoisers import networks_for
from core.probes.activations import layers_of
from core.recipe.models import MEMORY, SHIPPED, SOLVED, WORDS, walked_as
from core.recipe.recipe import DEFAULTS, FIELDS, Recipe
from core.runs.resolve import CannotShow, dataset_of, model_choices, network_of, resolve, usual_model
from core.samplers import SAMPLERS
from core.views.nearest import memorization_cards
from dashboard.server.visitors import Visitor
from dashboard.sidebar.controls import FOLDS, label_choices

#: The fields whose choices depend on the data and on what the visitor has; `choices_for` gives them in this order.
WITH_CHOICES = ("model", "label", "label2", "layer", "network")


def best_model(recipe: Recipe, visitor: Visitor | None) -> str:
    """Which model to use: what was chosen if it is there for this data, else the usual one."""
    return recipe.model if recipe.model in model_choices(recipe, visitor) else usual_model(recipe, visitor)


def moved_to(recipe: Recipe, data: str, visitor: Visitor | None) -> Recipe:
    """The recipe of other data. A model that was chosen goes along where it can; one that just stood there does not.

    So what stands in for a network that is not shipped does not stick to the next data, which may have one.
    """
    there = recipe.with_(data=data)
    chosen = recipe.model != usual_model(recipe, visitor)
    return using(there, best_model(there, visitor) if chosen else usual_model(there, visitor))


def using(recipe: Recipe, model: str) -> Recipe:
    """The recipe with this model. One for few steps that has to go takes its way of walking with it."""
    if model == recipe.model:
        return recipe
    return recipe.with_(model=model, **walked_as(model, recipe.schedule, recipe.sampler, recipe.steps))


def choices_for(recipe: Recipe, visitor: Visitor | None) -> list:
    """Updates of the fields WITH_CHOICES: their choices for these data, and their values where they are among them."""
    recipe = recipe.with_(model=best_model(recipe, visitor))
    models = [(WORDS[name], name) for name in model_choices(recipe, visitor)]
    updates = [gr.update(choices=models, value=recipe.model)]
    dataset = dataset_of(recipe, visitor)
    conditions = dataset.conditions
    for k, asked in enumerate((recipe.label, recipe.label2)):
        choices = label_choices(conditions[k][1] if k < len(conditions) else ())
        updates.append(gr.update(choices=choices, value=_among(asked, choices, "any")))
    layers = [("none", ""), *((title, name) for name, title in layers_of_model(recipe, visitor).items())]
    updates.append(gr.update(choices=layers, value=_among(recipe.layer, layers, "")))
    titles = FIELDS["network"].words
    networks = [(titles[name], name) for name in ("auto", *networks_for(dataset.kind))]
    return [*updates, gr.update(choices=networks, value=_among(recipe.network, networks, "auto"))]


def _among(value: str, choices: list[tuple[str, str]], otherwise: str) -> str:
    return value if value in (choice for _, choice in choices) else otherwise


def layers_of_model(recipe: Recipe, visitor: Visitor | None) -> dict[str, str]:
    """The layers of a recipe's network that can be looked at: name → in words; none for what is no trained network."""
    if recipe.model != "mine" and SHIPPED.get(recipe.model) not in pretrained_for(recipe.data):
        return {}
    try:
        return layers_of(network_of(recipe, visitor, dataset_of(recipe, visitor))[0].network)
    except CannotShow:
        return {}


def facts(recipe: Recipe, visitor: Visitor | None) -> list[str]:
    """What holds of a recipe, in the words of `controls.needs`."""
    try:
        dataset = dataset_of(recipe, visitor)
    except CannotShow:
        return []
    conditions = dataset.conditions
    true = {
        "points": dataset.kind == "points",
        "labels": bool(conditions),
        "two": len(conditions) > 1,
        "asked": recipe.label != "any" or len(conditions) > 1 and recipe.label2 != "any",
        "rows": recipe.model in SOLVED or recipe.train_size is not None
                or recipe.model != MEMORY and bool(memorization_cards(recipe.data)),
        "memory": recipe.model == MEMORY,
        "mine": recipe.model == "mine",
        "noised": recipe.forward == "data" or dataset.kind != "points",  # heat in a room asks for no schedule
        "network": recipe.model in SHIPPED or recipe.model == "mine",
        "walked": recipe.bug in ("walk", "training"),  # examined is what the recipe says
        "opened": recipe.bug == "trace",
        "eta": "eta" in SAMPLERS[recipe.sampler].hears,
    }
    true |= {f"sets-{fold}": any(getattr(recipe, name) != DEFAULTS[name] for name in names)
             for fold, names in FOLDS.items()}
    return [fact for fact, holds in true.items() if holds]


def can_be_asked(recipe: Recipe, visitor: Visitor | None) -> bool:
    """Whether a recipe's model can be asked for a label of data that have some, by itself or through a classifier."""
    if recipe.guidance_method == "classifier":
        return recipe.model != MEMORY
    try:
        subject = resolve(recipe, visitor)
    except CannotShow:
        return False
    return bool(subject.denoise.labels)


def without_what_is_not_there(recipe: Recipe, visitor: Visitor | None) -> Recipe:
    """The recipe with the labels, the layer and the network left out that its data or its model do not have."""
    dataset, changes = dataset_of(recipe, visitor), {}
    conditions = dataset.conditions
    for k, name in enumerate(("label", "label2")):
        asked = getattr(recipe, name)
        there = k < len(conditions) and (not asked.isdigit() or int(asked) < len(conditions[k][1]))
        if asked != DEFAULTS[name] and not (there and can_be_asked(recipe, visitor)):
            changes[name] = DEFAULTS[name]
    if recipe.layer and recipe.layer not in layers_of_model(recipe, visitor):
        changes["layer"] = DEFAULTS["layer"]
    if recipe.network not in ("auto", *networks_for(dataset.kind)):
        changes["network"] = DEFAULTS["network"]
    return recipe.with_(**changes)


def without_hidden(recipe: Recipe, visitor: Visitor | None) -> Recipe:
    """The recipe without the layer that a hidden control still holds, where the model has none to look into."""
    return recipe if not recipe.layer or recipe.layer in layers_of_model(recipe, visitor) else recipe.with_(layer="")
