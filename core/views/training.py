"""Training as a film: two clocks. One runs over training steps, the other over denoising time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..scene import Chart, Scene, Series
from ..schedules import make_schedule
from ..trace import Trace
from ..training.presets import TrainingConfig
from ..training.turns import Turn, to_json
from .base import DATA_VIEW, STATE_VIEW, View, over, pictures, scaled, state_scale

#: The time at which a training's score field and one-step guesses are looked at: there σ is 0.4 (flow) to 0.9 (linear).
LOOK_AT = 0.4
#: Points of a loss curve that are sent to the page; a screen has no more columns to draw them in.
CURVE_POINTS = 400

#: An error is at the floor up to this many times it, and where it is more by less than this share of the noise: what
#: both are estimated from tells them no better apart.
AT_FLOOR, UNSEEN = 1.15, 0.005

#: An error of ε̂ that is more than so many times as large in x̂0 where a walk starts carries all samples away: measured
#: on the T-Rex, linear (157) draws it, and of flow (999), sigmoid (1,825) and cosine (20,291) nothing is seen.
AMPLIFIED = 500

#: prediction type → the loss that its training lowers.
LOSSES = {
    "eps": "L = E |ε̂(x_{t}, t) − ε|²",
    "x0": "L = E |x̂_{0}(x_{t}, t) − x_{0}|²",
    "v": "L = E |v̂(x_{t}, t) − (α_{t} ε − σ_{t} x_{0})|²",
    "velocity": "L = E |û(x_{t}, t) − (ε − x_{0})|²",
    "edm": "L = E |F(c_{in} x_{t}, t) − (x_{0} − c_{skip} x_{t}) / c_{out}|²",
}


def caution(config: TrainingConfig) -> str:
    """What is to be known before such a training is begun, because it is bound to fail; "" if nothing is.

    x̂0 = (x_t − σ ε̂)/α: where next to no signal is left, ε̂ says nothing of the data (Lin et al. 2024, section 3.3).
    """
    if config.prediction_type != "eps":
        return ""
    schedule = make_schedule(config.schedule, config.T)
    alpha, sigma = schedule.at(schedule.start_for("eps"))
    if sigma <= AMPLIFIED * alpha:
        return ""
    return (" Predicting ε is bound to fail on this schedule: where a walk starts, an error of ε̂ is "
            f"{sigma / alpha:,.0f} times as large in x̂₀. Predict v, or take the schedule linear.")


@dataclass(frozen=True)
class Preview:
    """What a model under training makes of the same noise, at one moment of its training."""

    step: int
    samples: Tensor  #: (N, ...): where the walk from the fixed noise arrives
    guess: Tensor  #: (N, ...): x̂0 from fixed noised data at t = LOOK_AT
    field: Tensor | None  #: (G, G, 2): −ε̂ at t = LOOK_AT, for points


class Floor(NamedTuple):
    """What no network can go below: what the exact denoiser loses at the times that a training draws."""

    t: Tensor  #: (20,) centres of the timestep buckets
    eps: Tensor  #: (20,) mean (ε_exact − ε)² in each
    loss: float  #: the very loss of that training, weighted as it is


@dataclass(frozen=True)
class Progress:
    """Where a training stands: the numbers beside its previews."""

    losses: Tensor  #: (steps so far,); without weights where these were turned on the way
    bucket_t: Tensor  #: (20,) centres of the timestep buckets
    bucket_mse: Tensor  #: (20,) mean (ε̂ − ε)² in each, NaN where none was seen
    seconds: float  #: of training, this job's own


def thin(values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """(index of each, mean of each) of at most `most` equal groups."""
    count = min(most, len(values))
    size, more = divmod(len(values), max(count, 1))  # as np.array_split: the first groups have one more
    begins = np.arange(count) * size + np.minimum(np.arange(count), more)
    sizes = np.diff(begins, append=len(values))
    return begins + (sizes - 1) / 2, np.add.reduceat(values, begins) / sizes if count else np.empty(0)


def smooth(values: np.ndarray, share: float = 0.1, least: int = 10) -> np.ndarray:
    """At each step, the mean of the last `share` of the steps so far, `least` of them at least; the same length.

    A window that grows follows the steep beginning and still calms the long end.
    """
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    so_far = np.arange(1, len(values) + 1)
    begin = np.maximum(0, so_far - np.maximum(least, np.ceil(share * so_far)).astype(int))
    return (total[1:] - total[begin]) / (so_far - begin)


def verdict(floor: Floor, eps_mse: np.ndarray) -> str:
    """At which t there is something left to learn, in words; eps_mse: (20,), NaN where it is not known."""
    best = floor.eps.numpy()
    above = np.flatnonzero(eps_mse > np.maximum(AT_FLOOR * best, best + UNSEEN))
    if not len(above):
        return "at the floor"
    low, high = above[0] / len(best), (above[-1] + 1) / len(best)
    span = slice(above[0], above[-1] + 1)
    seen = np.isfinite(eps_mse[span])
    times = eps_mse[span][seen].sum() / max(best[span][seen].sum(), np.finfo(float).tiny)
    where = f"from t = {low:.2g} to {high:.2g}"
    if low == 0:
        where = f"below t = {high:.2g}" if high < 1 else "at every t"
    elif high == 1:
        where = f"above t = {low:.2g}"
    return f"still learning {where}, {times:.3g} × the floor"


class TrainingView(View):
    """One frame a preview. config: of the training; moments: the steps at which previews are taken.

    The loss is shown over its floor: losses of different prediction types and weightings are then in one currency.
    """

    def __init__(self, dataset, config: TrainingConfig, moments: list[int], floor: Floor,
                 about: dict | None = None):
        self.dataset, self.config, self.moments, self.floor = dataset, config, moments, floor
        self.about = about or {}
        self.previews: list[Preview] = []
        self.caution = caution(config)
        self.turns: tuple[Turn, ...] = ()  #: what was turned on the way
        self.progress: Progress | None = None
        self.offers = {}
        points = dataset.kind == "points"
        look = dict(kind="points", range=(-DATA_VIEW, DATA_VIEW)) if points else dict(kind="images", range=(-1.0, 1.0))
        ink, accent = (dict(palette="ink"), dict(palette="accent")) if points else (dict(palette="data"),) * 2
        shown = (lambda x: x) if points else pictures
        self.default = ("samples", "guess", "field", "data") if points else ("samples", "guess", "data")
        self.offer("samples", "samples",
                   "the same noise, denoised by the network (averaged weights) at this training step",
                   lambda a, b: shown(torch.stack([p.samples for p in self.previews[a:b]])), holds="samples", **look,
                   **accent)
        self.offer("guess", f"clean guess x̂_{{0}}, t={LOOK_AT}",
                   f"its one-step guess of the data from data noised to t = {LOOK_AT}",
                   lambda a, b: shown(torch.stack([p.guess for p in self.previews[a:b]])), holds="samples", **look,
                   **accent)
        if points:
            self.offer("field", f"where it pushes −ε̂, t={LOOK_AT}",
                       "the score field (times σ) as the network sees it at this training step",
                       lambda a, b: torch.stack([p.field for p in self.previews[a:b]]),
                       kind="field", range=(-STATE_VIEW, STATE_VIEW), palette="noise", scale=2.0, caption="cell = 2",
                       backdrop=dataset.x0.numpy(), holds="places")
        self.offer("data", "data", "what it is trained on", lambda a, b: shown(self._data()[None]), still=True,
                   holds="places", **look, **ink)

    def _data(self) -> Tensor:
        count = len(self.previews[0].samples) if self.previews else 16
        return self.dataset.draw(count, torch.Generator().manual_seed(0))[0]

    def add(self, preview: Preview) -> None:
        """Take the next preview in."""
        self.previews.append(preview)

    def turn(self, config: TrainingConfig, moments: list[int], turns: tuple[Turn, ...], floor: Floor,
             about: dict) -> None:
        """The settings as they stand now, with the moments of previews to come, and all that was turned so far.

        Once the weighting was, losses and floor are without weights, so that both sides of the mark compare.
        """
        self.config, self.moments, self.turns, self.floor = config, moments, turns, floor
        self.about = about | ({"turned": to_json(turns)} if turns else {})

    @property
    def frames(self) -> int:
        """Previews beside which the loss is known by now; that of the untrained network is known after one step."""
        known = len(self.progress.losses) if self.progress else 0
        return sum(p.step <= known for p in self.previews) if known else 0

    @property
    def total(self) -> int:
        return len(self.moments)

    @property
    def nbytes(self) -> int:
        return sum(x.nbytes for p in [*self.previews] for x in (p.samples, p.guess, p.field) if x is not None)

    def shell(self, first: int, end: int) -> Scene:
        step = np.array([p.step for p in self.previews[first:end]], int)
        losses = self.progress.losses.numpy() if self.progress else np.empty(0)
        smoothed = smooth(losses)
        loss, name = smoothed[np.maximum(step - 1, 0)], self._loss[0]
        what = "is {over:.3g} times what no network can go below."
        learned = f"After {{step:.0f}} steps of training the same noise becomes this. The {name} {what}"
        untrained = f"Not trained yet: this is what the network makes of noise. Its {name} {what}"
        numbers = dict(t=np.zeros(len(step)), step=step.astype(float),
                       steps=np.full(len(step), float(self.config.steps)), loss=loss, over=loss / self.floor.loss)
        return Scene(
            (), numbers,
            clock="training step {step:.0f} / {steps:.0f}",
            sentence=(learned if len(losses) > 1 else untrained) + self.caution,
            formula=self._formula(),
            figures=(f"mean over the last tenth of its steps: {self._loss[1]} = {{loss:.5f}}, its floor "
                     f"{self.floor.loss:.5f}", self.config.line),
            source="core/training/trainer.py · (output.float() - self.wanted(batch)).square()",
            charts=self._charts(losses, smoothed), about=self.about,
        )

    @property
    def _loss(self) -> tuple[str, str]:
        """What is shown as loss, in words and in short: without weights where these were turned on the way."""
        if not any("weighting" in turn.changes for turn in self.turns):
            return "loss", "L"
        return "loss without weights", "E |output − target|²"

    def _formula(self) -> str:
        loss = LOSSES[self.config.prediction_type]
        return loss if self.config.weighting == "target" else loss.replace("E ", "E w_{t} ", 1)

    def _charts(self, losses: np.ndarray, smoothed: np.ndarray) -> tuple[Chart, ...]:
        if not len(losses):
            return ()
        lowest, cursor = self.floor.loss, np.array(self.moments, float)
        x, raw = thin(losses / lowest, CURVE_POINTS)
        end = len(losses) if len(losses) > 1 else self.config.steps  # untrained: as far as it is to go
        loss = Chart(f"{self._loss[0]} as a multiple of its floor, which no network can go below: good is 1",
                     (Series("floor", np.array([0.0, max(x[-1], end - 1)]), np.ones(2), style="dashed", palette="ink"),
                      Series("raw", x, raw, style="faint"),
                      Series("smoothed", x, thin(smoothed / lowest, CURVE_POINTS)[1])),
                     cursor, log=True, ends=("step 0", f"{end:,}"), guess="smoothed",
                     marks=tuple((float(turn.step), turn.words) for turn in self.turns))
        t, floor = self.floor.t.numpy(), self.floor.eps.numpy()
        bucket_t, bucket = self.progress.bucket_t.numpy(), self.progress.bucket_mse.numpy()
        seen = np.isfinite(bucket)
        by_t = Chart(f"loss by timestep, mean (ε̂ − ε)²: {verdict(self.floor, bucket)}",
                     (Series("floor", t, floor, style="dashed", palette="ink"),
                      Series("network", bucket_t[seen], bucket[seen], palette="noise")),
                     ends=("t=0 data", "t=1 noise"))
        return loss, by_t


class ClocksView(View):
    """The second clock: the same noise denoised by the network as it was at several moments of its training.

    traces: training step → the trace of a walk; all from the same noise on the same grid `times` (K+1,) of the schedule
    that the network was trained with. One panel a training step; frames run over denoising time.
    """

    def __init__(self, dataset, traces: dict[int, Trace], times: Tensor, schedule, about: dict | None = None):
        self.dataset, self.traces, self.times, self.about = dataset, traces, times, about or {}
        self.scale = state_scale(schedule, times)
        self.offers = {}
        self.default = tuple(f"step{step}" for step in traces)
        points = dataset.kind == "points"
        if points:
            state = dict(kind="points", range=(-STATE_VIEW, STATE_VIEW), palette="ink")
            guess = state | dict(palette="accent")
        else:
            state = guess = dict(kind="images", range=(-1.0, 1.0), palette="data")
        caption = scaled(self.scale, view=STATE_VIEW if points else 1.0)
        for step in traces:
            self.offer(f"step{step}", f"noisy x_{{t}}, step {step:,}",
                       f"the state, denoised by the network after {step:,} training steps",
                       self._rows(step, "x_t"), caption=caption, holds="samples", **state)
        for step in traces:
            self.offer(f"guess{step}", f"guess x̂_{{0}}, step {step:,}",
                       f"the guess of the data after {step:,} training steps", self._rows(step, "x0"),
                       holds="places", **guess)

    def _rows(self, step: int, name: str):
        def make(first: int, end: int) -> Tensor:
            trace = self.traces[step]
            last = trace.final[None] if name == "x_t" else trace.part(name, len(trace) - 1, len(trace))
            rows = torch.cat([trace[name], last])[first:end]
            if name == "x_t":
                rows = over(rows, self.scale[first:end])
            return rows if self.dataset.kind == "points" else pictures(rows)
        return make

    @property
    def frames(self) -> int:
        return len(self.times)

    @property
    def nbytes(self) -> int:
        return sum(trace.nbytes for trace in self.traces.values())

    def shell(self, first: int, end: int) -> Scene:
        t = self.times.numpy()
        steps = np.full(len(t), len(t) - 1.0)
        numbers = dict(t=t, step=np.arange(len(t), dtype=float), steps=steps)
        *earlier, last = self.traces
        reference = torch.cat([self.traces[last]["x_t"], self.traces[last].final[None]])
        series = []
        for step in earlier:
            other = torch.cat([self.traces[step]["x_t"], self.traces[step].final[None]])
            apart = (other - reference).flatten(1).square().mean(1).sqrt()
            series.append(Series(f"step {step:,}", t, apart.numpy(), palette="ink", style="faint"))
        charts = (Chart(f"how far each walk is from that of step {last:,}: root mean square", tuple(series), t,
                        ends=("t=1 noise", "t=0 data"), flip=True),) if series else ()
        return Scene(
            (), {name: values[first:end] for name, values in numbers.items()},
            clock="step {step:.0f} / {steps:.0f} · t = {t:.3f}",
            sentence=f"The same noise, denoised by the network as it was at {len(self.traces)} moments of its "
                     "training; now t = {t:.3f}.",
            formula="x_{s} = α_{s} x̂_{0} + σ_{s} ε̂",
            source="core/samplers/ancestral.py · mean = alpha_s·x0 + √(sigma_s² − std²)·eps",
            charts=charts, about=self.about,
        )
