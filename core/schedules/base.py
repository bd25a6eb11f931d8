"""A schedule is a function t → (alpha, sigma): x_t = alpha·x0 + sigma·eps, with t = 0 data and t = 1 noise.

Two numbers say everything a sampler or a loss needs; betas exist only here and in what is shown.

Time. A discrete schedule has T steps k = 1 … T at t = k/T. Papers that count timesteps from 0 (and diffusers) call
k − 1 what is k here: their timestep 0 is our t = 1/T, and our t = 0 is the data itself, where alpha = 1, sigma = 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

SPACINGS = ("trailing", "leading", "log_snr", "edm")
#: How EDM crowds noise levels towards the data (Karras et al. 2022, eq. 5 and appendix D.1).
RHO = 7


class Schedule:
    """Base class: what every schedule can say, from its two numbers alone."""

    name: str
    T: int  #: training timesteps; what "t = 437 / 1000" counts
    discrete = False
    #: what to do where signal is left at t = 1, see `check`
    more_noise = "let alpha fall further, or sigma grow"

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, sigma) at times t in [0, 1], each of t's shape and dtype."""
        raise NotImplementedError

    def __deepcopy__(self, memo: dict) -> Schedule:
        """Itself: nothing in it ever changes, and what it has seen is long to copy with every average of a network."""
        return self

    def at(self, t: Tensor | float) -> tuple[float, float]:
        """(alpha, sigma) at one time, as Python floats in full precision: what a step's coefficients are made of."""
        t = float(t)
        seen = self._seen
        if t not in seen:
            alpha, sigma = self(torch.tensor([t], dtype=torch.float64))
            seen[t] = float(alpha), float(sigma)
        return seen[t]

    @cached_property
    def _seen(self) -> dict[float, tuple[float, float]]:
        # A walk asks for the same few times again and again, and a table look-up with tensors costs as much as a step.
        # All T timesteps together cost no more than two of them one by one.
        t = torch.arange(self.T + 1, dtype=torch.float64) / self.T
        alpha, sigma = self(t)
        return dict(zip(t.tolist(), zip(alpha.tolist(), sigma.tolist())))

    def log_snr(self, t: Tensor) -> Tensor:
        """log(alpha² / sigma²); +inf at t = 0, and −inf where no signal is left."""
        alpha, sigma = self(t)
        return 2 * (alpha.log() - sigma.log())

    def snr(self, t: Tensor) -> Tensor:
        """alpha² / sigma² (Kingma et al. 2021, eq. 4)."""
        alpha, sigma = self(t)
        return alpha**2 / sigma**2

    def alpha_bar(self, t: Tensor) -> Tensor:
        """alpha², which the DDPM paper calls ᾱ_t (Ho et al. 2020, eq. 4)."""
        return self(t)[0] ** 2

    def beta(self, t: Tensor) -> Tensor:
        """1 − ᾱ_t / ᾱ_{t−1/T}: the share of the signal's variance lost in the last of T steps (Ho et al. 2020, eq. 2).

        0 at all times where the signal itself is never made smaller (exploding variance).
        """
        return 1 - self.alpha_bar(t) / self.alpha_bar((t - 1 / self.T).clamp(min=0))

    @cached_property
    def _inverse(self) -> tuple[Tensor, Tensor]:
        # Ascending in log-SNR, as searchsorted wants it, and without the ends of time where it is infinite.
        t = torch.linspace(1, 0, 20 * self.T + 1, dtype=torch.float64)
        values = self.log_snr(t)
        return values[values.isfinite()], t[values.isfinite()]

    def t_at(self, log_snr: Tensor) -> Tensor:
        """The time at which the log-SNR has this value; clamped to (0, 1], or (0, 1) where no signal is left at 1.

        Here from a table of 20·T values; schedules whose formula can be turned round do that.
        """
        values, t = self._inverse
        values, t = values.to(log_snr.device), t.to(log_snr.device)
        wanted = log_snr.to(torch.float64).contiguous()
        i = torch.searchsorted(values, wanted).clamp(1, len(values) - 1)
        share = ((wanted - values[i - 1]) / (values[i] - values[i - 1])).clamp(0, 1)
        return torch.lerp(t[i - 1], t[i], share).to(log_snr.dtype)

    def times(self, steps: int, spacing: str = "trailing", start: float = 1.0) -> Tensor:
        """A grid of steps + 1 times from `start` down to 0, float64.

        trailing  equal strides of t: begins at the start itself.
        leading  equal strides counted from the data's end (diffusers' "leading", offset 0): begins *below* the start,
                 at t = (⌊T/steps⌋·(steps−1) + 1)/T, which is the known wrong start of many samplers (Lin et al. 2024).
        log_snr  equal strides of log-SNR down to t = 1/T, then 0.
        edm      equal strides of (sigma/alpha)^(1/7) down to t = 1/T, then 0 (Karras et al. 2022, eq. 5).

        The grids "trailing" and "leading" of a discrete schedule land on its T timesteps. ValueError if steps does not
        fit.
        """
        if spacing not in SPACINGS:
            raise ValueError(f"spacing is {spacing!r}; it can be {', '.join(SPACINGS)}")
        if not 0 < start <= 1:
            raise ValueError(f"start is {start}; a walk starts at a time in (0, 1]")
        most = self.T
        if self.discrete:  # begin at a timestep, and there are only so many below it
            most = max(1, round(start * self.T))
            start = most / self.T
        if not 1 <= steps <= most:
            raise ValueError(f"{steps} sampling steps asked for from t = {start:g}; "
                             f"a schedule of T = {self.T} timesteps allows 1 to {most} from there")
        if spacing in ("log_snr", "edm"):
            ends = torch.tensor([min(start, 1 - 1e-4) if self(torch.ones(1))[0] == 0 else start, 1 / self.T],
                                dtype=torch.float64)
            high, low = self.log_snr(ends)
            if spacing == "log_snr":
                levels = torch.linspace(float(high), float(low), steps, dtype=torch.float64)
            else:
                first, last = (math.exp(-float(l) / (2 * RHO)) for l in (high, low))
                levels = -2 * RHO * torch.linspace(first, last, steps, dtype=torch.float64).log()
            inner = self.t_at(levels)
            inner[0] = ends[0]
            return torch.cat([inner, inner.new_zeros(1)])
        if spacing == "leading":
            k = torch.arange(steps - 1, -1, -1, dtype=torch.float64) * (most // steps) + 1
            return torch.cat([k / most * start, k.new_zeros(1)])
        t = torch.linspace(start, 0, steps + 1, dtype=torch.float64)
        return (t * self.T).round() / self.T if self.discrete else t

    def start_for(self, prediction_type: str) -> float:
        """Where a walk can start: 1, or one timestep below it where a network that predicts eps cannot tell x0.

        At alpha = 0, x_t is all noise, and x0 = (x_t − sigma·eps)/alpha is 0/0 (Lin et al. 2024, section 3.3).
        """
        no_signal = float(self(torch.ones(1, dtype=torch.float64))[0]) == 0
        return 1 - 1 / self.T if no_signal and prediction_type == "eps" else 1.0

    def check(self) -> list[str]:
        """What is wrong with this schedule and what it should be, one sentence each; empty if nothing is."""
        t = torch.arange(self.T + 1, dtype=torch.float64) / self.T
        alpha, sigma = self(t)
        wrong = []
        if not (torch.isfinite(alpha).all() and torch.isfinite(sigma).all()):
            return ["alpha or sigma is not a finite number everywhere in [0, 1]"]
        if (alpha < 0).any() or (sigma < 0).any():
            wrong.append("alpha or sigma is negative somewhere; both must be at least 0")
        if abs(float(alpha[0]) - 1) > 1e-3 or float(sigma[0]) > 0.05:
            wrong.append(f"at t = 0 it is not the data: alpha = {alpha[0]:.3g}, sigma = {sigma[0]:.3g}; "
                         "they should be 1 and 0")
        ratio = alpha / (alpha + sigma)
        back = (ratio.diff() > 1e-12).nonzero()
        if len(back):
            wrong.append(f"not monotone: the SNR rises again after t = {float(t[back[0, 0]]):.3f}; "
                         "noise must only grow")
        beta = self.beta(t[1:])
        gone = (beta[:-1] >= 1).nonzero()  # the last may be 1: no signal is left where sampling starts, as in the flow
        if len(gone):
            k = int(gone[0, 0]) + 1
            wrong.append(f"beta = {float(beta[k - 1]):.3g} at t = {float(t[k]):.3f}: no signal is left after it; "
                         "each beta before the last must be below 1")
        end = float(alpha[-1] ** 2 / sigma[-1] ** 2) if sigma[-1] > 0 else math.inf
        if end > 1e-2:
            wrong.append(
                f"terminal SNR is {end:.3g} (alpha = {float(alpha[-1]):.3g} at t = 1): signal is left where sampling "
                f"starts from pure noise; it should be below 0.01: {self.more_noise}"
            )
        return wrong


@dataclass(frozen=True)
class Named:
    """A schedule that has a name: how it is made of T timesteps, what people read, and the fewest it can have."""

    make: Callable[[int], Schedule]
    title: str
    least: int = 2


#: name → the schedule; `named` fills it.
NAMED: dict[str, Named] = {}


Make = TypeVar("Make", bound=Callable[[int], Schedule])


def named(name: str, title: str | None = None, least: int = 2) -> Callable[[Make], Make]:
    """Above what makes a schedule of T timesteps, a class or a function: it can then be asked for by this name.

    title   what people read, the name itself unless given
    least   the fewest timesteps that it can have
    """
    def register(make: Make) -> Make:
        if name in NAMED:
            raise ValueError(f"there is a schedule {name!r} already; name this one otherwise")
        NAMED[name] = Named(make, title or name, least)
        return make

    return register
