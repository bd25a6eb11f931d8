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
from torch.autograd.function import once_differentiable

from ..buffers import scratch, slices
from ..data.datasets import Centred, Dataset
from ..forward import expand
from ..prediction import Prediction
from ..schedules import Schedule
from .embeddings import Labels, label_counts


class Exact:
    """The denoiser that knows the data: exact(x_t, t, cond=None) → Prediction.

    points      (N, ...) on the device where it will be asked
    bandwidth   h above, in the units of the data
    cond        what each point is called: int64 (N,), or (N, K) for K conditions; None without labels
    labels      how many classes each condition has, as a `Denoiser` says it; 0 without labels
    centred     the points less their mean, where somebody has them already

    Distances are taken in float64: at small sigma they are divided by a very small number.
    """

    def __init__(self, points: Tensor, schedule: Schedule, bandwidth: float = 0.0, cond: Tensor | None = None,
                 labels: Labels = 0, centred: Centred | None = None):
        if len(points) == 0:
            raise ValueError("the exact denoiser needs at least 1 data point; given none")
        if bandwidth < 0:
            raise ValueError(f"bandwidth {bandwidth}; it must be at least 0")
        self.points, self.schedule, self.bandwidth = points, schedule, bandwidth
        self.prediction_type, self.labels, self._nulls = "x0", labels, label_counts(labels)
        self._called = None if cond is None else cond.reshape(len(points), -1)  # (N, K)
        # Centred, so that the inner products below lose no digits to a common offset.
        self._centred = centred or Centred.of(points)  # the whole of it is held: then others share it
        self._centre, self._flat = self._centred.mean, self._centred.rows
        self._norms = torch.linalg.vecdot(self._flat, self._flat)

    @classmethod
    def of(cls, dataset: Dataset, schedule: Schedule) -> Exact:
        """That of a data set, with its labels. All of one data set share the float64 rows, which may be large."""
        return cls(dataset.x0, schedule, dataset.bandwidth, dataset.cond, dataset.classes, dataset.centred)

    def _relative(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x_t less alpha·centre (B, D), alpha and variance (B, 1), float64."""
        return self._relative_to(x_t, *self.schedule(t.to(torch.float64)))

    def _relative_to(self, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        alpha, sigma = (a.to(x_t.device).expand(len(x_t))[:, None] for a in (alpha, sigma))
        variance = (alpha**2 * self.bandwidth**2 + sigma**2).clamp(min=1e-18)
        return x_t.reshape(len(x_t), -1).to(torch.float64) - alpha * self._centre, alpha, variance

    def _chunks(self, x: Tensor, alpha: Tensor, variance: Tensor,
                cond: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
        """(which of x, the points' logits, −inf for those not asked) by chunks; logits hold until the next is made.

        They are −|x − alpha·y|²/(2·variance) up to a term that all y share.
        """
        count = len(x)
        asked = None if cond is None else self._unasked(cond.expand(count, *cond.shape[1:]))
        for part in slices(count, len(self.points)):
            with scratch(part.stop - part.start, len(self.points), device=x.device) as logits:
                torch.mm(x[part] * (alpha / variance)[part], self._flat.T, out=logits)
                logits.addcmul_((alpha**2 / variance)[part], self._norms, value=-0.5)
                if asked is not None:
                    unasked, kind = asked
                    with scratch(*logits.shape, dtype=torch.bool, device=x.device) as hidden:
                        torch.index_select(unasked, 0, kind[part], out=hidden)
                        logits.masked_fill_(hidden, -math.inf)
                yield part, logits

    def _unasked(self, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Which points are called otherwise than cond (B,) or (B, K) asks, bool: a row a kind of question; and the
        kind of each, (B,). ValueError if a question asks for points that there are none of."""
        if self._called is None:
            raise ValueError("the exact denoiser knows no labels; leave cond out, or make it with Exact.of(dataset)")
        cond, nulls = cond.reshape(len(cond), -1), self._nulls
        if cond.shape[1] != len(nulls):
            raise ValueError(f"labels for {cond.shape[1]} conditions; these data have {len(nulls)}")
        if cond.shape[1] == 1:  # many times as fast as rows of one number
            kinds, kind = cond[:, 0].unique(return_inverse=True)
            kinds = kinds[:, None]
        else:
            kinds, kind = cond.unique(dim=0, return_inverse=True)
        unasked = torch.zeros(len(kinds), len(self.points), dtype=torch.bool, device=cond.device)
        for wanted, called, null in zip(kinds.T, self._called.T, nulls):
            unasked |= (wanted[:, None] != called) & (wanted != null)[:, None]
        if unasked.all(1).any():
            nobody = kinds[unasked.all(1)][0].tolist()
            raise ValueError(f"no data point is called {', '.join(map(str, nobody))}, so there is no exact denoiser "
                             "for it; ask for labels that occur")
        return unasked, kind

    def _means(self, x: Tensor, alpha: Tensor, variance: Tensor, cond: Tensor | None) -> Tensor:
        """m less the centre, (B, D)."""
        means = torch.empty_like(x)
        for part, logits in self._chunks(x, alpha, variance, cond):
            torch.mm(torch.softmax(logits, 1, out=logits), self._flat, out=means[part])
        return means

    def _spread(self, x: Tensor, alpha: Tensor, variance: Tensor, cond: Tensor | None, v: Tensor) -> Tensor:
        """The derivative of m along v (B, D), there or back: alpha/variance·Σ_i w_i·y_i·(y_i − m)ᵀv, a covariance."""
        change = torch.empty_like(x)
        for part, logits in self._chunks(x, alpha, variance, cond):
            weights = torch.softmax(logits, 1, out=logits)
            with scratch(*weights.shape, device=x.device) as along:
                torch.mm(v[part], self._flat.T, out=along)
                along.sub_(torch.einsum("bn,bn->b", weights, along)[:, None]).mul_(weights)
                torch.mm(along, self._flat, out=change[part])
        return change * (alpha / variance)

    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Prediction:
        """x_t (B, ...), t () or (B,), cond (B,) or (B, K) or None: only points so called count, a null label is any.

        Differentiable in x_t. ValueError for labels that no point has.
        """
        levels = self.schedule(t.to(torch.float64))
        x, alpha, variance = self._relative_to(x_t, *levels)
        # Where no gradients are wanted, as in a walk, `apply` would take as long as all else for few points.
        m = (_Mean.apply(x, alpha, variance, cond, self) if torch.is_grad_enabled() else
             self._means(x, alpha, variance, cond))
        pull = alpha * self.bandwidth**2 / variance
        x0 = (m + pull * (x - alpha * m) + self._centre).reshape(x_t.shape)
        alpha, sigma = (expand(a, x_t).to(x_t.device) for a in levels)
        # eps in float64 too: (x_t − alpha·x0) is a small difference of large numbers near the data.
        eps = (x_t.to(torch.float64) - alpha * x0) / sigma.clamp(min=1e-9)
        return Prediction(x0.to(x_t), eps.to(x_t), alpha.to(x_t), sigma.to(x_t))

    @torch.no_grad()
    def log_density(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """log p_t(x_t), or log p_t(x_t | cond), shape (B,), natural units: nats."""
        x, alpha, variance = self._relative(x_t, t)
        sums = torch.cat([_log_sum_exp(logits) for _, logits in self._chunks(x, alpha, variance, cond)])
        count = torch.full((len(x),), len(self.points))
        if cond is not None:
            unasked, kind = self._unasked(cond.expand(len(x), *cond.shape[1:]))
            count = (~unasked).sum(1)[kind]
        square, norm = (x**2).sum(1) / (2 * variance[:, 0]), x.shape[1] / 2 * torch.log(2 * math.pi * variance[:, 0])
        return sums - square - norm - count.to(sums).log()

    def log_posterior(self, x_t: Tensor, t: Tensor, condition: int = 0) -> Tensor:
        """log p(c | x_t) for each class c of a condition, (B, classes), float64; −inf for a class that no point has.

        Differentiable in x_t: its gradient is the score given c less the score. ValueError without such a condition.
        """
        if self._called is None or not 0 <= condition < len(self._nulls):
            raise ValueError(f"condition {condition}; the data have {len(self._nulls)}, counted from 0")
        return _LogPosterior.apply(*self._relative(x_t, t), condition, self)

    def posterior_slope(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """∇ log p(cond | x_t) with respect to x_t, of its shape: alpha/(alpha²h² + sigma²)·(m_cond − m).

        m is the mean above of all points, m_cond that of those so called. Differentiable in x_t.
        ValueError for labels that no point has.
        """
        x, alpha, variance = self._relative(x_t, t)
        apart = _Mean.apply(x, alpha, variance, cond, self) - _Mean.apply(x, alpha, variance, None, self)
        return (alpha / variance * apart).reshape(x_t.shape).to(x_t)


def _log_sum_exp(logits: Tensor) -> Tensor:
    """log Σ_i exp(logits_i) of each row, in place: afterwards the logits are gone."""
    top = logits.amax(1, keepdim=True)
    return logits.sub_(top).exp_().sum(1).log() + top[:, 0]


# Derivatives in closed form: the weights, queries × points, are made again where they are wanted, and never kept.


class _Mean(torch.autograd.Function):
    """`Exact._means`, which can be differentiated in x."""

    @staticmethod
    def forward(x, alpha, variance, cond, exact):
        return exact._means(x, alpha, variance, cond)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.exact = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        # A covariance is symmetric: back along the gradient is forth along it.
        return ctx.exact._spread(*ctx.saved_tensors, gradient), None, None, None, None


class _LogPosterior(torch.autograd.Function):
    """`Exact.log_posterior`, whose gradient is alpha/variance·Σ_c g_c·(m_c − m)."""

    @staticmethod
    def forward(x, alpha, variance, condition, exact):
        called, classes = exact._called[:, condition], exact._nulls[condition]
        members = [(called == c).nonzero()[:, 0] for c in range(classes)]
        found = x.new_full((len(x), classes), -math.inf)
        for part, logits in exact._chunks(x, alpha, variance, None):
            for c, own in enumerate(members):
                if len(own):
                    with scratch(len(logits), len(own), device=x.device) as of_class:
                        found[part, c] = _log_sum_exp(torch.index_select(logits, 1, own, out=of_class))
        return found - found.logsumexp(1, keepdim=True)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.condition, ctx.exact = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, alpha, variance = ctx.saved_tensors
        exact, nulls = ctx.exact, ctx.exact._nulls
        total = -gradient.sum(1, keepdim=True) * exact._means(x, alpha, variance, None)
        for c in exact._called[:, ctx.condition].unique().tolist():
            cond = torch.tensor([[c if k == ctx.condition else null for k, null in enumerate(nulls)]])
            total += gradient[:, c, None] * exact._means(x, alpha, variance, cond.to(x.device))
        return alpha / variance * total, None, None, None, None
