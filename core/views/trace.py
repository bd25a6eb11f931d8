"""A walk from noise to data, as a film: one frame a kept step, and one for where it arrived."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ..denoisers.exact import Exact
from ..metrics.likelihood import density_grid
from ..prediction import Denoise
from ..samplers import Equation, Rule
from ..scene import Chart, Scene, Series
from ..trace import Trace
from .base import (
    DENSITY_CELLS, NOISE_VIEW, PATHS, STATE_VIEW, WAITING, View, density, over, pictures, scaled,
    signed_pictures, spread, state_scale, vector_field,
)


SPAN = "from t = {t:.3f} to s = {s:.3f}"
#: The share of the cells of the model's density that are drawn as they are; the palette ends at the densest of them.
PEAK = 0.995


class TraceView(View):
    """The trace may still be growing: steps of `times` that are not there yet are not among `frames`.

    times: the grid of the walk, (K+1,); denoise: asked for fields (not for what is in the trace); rule: the one that
    walks, and push (what an edit added to each mean): for the equation. When the walk is over, `finish` adds the last
    frame, at t = times[-1], whose panels that show a prediction hold the last one made.
    """

    def __init__(self, trace: Trace, times: torch.Tensor, dataset, schedule, denoise: Denoise, rule: Rule,
                 push: float = 0.0, about: dict | None = None):
        self.trace, self.times, self.dataset, self.schedule, self.denoise = trace, times, dataset, schedule, denoise
        self.equation = rule.equation or Equation("", "", "", "")
        self.push, self.about = push, about or {}
        self.finished = False
        self.remark = ""  #: what else is to be said of this walk, after its sentence
        #: makers of charts beside the film's own; each gives () while it has nothing to show
        self.more_charts: list[Callable[[], tuple[Chart, ...]]] = []
        self.more_bytes: list[Callable[[], int]] = []  #: of what else is kept of frames that were looked at
        self.kept = times[:-1][:: trace.every]
        self._plan = plan = rule.plan(times)
        (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(times[:-1]), schedule(times[1:])
        std = plan["std"]
        moves = (alpha_s - alpha_t).abs() + 3 * (sigma_t - (sigma_s**2 - std**2).clamp(min=0).sqrt()).abs()
        inner = plan.get("inner", torch.ones_like(std))  # what a rule does within a step, it takes away too
        moves = moves + 3 * inner.sqrt() * plan.get("inner_std", 0) + 3 * inner * plan.get("rate", 0)
        size = state_scale(schedule, times[:-1])
        self._added_view, self._removed_view = (max(float((x / size).max()), 1e-3) for x in (3 * std, moves))
        #: what states are divided by to be shown, one a frame
        self.scale = state_scale(schedule, torch.cat([self.kept, times[-1:]]))
        self._exact: Exact | None = None
        self._spread = spread(dataset)
        self._walked: list[float] = []  #: mean |x_t − alpha·μ|²/D of each frame, see `band`
        self.offers = {}
        (self._offer_points if dataset.kind == "points" else self._offer_pictures)()

    def finish(self) -> None:
        """The walk is over: its end becomes the last frame."""
        self.finished = True

    @property
    def frames(self) -> int:
        return len(self.trace) + self.finished

    @property
    def total(self) -> int:
        return len(self.kept) + 1

    @property
    def nbytes(self) -> int:
        return self.trace.nbytes + sum(count() for count in self.more_bytes)

    @property
    def exact(self) -> Exact:
        if self._exact is None:
            self._exact = Exact.of(self.dataset, self.schedule)
        return self._exact

    def quantity(self, name: str, first: int, end: int) -> torch.Tensor:
        """A quantity of the trace on the frames first … end−1; the last frame holds the last step's."""
        rows = self.trace.part(name, first, min(end, len(self.trace)))
        if end <= len(self.trace):
            return rows
        last = self.trace.final[None] if name == "x_t" else self.trace.part(name, len(self.trace) - 1, len(self.trace))
        return torch.cat([rows, last]) if len(rows) else last

    def state(self, first: int, end: int) -> torch.Tensor:
        """x_t as it is shown."""
        return over(self.quantity("x_t", first, end), self.scale[first:end])

    def frame_times(self, first: int, end: int) -> torch.Tensor:
        """t of each frame; a field at the data itself is that of the last step."""
        return torch.cat([self.kept, self.kept[-1:]])[first:end]

    def removed(self, first: int, end: int) -> torch.Tensor:
        """x_t − mean: what the update took away, on the scale of the state shown. Nothing more is taken at the end."""
        gone = over(self.quantity("x_t", first, end) - self.quantity("mean", first, end), self.scale[first:end])
        if end > len(self.trace):
            gone[-1] = 0
        return gone

    def added(self, first: int, end: int) -> torch.Tensor:
        """std·z: the fresh noise of the step, on the scale of the state shown."""
        std = torch.cat([self.trace.std, torch.zeros(1, dtype=torch.float64)])[first:end].float()
        noise = self.quantity("noise", first, end)
        return over(std.reshape(-1, *[1] * (noise.ndim - 1)) * noise, self.scale[first:end])

    def error(self, first: int, end: int) -> torch.Tensor:
        """ε̂ − ε_exact at the states of the walk."""
        eps = self.quantity("eps", first, end)
        x = [self.trace.part("x_t", k, k + 1)[0] for k in torch.arange(first, end).clamp(max=len(self.trace) - 1)]
        return eps - torch.stack([self.exact(row, t).eps for row, t in zip(x, self.frame_times(first, end))])

    def _offer_points(self):
        state = dict(kind="points", range=(-STATE_VIEW, STATE_VIEW), caption=scaled(self.scale, view=STATE_VIEW))
        noise = dict(kind="points", range=(-NOISE_VIEW, NOISE_VIEW), palette="noise")
        arrows = dict(kind="field", range=(-STATE_VIEW, STATE_VIEW), palette="noise", scale=2.0,
                      caption=scaled(self.scale, "cell = 2"), backdrop=self.dataset.x0.numpy(), holds="places")
        at = torch.cat([self.scale[:-1], self.scale[-2:-1]])  # fields of the last frame are the last step's
        field = lambda denoise, of: lambda a, b: vector_field(  # noqa: E731
            denoise, self.frame_times(a, b), STATE_VIEW, of, at[a:b])
        self.default = ("x_t", "x0", "field", "paths")
        self.offer("x_t", "noisy points x_{t}", "where the samples stand at this step",
                   self.state, palette="ink", holds="samples", **state)
        self.offer("x0", "clean guess x̂_{0}", "what the model takes the data to be, from the noisy ones at this t",
                   lambda a, b: self.quantity("x0", a, b),
                   kind="points", range=(-STATE_VIEW, STATE_VIEW), palette="accent", holds="samples")
        self.offer("field", "where it pushes −ε̂", "where the model wants to go: −ε̂ = σ·score, at this t, everywhere",
                   field(self.denoise, lambda p: -p.eps), **arrows)
        self.offer("paths", "paths", "the way of some of the points", lambda a, b: self.state(a, b)[:, :PATHS],
                   kind="paths", range=(-STATE_VIEW, STATE_VIEW), palette="ink",
                   caption=scaled(self.scale, f"{PATHS} at most"), holds="places")
        self.offer("density", "density p_{t}", "the density the forward process has at this t, exact, over its maximum",
                   self._density, kind="heat", range=(0.0, 1.0), palette="magnitude",
                   caption=scaled(self.scale, "p / max p"))
        self.offer("p_model", "density it learned",
                   "the density that the model's probability flow gives the data: "
                   "no samples, one ODE a cell", self._model_density, still=True,
                   kind="heat", range=(0.0, 1.0), palette="magnitude", caption=f"p / its {100 * PEAK:g} % quantile")
        self.offer("eps", "guessed noise ε̂", "the noise the model sees in each point",
                   lambda a, b: self.quantity("eps", a, b), **noise)
        self.offer("removed", "removed x_{t} − mean", "what this step took away from each point", self.removed,
                   kind="points", range=(-self._removed_view, self._removed_view), palette="ink",
                   caption=scaled(self.scale, view=self._removed_view))
        self.offer("added", "noise put back std · z", "the fresh noise this step added to each point", self.added,
                   kind="points", range=(-self._added_view, self._added_view), palette="ink",
                   caption=scaled(self.scale, view=self._added_view))
        self.offer("error", "error ε̂ − ε exact", "the model's noise less the exact denoiser's, for each point",
                   self.error,
                   kind="points", range=(-1.0, 1.0), palette="noise")
        self.offer("field_exact", "best push −ε exact", "the true score, times σ: what a perfect model would say",
                   field(lambda x, t: self.exact(x, t), lambda p: -p.eps), **{**arrows, "palette": "ink"})

    def _any(self) -> torch.Tensor:
        return self.trace.final if self.trace.final is not None else torch.empty(0)

    def _density(self, first: int, end: int) -> torch.Tensor:
        times, scale = torch.cat([self.kept, self.times[-1:]])[first:end], self.scale[first:end]
        alpha, sigma = self.schedule(times)
        return density(self.dataset.x0, self.dataset.bandwidth, alpha / scale, sigma / scale, STATE_VIEW)

    def _model_density(self, first: int, end: int) -> torch.Tensor:
        p = density_grid(self.denoise, self.schedule, STATE_VIEW, DENSITY_CELLS)  # as the data's own beside it
        # A guided network can pile a hundred times more into one cell than into others: they would not be seen.
        return (p / torch.quantile(p, PEAK))[None]

    def _offer_pictures(self):
        state = dict(kind="images", range=(-1.0, 1.0), palette="data")
        signed = dict(kind="images", palette="signed")
        self.default = ("x_t", "x0", "eps")
        self.offer("x_t", "noisy pictures x_{t}", "what the samples are at this step",
                   lambda a, b: pictures(self.state(a, b)),
                   caption=scaled(self.scale), holds="samples", **state)
        self.offer("x0", "clean guess x̂_{0}", "what the model takes the data to be, from the noisy ones at this t",
                   lambda a, b: pictures(self.quantity("x0", a, b)), holds="samples", **state)
        self.offer("eps", "guessed noise ε̂", "the noise the model sees in each picture",
                   lambda a, b: signed_pictures(self.quantity("eps", a, b)), range=(-3.0, 3.0), **signed)
        self.offer("removed", "removed x_{t} − mean", "what this step took away",
                   lambda a, b: signed_pictures(self.removed(a, b)), range=(-self._removed_view, self._removed_view),
                   caption=scaled(self.scale, view=self._removed_view), **signed)
        self.offer("added", "noise put back std · z", "the fresh noise this step added",
                   lambda a, b: signed_pictures(self.added(a, b)), range=(-self._added_view, self._added_view),
                   caption=scaled(self.scale, view=self._added_view), **signed)
        self.offer("error", "error ε̂ − ε exact", "the model's noise less the exact denoiser's",
                   lambda a, b: signed_pictures(self.error(a, b)), range=(-1.0, 1.0), **signed)

    def band(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(t, std of x_t in the walk over the forward process's, two standard errors of that ratio), one a frame.

        The forward process has E|x_t − alpha·μ|²/D = alpha²·Var + sigma²; with a = x0 − μ and B samples that mean
        square has the variance (alpha⁴·Var|a|² + 4·alpha²sigma²·E|a|² + 2D·sigma⁴) / (B·D²).
        """
        mean, square, variance, d = self._spread
        frames = self.frames  # once: a walk may add to it meanwhile
        t = torch.cat([self.kept, self.times[-1:]])[:frames]
        alpha, sigma = self.schedule(t)
        # Kept from look to look: while a walk grows, going over all of it each time would cost its length squared.
        for k in range(len(self._walked), frames):
            x = self.quantity("x_t", k, k + 1)[0].flatten(1).double()
            self._walked.append(float((x - alpha[k] * mean).square().mean()))
        walked, count = torch.tensor(self._walked[:frames], dtype=torch.float64), len(self._any())
        forward = alpha**2 * square / d + sigma**2
        error = (alpha**4 * variance + 4 * alpha**2 * sigma**2 * square + 2 * d * sigma**4).div(count).sqrt() / d
        return t.numpy(), (walked / forward).sqrt().numpy(), (error / forward).numpy()  # 2·(½·error/forward)

    def shell(self, first: int, end: int) -> Scene:
        t = torch.cat([self.kept, self.times[-1:]])
        at = (torch.arange(len(self.kept)) * self.trace.every).clamp(max=len(self.times) - 2)
        s = torch.cat([self.times[at + 1], self.times[-1:]])
        alpha, sigma = self.schedule(t)
        steps, (_, square, _, d) = len(self.times) - 1, self._spread
        numbers = dict(t=t, s=s, step=torch.cat([at, torch.tensor([steps])]), steps=torch.full_like(t, steps),
                       alpha_t=alpha, sigma_t=sigma, log_snr=self.schedule.log_snr(t),
                       left=100 * sigma**2 / (alpha**2 * square / d + sigma**2))
        # What each step was made with, and what was really added, after edits. The last frame stands at the data, where
        # there is no step any more: it keeps the last one's numbers, and adds what the rule would.
        used, last = self.trace.coefficients, self._plan["std"][-1:]
        numbers |= {name: torch.cat([values, values[-1:]]) for name, values in used.items()}
        numbers["std"] = torch.cat([self.trace.std, last])
        equation, push = self.equation, f" {self.push:+.4f}" if self.push else ""
        figures = (equation.figures + push, f"{SPAN}; {equation.note}")
        count, what = len(self._any()), "point" if self.dataset.kind == "points" else "picture"
        walkers = f"1 {what} walks" if count == 1 else f"{count:,} {what}s walk"
        return Scene(
            (), {name: values[first:end].double().numpy() for name, values in numbers.items()},
            clock="step {step:.0f} / {steps:.0f} · t = {t:.3f}",
            sentence=f"{walkers} from noise to data: at t = {{t:.3f}} the forward process is "
                     "{left:.0f} % noise, by variance." + self.remark,
            formula=equation.formula + (" + nudge" if push else ""), figures=figures, source=equation.source,
            charts=self._charts(), about=self.about,
        )

    def _charts(self) -> tuple[Chart, ...]:
        if not len(self.trace):
            return ()
        t, ratio, error = self.band()
        cursor = torch.cat([self.kept, self.times[-1:]]).numpy()
        ends = ("t=1 noise", "t=0 data")
        band = Chart("spread over what theory says: good is inside the band",
                     (Series("expected", t, 1 + error, style="band", palette="ink", low=1 - error),
                      Series("this walk", t, ratio, palette="ink")),
                     cursor, ends=ends, flip=True)
        return band, self._settling(t, cursor, ends), *(chart for made in self.more_charts for chart in made())

    def _settling(self, t: np.ndarray, cursor: np.ndarray, ends: tuple[str, str]) -> Chart:
        title = "how far is the clean guess x̂₀ from where it ends?"
        if not self.finished:
            return Chart(title, (), ends=WAITING)
        away = (self.trace["x0"] - self.trace.final).flatten(1).square().mean(1).sqrt().numpy()
        return Chart(title, (Series("distance", t[: len(away)], away),), cursor, ends=ends, flip=True)
