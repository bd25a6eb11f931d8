"""Train: one training of one's own, with previews of what the same noise becomes as it goes on."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from ..checkpoints.models import load_training, save_training, seen_of
from ..data.datasets import Dataset
from ..debug.ours import see_training
from ..debug.record import Run
from ..denoisers.base import Denoiser
from ..denoisers.exact import Exact
from ..doors.jsons import parse_json
from ..forward import expand, noised
from ..guidance.classifier_free import condition
from ..prediction import target_of
from ..recipe.recipe import Recipe
from ..recipe.words import film_of
from ..reverse import walk
from ..samplers import ddim
from ..schedules import make_schedule
from ..trace import Trace
from ..training.devices import best_device
from ..training.presets import TrainingConfig, preset as training_recipe
from ..training.trainer import BUCKETS, Trainer, TrainStep, draw_times, drop_labels
from ..training.turns import Turn, to_json
from ..training.weightings import weight_of
from ..views import ClocksView, TrainingView
from ..views.base import FIELD_CELLS, STATE_VIEW, field_points
from ..views.decoded import offer_decoded
from ..views.training import LOOK_AT, Floor, Preview, Progress
from .brought import Brought
from .resolve import dataset_of

PREVIEWS = 40  #: moments of a training at which a preview is taken
WATCH_ONE_IN = 16  #: of n steps, after the first ones, n/16 apart are kept for the Doctor
CLOCKS = 6  #: moments at which the weights are kept, to denoise with afterwards
PREVIEW_STEPS = 20
#: Fields of the recipe that can be turned while it trains → the settings of the training that they are.
LIVE_FIELDS = {"train_steps": "steps", "batch": "batch", "lr": "lr", "weighting": "weighting"}
PREVIEW_POINTS, PREVIEW_PICTURES = 600, 16
FLOOR_SAMPLES = {"points": 2000, "images": 64}


def config_of(recipe: Recipe, dataset: Dataset) -> TrainingConfig:
    """The training that a recipe describes, on this data. ValueError says what cannot be."""
    changes = dict(schedule=recipe.schedule, T=recipe.T, seed=recipe.seed, weighting=recipe.weighting)
    if recipe.lr is not None:
        changes["lr"] = recipe.lr
    for name in ("prediction_type", "time_sampling"):
        if getattr(recipe, name) != "auto":
            changes[name] = getattr(recipe, name)
    if recipe.labels == "learn" and dataset.conditions:  # the switch stays as it is when data without labels are picked
        changes["labels"] = True
    if recipe.train_steps is not None:
        changes["steps"] = recipe.train_steps
    if recipe.batch is not None:
        changes["batch"] = recipe.batch
    network = None if recipe.network == "auto" else recipe.network
    config = training_recipe(recipe.preset, dataset, network)
    changes["warmup"] = min(config.warmup, changes.get("steps", config.steps) // 4)
    return training_recipe(recipe.preset, dataset, network, **changes)


def moments(steps: int, count: int) -> list[int]:
    """Steps at which to look: 0 and the last among them, closer together at the start, where more happens."""
    return sorted({round(steps * (i / (count - 1)) ** 2) for i in range(count)})


def moments_of(trainer: Trainer, count: int) -> list[int]:
    """The same of a training whose end may have been turned: as was planned until then, and from there as to the new.

    A training that goes on for ever is so looked at ever more rarely.
    """
    ends = [(turn.step, turn.changes["steps"]) for turn in trainer.turns if "steps" in turn.changes]
    found = moments(ends[0][1][0] if ends else trainer.config.steps, count)
    for begin, (_, end) in ends:
        found = [step for step in found if step <= begin]
        found += [step for step in moments(end, count) if step > begin]
        found += [begin] * (begin == end and begin not in found)
    return found


def _weighted_anew(trainer: Trainer) -> bool:
    """Whether its losses were weighted in one way and then in another, so that they cannot be compared."""
    return any("weighting" in turn.changes for turn in trainer.turns)


#: Floors that were worked out, for as long as their data are there.
_floors: WeakKeyDictionary[Dataset, dict[tuple, Floor]] = WeakKeyDictionary()


def floor_by_bucket(dataset: Dataset, config: TrainingConfig) -> Floor:
    """What the exact denoiser loses in this training: its mean (ε̂ − ε)² in each interval of t, and the loss itself.

    A mean over the times that this training draws there, as the losses are that it is held against: within the first
    interval alone the floor varies several times over. A training that learns labels is held against the exact denoiser
    that is told them as often.
    """
    known = _floors.setdefault(dataset, {})
    key = (config.schedule, config.T, config.time_sampling, config.level_mean, config.level_std, config.labels,
           config.prediction_type, config.weighting)
    if key not in known:
        exact = Exact.of(dataset, make_schedule(config.schedule, config.T))
        known[key] = Floor(bucket_centres(), *errors_by_bucket(exact, dataset, config))
    return known[key]


@torch.no_grad()
def errors_by_bucket(denoiser: Denoiser | Exact, dataset: Dataset, config: TrainingConfig) -> tuple[Tensor, float]:
    """(a denoiser's mean (ε̂ − ε)² in each interval of t, (BUCKETS,); its loss, weighted as in training).

    Of the same noised data whoever is asked; the loss counts an interval as often as the training draws from it.
    """
    generator, count = torch.Generator().manual_seed(0), FLOOR_SAMPLES[dataset.kind]
    times, shares = _bucket_times(dataset, config, count, generator)
    x0, labels = dataset.draw(count, generator)
    told = condition(denoiser, drop_labels(labels, dataset.classes, generator) if config.labels else None)
    eps = torch.randn(x0.shape, generator=generator).to(x0)
    errors, losses = [], []
    for t in times:
        event, levels = noised(denoiser.schedule, x0, t, eps), denoiser.schedule(t)
        alpha, sigma = (expand(level.to(x0), x0) for level in levels)
        said = told(event.x_t, t)
        missed = target_of(config.prediction_type, said.x0 - x0, said.eps - eps, alpha, sigma, dataset.std)
        weight = weight_of(config.weighting, config.prediction_type, *levels, dataset.std)
        errors.append(float((said.eps - eps).square().mean()))
        losses.append(float((weight * missed.square().flatten(1).mean(1)).mean()))
    return torch.tensor(errors), float(shares @ torch.tensor(losses, dtype=torch.float64))


def bucket_centres() -> torch.Tensor:
    """(BUCKETS,), float64."""
    return (torch.arange(BUCKETS, dtype=torch.float64) + 0.5) / BUCKETS


def _bucket_times(dataset: Dataset, config: TrainingConfig, count: int,
                  generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(times of the training sorted by interval, (BUCKETS, count), even ones where it draws none; the share of its
    times that lie in each interval, (BUCKETS,))."""
    drawn = draw_times(100_000, config, make_schedule(config.schedule, config.T), dataset.std, generator)
    bucket = (drawn * BUCKETS).long().clamp(max=BUCKETS - 1)
    rows = []
    for k in range(BUCKETS):
        mine = drawn[bucket == k]
        if not len(mine):
            mine = (k + (torch.arange(count, dtype=torch.float64) + 0.5) / count) / BUCKETS
        rows.append(mine[torch.randint(len(mine), (count,), generator=generator)])
    return torch.stack(rows), bucket.bincount(minlength=BUCKETS).double() / len(drawn)


class Training:
    """One training: `run()` is what a job steps through; `film` grows while it does; `clocks()` afterwards.

    The trainer is built in `run`, on the thread that trains.
    `save` writes it down on the way, and `load` gives it back, to `run` on from there bit for bit.
    """

    can_be_saved = True

    def __init__(self, recipe: Recipe, brought: Brought | None = None):
        self.recipe, self.dataset, self.brought = recipe, dataset_of(recipe, brought), brought
        self.whole = dataset_of(recipe.with_(train_size=None), brought)
        self.config = self._config_of(recipe)
        self.moments = moments(self.config.steps, PREVIEWS)
        self.keep_at = set(moments(self.config.steps, CLOCKS))
        self.kept: dict[int, Denoiser] = {}
        self.trainer: Trainer | None = None
        self.seen, self._watch_at = Run(), 0
        self._seen_bytes = 0  # of the training calls in it: to count them all anew, again and again, takes long
        floor = floor_by_bucket(self.dataset, self.config)
        about = film_of(recipe, "train", self.dataset)
        self.film = TrainingView(self.dataset, self.config, self.moments, floor, about=about)
        if self.dataset.decode is not None:
            offer_decoded(self.film)
        self._prepare_previews()

    def _config_of(self, recipe: Recipe) -> TrainingConfig:
        return config_of(recipe, self.dataset)

    def _prepare_previews(self) -> None:
        generator = torch.Generator().manual_seed(self.recipe.seed)
        count = PREVIEW_POINTS if self.dataset.kind == "points" else PREVIEW_PICTURES
        self._noise = torch.randn((count, *self.dataset.x0.shape[1:]), generator=generator)
        self._x0 = self.dataset.draw(count, generator)[0]
        self._eps = torch.randn(self._x0.shape, generator=generator)

    def run(self) -> Iterator[None]:
        """Train to the end, a step at a time, taking previews at the film's moments. The model is then the caller's.

        So it is when the training is stopped on the way; but not when they have let go of it.
        """
        trainer = self._begin()
        try:
            yield
            for step in trainer.run():
                self._watch(step)
                self._look(step.index + 1)
                yield
        except GeneratorExit:
            if self.brought is not None and self.brought.wants_training and trainer.step:
                self.give(self.brought)
            raise
        if self.brought is not None:
            self.give(self.brought)

    def _begin(self) -> Trainer:
        if self.trainer is None:
            self.trainer = Trainer(self.dataset, self.config, best_device(self.dataset.kind))
            self._look(0)
        return self.trainer

    def turn(self, **fields) -> None:
        """Take the next step, and those after it, with other values of these fields of the recipe, some of LIVE_FIELDS.

        Between two steps of `run`, on its thread; or after its end, to `run` on. ValueError for what cannot be.
        """
        trainer, recipe = self._begin(), self.recipe.with_(**fields)
        config = self._config_of(recipe)
        trainer.turn(**{LIVE_FIELDS[name]: getattr(config, LIVE_FIELDS[name]) for name in fields})
        self.recipe, self.config = recipe, trainer.config
        self._plan()
        self._look(trainer.step)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What was turned on the way."""
        return self.trainer.turns if self.trainer else ()

    @property
    def planned(self) -> int:
        """The steps that it was to take when it began."""
        return next((turn.changes["steps"][0] for turn in self.turns if "steps" in turn.changes), self.config.steps)

    def steps_of(self, recipe: Recipe) -> int:
        """The steps that it would take in all by what another recipe says of them."""
        return self._config_of(self.recipe.with_(train_steps=recipe.train_steps)).steps

    def _plan(self) -> None:
        """When to look, by the trainer's end as it is now."""
        trainer = self.trainer
        self.moments = moments_of(trainer, PREVIEWS)
        self.keep_at = set(moments_of(trainer, CLOCKS))
        config = replace(trainer.config, weighting="target") if _weighted_anew(trainer) else trainer.config
        self.film.turn(trainer.config, self.moments, trainer.turns, floor_by_bucket(self.dataset, config),
                       film_of(self.recipe, "train", self.dataset))
        if self.film.progress is not None:
            self.progress(self.film.progress.seconds)  # its losses go with that floor

    def untrained(self) -> Iterator[TrainingView]:
        """The film as far as it goes without training: what the network makes of noise before it has learned anything,
        its loss, and by t over the floor. Nothing is anybody's model after that.

        It comes between the parts of the work too, which can be left there: of large pictures they take seconds.
        """
        self.trainer = Trainer(self.dataset, self.config, best_device(self.dataset.kind))
        self._look(0)
        yield self.film
        by_t, loss = errors_by_bucket(self._averaged(), self.dataset, self.config)
        yield self.film
        self.film.progress = Progress(torch.tensor([loss]), bucket_centres(), by_t, 0.0)
        yield self.film

    def save(self, path: str | os.PathLike) -> None:
        """Write trainer, recipe and previews to one .safetensors file; not the weights that were kept on the way.

        Between two steps of `run`, on its thread. Raises as `core.files.atomic_write` does.
        """
        seen = {f"{preview.step}.{name}": value for preview in self.film.previews
                for name, value in vars(preview).items() if isinstance(value, torch.Tensor)}
        save_training(path, self.trainer, {"recipe": json.dumps(self.recipe.to_dict())}, seen)

    @classmethod
    def load(cls, path: str | os.PathLike, brought: Brought | None = None) -> Training:
        """The training that `save` wrote, with its film and its losses so far.

        FileNotFoundError if there is none; ValueError or CannotShow if it is none, or its data are not there.
        """
        header, seen = seen_of(path)
        training = cls(Recipe.from_dict(parse_json(header.get("recipe", ""), "its recipe")), brought)
        trainer = load_training(path, training.dataset, best_device(training.dataset.kind))
        planned = replace(training.config, warmup=trainer.config.warmup)  # which is over, or stays as it was planned
        if trainer.config != (planned if trainer.turns else training.config):
            raise ValueError(f"{path} was trained with settings that this recipe has no more")
        training.trainer, training.config = trainer, trainer.config
        training._plan()
        for step in training.moments:
            if step <= trainer.step:
                training.film.add(training._preview_of(step, seen))
        training.kept[trainer.step] = training._averaged()
        training.progress(trainer.seconds)
        return training

    def _preview_of(self, step: int, seen: dict[str, torch.Tensor]) -> Preview:
        shapes = {"samples": self._noise.shape, "guess": self._x0.shape, "field": (FIELD_CELLS, FIELD_CELLS, 2)}
        if self.dataset.kind != "points":
            del shapes["field"]
        parts = {name: seen.get(f"{step}.{name}") for name in shapes}
        if any(part is None or part.shape != shapes[name] for name, part in parts.items()):
            raise ValueError(f"the preview of step {step} is missing or of another training")
        return Preview(step, **{"field": None, **parts})

    def _watch(self, step: TrainStep) -> None:
        """Keep some steps for the Doctor: the first ones, and then one in ever more."""
        if step.index >= self._watch_at:
            self._watch_at = step.index + max(1, step.index // WATCH_ONE_IN)
            see_training(self.seen, step)
            self._seen_bytes += self.seen.trains[-1].nbytes

    def _look(self, step: int) -> None:
        if step in self.keep_at:
            self.kept[step] = self._averaged()
        if step in self.moments and not any(preview.step == step for preview in self.film.previews[-1:]):
            self.film.add(self._preview(step))

    def _averaged(self) -> Denoiser:
        """A copy of the averaged weights as they are now, on the CPU: whoever looks does so there."""
        return copy.deepcopy(self.trainer.ema).eval().cpu()

    @torch.no_grad()
    def _preview(self, step: int) -> Preview:
        denoiser = self.trainer.ema if self.trainer.device.type == "cpu" else self._averaged()
        trace = self._walk(denoiser, PREVIEW_STEPS, keep=("x_t",))
        at = torch.tensor(LOOK_AT, dtype=torch.float64)
        guess = denoiser(noised(denoiser.schedule, self._x0, at, self._eps).x_t, at).x0
        field = None
        if self.dataset.kind == "points":
            field = -denoiser(field_points(STATE_VIEW), at).eps.reshape(FIELD_CELLS, FIELD_CELLS, 2)
        return Preview(step, trace.final, guess, field)

    def _walk(self, denoiser: Denoiser, steps: int, keep=("x_t", "x0")) -> Trace:
        schedule = denoiser.schedule
        times = schedule.times(steps, start=schedule.start_for(denoiser.prediction_type))
        x = schedule.at(times[0])[1] * self._noise
        return Trace.record(walk(denoiser, ddim(schedule), x, times, torch.Generator().manual_seed(0)), keep=keep)

    def progress(self, seconds: float) -> Progress:
        """The numbers of this moment; also given to the film, whose charts show them."""
        trainer = self.trainer
        if trainer is None:
            return Progress(torch.empty(0), torch.empty(0), torch.empty(0), seconds)
        losses = trainer.losses.error if _weighted_anew(trainer) else trainer.losses.loss
        self.film.progress = Progress(torch.from_numpy(np.array(losses)), bucket_centres(),
                                      torch.from_numpy(np.array(trainer.losses.eps_mse)), seconds)
        return self.film.progress

    def give(self, brought: Brought) -> None:
        """Make what has been learned so far, with averaged weights, the caller's own model."""
        brought.learned(self._averaged(), {"data": self.recipe.data, "hash": self.dataset.hash,
                                           "whole": self.whole.hash, "steps": self.trainer.step,
                                           "training": self.config.to_dict(),
                                           "turned": to_json(self.trainer.turns)})

    @property
    def nbytes(self) -> int:
        """Bytes of the weights kept on the way, of the trainer, of the previews and of what is kept for the Doctor."""
        weights = sum(w.nbytes for network in [*self.kept.values()] for w in network.parameters())
        seen = self._seen_bytes + (0 if self.seen.data is None else self.seen.data.nbytes)
        return weights + (self.trainer.nbytes if self.trainer else 0) + self.film.nbytes + seen

    def clocks(self, steps: int = 50) -> ClocksView:
        """The same noise denoised by the network as it was at the kept moments of its training."""
        kept = dict(self.kept)
        if self.trainer.step not in kept:  # stopped on the way: its last state is a moment too
            kept[self.trainer.step] = self._averaged()
        kept = dict(list(kept.items())[-CLOCKS:])
        traces = {step: self._walk(denoiser, steps) for step, denoiser in kept.items()}
        schedule = self.trainer.denoiser.schedule
        times = schedule.times(steps, start=schedule.start_for(self.config.prediction_type))
        film = ClocksView(self.dataset, traces, times, schedule, about=film_of(self.recipe, "train", self.dataset))
        if self.dataset.decode is not None:
            offer_decoded(film)
        return film
