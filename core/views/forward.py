"""Data dissolving into noise: the forward process, in one jump and step by step."""

from __future__ import annotations

import numpy as np
import torch

from ..forward import forward_walk, noised
from ..scene import Chart, Scene, Series
from .base import (
    NOISE_VIEW, PATHS, STATE_VIEW, View, density, over, pictures, scaled, signed_pictures, spread,
    state_scale,
)

#: What a panel of small steps is, for points and pictures alike.
WALKED = "each step adds fresh noise to the last; another path, the same distribution"


class ForwardView(View):
    """Frames at `frames` times from 0 to 1: x_t by the closed form, and x_t by small steps with fresh noise in each.

    On a discrete schedule the times are timesteps k/T; there are then no more than T + 1.
    """

    def __init__(self, dataset, schedule, samples: int, seed: int, frames: int = 101, about: dict | None = None):
        self.dataset, self.schedule, self.about = dataset, schedule, about or {}
        generator = torch.Generator().manual_seed(seed)
        self.x0 = dataset.draw(samples, generator)[0]
        self.eps = torch.randn(self.x0.shape, generator=generator)
        self.t = torch.linspace(0, 1, frames, dtype=torch.float64)
        if schedule.discrete:
            self.t = (self.t * schedule.T).round().div(schedule.T).unique()
        self.alpha, self.sigma = schedule(self.t)
        self.scale = state_scale(schedule, self.t)
        self._problems = tuple(f"! {problem}" for problem in schedule.check())
        _, square, _, d = spread(dataset)
        #: standard deviation of x_t over data and noise, in each coordinate: √(alpha²·Var + sigma²)
        self.spread = (self.alpha**2 * square / d + self.sigma**2).sqrt()
        self._step_seed = seed + 1
        self._stepwise: torch.Tensor | None = None
        self.offers = {}
        (self._offer_points if dataset.kind == "points" else self._offer_pictures)()

    @property
    def frames(self) -> int:
        return len(self.t)

    @property
    def nbytes(self) -> int:
        return 2 * self.x0.nbytes + (self._stepwise.nbytes if self._stepwise is not None else 0)

    legend = ("ink", "what is there: data, x_{t}"), ("noise", "the share of noise")

    def jump(self, first: int, end: int) -> torch.Tensor:
        """x_t by the closed form."""
        return torch.stack([noised(self.schedule, self.x0, t, self.eps).x_t for t in self.t[first:end]])

    def stepwise(self, first: int, end: int) -> torch.Tensor:
        """x_t by small steps."""
        if self._stepwise is None:
            generator = torch.Generator().manual_seed(self._step_seed)
            walked = forward_walk(self.schedule, self.x0, self.t[1:], generator)
            self._stepwise = torch.stack([self.x0, *walked])
        return self._stepwise[first:end]

    def _shown(self, make):
        """States as they are shown."""
        return lambda first, end: over(make(first, end), self.scale[first:end])

    def _offer_points(self):
        state = dict(kind="points", range=(-STATE_VIEW, STATE_VIEW), palette="ink",
                     caption=scaled(self.scale, view=STATE_VIEW), holds="samples")
        jump, stepwise = self._shown(self.jump), self._shown(self.stepwise)
        self.default = ("x_t", "walked", "paths", "density")
        self.offer("x_t", "one jump x_{t}", "α·x0 + σ·ε with one ε for all t: the closed form", jump, **state)
        self.offer("walked", "step by step x_{t}", WALKED, stepwise, **state)
        if (self.scale > 1).any():
            widest = 3 * float(self.spread.max())
            self.offer("true_size", "at its true size x_{t}", "the state as it is, not divided by its size", self.jump,
                       **{**state, "range": (-widest, widest), "caption": ""})
        paths = dict(kind="paths", range=(-STATE_VIEW, STATE_VIEW), palette="ink",
                     caption=scaled(self.scale, f"{PATHS} of {len(self.x0):,}"),
                     backdrop=self.dataset.x0.numpy(), holds="places")
        self.offer("paths", "paths, one jump", "the way of some points when ε stays the same",
                   lambda a, b: jump(a, b)[:, :PATHS], **paths)
        self.offer("walked_paths", "paths, step by step", "the way of some points when every step draws fresh noise",
                   lambda a, b: stepwise(a, b)[:, :PATHS], **paths)
        self.offer("density", "density p_{t}", "the density of x_t, exact, over its own maximum at each t",
                   lambda a, b: density(self.dataset.x0, self.dataset.bandwidth, self.alpha[a:b] / self.scale[a:b],
                                        self.sigma[a:b] / self.scale[a:b], STATE_VIEW),
                   kind="heat", range=(0.0, 1.0), palette="magnitude", caption=scaled(self.scale, "p / max p"))
        self.offer("eps", "noise ε", "the noise itself: standard normal", lambda a, b: self.eps[None], still=True,
                   kind="points", range=(-NOISE_VIEW, NOISE_VIEW), palette="ink")
        self.offer("x0", "clean data x_{0}", "the data", lambda a, b: self.x0[None], still=True, kind="points",
                   range=(-STATE_VIEW, STATE_VIEW), palette="ink", holds="samples")

    def _offer_pictures(self):
        data = dict(kind="images", range=(-1.0, 1.0), palette="data", holds="samples")
        state = data | dict(caption=scaled(self.scale))
        jump, stepwise = self._shown(self.jump), self._shown(self.stepwise)
        self.default = ("x_t", "walked", "eps")
        self.offer("x_t", "one jump x_{t}", "α·x0 + σ·ε with one ε for all t: the closed form",
                   lambda a, b: pictures(jump(a, b)), **state)
        self.offer("walked", "step by step x_{t}", WALKED, lambda a, b: pictures(stepwise(a, b)), **state)
        self.offer("eps", "noise ε", "the noise itself: standard normal", lambda a, b: signed_pictures(self.eps[None]),
                   still=True, kind="images", range=(-3.0, 3.0), palette="signed")
        self.offer("x0", "clean data x_{0}", "the data", lambda a, b: pictures(self.x0[None]), still=True, **data)

    def shell(self, first: int, end: int) -> Scene:
        t, alpha, sigma = self.t, self.alpha, self.sigma
        inner = t > 0
        log_snr = self.schedule.log_snr(t)
        beta = inner * self.schedule.beta(t.clamp(min=1 / self.schedule.T))  # nothing is lost at the data itself
        numbers = dict(t=t, k=t * self.schedule.T, T=torch.full_like(t, self.schedule.T), alpha=alpha, sigma=sigma,
                       alpha_bar=alpha**2, snr=alpha**2 / sigma**2, log_snr=log_snr, beta=beta)
        finite = inner & log_snr.isfinite()
        x = t.numpy()
        ends = ("t=0 data", "t=1 noise")
        charts = (
            Chart("share of the data α and of the noise σ: at the end there should be no data left",
                  (Series("α", x, alpha.numpy(), palette="ink"), Series("σ", x, sigma.numpy(), palette="noise")), x,
                  ends=ends),
            Chart("signal over noise, log SNR: a straight way down spends no step in vain",
                  (Series("log SNR", t[finite].numpy(), log_snr[finite].numpy(), palette="ink"),), x, ends=ends),
            Chart("variance lost in each of T steps, β",
                  (Series("β", t[inner].numpy(), beta[inner].numpy(), palette="ink"),), x, log=True, ends=ends),
            Chart("how wide the cloud is, standard deviation of x_{t}: noise alone has 1",
                  (Series("noise", x[[0, -1]], np.ones(2), style="dashed", palette="noise"),
                   Series("x_{t}", x, self.spread.numpy(), palette="ink")), x, log=bool((self.scale > 1).any()),
                  ends=ends),
        )
        return Scene(
            (), {name: values[first:end].double().numpy() for name, values in numbers.items()},
            clock="t = {k:.0f} / {T:.0f}",
            sentence="At t = {t:.3f} it is {alpha:.3f} times the data plus {sigma:.3f} times noise: SNR = {snr:.3g}.",
            formula="x_{t} = α_{t} x_{0} + σ_{t} ε",
            figures=("xₜ = {alpha:.4f} · x₀ + {sigma:.4f} · ε",
                     "ᾱₜ = {alpha_bar:.4f}   log SNR = {log_snr:.2f}   βₜ = {beta:.5f}", *self._problems),
            source="core/forward.py · alpha * x0 + sigma * eps", charts=charts, about=self.about,
        )
