"""What a lesson's answers are judged by: the walks, the training, the schedule of the very run that is on the stage.

    evidence = evidence_of(Recipe(tab="compare"))       # made for the purpose
    evidence = Evidence.of(view)                        # of what somebody sees
    evidence.names["A"].end                             # where the first walk arrived
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..data.datasets import Dataset
from ..recipe.models import MEMORY
from ..recipe.recipe import SPECS, Recipe
from ..recipe.values import Choice, Real, Whole
from ..runs.baseline import BaselineTraining
from ..runs.brought import Brought
from ..runs.comparison import compare
from ..runs.examine import case_of, examine, fixed, run_case
from ..runs.interventions import with_interventions
from ..runs.resolve import ResolvedRun, resolve
from ..runs.trainings import Training
from ..runs.walks import denoise, forward_film, lens
from ..schedules import Schedule, make_schedule
from ..trace import Trace
from ..views import ForwardView, HeatView, MemorizationView, NoiseErrorView, TraceView, TrainingView, View
from ..views.baseline import BaselineView
from ..views.compare import CompareView


class NotYet(ValueError):
    """The run is not over, or there is none; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Walk:
    """One walk from noise to data: A of Denoise, A to D of Compare."""

    recipe: Recipe
    trace: Trace
    times: Tensor  #: its grid, (K+1,)
    schedule: Schedule
    dataset: Dataset
    calls: int | None = None  #: how often the denoiser was asked for each sample, where that was counted
    brought: Brought | None = field(default=None, repr=False)

    @property
    def end(self) -> Tensor:
        """Where it arrived, (B, ...)."""
        return self.trace.final

    def state(self, t: float) -> Tensor:
        """x_t at the kept moment nearest to t, (B, ...)."""
        return self._row("x_t", t)

    def guess(self, t: float) -> Tensor:
        """x̂0 at the kept moment nearest to t; at its end the last one made."""
        return self._row("x0", t)

    def _row(self, name: str, t: float) -> Tensor:
        moments = torch.cat([self.trace.t, torch.tensor([self.trace.end], dtype=torch.float64)])
        k = int((moments - t).abs().argmin())
        if k == len(self.trace):
            if name == "x_t":
                return self.trace.final
            k -= 1
        return self.trace.part(name, k, k + 1)[0]

    @cached_property
    def resolved(self) -> ResolvedRun:
        """Data, denoiser (as it was asked, with what the recipe changes about it), exact denoiser and schedule."""
        return with_interventions(resolve(self.recipe, self.brought), self.recipe)


@dataclass(frozen=True, eq=False)
class Evidence:
    """names: what expressions speak of, by name; see `kinds_of`. `view`: what it was taken from."""

    recipe: Recipe
    names: Mapping[str, Any]
    view: View

    @classmethod
    def of(cls, view: View | None, brought: Brought | None = None) -> Evidence:
        """Of what stands on a stage. NotYet where that is nothing, or is still being made."""
        if view is None or not view.frames:
            raise NotYet("There is no run on the stage yet.")
        recipe = Recipe.from_dict(view.about)
        objects = _objects(view, recipe, brought)
        return cls(recipe, {**fields_of(recipe), **objects}, view)


def evidence_of(recipe: Recipe, brought: Brought | None = None) -> Evidence:
    """Make the run that a recipe describes, as its tab would, to its end."""
    view = view_of(recipe, brought)
    return Evidence.of(view, brought)


def view_of(recipe: Recipe, brought: Brought | None = None) -> View:
    """The finished film of a recipe: what its tab shows, of a training at its end."""
    if recipe.tab == "forward":
        return forward_film(recipe, brought)
    if recipe.tab == "train":
        training = (Training(recipe, brought) if recipe.baseline == "nothing"
                    else BaselineTraining(recipe, brought, recipe.baseline))
        deque(training.run(), maxlen=0)
        training.progress(training.trainer.seconds)
        return training.film
    if recipe.tab == "debug" and (case := case_of(recipe)):
        wanted = [case, fixed(case)] if recipe.against == "fixed" else [case]
        runs = [deque(run_case(each, recipe.seed), maxlen=1)[0].run for each in wanted]
        return deque(examine(recipe, brought, *runs), maxlen=1)[0]
    growing = {"denoise": denoise, "compare": compare, "lens": lens, "debug": examine}[recipe.tab]
    return deque(growing(recipe, brought), maxlen=1)[0]


#: What stands in the way of a training's film.
Trained = TrainingView | BaselineView


def kinds_of(recipe: Recipe) -> dict[str, type]:
    """What the run of a recipe will have for expressions: name → kind.

    A, B, C, D the walks; data, schedule; training, lens, forward, heat, memory, examined by the tab; and the recipe's
    own fields of the first run, numbers and text (eta, steps, sampler, …).
    """
    kinds: dict[str, type] = {name: type_of(name) for name in FIELDS}
    kinds |= {"data": Dataset, "schedule": Schedule}
    match recipe.tab:
        case "denoise" if recipe.model == MEMORY:
            kinds["memory"] = MemorizationView
        case "denoise":
            kinds["A"] = Walk
        case "compare":
            kinds |= dict.fromkeys(("A", *recipe.changes), Walk)
        case "lens":
            kinds["lens"] = NoiseErrorView
        case "train":
            kinds["training"] = TrainingView if recipe.baseline == "nothing" else BaselineView
        case "forward" if recipe.forward == "heat" and recipe.kind == "points":
            kinds["heat"] = HeatView
        case "forward":
            kinds["forward"] = ForwardView
        case "debug":
            kinds["examined"] = View
    return kinds


#: Fields of a recipe that an expression can name.
FIELDS = tuple(name for name, spec in SPECS.items() if isinstance(spec, Choice | Whole | Real)
               and name not in ("data", "forward", "schedule", "tab", "frame"))


def type_of(name: str) -> type:
    """The kind of a recipe's field in an expression."""
    return float if isinstance(SPECS[name], Whole | Real) else str


def fields_of(recipe: Recipe) -> dict[str, Any]:
    """The fields that an expression can name; 0 where a number is left to the tab."""
    return {name: getattr(recipe, name) or (0 if type_of(name) is float else "") for name in FIELDS}


def _objects(view: View, recipe: Recipe, brought: Brought | None) -> dict[str, Any]:
    if isinstance(view, CompareView):
        if not all(run.finished for run in view.runs):
            raise NotYet("The walks are still under way.")
        walks = {run.letter: Walk(_recipe(run, recipe), run.trace, run.times, run.schedule, view.dataset, run.calls,
                                  brought) for run in view.runs}
        return {**walks, "data": view.dataset, "schedule": view.runs[0].schedule}
    if isinstance(view, TraceView):
        if not view.finished:
            raise NotYet("The walk is still under way.")
        walk = Walk(recipe, view.trace, view.times, view.schedule, view.dataset, None, brought)
        return {"A": walk, "data": view.dataset, "schedule": view.schedule}
    if isinstance(view, Trained):
        training = view if isinstance(view, TrainingView) else view.training
        if training.progress is None or len(training.progress.losses) < 2:
            raise NotYet("Nothing has been trained yet: press Train.")
        schedule = make_schedule(training.config.schedule, training.config.T)
        return {"training": view, "data": training.dataset, "schedule": schedule}
    if isinstance(view, NoiseErrorView):
        if view.frames < view.total:
            raise NotYet("The noise is still being measured.")
        return {"lens": view, "data": view.dataset, "schedule": view.schedule}
    if isinstance(view, ForwardView):
        return {"forward": view, "data": view.dataset, "schedule": view.schedule}
    schedule = make_schedule(recipe.schedule, recipe.T)
    name = {HeatView: "heat", MemorizationView: "memory"}.get(type(view), "examined")
    return {name: view, "data": getattr(view, "dataset", None), "schedule": schedule}


def _recipe(run, recipe: Recipe) -> Recipe:
    return Recipe.from_dict(run.trace.about) if run.trace.about else recipe
