"""The exact denoiser of a finite data set: ground truth in closed form.

If the data are N points y_i, each blurred by a Gaussian of standard deviation h (the bandwidth, possibly 0), then
p_t(x) = (1/N) Σ_i N(x; alpha·y_i, (alpha²h² + sigma²)·I), and everything a network tries to learn is known:

    w_i(x) = softmax_i( −|x − alpha·y_i|² / (2·(alpha²h² + sigma²)) )
    E[x0 | x_t = x] = m + (alpha·h² / (alpha²h² + sigma²))·(x − alpha·m),    m = Σ_i w_i·y_i

(Karras et al. 2022, appendix B.3 for h = 0; the Gaussian posterior of each component otherwise). No network can have a
smaller mean squared error: E|eps − eps_exact|² is the floor of the loss at t.

If the points have labels, p_t(x | c) is the same sum over the points called c alone, and by Bayes' rule
p(c | x_t = x) = Σ_{i: c_i = c} w_i(x): the best classifier of noised data there is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from core.datasets import Dataset
from core.denoisers.embeddings import Labels, label_counts
from core.forward import expand
from core.prediction import Prediction
from core.schedules import Schedule

#: Weights held at once, queries × points: 4M float64 are 32 MB.
CHUNK = 4_000_000


class Exact:
    """The denoiser that knows the data: exact(x_t, t, cond=None) → Prediction.

    points      (N, ...) on the device where it will be asked
    bandwidth   h above, in the units of the data
    cond        what each point is called: int64 (N,), or (N, K) for K conditions; None without labels
    labels      how many classes each condition has, as a `Denoiser` says it; 0 without labels
    centred     the points' mean (D,) and what they differ from it by (N, D), float64, where somebody has them already

    Distances are taken in float64: at small sigma they are divided by a very small number.
    """

    def __init__(self, points: Tensor, schedule: Schedule, bandwidth: float = 0.0, cond: Tensor | None = None,
                 labels: Labels = 0, centred: tuple[Tensor, Tensor] | None = None):
        if len(points) == 0:
            raise ValueError("the exact denoiser needs at least 1 data point; given none")
        if bandwidth < 0:
            raise ValueError(f"bandwidth {bandwidth}; it must be at least 0")
        self.points, self.schedule, self.bandwidth = points, schedule, bandwidth
        self.target, self.labels, self._nulls = "x0", labels, label_counts(labels)
        self._called = None if cond is None else cond.reshape(len(points), -1)  # (N, K)
        # Centred, so that the inner products below lose no digits to a common offset.
        if centred is None:
            flat = points.reshape(len(points), -1).to(torch.float64)
            centred = flat.mean(0), flat - flat.mean(0)
        self._centre, self._flat = centred
        self._norms = (self._flat**2).sum(1)

    @classmethod
    def of(cls, dataset: Dataset, schedule: Schedule) -> Exact:
        """That of a data set, with its labels. All of one data set share the float64 rows, which may be large."""
        return cls(dataset.x0, schedule, dataset.bandwidth, dataset.cond, dataset.classes, dataset.centred)

    def _logits(self, x: Tensor, alpha: Tensor, variance: Tensor) -> Tensor:
        """−|x − alpha·y|²/(2·variance) up to a term that all y share; x (b, D) is relative to alpha·centre."""
        return (alpha[:, None] * (x @ self._flat.T) - alpha[:, None] ** 2 / 2 * self._norms) / variance[:, None]

    def _chunks(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Iterator[tuple[Tensor, ...]]:
        """By chunks: x relative to alpha·centre, alpha, variance, and the points' logits, −inf for those not asked."""
        rows = max(1, CHUNK // len(self.points))
        alpha, sigma = (a.to(x_t.device).expand(len(x_t)) for a in self.schedule(t.to(torch.float64)))
        variance = (alpha**2 * self.bandwidth**2 + sigma**2).clamp(min=1e-18)
        flat = x_t.reshape(len(x_t), -1).to(torch.float64) - alpha[:, None] * self._centre
        for i in range(0, len(x_t), rows):
            part = flat[i : i + rows], alpha[i : i + rows], variance[i : i + rows]
            logits = self._logits(*part)
            if cond is not None:
                cond = cond.expand(len(x_t), *cond.shape[1:])
                logits = logits.masked_fill(~self._asked(cond[i : i + rows]), -math.inf)
            yield *part, logits

    def _asked(self, cond: Tensor) -> Tensor:
        """Which points are called what each of cond (b,) or (b, K) asks for, bool (b, N). ValueError if none is."""
        if self._called is None:
            raise ValueError("the exact denoiser knows no labels; leave cond out, or make it with Exact.of(dataset)")
        cond, nulls = cond.reshape(len(cond), -1), self._nulls
        if cond.shape[1] != len(nulls):
            raise ValueError(f"labels for {cond.shape[1]} conditions; these data have {len(nulls)}")
        asked = torch.ones(len(cond), len(self.points), dtype=torch.bool, device=cond.device)
        for wanted, called, null in zip(cond.T, self._called.T, nulls):
            asked &= (wanted[:, None] == called) | (wanted == null)[:, None]
        if not asked.any(1).all():
            nobody = cond[~asked.any(1)][0].tolist()
            raise ValueError(f"no data point is called {', '.join(map(str, nobody))}, so there is no exact denoiser "
                             "for it; ask for labels that occur")
        return asked

    @torch.no_grad()
    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Prediction:
        """x_t (B, ...), t () or (B,), cond (B,) or (B, K) or None: only points so called count, a null label is any.

        ValueError for labels that no point has.
        """
        means = []
        for x, alpha, variance, logits in self._chunks(x_t, t, cond):
            m = torch.softmax(logits, 1) @ self._flat
            pull = alpha * self.bandwidth**2 / variance
            means.append(m + pull[:, None] * (x - alpha[:, None] * m) + self._centre)
        x0 = torch.cat(means).reshape(x_t.shape)
        alpha, sigma = (expand(a, x_t).to(x_t.device, torch.float64) for a in self.schedule(t.to(torch.float64)))
        # eps in float64 too: (x_t − alpha·x0) is a small difference of large numbers near the data.
        eps = (x_t.to(torch.float64) - alpha * x0) / sigma.clamp(min=1e-9)
        return Prediction(x0.to(x_t), eps.to(x_t), alpha.to(x_t), sigma.to(x_t))

    @torch.no_grad()
    def log_density(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """log p_t(x_t), or log p_t(x_t | cond), shape (B,), natural units: nats."""
        out = []
        for x, _, variance, logits in self._chunks(x_t, t, cond):
            logits = logits - (x**2).sum(1, keepdim=True) / (2 * variance[:, None])
            norm = x.shape[1] / 2 * torch.log(2 * math.pi * variance)
            count = logits.isfinite().sum(1).double()
            out.append(torch.logsumexp(logits, 1) - count.log() - norm)
        return torch.cat(out)

    def log_posterior(self, x_t: Tensor, t: Tensor, condition: int = 0) -> Tensor:
        """log p(c | x_t) for each class c of a condition, (B, classes), float64; −inf for a class that no point has.

        Differentiable in x_t: its gradient is the score given c less the score. ValueError without such a condition.
        """
        if self._called is None or not 0 <= condition < len(self._nulls):
            raise ValueError(f"condition {condition}; the data have {len(self._nulls)}, counted from 0")
        called, classes = self._called[:, condition], self._nulls[condition]
        out = []
        for *_, logits in self._chunks(x_t, t):
            own = [torch.logsumexp(logits[:, called == c], 1) for c in range(classes)]
            out.append(torch.stack(own, 1) - torch.logsumexp(logits, 1, keepdim=True))
        return torch.cat(out)

    @torch.no_grad()
    def posterior_slope(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """∇ log p(cond | x_t) with respect to x_t, of its shape: alpha/(alpha²h² + sigma²)·(m_cond − m).

        m is the mean above of all points, m_cond that of those so called. The gradient of `log_posterior`, without
        keeping weights for a way back. ValueError for labels that no point has.
        """
        slopes = []
        for (_, alpha, variance, told), (*_, logits) in zip(self._chunks(x_t, t, cond), self._chunks(x_t, t)):
            apart = (torch.softmax(told, 1) - torch.softmax(logits, 1)) @ self._flat
            slopes.append((alpha / variance)[:, None] * apart)
        return torch.cat(slopes).reshape(x_t.shape).to(x_t)
