"""Schedules that are tables of T betas, as DDPM's is: linear, cosine, sigmoid, and linear down to no signal at all.

Two more are there to be looked at: DDPM's betas, not scaled to fewer timesteps, since much code has them so; and the
largest of them first.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .base import Schedule, named


class Discrete(Schedule):
    """A table of T betas: ᾱ_k = Π_{i≤k} (1 − β_i), alpha = √ᾱ, sigma = √(1 − ᾱ) (Ho et al. 2020, eq. 4).

    Exact at t = k/T. Between two timesteps the log-SNR is interpolated linearly; below t = 1/T, where it goes to
    infinity, sigma² is.
    """

    discrete = True
    more_noise = "with fewer timesteps than the betas were made for, scale the betas by 1000/T"

    def __init__(self, name: str, betas: Tensor):
        betas = betas.detach().to("cpu", torch.float64)
        if betas.ndim != 1 or len(betas) < 2:
            raise ValueError(f"betas of shape {tuple(betas.shape)}; a schedule needs a row of at least 2")
        bad = ((betas <= 0) | (betas >= 1) | ~betas.isfinite()).nonzero()
        if len(bad):
            k = int(bad[0, 0])
            raise ValueError(f"beta {float(betas[k]):.4g} at timestep {k + 1} of {len(betas)}; "
                             "every beta must lie in (0, 1)")
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

    def t_at(self, log_snr):
        wanted = log_snr.to(torch.float64)
        table = self._log_snr.flip(0).to(log_snr.device)  # ascending, as searchsorted wants it
        i = torch.searchsorted(table, wanted.contiguous()).clamp(1, self.T - 1)
        position = self.T - i + ((table[i] - wanted) / (table[i] - table[i - 1])).clamp(0, 1)
        first = torch.sigmoid(-wanted) / self._sigma2_first  # below the table sigma² is a line
        return (torch.where(wanted > table[-1], first, position) / self.T).clamp(1 / (20 * self.T), 1).to(log_snr.dtype)


class ZeroTerminalSNR(Schedule):
    """A table of betas, moved and stretched so that no signal is left at t = 1 (Lin et al. 2024, algorithm 1).

    alpha'_k = (alpha_k − alpha_T)·alpha_1/(alpha_1 − alpha_T), sigma' = √(1 − alpha'²). The first timestep stays, the
    last is pure noise, which is where sampling starts from anyway. Between timesteps the formula holds as well; below
    the first, the table's own interpolation. A network that predicts eps says nothing of x0 at t = 1 (see `start_for`),
    and next to nothing just below, where alpha is 1e-4: its errors are divided by it. Train for v here, as they do.
    """

    discrete = True

    def __init__(self, name: str, table: Discrete):
        self.name, self.T, self.table = name, table.T, table
        self._first, self._last = table.at(1 / table.T)[0], table.at(1.0)[0]

    def __call__(self, t):
        if t.ndim == 0:  # one time for all samples, as every step of a walk has it
            alpha, sigma = self.at(t)
            return t.new_full((), alpha), t.new_full((), sigma)
        time = t.to(torch.float64)
        alpha, sigma = self.table(time)
        stretched = (alpha - self._last) * self._first / (self._first - self._last)
        stretched = torch.where(time < 1, stretched, 0)
        below = time * self.T <= 1
        alpha = torch.where(below, alpha, stretched)
        return alpha.to(t.dtype), torch.where(below, sigma, (1 - alpha**2).sqrt()).to(t.dtype)

    def t_at(self, log_snr):
        wanted = log_snr.to(torch.float64)
        alpha = torch.sigmoid(wanted).sqrt()
        before = alpha * (self._first - self._last) / self._first + self._last  # what it was, before it was stretched
        twin = torch.where(alpha > self._first, wanted, 2 * before.log() - torch.log1p(-(before**2)))
        return self.table.t_at(twin).clamp(max=1 - 1 / (20 * self.T)).to(log_snr.dtype)


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
    """ᾱ(t) = [σ(end/τ) − σ((t·(end−start)+start)/τ)] / [σ(end/τ) − σ(start/τ)].

    σ is the logistic function (Jabri et al. 2022; Chen 2023, algorithm 1).
    """
    def alpha_bar(t):
        first, last = torch.sigmoid(torch.tensor([start / tau, end / tau], dtype=torch.float64))
        return (last - torch.sigmoid((t * (end - start) + start) / tau)) / (last - first)

    return betas_from_alpha_bar(alpha_bar, T)


@named("cosine")
def _cosine(T: int) -> Schedule:
    return Discrete("cosine", cosine_betas(T))


@named("linear", "linear β", least=21)  # betas scaled by 1000/T reach 1 at T = 20
def _linear(T: int) -> Discrete:
    return Discrete("linear", linear_betas(T))


@named("sigmoid")
def _sigmoid(T: int) -> Schedule:
    return Discrete("sigmoid", sigmoid_betas(T))


@named("zero_snr", "zero SNR", least=21)
def _zero_snr(T: int) -> Schedule:
    return ZeroTerminalSNR("zero_snr", _linear(T))


@named("unscaled", "linear β, unscaled")
def _unscaled(T: int) -> Schedule:
    """1e-4 … 0.02 as they were written for T = 1000, whatever T is: with few timesteps most of the data is left."""
    return Discrete("unscaled", torch.linspace(1e-4, 0.02, T, dtype=torch.float64))


@named("reversed", "linear β, largest first", least=21)
def _reversed(T: int) -> Schedule:
    """The betas of linear, the largest first: ᾱ_T is the same product, and half way far less of the data is left."""
    return Discrete("reversed", linear_betas(T).flip(0))
