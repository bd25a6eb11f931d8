"""Compare: up to four walks from the same noise, each "the same, but", and branches that leave one on its way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from ..data.datasets import Dataset
from ..metrics.distances import BLOCKS, estimated, nearest, sliced_wasserstein
from ..prediction import Denoise, Prediction
from ..recipe.models import MODEL_SETS
from ..recipe.recipe import FIELDS, SPECS, Recipe
from ..recipe.values import Invalid
from ..recipe.variants import MOST_FIELDS, Variant
from ..recipe.words import film_of
from ..reverse import Step, start_noise, walk
from ..samplers import Update, make_sampler
from ..trace import Trace
from ..views.compare import CompareView, Run
from ..views.decoded import offer_decoded
from .brought import Brought, sample_count
from .interventions import with_interventions
from .resolve import CannotShow, ResolvedRun, edit_of, resolve

#: Bytes that the traces of all runs may take together; beyond it, every k-th step is kept.
TRACES_BUDGET = 128 * 2**20
#: Samples from which the distance to the data is taken; where fewer are shown, the walk is gone again for the rest.
RATED = {"points": 1000, "images": 64}
#: The seed of the data that samples are held against; what is added to a recipe's for samples that are not shown.
DATA_SEED, MORE_SEED = 2026, 1_000_003
MOST_REFERENCE = 500  #: pictures

#: Fields that say nothing about a walk.
FREE = ("preset", "network", "prediction_type", "weighting", "time_sampling", "labels", "baseline", "train_steps",
        "batch", "lens_samples", "layer", "forward", "variants", "tab", "panels", "frame")


@dataclass(frozen=True)
class Plan:
    """A run before it is walked. A branch has a parent and leaves it at a step."""

    letter: str
    label: str
    recipe: Recipe
    resolved: ResolvedRun
    parent: Plan | None = None
    step: int = 0

    @cached_property
    def times(self) -> Tensor:
        if self.parent is not None:
            return self.parent.times
        return self.resolved.schedule.times(self.recipe.steps, self.recipe.spacing, self.resolved.start)

    def rule(self, generator: torch.Generator) -> Update:
        """Its update rule, a fresh one: some remember the steps they have taken, some draw noise of their own."""
        return make_sampler(self.recipe.sampler, self.resolved.schedule, self.recipe.eta, generator)

    @property
    def keeps_the_rule(self) -> bool:
        """Whether a branch goes on by its parent's rule."""
        return (self.recipe.sampler, self.recipe.eta) == (self.parent.recipe.sampler, self.parent.recipe.eta)


class Asked:
    """A denoiser that counts how often it is asked, and writes what it says on the tapes of its branches."""

    def __init__(self, denoise: Denoise):
        self.denoise, self.calls, self.tapes = denoise, 0, []

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        self.calls += 1
        prediction = self.denoise(x_t, t)
        for tape in self.tapes:
            tape.append(prediction)
        return prediction


def compare(recipe: Recipe, brought: Brought | None = None, budget: int | None = None) -> Iterator[CompareView]:
    """The variants of a recipe, from the same noise. Yields the film after each step of each run, and while the
    distance of their samples to the data is worked out.

    CannotShow, or Invalid, says which run cannot be and why.
    """
    plans = plans_of(recipe, brought)
    first = plans[0]
    dataset = first.resolved.dataset
    count = sample_count(recipe, dataset.kind, brought)
    runs, budget = [], (budget or TRACES_BUDGET) // len(plans)
    for plan in plans:
        keep = ("x_t", "x0")
        every = Trace.fit((count, *dataset.shape), len(plan.times) - 1, budget, keep)
        trace = Trace(keep, every, about=film_of(plan.recipe, "compare", dataset))
        runs.append(Run(plan.letter, plan.label, trace, plan.times, plan.resolved.schedule))
    same = len({(plan.recipe.schedule, plan.recipe.T) for plan in plans}) == 1
    film = CompareView(runs, dataset, "x_t" if same else "x0", MEASURES[dataset.kind][0],
                       about=film_of(recipe, "compare", dataset))
    if dataset.decode is not None:
        offer_decoded(film)
    asked = [Asked(plan.resolved.denoise) for plan in plans]
    for i, step in together(plans, asked, count, recipe.seed):
        runs[i].trace.add(step)
        runs[i].finished = step.index == len(plans[i].times) - 2
        yield film
    for run, counted in zip(runs, asked):
        run.calls = counted.calls
    for _ in rate(film, plans, recipe.seed + MORE_SEED):
        yield film


def plans_of(recipe: Recipe, brought: Brought | None) -> list[Plan]:
    """Run A and those that differ from it. CannotShow for none, or for one that cannot be, naming it."""
    first = Plan("A", first_label(recipe), recipe, with_interventions(resolve(recipe, brought), recipe))
    plans = [first]
    for letter, change in recipe.changes.items():
        try:
            mine = recipe.with_(**change.fields)
            if change.step is not None and change.step >= recipe.steps:
                raise CannotShow(f"it leaves at step {change.step}, and A has the steps 0 to {recipe.steps - 1}")
            resolved = with_interventions(resolve(mine, brought), mine)
        except (Invalid, CannotShow) as wrong:
            raise CannotShow(f"Run {letter} cannot be made: {wrong}") from None
        label = change_label(change)
        if change.step is None:
            plans.append(Plan(letter, label, mine, resolved))
        else:
            plans.append(Plan(letter, label, mine, resolved, first, change.step))
    if len(plans) < 2:
        raise CannotShow("Nothing is compared yet: choose what run B changes, under “The same, but”.")
    return plans


def together(plans: list[Plan], asked: list[Asked], count: int, seed: int) -> Iterator[tuple[int, Step]]:
    """Walk all plans from the same noise, always the one that is furthest behind; yields (which, its step).

    Each run has a generator of its own with the same seed: the k-th step of each is given the same noise.
    """
    shape, ways = (count, *plans[0].resolved.dataset.shape), []
    for plan, ask in zip(plans, asked):
        generator = torch.Generator().manual_seed(seed)
        x = start_noise(plan.resolved.schedule, shape, plan.times[0], generator)
        if plan.parent is None:
            ways.append(walk(ask, plan.rule(generator), x, plan.times, generator, edit_of(plan.recipe)))
        else:
            ways.append(branch(plan, ask, asked[plans.index(plan.parent)], x, generator))
    due = [float(plan.times[0]) for plan in plans]
    while max(due) > float("-inf"):
        i = due.index(max(due))  # the first of those: a parent before its branches
        step = next(ways[i], None)
        due[i] = float("-inf") if step is None else float(step.s)
        if step is not None:
            yield i, step


def branch(plan: Plan, asked: Asked, parent: Asked, x: Tensor, generator: torch.Generator) -> Iterator[Step]:
    """Walk beside a parent, on what it was told, until the step where the branch leaves it; then on from that very
    state by the branch's own recipe. Its noise is the parent's noise all the way.

    Up to there the steps are the parent's own, bit for bit, and the network is not asked a second time.
    """
    tape: deque[Prediction] = deque()
    parent.tapes.append(tape)  # now, before the parent's first step

    def told(x_t: Tensor, t: Tensor) -> Prediction:
        asked.calls += 1
        return tape.popleft()

    def steps(x: Tensor) -> Iterator[Step]:
        rule = plan.parent.rule(generator)
        if plan.step:
            for step in walk(told, rule, x, plan.times[: plan.step + 1], generator, edit_of(plan.parent.recipe)):
                yield step
            x = step.x_s
        parent.tapes.remove(tape)
        rule = rule if plan.keeps_the_rule else plan.rule(generator)
        for step in walk(asked, rule, x, plan.times[plan.step :], generator, edit_of(plan.recipe)):
            yield replace(step, index=step.index + plan.step)

    return steps(x)


# kind → (what the distance is, in words; the distance; whether it wants as many of the one as of the other)
MEASURES = {
    "points": ("sliced Wasserstein distance to data", partial(sliced_wasserstein, directions=256), True),
    "images": ("median distance to the nearest unseen picture", nearest, False),
}


def rate(film: CompareView, plans: list[Plan], seed: int) -> Iterator[None]:
    """Give the runs of a film, and real data, their distance to the data; where few samples are shown, more are made
    from `seed`. Leaves the film as it is where there are too few data to tell."""
    dataset = film.dataset
    finals = [run.trace.final for run in film.runs]
    more = RATED[dataset.kind] - len(finals[0])
    if more > 0:
        ends, asked = [None] * len(plans), [Asked(plan.resolved.denoise) for plan in plans]
        for i, step in together(plans, asked, more, seed):
            ends[i] = step.x_s
            yield
        finals = [torch.cat(pair) for pair in zip(finals, ends)]
    _, measure, pairs = MEASURES[dataset.kind]
    unseen, real = held_against(dataset, len(finals[0]))
    if min(len(unseen), len(real)) < 2 * BLOCKS:
        return
    film.real = estimated(measure, real, unseen, pairs)
    for run, final in zip(film.runs, finals):
        yield
        run.quality = estimated(measure, final, unseen, pairs)
    yield


def held_against(dataset: Dataset, count: int) -> tuple[Tensor, Tensor]:
    """(data to hold samples against, real data to hold against them too), of points fresh ones.

    Of pictures those held out and some of the others; where none were held out, the one half and the other.
    """
    generator = torch.Generator().manual_seed(DATA_SEED)
    if dataset.kind == "points":
        return dataset.draw(count, generator)[0], dataset.draw(count, generator)[0]
    if len(dataset.held_out) >= 2 * BLOCKS:
        return dataset.held_out[:MOST_REFERENCE], dataset.draw(count, generator)[0]
    return dataset.x0[::2][:MOST_REFERENCE], dataset.x0[1::2][:count]


def first_label(recipe: Recipe) -> str:
    """Run A in a few words: by what the others change about it, where that is one thing, else by its sampler."""
    changes = recipe.changes.values()
    names = {name for change in changes for name in change.fields}
    if "model" in names:
        return _says("model", recipe.model)
    if len(names) == 1 and names != {"sampler"} and all(change.step is None for change in changes):
        name, = names
        return _says(name, getattr(recipe, name))
    eta = f", η = {recipe.eta:g}" if recipe.sampler == "ddim" and recipe.eta else ""
    return f"{_word('sampler', recipe.sampler)}{eta}"


def change_label(change: Variant) -> str:
    """What a run does differently, in a few words: the model first, and nothing that goes without saying with it."""
    fields = dict(change.fields)
    implied = MODEL_SETS.get(fields.get("model"), {})
    told = [name for name in ("model", *SPECS["variants"].varied)
            if name in fields and (name == "steps" or fields[name] != implied.get(name))]
    parts = [_says(name, fields[name]) for name in dict.fromkeys(told)]
    return ", ".join(parts) + ("" if change.step is None else f" from step {change.step}")


def _word(name: str, value: str) -> str:
    return FIELDS[name].words.get(value, value)


def _says(name: str, value) -> str:
    if name in ("sampler", "spacing", "schedule", "model", "guidance_method"):
        after = {"schedule": " schedule", "spacing": " times", "guidance_method": " guidance"}.get(name, "")
        return _word(name, value) + after
    if name == "steps":
        return "1 step" if value == 1 else f"{value} steps"
    if name in ("drop_noise", "guidance_interval"):
        off, on = {"drop_noise": ("noise kept", "no noise"), "guidance_interval": ("not guided", "guided")}[name]
        return off if value is None else on + ("" if value == (1.0, 0.0) else " {:g}-{:g}".format(*value))
    if name in ("label", "label2"):
        return {"any": "any label", "each": "each label"}.get(value, f"label {value}")
    if name == "train_size":
        return "all examples" if value is None else f"{value:,} examples"
    if name == "weights":
        return f"{value} weights" if not value.isdigit() else f"weights of step {int(value):,}"
    form = {"eta": "η = {:g}", "thresholding": "{} thresholding", "time_shift": "time shift {:+g}",
            "nudge": "nudged {:+g}", "scale_eps": "ε̂ × {:g}", "guidance_scale": "w = {:g}"}
    return form[name].format(value)


def branched(parent: Recipe, wanted: Recipe, step: int, noisy: bool) -> Recipe:
    """The comparison that shows a branch: the parent's recipe, and as run B what `wanted` changes from this step on.

    If nothing differs, the noise is dropped from there on, or, where there is none to drop (not `noisy`), drawn: DDPM.
    CannotShow for changes that cannot be made on the way.
    """
    apart = [name for name in parent.to_dict() if name not in FREE and getattr(parent, name) != getattr(wanted, name)]
    stuck = [name for name in apart if name not in SPECS["variants"].on_the_way]
    if stuck:
        raise CannotShow(f"A branch goes on along the way of the walk it leaves, so {', '.join(stuck)} cannot change "
                         "there: put it back, or press Denoise first.")
    fields = {name: getattr(wanted, name) for name in apart}
    if not fields:
        fields = {"drop_noise": (1.0, 0.0)} if noisy else {"sampler": "ddpm"}
    text = SPECS["variants"].write(Variant(fields, step))
    try:
        return parent.with_(variants=(text,), tab="compare", panels=(), frame=0)
    except Invalid:
        raise CannotShow(f"A branch can change {MOST_FIELDS} things at once, and {', '.join(apart)} differ from the "
                         "walk: put some back.") from None
