"""One network output, seen as any of x0, eps, v, score and velocity.

Given x_t = alpha·x0 + sigma·eps, knowing one of them is knowing all: two equations in two unknowns. What a network was
trained to put out is a choice of coordinates, and `Prediction.of` undoes that choice.

| type     | what the network puts out | x0 from it                                | source                            |
|----------|---------------------------|-------------------------------------------|-----------------------------------|
| eps      | eps                       | (x_t − sigma·eps) / alpha                 | Ho et al. 2020, below eq. 9       |
| x0       | x0                        | itself                                    |                                   |
| v        | alpha·eps − sigma·x0      | (alpha·x_t − sigma·v) / (alpha² + sigma²) | Salimans & Ho 2022, appendix D    |
| velocity | eps − x0                  | (x_t − sigma·velocity) / (alpha + sigma)  | Liu et al. 2022, eq. 1, 1 − t     |
| edm      | (x0 − c_skip·x_t) / c_out | c_skip·x_t + c_out·output                 | Karras et al. 2022, eq. 7         |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

PREDICTION_TYPES = ("eps", "x0", "v", "velocity", "edm")

#: Divisors are kept this far from 0. Where alpha is smaller, eps says next to nothing about x0 (and x0 about eps where
#: sigma is); the quotient is then large but finite, and the walk's grid should have started or ended elsewhere.
TINY = 1e-6


@dataclass(frozen=True)
class Prediction:
    """What a denoiser says at x_t: its x0 and its eps. alpha and sigma broadcast to them."""

    x0: Tensor
    eps: Tensor
    alpha: Tensor = field(repr=False)
    sigma: Tensor = field(repr=False)

    @property
    def v(self) -> Tensor:
        """v = alpha·eps − sigma·x0 (Salimans & Ho 2022)."""
        return self.alpha * self.eps - self.sigma * self.x0

    @property
    def velocity(self) -> Tensor:
        """eps − x0: dx/dt on the straight path x_t = (1 − t)·x0 + t·eps. Towards noise; sampling walks against it."""
        return self.eps - self.x0

    @property
    def score(self) -> Tensor:
        """∇ log p_t(x_t) = −eps / sigma (Song et al. 2021, eq. 7; Tweedie's formula)."""
        return -self.eps / self.sigma.clamp(min=TINY)

    def at(self, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Prediction:
        """The same answer given for another state or noise level than it was asked for: the velocity is kept.

        Any of the five could be, and a different one of x0, eps would follow. The velocity is the one from which both
        stay finite at both ends of time.
        """
        return Prediction.of("velocity", self.velocity, x_t, alpha, sigma)

    @classmethod
    def from_x0(cls, x0: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Prediction:
        """eps = (x_t − alpha·x0) / sigma."""
        return cls(x0, (x_t - alpha * x0) / sigma.clamp(min=TINY), alpha, sigma)

    @classmethod
    def from_eps(cls, eps: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Prediction:
        """x0 = (x_t − sigma·eps) / alpha."""
        return cls((x_t - sigma * eps) / alpha.clamp(min=TINY), eps, alpha, sigma)

    @classmethod
    def of(cls, prediction_type: str, output: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor,
           sigma_data: float = 1.0) -> Prediction:
        """A network's output, read as that prediction type. All of shape (B, ...); alpha and sigma broadcast.

        v, velocity and edm divide by nothing that vanishes, so they are stable at both ends of time.
        """
        if prediction_type == "eps":
            return cls.from_eps(output, x_t, alpha, sigma)
        if prediction_type == "x0":
            return cls.from_x0(output, x_t, alpha, sigma)
        if prediction_type == "v":
            norm = alpha**2 + sigma**2
            return cls((alpha * x_t - sigma * output) / norm, (sigma * x_t + alpha * output) / norm, alpha, sigma)
        if prediction_type == "velocity":
            norm = alpha + sigma
            return cls((x_t - sigma * output) / norm, (x_t + alpha * output) / norm, alpha, sigma)
        if prediction_type == "edm":
            # With s = sigma_data and n = √(alpha²s² + sigma²): c_skip = alpha·s²/n², c_out = sigma·s/n. The division by
            # sigma in eps = (x_t − alpha·x0)/sigma cancels by hand: eps = (sigma/n²)·x_t − (alpha·s/n)·output.
            n = (alpha**2 * sigma_data**2 + sigma**2).sqrt()
            x0 = alpha * sigma_data**2 / n**2 * x_t + sigma * sigma_data / n * output
            return cls(x0, sigma / n**2 * x_t - alpha * sigma_data / n * output, alpha, sigma)
        raise ValueError(f"prediction type {prediction_type!r}; a network can put out {', '.join(PREDICTION_TYPES)}")


#: (x_t (B, ...), t () or (B,)) → what is predicted there: a network behind its schedule, or whatever answers alike.
Denoise = Callable[[Tensor, Tensor], Prediction]


def target_of(prediction_type: str, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor,
              sigma_data: float = 1.0) -> Tensor:
    """What a perfect network puts out for x_t = alpha·x0 + sigma·eps: the other direction of `Prediction.of`."""
    if prediction_type == "eps":
        return eps
    if prediction_type == "x0":
        return x0
    if prediction_type == "v":
        return alpha * eps - sigma * x0
    if prediction_type == "velocity":
        return eps - x0
    if prediction_type == "edm":
        n = (alpha**2 * sigma_data**2 + sigma**2).sqrt()
        return (sigma * x0 - alpha * sigma_data**2 * eps) / (n * sigma_data)
    raise ValueError(f"prediction type {prediction_type!r}; a network can put out {', '.join(PREDICTION_TYPES)}")


def eps_error_per_target_error(prediction_type: str, alpha: Tensor, sigma: Tensor, sigma_data: float = 1.0) -> Tensor:
    """|d eps / d output|: by how much an error of the network's output shows in eps. One currency for all losses."""
    if prediction_type == "eps":
        return torch.ones_like(alpha)
    if prediction_type == "x0":
        return alpha / sigma.clamp(min=TINY)
    if prediction_type == "v":
        return alpha / (alpha**2 + sigma**2)
    if prediction_type == "velocity":
        return alpha / (alpha + sigma)
    if prediction_type == "edm":
        return alpha * sigma_data / (alpha**2 * sigma_data**2 + sigma**2).sqrt()
    raise ValueError(f"prediction type {prediction_type!r}; a network can put out {', '.join(PREDICTION_TYPES)}")
