"""The exact denoiser of a finite data set: ground truth in closed form.

If the data are N points y_i, each blurred by a Gaussian of standard deviation h (the bandwidth, possibly 0), then
p_t(x) = (1/N) Σ_i N(x; alpha·y_i, (alpha²h² + sigma²)·I), and everything a network tries to learn is known:

    w_i(x) = softmax_i( −|x − alpha·y_i|² / (2·(alpha²h² + sigma²)) )
    E[x0 | x_t = x] = m + (alpha·h² / (alpha²h² + sigma²))·(x − alpha·m),    m = Σ_i w_i·y_i

(Karras et al. 2022, appendix B.3 for h = 0; the Gaussian posterior of each component otherwise). No network can have a
smaller mean squared error: E|eps − eps_exact|² is the floor of the loss at t.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.forward import expand
from core.prediction import Prediction
from core.schedules import Schedule

#: Weights held at once, queries × points: 4M float64 are 32 MB.
CHUNK = 4_000_000


class Exact:
    """The denoiser that knows the data: exact(x_t, t) → Prediction.

    points: (N, ...) on the device where it will be asked; bandwidth: h above, in the units of the data.
    Distances are taken in float64: at small sigma they are divided by a very small number.
    """

    def __init__(self, points: Tensor, schedule: Schedule, bandwidth: float = 0.0):
        if len(points) == 0:
            raise ValueError("the exact denoiser needs at least 1 data point; given none")
        if bandwidth < 0:
            raise ValueError(f"bandwidth {bandwidth}; it must be at least 0")
        self.points, self.schedule, self.bandwidth = points, schedule, bandwidth
        self.target, self.labels = "x0", 0
        # Centred, so that the inner products below lose no digits to a common offset.
        flat = points.reshape(len(points), -1).to(torch.float64)
        self._centre = flat.mean(0)
        self._flat = flat - self._centre
        self._norms = (self._flat**2).sum(1)

    def _logits(self, x: Tensor, alpha: Tensor, variance: Tensor) -> Tensor:
        """−|x − alpha·y|²/(2·variance) up to a term that all y share; x (b, D) is relative to alpha·centre."""
        return (alpha[:, None] * (x @ self._flat.T) - alpha[:, None] ** 2 / 2 * self._norms) / variance[:, None]

    def _chunks(self, x_t: Tensor, t: Tensor):
        rows = max(1, CHUNK // len(self.points))
        alpha, sigma = (a.to(x_t.device).expand(len(x_t)) for a in self.schedule(t.to(torch.float64)))
        variance = (alpha**2 * self.bandwidth**2 + sigma**2).clamp(min=1e-18)
        flat = x_t.reshape(len(x_t), -1).to(torch.float64) - alpha[:, None] * self._centre
        for i in range(0, len(x_t), rows):
            yield flat[i : i + rows], alpha[i : i + rows], variance[i : i + rows]

    @torch.no_grad()
    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Prediction:
        """x_t (B, ...), t () or (B,). cond is accepted for the signature's sake and must be None."""
        if cond is not None:
            raise ValueError("the exact denoiser knows no labels; leave cond out")
        means = []
        for x, alpha, variance in self._chunks(x_t, t):
            m = torch.softmax(self._logits(x, alpha, variance), 1) @ self._flat
            pull = alpha * self.bandwidth**2 / variance
            means.append(m + pull[:, None] * (x - alpha[:, None] * m) + self._centre)
        x0 = torch.cat(means).reshape(x_t.shape)
        alpha, sigma = (expand(a, x_t).to(x_t.device, torch.float64) for a in self.schedule(t.to(torch.float64)))
        # eps in float64 too: (x_t − alpha·x0) is a small difference of large numbers near the data.
        eps = (x_t.to(torch.float64) - alpha * x0) / sigma.clamp(min=1e-9)
        return Prediction(x0.to(x_t), eps.to(x_t), alpha.to(x_t), sigma.to(x_t))

    @torch.no_grad()
    def log_density(self, x_t: Tensor, t: Tensor) -> Tensor:
        """log p_t(x_t), shape (B,), natural units: nats."""
        out = []
        for x, alpha, variance in self._chunks(x_t, t):
            logits = self._logits(x, alpha, variance) - (x**2).sum(1, keepdim=True) / (2 * variance[:, None])
            norm = x.shape[1] / 2 * torch.log(2 * math.pi * variance)
            out.append(torch.logsumexp(logits, 1) - math.log(len(self.points)) - norm)
        return torch.cat(out)
