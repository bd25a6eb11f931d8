"""Predicted noise against true noise, as a film over t from noise to data."""

from __future__ import annotations

import numpy as np
import torch

from ..buffers import Shelf
from ..prediction import Denoise
from ..probes.noise_error import NoiseError
from ..scene import Chart, Scene, Series
from .base import (
    NOISE_VIEW, STATE_VIEW, View, over, pictures, scaled, signed_pictures, spread, state_scale, vector_field,
)

#: Who always says the mean misses 1; who is farther off than this is drawn as this.
MOST_MISSED = 1.5


class NoiseErrorView(View):
    """One frame a glance; `add` each as it comes. times: all of them, (K,). `shown` samples are drawn, all count."""

    def __init__(self, dataset, schedule, denoise: Denoise, exact: Denoise, times: torch.Tensor, shown: int,
                 about: dict | None = None):
        self.dataset, self.schedule, self.denoise, self.exact = dataset, schedule, denoise, exact
        self.times, self.shown, self.about = times, shown, about or {}
        self.scale = state_scale(schedule, times)
        _, square, _, d = spread(dataset)
        self.variance = square / d  #: of the data, in each coordinate
        self._rows: dict[str, list[torch.Tensor]] = {
            name: [] for name in ("x_t", "eps", "x0", "eps_exact", "x0_exact")}
        self._figures: dict[str, list[float]] = {
            name: [] for name in ("mse", "floor", "excess", "cosine", "exact_cosine")}
        self._true: dict[str, torch.Tensor] = {}
        self._shelf = Shelf()  # of the samples that are shown alone; a part of a tensor would keep all of it
        self._count = 0
        self.offers = {}
        (self._offer_points if dataset.kind == "points" else self._offer_pictures)()

    def add(self, glance: NoiseError) -> None:
        """Take the next timestep in."""
        event, n = glance.noised, self.shown
        self._true = {"eps": event.eps[:n].cpu(), "x0": event.x0[:n].cpu()}
        values = dict(x_t=event.x_t, eps=glance.predicted.eps, x0=glance.predicted.x0, eps_exact=glance.exact.eps,
                      x0_exact=glance.exact.x0)
        for name, value in values.items():
            self._rows[name].append(self._shelf.put(value[:n]))
        for name, figures in self._figures.items():
            figures.append(getattr(glance, name))
        self._count += 1  # last: another thread may be looking

    @property
    def frames(self) -> int:
        return self._count

    @property
    def total(self) -> int:
        return len(self.times)

    @property
    def nbytes(self) -> int:
        return sum(rows[0].nbytes * len(rows) for rows in self._rows.values() if rows)

    def rows(self, name: str, first: int, end: int) -> torch.Tensor:
        return torch.stack(self._rows[name][first:end])

    def index(self, t: float) -> int:
        """The frame whose time is nearest to t."""
        return int((self.times[: self.frames] - t).abs().argmin())

    def figure(self, name: str, t: float) -> float:
        """mse, floor, excess, cosine or exact_cosine of `NoiseError`, at the time nearest to t."""
        return self._figures[name][self.index(t)]

    def _state(self, first: int, end: int) -> torch.Tensor:
        """x_t as it is shown."""
        return over(self.rows("x_t", first, end), self.scale[first:end])

    def _error(self, name: str, truth: str | None):
        def make(first, end):
            reference = self._true["eps"] if truth is None else self.rows(truth, first, end)
            return self.rows(name, first, end) - reference
        return make

    def _offer_points(self):
        noise = dict(kind="points", range=(-NOISE_VIEW, NOISE_VIEW))
        small = dict(kind="points", range=(-1.0, 1.0), palette="noise")
        arrows = dict(kind="field", range=(-STATE_VIEW, STATE_VIEW), backdrop=self.dataset.x0.numpy(), holds="places")
        score = arrows | dict(scale=2.0, caption=scaled(self.scale, "cell = 2"))
        field = lambda a, b, denoise, of: vector_field(denoise, self.times[a:b], STATE_VIEW, of, self.scale[a:b])  # noqa: E731

        def field_error(a, b):
            learned = field(a, b, self.denoise, lambda p: -p.eps)
            return learned - field(a, b, self.exact, lambda p: -p.eps)

        row = lambda name: lambda a, b: self.rows(name, a, b)  # noqa: E731
        self.default = ("eps", "eps_hat", "score", "score_exact", "score_error")
        self.offer("x_t", "noisy points x_{t}", "the noised data the model is given", self._state, kind="points",
                   range=(-STATE_VIEW, STATE_VIEW), palette="ink", caption=scaled(self.scale, view=STATE_VIEW),
                   holds="samples")
        self.offer("eps", "true noise ε", "the noise that was really added",
                   lambda a, b: self._true["eps"][None], still=True,
                   palette="ink", **noise)
        self.offer("eps_hat", "guessed noise ε̂", "the noise the model sees", row("eps"), palette="noise", **noise)
        self.offer("error", "error ε̂ − ε", "predicted less true noise, for each point",
                   self._error("eps", None), **small)
        self.offer("x0", "clean guess x̂_{0}", "the model's guess of the data", row("x0"), kind="points",
                   range=(-STATE_VIEW, STATE_VIEW), palette="accent", holds="samples")
        self.offer("score", "learned σ·score", "−ε̂, at every place of the plane: the score ∇log p_t times σ_t",
                   lambda a, b: field(a, b, self.denoise, lambda p: -p.eps), palette="noise", **score)
        self.offer("score_exact", "true σ·score", "the same from the exact denoiser: the true score",
                   lambda a, b: field(a, b, self.exact, lambda p: -p.eps), palette="ink", **score)
        self.offer("score_error", "learned − true", "the difference of the two fields", field_error, palette="noise",
                   scale=0.5, caption=scaled(self.scale, "cell = 0.5"), **arrows)
        self.offer("eps_exact", "best guess ε exact", "the best guess of the noise that any model can make",
                   row("eps_exact"),
                   palette="ink", **noise)
        self.offer("excess", "left to learn ε̂ − ε exact", "what the model could still learn",
                   self._error("eps", "eps_exact"),
                   **small)

    def _offer_pictures(self):
        state = dict(kind="images", range=(-1.0, 1.0), palette="data")
        noise = dict(kind="images", range=(-3.0, 3.0), palette="signed")
        small = dict(kind="images", range=(-1.0, 1.0), palette="signed")
        self.default = ("x_t", "eps", "eps_hat", "error", "x0")
        shown = lambda name: lambda a, b: pictures(self.rows(name, a, b))  # noqa: E731
        signed = lambda name: lambda a, b: signed_pictures(self.rows(name, a, b))  # noqa: E731
        self.offer("x_t", "noisy pictures x_{t}", "the noised data the model is given",
                   lambda a, b: pictures(self._state(a, b)),
                   caption=scaled(self.scale), holds="samples", **state)
        self.offer("eps", "true noise ε", "the noise that was really added",
                   lambda a, b: signed_pictures(self._true["eps"][None]), still=True, **noise)
        self.offer("eps_hat", "guessed noise ε̂", "the noise the model sees", signed("eps"), **noise)
        self.offer("error", "error ε̂ − ε", "predicted less true noise: where the picture is ambiguous",
                   lambda a, b: signed_pictures(self._error("eps", None)(a, b)), **small)
        self.offer("x0", "clean guess x̂_{0}", "the model's guess of the data", shown("x0"), holds="samples", **state)
        self.offer("data", "clean data x_{0}", "the data", lambda a, b: pictures(self._true["x0"][None]), still=True,
                   holds="places", **state)
        self.offer("eps_exact", "best guess ε exact", "the best guess that knows the training set by heart",
                   signed("eps_exact"),
                   **noise)
        self.offer("excess", "left to learn ε̂ − ε exact", "the model less the exact denoiser of its training set",
                   lambda a, b: signed_pictures(self._error("eps", "eps_exact")(a, b)), **small)
        self.offer("x0_exact", "best clean guess x̂_{0}", "the exact denoiser's guess: a mean of training pictures",
                   shown("x0_exact"), **state)

    def shell(self, first: int, end: int) -> Scene:
        count = self.frames
        t = self.times[:count]
        alpha, sigma = self.schedule(t)
        figures = {name: np.array(values[:count]) for name, values in self._figures.items()}
        numbers = dict(t=t.numpy(), k=(t * self.schedule.T).numpy(), T=np.full(count, self.schedule.T),
                       alpha=alpha.numpy(), sigma=sigma.numpy(), log_snr=self.schedule.log_snr(t).numpy(),
                       explained=100 * (1 - figures["mse"]), possible=100 * (1 - figures["floor"]), **figures)
        # An error of ε̂ is σ/α as large an error of x̂₀; where no signal is left, as large as one likes to say.
        hard = figures["mse"] * (sigma**2 / (alpha**2).clamp(min=1e-12)).numpy() / self.variance
        cursor, x = self.times.numpy(), t.numpy()
        ends = ("t=1 noise", "t=0 data")
        charts = (
            Chart("error of the guessed noise, mean (ε̂ − ε)²: good is on the dashed floor",
                  (Series("exact denoiser", x, figures["floor"], style="dashed", palette="ink"),
                   Series("model", x, figures["mse"], palette="noise")),
                  cursor, ends=ends, flip=True),
            Chart("cosine between guessed and true noise: good is on the dashed line",
                  (Series("exact denoiser", x, figures["exact_cosine"], style="dashed", palette="ink"),
                   Series("model", x, figures["cosine"], palette="noise")),
                  cursor, ends=ends, flip=True),
            Chart("what is left to learn, mean (ε̂ − ε exact)²: lower is better",
                  (Series("excess", x, figures["excess"], palette="noise"),), cursor, log=True, ends=ends, flip=True),
            Chart(f"which is harder to tell? share of its variance that is missed, {MOST_MISSED:g} at most",
                  (Series("x̂₀", x, np.minimum(hard, MOST_MISSED)),
                   Series("ε̂", x, np.minimum(figures["mse"], MOST_MISSED), palette="noise")), cursor, ends=ends,
                  flip=True),
        )
        return Scene(
            (), {name: np.asarray(values, float)[first:end] for name, values in numbers.items()},
            clock="t = {k:.0f} / {T:.0f}",
            sentence="At t = {t:.3f} the model explains {explained:.1f} % of the noise; " + (
                "the best possible is {possible:.1f} %." if self.dataset.kind == "points" else
                "one that knew every training picture by heart would explain {possible:.1f} %."),
            formula="x_{t} = α_{t} x_{0} + σ_{t} ε",
            figures=("xₜ = {alpha:.3f} · x₀ + {sigma:.3f} · ε",
                     "mean (ε̂−ε)²  {mse:.4f}   exact {floor:.4f}", "cosine  {cosine:.4f}   exact {exact_cosine:.4f}",
                     "mean (ε̂−ε exact)²  {excess:.5f}"),
            source="core/probes/noise_error.py · mse(self.predicted.eps, self.noised.eps)", charts=charts,
            about=self.about,
        )
