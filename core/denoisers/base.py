"""A denoiser: a network, the schedule it was trained on and what it puts out, behind one call."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..forward import expand
from ..prediction import PREDICTION_TYPES, Prediction, target_of
from ..schedules import Schedule
from .embeddings import Labels

PART = 2**17  #: numbers that a network is shown at once where no gradients are wanted: 167 pictures of 28×28


class Denoiser(nn.Module):
    """(x_t, t) → Prediction.

    The network sees x_t / √(alpha²·sigma_data² + sigma²), of unit variance at every t (Karras et al. 2022, c_in), t in
    [0, 1], and the noise level log(sigma/alpha)/4 (their c_noise); each network uses of the latter two what it
    likes. Signature: network(x, t, noise_level, cond) → output of x's shape.

    sigma_data: the data's standard deviation (a number).
    labels: how many classes `cond` can name; 0 for none. cond is (B,) int64, or None for the null label. Several
    numbers where it names several things at once: cond is (B, K), each column with a null label of its own.
    """

    #: |noise level| is kept within this, as log(sigma/alpha) is infinite at both ends of time.
    NOISE_LEVEL_LIMIT = 3.0

    def __init__(self, network: nn.Module, schedule: Schedule, prediction_type: str, sigma_data: float = 1.0,
                 labels: Labels = 0):
        super().__init__()
        if prediction_type not in PREDICTION_TYPES:
            raise ValueError(f"prediction type {prediction_type!r}; a network can put out "
                             f"{', '.join(PREDICTION_TYPES)}")
        if isinstance(sigma_data, bool) or not isinstance(sigma_data, float | int) or not 1e-18 < sigma_data < 1e18:
            raise ValueError(f"sigma_data is {sigma_data!r}; it must be a number above 0, with a square in "
                             "float32: data of one value all over leave nothing to learn")
        self.network, self.schedule, self.prediction_type = network, schedule, prediction_type
        self.sigma_data, self.labels = sigma_data, tuple(labels) if isinstance(labels, list) else labels

    def output(self, x_t: Tensor, t: Tensor, alpha: Tensor, sigma: Tensor, cond: Tensor | None = None) -> Tensor:
        """What the network itself puts out. t, alpha, sigma of shape (B,)."""
        scale = (alpha**2 * self.sigma_data**2 + sigma**2).rsqrt()
        level = (torch.log(sigma / alpha) / 4).clamp(-self.NOISE_LEVEL_LIMIT, self.NOISE_LEVEL_LIMIT)
        out = self.network(expand(scale, x_t) * x_t, t, level, cond)
        if not getattr(self.network, "estimates_x0", False):
            return out
        guess = Prediction.from_x0(out, x_t, expand(alpha, x_t), expand(sigma, x_t))
        return target_of(self.prediction_type, guess.x0, guess.eps, guess.alpha, guess.sigma, self.sigma_data)

    def _in_parts(self, x_t: Tensor, t: Tensor, alpha: Tensor, sigma: Tensor, cond: Tensor | None) -> Tensor:
        """`output`, on a processor of so many rows at a time that they hold no more than PART numbers.

        What a network works with grows with them, to gigabytes. With gradients nothing is gained: all of it is kept.
        """
        rows = max(1, PART // max(1, x_t[:1].numel()))
        if len(x_t) <= rows or torch.is_grad_enabled() or x_t.device.type != "cpu":
            return self.output(x_t, t, alpha, sigma, cond)
        parts = [slice(i, i + rows) for i in range(0, len(x_t), rows)]
        return torch.cat([self.output(x_t[k], t[k], alpha[k], sigma[k], None if cond is None else cond[k])
                          for k in parts])

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Prediction:
        """x_t of shape (B, ...), t of shape () or (B,). ValueError for labels that the denoiser does not have."""
        if cond is not None and not self.labels:
            raise ValueError("labels were given to a denoiser without labels; leave cond out")
        # The schedule is asked in t's own precision and the numbers rounded once, or alpha and sigma near the ends
        # of time would depend on the network's precision.
        alpha, sigma = (a.to(x_t).expand(len(x_t)) for a in self.schedule(t))
        out = self._in_parts(x_t, t.to(x_t).expand(len(x_t)), alpha, sigma, cond)
        return Prediction.of(self.prediction_type, out, x_t, expand(alpha, x_t), expand(sigma, x_t), self.sigma_data)
