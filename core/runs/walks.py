"""Look: the forward process, a walk, and the noise lens of a recipe, each as a growing film.

The generators yield the film they fill, a step at a time; whoever shows it decides how often to look, and stops by
not asking further.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..data.datasets import load
from ..probes.activations import layers_of
from ..probes.noise_error import lens_times, measure
from ..recipe.models import MEMORY
from ..recipe.recipe import Recipe
from ..recipe.words import film_of
from ..reverse import start_noise, walk
from ..samplers import make_sampler
from ..schedules import make_schedule
from ..trace import Trace
from ..views import ForwardView, HeatView, MemorizationView, NoiseErrorView, TraceView
from ..views.activations import offer_inside
from ..views.decoded import offer_decoded
from ..views.linear import offer_weights
from ..views.memorization import memory_series
from ..views.nearest import offer_nearest
from .brought import Brought, sample_count
from .conditioning import cond_of, for_the_plane, never_seen, offer_labels
from .interventions import with_interventions
from .resolve import CannotShow, ResolvedRun, dataset_of, edit_of, generator_of, resolve

#: Bytes a trace may take; beyond it, every k-th step is kept.
TRACE_BUDGET = 128 * 2**20
#: Timesteps under the lens.
LENS_TIMES = 60
#: Rows up to which the density of the exact denoiser is worked out, and of one that looks at them three times, as
#: guidance does; beyond, it takes minutes.
DENSITY_ROWS, GUIDED_ROWS = 3000, 1000


def forward_film(recipe: Recipe, brought: Brought | None = None) -> ForwardView | HeatView:
    """The data of the recipe dissolving on its schedule; or, of points, as heat that spreads in a room."""
    dataset = dataset_of(recipe, brought)
    if recipe.forward == "heat" and dataset.kind == "points":
        count = sample_count(recipe, dataset.kind, brought)
        return HeatView(dataset, count, recipe.seed, about=film_of(recipe, "heat", dataset))
    schedule = make_schedule(recipe.schedule, recipe.T)
    count = sample_count(recipe, dataset.kind, brought)
    film = ForwardView(dataset, schedule, count, recipe.seed, about=film_of(recipe, "forward", dataset))
    if dataset.decode is not None:
        offer_decoded(film)
    return film


def denoise(recipe: Recipe, brought: Brought | None = None, every: int = 1,
            budget: int | None = None) -> Iterator[TraceView | MemorizationView]:
    """Walk from noise to data as the recipe says. Yields the film after each step, and once more finished.

    every   keep each so-manieth step, and fewer where more would not fit the budget (bytes; None is a page's)
    """
    if recipe.model == MEMORY:
        yield from memory(recipe, brought)
        return
    plain = resolve(recipe, brought)
    resolved, plane = with_interventions(plain, recipe), with_interventions(plain, for_the_plane(recipe))
    dataset, schedule, generator = resolved.dataset, resolved.schedule, generator_of(recipe)
    times = schedule.times(recipe.steps, recipe.spacing, resolved.start)
    shape = (sample_count(recipe, dataset.kind, brought), *dataset.x0.shape[1:])
    about = film_of(recipe, "denoise", dataset)
    trace = Trace(every=max(every, Trace.fit(shape, recipe.steps, budget or TRACE_BUDGET)), about=about)
    x = start_noise(schedule, shape, times[0], generator)
    shown = plane if dataset.kind == "points" else resolved
    rule = make_sampler(recipe.sampler, schedule, recipe.eta, generator)
    film = TraceView(trace, times, dataset, schedule, shown.denoise, rule, push=recipe.nudge / recipe.steps,
                     about=about)
    look_closer(film, plain, recipe, shape[0])
    for step in walk(resolved.denoise, rule, x, times, generator, edit_of(recipe)):
        trace.add(step)
        yield film
    film.finish()
    yield film


def memory(recipe: Recipe, brought: Brought | None = None) -> Iterator[MemorizationView]:
    """The same noise walked by the networks that are shipped of more and more rows. Yields the film after each."""
    series = memory_series(recipe.data)
    if not series:
        raise CannotShow("No networks trained on few rows are shipped for these data; those of the digits 8×8 are.")
    dataset = load(recipe.data)
    count = sample_count(recipe, dataset.kind, brought)
    yield from MemorizationView(dataset, series, count, recipe.seed,
                                about=film_of(recipe, "memorization", dataset)).grow()


def look_closer(film: TraceView, resolved: ResolvedRun, recipe: Recipe, count: int) -> None:
    """Offer what only this model, these data or these labels have to show."""
    if recipe.layer:
        if resolved.network is None or not layers_of(resolved.network.network):
            raise CannotShow("There are no layers to look into: take a trained network as the model, or no layer.")
        offer_inside(film, resolved.network.network, recipe.layer)
    asked = cond_of(recipe, resolved, 1) is not None
    looks_at_rows = recipe.model == "exact" or asked and recipe.guidance_method == "classifier"
    if looks_at_rows and len(film.dataset) > (GUIDED_ROWS if asked else DENSITY_ROWS):
        film.offers.pop("p_model", None)
    offer_labels(film, resolved, recipe)
    film.remark = never_seen(resolved, recipe, count)
    offer_nearest(film)
    if recipe.model in ("linear", "wiener"):
        offer_weights(film, resolved.network, int(recipe.label) if recipe.label.isdigit() else None)
    if film.dataset.decode is not None:
        offer_decoded(film)  # the last, so that what the others offer is decoded too


def lens(recipe: Recipe, brought: Brought | None = None) -> Iterator[NoiseErrorView]:
    """Predicted against true noise on data of the recipe, from noise to data. Yields the film after each timestep."""
    # Unclipped, and asked for no label: what the model itself says of any data is in question here.
    asked = recipe.with_(thresholding="none", label="any", label2="any")
    resolved = with_interventions(resolve(recipe, brought), asked)
    dataset, schedule, generator = resolved.dataset, resolved.schedule, generator_of(recipe)
    shown = recipe.lens_count(dataset.kind)
    # More than are shown are counted, so that the curves are smooth; of pictures, which cost more, only some.
    count = max(shown, 500 if dataset.kind == "points" else 32)
    x0 = dataset.draw(count, generator)[0]
    eps = torch.randn(x0.shape, generator=generator)
    times = lens_times(schedule, min(LENS_TIMES, schedule.T))
    film = NoiseErrorView(dataset, schedule, resolved.denoise, resolved.exact, times, shown,
                          about=film_of(recipe, "lens", dataset))
    if dataset.decode is not None:
        offer_decoded(film)
    for glance in measure(resolved.denoise, resolved.exact, schedule, x0, eps, times):
        film.add(glance)
        yield film
