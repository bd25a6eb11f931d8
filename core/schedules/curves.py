"""Schedules that are formulas in t: rectified flow, EDM's exploding variance, and a curve drawn by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .base import RHO, Schedule, named


@named("flow", "rectified flow")
class Flow(Schedule):
    """Rectified flow: alpha = 1 − t, sigma = t, the straight path (Liu et al. 2022, eq. 1; Lipman et al. 2023, eq. 20).

    alpha² + sigma² is not 1 here: the path is straight instead of keeping the variance.
    """

    def __init__(self, T: int = 1000):
        self.name, self.T = "flow", T

    def __call__(self, t):
        return 1 - t, t.clone()

    def t_at(self, log_snr):
        least = 1 / (20 * self.T)
        return torch.sigmoid(-log_snr.to(torch.float64) / 2).clamp(least, 1 - least).to(log_snr.dtype)


@named("ve", "VE (EDM)")
class VarianceExploding(Schedule):
    """EDM's: alpha = 1, the data stay as they are and drown in noise of sigma from 0.002 to 80 (Karras et al. 2022).

    sigma(t) = (sigma_min^(1/ρ) + u·(sigma_max^(1/ρ) − sigma_min^(1/ρ)))^ρ with ρ = 7, u = (T·t − 1)/(T − 1): at t = k/T
    it is their grid of T steps (eq. 5). Below t = 1/T sigma falls to 0 along a line. x_t is as large as its noise:
    √(alpha² + sigma²) is 80 at t = 1, and the SNR there is 1/6400, not 0.
    """

    def __init__(self, T: int = 1000, sigma_min: float = 0.002, sigma_max: float = 80.0):
        self.name, self.T = "ve", T
        self.sigma_min, self.sigma_max = sigma_min, sigma_max
        self._low, self._high = sigma_min ** (1 / RHO), sigma_max ** (1 / RHO)

    def __call__(self, t):
        time = t.to(torch.float64)
        u = ((self.T * time - 1) / (self.T - 1)).clamp(min=0)
        sigma = (self._low + u * (self._high - self._low)) ** RHO * (self.T * time).clamp(max=1)
        return torch.ones_like(t), sigma.to(t.dtype)

    def t_at(self, log_snr):
        sigma = torch.exp(-log_snr.to(torch.float64) / 2).clamp(max=self.sigma_max)
        u = (sigma ** (1 / RHO) - self._low) / (self._high - self._low)
        t = torch.where(u < 0, sigma / self.sigma_min, 1 + u * (self.T - 1)) / self.T
        return t.clamp(1 / (20 * self.T), 1).to(log_snr.dtype)


class Drawn(Schedule):
    """Through knots (t, log-SNR), along straight lines between them; alpha² + sigma² = 1 (Kingma et al. 2021, eq. 3).

    alpha² = 1/(1 + exp(−l)), sigma² = 1/(1 + exp(l)) for log-SNR l. Below t = 1/T, where l goes to infinity, sigma²
    is a line down to 0. The name says all: "drawn:0,8;0.5,0;1,-9" goes through (0, 8), (0.5, 0) and (1, −9), and
    `make_schedule` reads it; knots are kept to 4 digits so that it reads back as the same.

    knots   2 to 12 pairs, t ascending from 0 to 1, log-SNR descending within −20 … 20, positive at first and negative
            at last. ValueError names the knot that cannot be. Whether the curve is a good one, `check` says
    """

    PREFIX, MOST, LIMIT = "drawn:", 12, 20.0
    more_noise = "draw the last knot down to a log-SNR of −4.7 or lower"  # log 0.01 = −4.605

    def __init__(self, knots: Sequence[tuple[float, float]], T: int = 1000):
        self.knots = tuple((float(f"{t:.4g}"), float(f"{l:.4g}")) for t, l in knots)
        self._validate()
        self.name = self.PREFIX + ";".join(f"{t:.4g},{l:.4g}" for t, l in self.knots)
        self.T = T
        self._t, self._l = (torch.tensor(column, dtype=torch.float64) for column in zip(*self.knots))

    @classmethod
    def read(cls, name: str, T: int = 1000) -> Drawn:
        """The schedule of that name. ValueError if it is no row of knots."""
        pairs = [pair.split(",") for pair in name.removeprefix(cls.PREFIX).split(";")]
        try:
            knots = [(float(t), float(l)) for t, l in pairs]
        except ValueError:
            raise ValueError(f"schedule {name[:60]!r}; a drawn one is written as drawn:0,8;0.5,0;1,-9, with t and "
                             "log-SNR of each knot") from None
        return cls(knots, T)

    def _validate(self):
        if not 2 <= len(self.knots) <= self.MOST:
            raise ValueError(f"{len(self.knots)} knots; a drawn schedule has 2 to {self.MOST}")
        for t, l in self.knots:
            if not (0 <= t <= 1 and abs(l) <= self.LIMIT):
                raise ValueError(f"knot ({t:g}, {l:g}); t lies in [0, 1] and log-SNR within "
                                 f"−{self.LIMIT:g} … {self.LIMIT:g}")
        (first, high), (last, low) = self.knots[0], self.knots[-1]
        if (first, last) != (0, 1):
            raise ValueError(f"knots from t = {first:g} to {last:g}; the first stands at t = 0 and the last at t = 1")
        if not high > 0 > low:
            raise ValueError(f"log-SNR from {high:g} to {low:g}; it begins above 0, with more signal than noise, "
                             "and ends below 0")
        for (t, l), (s, m) in zip(self.knots, self.knots[1:]):
            if s <= t or m >= l:
                raise ValueError(f"knot ({s:g}, {m:g}) after ({t:g}, {l:g}); from knot to knot t must grow and "
                                 "log-SNR fall, since noise only grows")

    def __call__(self, t):
        time = t.to(torch.float64)
        knots, levels = self._t.to(t.device), self._l.to(t.device)
        inside = time.clamp(min=1 / self.T).contiguous()
        i = torch.searchsorted(knots, inside).clamp(1, len(knots) - 1)
        share = (inside - knots[i - 1]) / (knots[i] - knots[i - 1])
        l = torch.lerp(levels[i - 1], levels[i], share)
        sigma2 = torch.sigmoid(-l) * (time * self.T).clamp(max=1)
        alpha2 = torch.where(time < inside, 1 - sigma2, torch.sigmoid(l))
        return alpha2.sqrt().to(t.dtype), sigma2.sqrt().to(t.dtype)
