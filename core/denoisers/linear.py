"""Linear diffusion: a denoiser with linear parts only, solved in closed form, without a step of gradient descent.

The encoder is a PCA with k components, U (k, D). At every noise level a least-squares map takes the features
[code of x_t, 1, label, label × code] to the code of x0, and Uᵀ decodes it. The noise is Gaussian and independent of the
data, so the expectations in its normal equations are known and no noise need be drawn: with m and S the mean and the
covariance of the code of x0, those of the code of x_t are alpha·m and alpha²S + sigma²I, the covariance between the two
is alpha·S, and regression is cov(x0, x_t)·cov(x_t)⁻¹. With the interactions each label c has a map of its own,

    E_lin[x0 | x_t, c] = mu + alpha·Sigma·(alpha²·Sigma + sigma²·I)⁻¹·(x_t − alpha·mu)
                       = mu + Σ_i  v_i · alpha·λ_i/(alpha²·λ_i + sigma²) · v_i·(x_t − alpha·mu)

with mu and Sigma = Σ_i λ_i·v_i·v_iᵀ the mean and the covariance of that label's data seen through the encoder. This is
the Wiener filter (Wiener 1949), and the exact denoiser of a Gaussian with that mean and covariance. So, plainly:

- Linear diffusion *is* the Wiener filter, one a label, in the span of k principal components. With every component
  and no label it is the best affine denoiser there is. Nothing is learned but means and covariances.
- One eigendecomposition solves the least squares at all noise levels, on all schedules.
- Its samples are those of a Gaussian, exactly. A picture is told by more than its mean and covariance, so without a
  label digits come out as mush. Digits of *one* kind are nearer to a Gaussian, so with a label they can be read.
- Along v_i the share λ_i/(λ_i + sigma²/alpha²) of what is seen is believed: directions of much variance come out of the
  noise first, fine ones last. That is why structure emerges coarse to fine (Wang & Vastola 2023 find trained networks
  to do the same where there is much noise).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data.datasets import Dataset
from ..schedules import Schedule
from .base import Denoiser
from .embeddings import null_labels


class Linear(nn.Module):
    """network(x, t, noise_level, cond) → x0, affine in x for each noise level and label, for samples of one shape.

    x must have been scaled with sigma_data = 1, so that x = a·x0 + b·eps with a² + b² = 1; the noise level tells b/a.

    components  k, directions along which x is looked at; in all others the guess is the mean
    labels      how many classes cond can name, 0 for none

    Row c of every parameter belongs to class c, and the last to the null label: all the data.
    """

    mean: nn.Parameter  #: (labels + 1, D)
    directions: nn.Parameter  #: (labels + 1, k, D), the orthonormal v_i, by falling variance
    std: nn.Parameter  #: (labels + 1, k), √λ_i

    def __init__(self, shape: tuple[int, ...], components: int, labels: int = 0):
        super().__init__()
        self.architecture = {"network": "linear", "shape": list(shape), "components": components, "labels": labels}
        self.labels, rows, size = labels, labels + 1, torch.Size(shape).numel()
        for name, dims in (("mean", (size,)), ("directions", (components, size)), ("std", (components,))):
            # In float64: near the data the guess is a small difference from what it is shown.
            zeros = torch.zeros(rows, *dims, dtype=torch.float64)
            setattr(self, name, nn.Parameter(zeros, requires_grad=False))

    def row(self, label: int | None) -> int:
        """Which row is that of a label, None being the null label. ValueError for a label outside."""
        if label is None:
            return self.labels
        if not 0 <= label <= self.labels:
            raise ValueError(f"label {label}; this network knows 0 to {self.labels - 1}, and {self.labels} for the "
                             "null label")
        return label

    def shares(self, snr: Tensor, label: int | None = None) -> Tensor:
        """λ_i/(λ_i + 1/snr), how much of what is seen along each direction is believed: (...,) → (..., k), 0 to 1.

        snr = alpha²/sigma². A share times 1/alpha is the gain of x_t in x0.
        """
        variance = self.std[self.row(label)] ** 2
        return (variance / (variance + 1 / snr.to(variance)[..., None])).nan_to_num(0)  # 0/0: no variance and no noise

    def forward(self, x: Tensor, t: Tensor, noise_level: Tensor, cond: Tensor | None = None) -> Tensor:
        seen, level = x.flatten(1).to(self.mean), noise_level.to(self.mean)
        a, b = (torch.sigmoid(sign * 8 * level).sqrt()[:, None] for sign in (-1, 1))
        labels = null_labels(self.labels, len(x)) if cond is None else cond
        if labels.shape != x.shape[:1]:
            raise ValueError(f"labels of shape {tuple(labels.shape)} for {len(x)} samples; give this network one each")
        x0 = torch.empty_like(seen)
        for label in labels.unique().tolist():
            rows, at = self.row(label), labels == label
            mean, v, variance = self.mean[rows], self.directions[rows], self.std[rows] ** 2
            gain = a[at] * variance / (a[at] ** 2 * variance + b[at] ** 2)
            x0[at] = mean + (gain * ((seen[at] - a[at] * mean) @ v.T)) @ v
        return x0.reshape(x.shape).to(x)


def linear(dataset: Dataset, schedule: Schedule, components: int | None = None) -> Denoiser:
    """Linear diffusion on this data: the denoiser above with `components` principal components, all of them for None.

    It knows the data's labels where there is one kind of them, and none where there are several. Means and covariances
    are those of the mixture that the data set is, bandwidth included. A label that no row has is answered as the null
    label. Without random numbers: the same data give the same denoiser. ValueError if components is not within 1 … D.
    """
    x = dataset.x0.flatten(1).to(torch.float64)
    size = x.shape[1]
    k = size if components is None else components
    if not 1 <= k <= size:
        raise ValueError(f"{k} components; data of shape {dataset.shape} have 1 to {size}")
    labels = dataset.classes if isinstance(dataset.classes, int) else 0
    network = Linear(dataset.shape, k, labels)
    centre = x.mean(0)
    spread, encoder = (part[:k] for part in eigen((x - centre).T @ (x - centre) / len(x)))
    code = (x - centre) @ encoder.T
    for row in range(labels + 1):
        own = code[dataset.cond == row] if row < labels else code[:0]
        mean, values, axes = centre, spread, encoder
        if len(own):
            values, axes = eigen((own - own.mean(0)).T @ (own - own.mean(0)) / len(own))
            mean, axes = centre + own.mean(0) @ encoder, axes @ encoder
        network.mean[row], network.directions[row] = mean, axes
        network.std[row] = (values.clamp(min=0) + dataset.bandwidth**2).sqrt()
    return Denoiser(network, schedule, "x0", sigma_data=1.0, labels=labels).eval()


def wiener(dataset: Dataset, schedule: Schedule) -> Denoiser:
    """The Wiener filter of this data, the best affine denoiser: linear diffusion with nothing left out."""
    return linear(dataset, schedule)


def eigen(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, falling, and eigenvectors as rows, their largest entry positive, as their sign is arbitrary."""
    values, vectors = torch.linalg.eigh(covariance)
    rows = vectors.flip(1).T
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return values.flip(0), rows * largest.sign()
