"""A schedule is a function t → (alpha, sigma): x_t = alpha·x0 + sigma·eps, with t = 0 data and t = 1 noise.

DDPM's linear betas, the cosine, the sigmoid and rectified flow are four such functions, not four frameworks. Two numbers
say everything a sampler or a loss needs; betas exist only here and in what is shown.

Time. A discrete schedule has T steps k = 1 … T at t = k/T. Papers that count timesteps from 0 (and diffusers) call
k − 1 what is k here: their timestep 0 is our t = 1/T, and our t = 0 is the data itself, where alpha = 1, sigma = 0.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

SPACINGS = ("uniform", "leading", "log_snr")


class Schedule:
    """Base class: what every schedule can say, from its two numbers alone."""

    name: str
    T: int  #: training timesteps; what "t = 437 / 1000" counts
    discrete = False

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, sigma) at times t in [0, 1], each of t's shape and dtype."""
        raise NotImplementedError

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
        """1 − ᾱ_t / ᾱ_{t−1/T}: the share of the signal's variance lost in the last of T steps (Ho et al. 2020, eq. 2)."""
        return 1 - self.alpha_bar(t) / self.alpha_bar((t - 1 / self.T).clamp(min=0))

    @cached_property
    def _inverse(self) -> tuple[Tensor, Tensor]:
        # Ascending in log-SNR, as searchsorted wants it, and without the ends of time where it is infinite.
        t = torch.linspace(1, 0, 20 * self.T + 1, dtype=torch.float64)
        values = self.log_snr(t)
        return values[values.isfinite()], t[values.isfinite()]

    def t_at(self, log_snr: Tensor) -> Tensor:
        """The time at which the log-SNR has this value; clamped to (0, 1], or (0, 1) where no signal is left at 1."""
        values, t = self._inverse
        values, t = values.to(log_snr.device), t.to(log_snr.device)
        wanted = log_snr.to(torch.float64).contiguous()
        i = torch.searchsorted(values, wanted).clamp(1, len(values) - 1)
        share = ((wanted - values[i - 1]) / (values[i] - values[i - 1])).clamp(0, 1)
        return torch.lerp(t[i - 1], t[i], share).to(log_snr.dtype)

    def times(self, steps: int, spacing: str = "uniform", start: float = 1.0) -> Tensor:
        """A grid of steps + 1 times from `start` down to 0, float64.

        uniform  equal strides of t (diffusers' "trailing"): begins at the start itself.
        leading  equal strides counted from the data's end (diffusers' "leading", offset 0): begins *below* the start,
                 at t = (⌊T/steps⌋·(steps−1) + 1)/T, which is the known wrong start of many samplers (Lin et al. 2024).
        log_snr  equal strides of log-SNR down to t = 1/T, then 0.

        The grids "uniform" and "leading" of a discrete schedule land on its T timesteps. ValueError if steps does not fit.
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
        if spacing == "log_snr":
            ends = torch.tensor([min(start, 1 - 1e-4) if self(torch.ones(1))[0] == 0 else start, 1 / self.T],
                                dtype=torch.float64)
            high, low = self.log_snr(ends)
            inner = self.t_at(torch.linspace(float(high), float(low), steps, dtype=torch.float64))
            inner[0] = ends[0]
            return torch.cat([inner, inner.new_zeros(1)])
        if spacing == "leading":
            k = torch.arange(steps - 1, -1, -1, dtype=torch.float64) * (most // steps) + 1
            return torch.cat([k / most * start, k.new_zeros(1)])
        t = torch.linspace(start, 0, steps + 1, dtype=torch.float64)
        return (t * self.T).round() / self.T if self.discrete else t

    def start_for(self, target: str) -> float:
        """Where a walk can start: 1, or one timestep below it where a network that predicts eps cannot tell x0.

        At alpha = 0, x_t is all noise, and x0 = (x_t − sigma·eps)/alpha is 0/0 (Lin et al. 2024, section 3.3).
        """
        no_signal = float(self(torch.ones(1, dtype=torch.float64))[0]) == 0
        return 1 - 1 / self.T if no_signal and target == "eps" else 1.0

    def check(self) -> list[str]:
        """What is wrong with this schedule, one sentence each; empty if nothing is."""
        t = torch.arange(self.T + 1, dtype=torch.float64) / self.T
        alpha, sigma = self(t)
        wrong = []
        if not (torch.isfinite(alpha).all() and torch.isfinite(sigma).all()):
            return ["alpha or sigma is not a finite number everywhere in [0, 1]"]
        if (alpha < 0).any() or (sigma < 0).any():
            wrong.append("alpha or sigma is negative somewhere; both must be at least 0")
        if abs(float(alpha[0]) - 1) > 1e-3 or float(sigma[0]) > 0.05:
            wrong.append(f"at t = 0 it is not the data: alpha = {alpha[0]:.3g}, sigma = {sigma[0]:.3g}; they should be 1 and 0")
        ratio = alpha / (alpha + sigma)
        back = (ratio.diff() > 1e-12).nonzero()
        if len(back):
            wrong.append(f"not monotone: the SNR rises again after t = {float(t[back[0, 0]]):.3f}; noise must only grow")
        beta = self.beta(t[1:])
        gone = (beta[:-1] >= 1).nonzero()  # the last may be 1: no signal is left where sampling starts, as in the flow
        if len(gone):
            k = int(gone[0, 0]) + 1
            wrong.append(f"beta = {float(beta[k - 1]):.3g} at t = {float(t[k]):.3f}: no signal is left after it; "
                         "each beta before the last must be below 1")
        end = float(alpha[-1] ** 2 / sigma[-1] ** 2) if sigma[-1] > 0 else math.inf
        if end > 1e-2:
            wrong.append(
                f"terminal SNR is {end:.3g} (alpha = {float(alpha[-1]):.3g} at t = 1): signal is left where sampling starts "
                "from pure noise; it should be below 0.01. With fewer timesteps, scale the betas by 1000/T"
            )
        return wrong


class Discrete(Schedule):
    """A table of T betas: ᾱ_k = Π_{i≤k} (1 − β_i), alpha = √ᾱ, sigma = √(1 − ᾱ) (Ho et al. 2020, eq. 4).

    Exact at t = k/T. Between two timesteps the log-SNR is interpolated linearly; below t = 1/T, where it goes to
    infinity, sigma² is.
    """

    discrete = True

    def __init__(self, name: str, betas: Tensor):
        betas = betas.detach().to("cpu", torch.float64)
        if betas.ndim != 1 or len(betas) < 2:
            raise ValueError(f"betas of shape {tuple(betas.shape)}; a schedule needs a row of at least 2")
        bad = ((betas <= 0) | (betas >= 1) | ~betas.isfinite()).nonzero()
        if len(bad):
            k = int(bad[0, 0])
            raise ValueError(f"beta {float(betas[k]):.4g} at timestep {k + 1} of {len(betas)}; every beta must lie in (0, 1)")
        self.name, self.T, self.betas = name, len(betas), betas
        # Σ log(1 − β) keeps full precision near both ends, where 1 − Π does not.
        log_alpha_bar = torch.log1p(-betas).cumsum(0)
        self._log_snr = log_alpha_bar - torch.log(-torch.expm1(log_alpha_bar))
        self._sigma2_first = float(-torch.expm1(log_alpha_bar[0]))

    def __call__(self, t):
        if t.ndim == 0:  # one time for all samples, as every step of a walk has it
            alpha, sigma = self.at(t)
            return t.new_full((), alpha), t.new_full((), sigma)
        position = t.to(torch.float64) * self.T - 1  # 0 at the first timestep of the table
        log_snr = self._log_snr.to(t.device)
        k = position.floor().clamp(0, self.T - 2).long()
        l = torch.lerp(log_snr[k], log_snr[k + 1], (position - k).clamp(0, 1))
        sigma2 = torch.where(position < 0, self._sigma2_first * (position + 1).clamp(min=0), torch.sigmoid(-l))
        alpha2 = torch.where(position < 0, 1 - sigma2, torch.sigmoid(l))
        return alpha2.sqrt().to(t.dtype), sigma2.sqrt().to(t.dtype)


class Flow(Schedule):
    """Rectified flow: alpha = 1 − t, sigma = t, the straight path (Liu et al. 2022, eq. 1; Lipman et al. 2023, eq. 20).

    alpha² + sigma² is not 1 here: the path is straight instead of keeping the variance.
    """

    def __init__(self, T: int = 1000):
        self.name, self.T = "flow", T

    def __call__(self, t):
        return 1 - t, t.clone()


def linear_betas(T: int = 1000) -> Tensor:
    """Betas from 1e-4 to 0.02 (Ho et al. 2020, section 4), scaled by 1000/T so that any T ends at the same noise."""
    scale = 1000 / T
    return torch.linspace(1e-4 * scale, 0.02 * scale, T, dtype=torch.float64)


def betas_from_alpha_bar(alpha_bar, T: int, largest: float = 0.999) -> Tensor:
    """β_k = min(1 − ᾱ(k/T)/ᾱ((k−1)/T), 0.999) for a function ᾱ on [0, 1] (Nichol & Dhariwal 2021, eq. 17 and below)."""
    t = torch.arange(T + 1, dtype=torch.float64) / T
    values = alpha_bar(t)
    return (1 - values[1:] / values[:-1]).clamp(1e-12, largest)


def cosine_betas(T: int = 1000, offset: float = 0.008) -> Tensor:
    """ᾱ(t) = cos²((t + 0.008)/1.008 · π/2) over its value at 0 (Nichol & Dhariwal 2021, eq. 17)."""
    return betas_from_alpha_bar(lambda t: torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2, T)


def sigmoid_betas(T: int = 1000, start: float = -3.0, end: float = 3.0, tau: float = 1.0) -> Tensor:
    """ᾱ(t) = [σ(end/τ) − σ((t·(end−start)+start)/τ)] / [σ(end/τ) − σ(start/τ)] (Jabri et al. 2022; Chen 2023, alg. 1)."""
    def alpha_bar(t):
        first, last = torch.sigmoid(torch.tensor([start / tau, end / tau], dtype=torch.float64))
        return (last - torch.sigmoid((t * (end - start) + start) / tau)) / (last - first)

    return betas_from_alpha_bar(alpha_bar, T)


_MAKERS = {
    "cosine": lambda T: Discrete("cosine", cosine_betas(T)),
    "linear": lambda T: Discrete("linear", linear_betas(T)),
    "sigmoid": lambda T: Discrete("sigmoid", sigmoid_betas(T)),
    "flow": Flow,
}
SCHEDULES = tuple(_MAKERS)


def make_schedule(name: str, T: int = 1000) -> Schedule:
    """The schedule of that name with T training timesteps. ValueError for an unknown name or a T that cannot be."""
    if name not in _MAKERS:
        raise ValueError(f"schedule {name!r}; there are {', '.join(SCHEDULES)}")
    # Linear betas scaled by 1000/T reach 1 at T = 20.
    least = 21 if name == "linear" else 2
    if not least <= T <= 10_000:
        raise ValueError(f"T = {T} for the {name} schedule; allowed are {least} to 10000 timesteps")
    return _MAKERS[name](T)
