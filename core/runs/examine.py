"""What the Doctor looks at: the recipe's own walk, a training, a trace that was brought, or a case of the museum."""

from __future__ import annotations

import importlib.util
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ..debug.cases import CASES, SOUND, Case, museum
from ..debug.cases.live import At, turns
from ..debug.files import load
from ..debug.ours import listen, run_of_steps
from ..debug.record import DATA_NUMBERS, DATA_ROWS, Run
from ..debug.showing import show
from ..doors.words import one_line
from ..recipe.recipe import Recipe
from ..recipe.words import film_of
from ..reverse import start_noise, walk
from ..samplers import ddim, make_sampler
from ..views.watched import WatchedView
from .brought import Brought, sample_count
from .interventions import with_interventions
from .resolve import CannotShow, dataset_of, edit_of, generator_of, resolve

#: Bytes of a trace that strangers may send, and of its header.
MOST_BYTES, MOST_HEADER = 48_000_000, 6_000_000
#: Samples of a walk of ours that are examined.
SAMPLES = {"points": 256, "images": 16}
#: What a recipe examines that is no case of the museum.
WALK, TRAINING, TRACE, SURPRISE = "walk", "training", "trace", "surprise"
#: One surprise in so many is a sound script: that is an answer too.
SOUND_ONE_IN = 8


def open_trace(path: str | os.PathLike, called: str | None = None) -> Run:
    """A trace that a stranger sent. ValueError says, in words, why it cannot be opened; nothing in it can run."""
    name = one_line(called or Path(path).name, 60)
    return load(path, largest=MOST_BYTES, largest_header=MOST_HEADER, called=name)


def case_of(recipe: Recipe) -> Case | None:
    """The case of the museum that a recipe names; of a surprise the one that its seed says. None if it names none."""
    if recipe.bug == SURPRISE:
        throw = random.Random(recipe.seed)
        return throw.choice([c for c in (SOUND if throw.randrange(SOUND_ONE_IN) == 0 else CASES) if is_there(c)])
    return museum().get(recipe.bug)


def is_there(case: Case) -> bool:
    """Whether what its script imports is installed."""
    return case.script != "pictures_scheduler" or importlib.util.find_spec("diffusers") is not None


def run_case(case: Case, seed: int) -> Iterator[At]:
    """A case in turns, and at last its run. CannotShow if its script needs what is not installed."""
    if not is_there(case):
        raise CannotShow("This script uses diffusers, which is not installed here: pip install diffusers, or take "
                         "another case.")
    return turns(case, seed=seed)


def fixed(case: Case) -> Case:
    """The same script without its fault."""
    return Case(f"{case.name}, mended", case.script, "as it should be")


def examine(recipe: Recipe, brought: Brought | None = None, run: Run | None = None,
            other: Run | None = None) -> Iterator[WatchedView]:
    """The examined run as a film with its findings. CannotShow says what there is none of.

    run     of the case that the recipe names, which was run before (`run_case`); other: of the same without its fault
    """
    case = case_of(recipe)
    if recipe.against == "before" and recipe.bug != TRACE:
        raise CannotShow("Only an opened trace has one before it: take nothing, or the same mended, beside it.")
    if recipe.against == "fixed" and recipe.bug in (TRACE, TRAINING):
        raise CannotShow("How this is to be mended is yours to say: mend it and examine that, with nothing beside it.")
    if case is not None:
        if run is None:
            *_, at = run_case(case, recipe.seed)
            run = at.run
        title = "mended"
    elif recipe.bug == TRACE:
        run, title = _brought(brought, 0), "the trace before"
        other = _brought(brought, 1) if recipe.against == "before" else None
    elif recipe.bug == TRAINING:
        run, title = run_of_training(recipe, brought), "before"
    else:
        run, title = run_of_walk(recipe, brought), "without interventions"
        if recipe.against == "fixed":
            other = run_of_walk(without_interventions(recipe), brought)
    if recipe.against == "nothing":
        other = None
    head = _title(recipe, case)
    about = recipe.to_dict() | {"made": head}
    if recipe.bug == WALK:
        about = film_of(recipe, "debug", dataset_of(recipe, brought))
    try:
        view = show(run, other=other, other_title=title, about=about)
    except ValueError as error:
        raise CannotShow(f"{str(error)[0].upper()}{str(error)[1:]}.") from error
    view.findings["title"] = head
    view.findings["case"] = None if case is None else told(case)
    yield view


def _title(recipe: Recipe, case: Case | None) -> str:
    if case is not None:
        return f"A script of the museum: {case.script.replace('_', ', ')}"
    return {TRACE: "The trace that was opened", TRAINING: "Your training, and a walk with what it learned",
            WALK: "The walk of this recipe"}[recipe.bug]


def told(case: Case) -> dict:
    """A case as the page has it: the script, its symptom, and, to be shown when it has been guessed, what there is to
    learn from it."""
    return {
        "name": case.name, "place": str(case.place) if case.place else "", "title": case.title, "met": case.met,
        "symptom": case.symptom or "it runs, and one may wonder at it", "procedure": [*case.procedure],
        "source": case.source, "lines": case.lines if case.place else [],
        "edits": [[old.strip("\n"), new.strip("\n")] for old, new in case.edits] if case.place else [],
    }


def _brought(brought: Brought | None, which: int) -> Run:
    runs = brought.watched if brought is not None else ()
    if len(runs) <= which:
        none = "There is no trace here: press Open a trace and choose a file that run.save wrote."
        one = "Only one trace is open: open another, then the one before stands beside it."
        raise CannotShow(one if which else none)
    return runs[which]


def without_interventions(recipe: Recipe) -> Recipe:
    """The recipe as it is walked when nobody interferes."""
    return recipe.with_(**INTERVENTIONS)


#: The fields that interfere with a walk, as they are when nobody does.
INTERVENTIONS = {"drop_noise": None, "time_shift": 0.0, "nudge": 0.0, "scale_eps": 1.0}


def run_of_walk(recipe: Recipe, brought: Brought | None) -> Run:
    """The walk of a recipe as a run: what the network was told and said, before anybody interfered with it."""
    plain = resolve(recipe, brought)
    heard: list = []

    def hear(denoise):
        listening, asked = listen(denoise)
        heard.append(asked)
        return listening

    resolved, generator = with_interventions(plain, recipe, hear), generator_of(recipe)
    dataset, schedule = resolved.dataset, resolved.schedule
    times = schedule.times(recipe.steps, recipe.spacing, resolved.start)
    count = min(sample_count(recipe, dataset.kind, brought), SAMPLES[dataset.kind])
    x = start_noise(schedule, (count, *dataset.x0.shape[1:]), times[0], generator)
    update = make_sampler(recipe.sampler, schedule, recipe.eta, generator)
    run = run_of_steps(walk(resolved.denoise, update, x, times, generator, edit_of(recipe)), schedule, heard[0])
    _add_data(run, dataset)
    free = with_interventions(plain, without_interventions(recipe)).denoise
    run.swapped = _states(walk(free, ddim(schedule), x, schedule.times(min(recipe.steps, 50), start=resolved.start),
                               generator_of(recipe)))
    return run


def run_of_training(recipe: Recipe, brought: Brought | None) -> Run:
    """What was seen of a visitor's training, and the walk of the recipe with the model that came of it."""
    training = brought.training if brought is not None else None
    seen = getattr(training, "seen", None)
    if seen is None or not seen.trains:
        raise CannotShow("There is no training to be examined: press Train first, and come back when it runs.")
    if brought.denoiser is None or brought.card["data"] != training.recipe.data:
        raise CannotShow("Your training has not given its model yet: come back when it has ended, or stop it.")
    made = training.recipe.with_(model="mine", sampler=recipe.sampler, steps=recipe.steps, eta=recipe.eta, bug=TRAINING)
    run = run_of_walk(made, brought)
    run.trains += seen.trains
    run.facts["training_calls"] = training.trainer.step
    return run


def _add_data(run: Run, dataset) -> None:
    rows = max(1, min(DATA_ROWS, DATA_NUMBERS // dataset.x0[0].numel()))
    run.saw(dataset.draw(rows, torch.Generator().manual_seed(0))[0].float().numpy())


@torch.no_grad()
def _states(steps) -> np.ndarray:
    states = []
    for step in steps:
        states.append(step.x_t)
    return torch.stack([*states, step.x_s]).float().numpy()
