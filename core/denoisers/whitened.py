"""A network for images that is quick to train: a residual MLP over the data's principal components."""

from __future__ import annotations

import math
from typing import Any
from weakref import ReferenceType, ref

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from .embeddings import LabelEmbedding, Labels, sinusoidal
from .linear import eigen
from .networks import network

SHARE = 0.97  #: of the data's variance, that the components which the network sees hold at least
ROWS = 1024  #: at most so many pictures are asked for their components where a picture has more values than that


@network("whitened", "whitened MLP", "images",
         lambda config, data: {"shape": list(data.shape), "depth": config.depth, "components": components_of(data.x0)})
class WhitenedMLP(nn.Module):
    """network(x, t, noise_level, cond) → its guess of x0 in x's shape, for images x of one shape (channels, H, W).

    The best linear guess is known before any training (Wiener 1949): with y = x0 + r·eps, r = sigma/alpha, the mean mu
    and the principal components u_i of the data with variances l_i, it is mu + Σ u_i · l_i/(l_i + r²) · u_iᵀ(y − mu).
    That is what the untrained network says, and all that it learns is what is to be added, Σ u_i · √(l_i·r²/(l_i +
    r²)) · h_i: each h_i of the scale of what the linear guess leaves open there, from the same components of y − mu
    over √(l_i + r²), of variance 1 at every noise level. What is not among the components gets the linear guess alone.

    It sees no neighbourhoods, so it draws the pixels of a shape less well than a U-Net that had its time; but small
    pictures are recognisable after seconds. It is made for its data: `fit` gives it mean and components.

    shape       of an image
    components  how many of them it sees and changes, see `components_of`
    width       of the hidden layers
    depth       of them, each h ← h + W₂·silu(W₁·silu(h))
    labels      how many classes cond can name, 0 for none; several numbers where cond names several, (B, K)
    """

    estimates_x0 = True
    TIMES = 64  #: size of the noise level's embedding

    mean: Tensor
    basis: Tensor
    variances: Tensor
    rest: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...], components: int = 32, width: int = 256, depth: int = 2,
                 labels: Labels = 0):
        super().__init__()
        labels = tuple(labels) if isinstance(labels, list) else labels  # as JSON has it
        shape, size = tuple(shape), math.prod(shape)
        if len(shape) != 3 or not 1 <= components <= size:
            raise ValueError(f"shape is {shape} and components {components}; an image is (channels, height, width) "
                             "and has as many components as values, at most")
        self.architecture: dict[str, Any] = {"network": "whitened", "shape": list(shape), "components": components,
                                             "width": width, "depth": depth, "labels": labels}
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("basis", torch.eye(components, size))  #: u_i, a row each
        self.register_buffer("variances", torch.ones(components))
        self.register_buffer("rest", torch.ones(()))  #: variance in each direction that is no component
        self.register_buffer("scale", torch.ones(()))  #: standard deviation of all values, as `Denoiser` divides by it
        self.enter = nn.Linear(components, width)
        self.level = nn.Linear(self.TIMES, width)
        self.label = LabelEmbedding(labels, width) if labels else None
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.leave = nn.Linear(width, components)
        for weight in self.leave.parameters():
            nn.init.zeros_(weight)

    @torch.no_grad()
    def fit(self, x0: Tensor, scale: float) -> None:
        """Take mean, components and variances of these images (N, channels, H, W); scale: the `Denoiser`'s sigma_data.

        Done once, before training; a stored network brings its own.
        """
        mean, variances, basis = principal(x0)
        kept = len(self.variances)
        others = variances[kept:].clamp(min=0).sum() / max(1, self.mean.numel() - kept)
        least = 1e-6 * variances.sum() / self.mean.numel()  # a pixel that never changes has no variance to divide by
        self.mean.copy_(mean)
        self.basis.copy_(basis[:kept])
        self.variances.copy_(variances[:kept].clamp(min=least))
        self.rest.copy_(others.clamp(min=least))
        self.scale.fill_(scale)

    def forward(self, x: Tensor, t: Tensor, noise_level: Tensor, cond: Tensor | None = None) -> Tensor:
        noise = torch.exp(8 * noise_level)[:, None]  # r², as noise_level = log(r)/4
        y = x.flatten(1) * (self.scale**2 + noise).sqrt() - self.mean
        z = y @ self.basis.T
        share, spread = self.variances / (self.variances + noise), (self.variances + noise).sqrt()
        h = self.enter(z / spread) + self.level(sinusoidal((noise_level + 2) / 4, self.TIMES))
        if self.label is not None:
            h = h + self.label(cond)
        for first, second in zip(self.first, self.second):
            h = h + second(silu(first(silu(h))))
        guess = share * z + (share * noise).sqrt() * self.leave(silu(h))
        others = self.rest / (self.rest + noise) * (y - z @ self.basis)
        return (self.mean + guess @ self.basis + others).view_as(x)


#: The pictures that were asked for last, and their components: whoever makes a network for them asks twice.
_last: tuple[ReferenceType[Tensor], int, tuple[Tensor, Tensor, Tensor]] | None = None


def principal(x0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(mean (D,), variances (K,), components (K, D)) of pictures (N, ...) of D values, the largest variance first.

    float64. K is D, or of more than ROWS values as many as ROWS pictures, evenly taken, can tell.
    """
    global _last
    if (last := _last) is None or last[0]() is not x0 or last[1] != x0._version:
        _last = last = ref(x0), x0._version, _principal(x0)
    return last[2]


def _principal(x0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x = x0.flatten(1).double()
    if x.shape[1] <= ROWS:
        mean = x.mean(0)
        return mean, *eigen((x - mean).T @ (x - mean) / len(x))
    x = x[torch.linspace(0, len(x) - 1, min(len(x), ROWS)).long()]
    mean = x.mean(0)
    _, values, components = torch.linalg.svd(x - mean, full_matrices=False)
    return mean, values**2 / len(x), components


def components_of(x0: Tensor, share: float = SHARE) -> int:
    """How many principal components hold this share of the variance of pictures x0 (N, ...); at least 1."""
    variances = principal(x0)[1].clamp(min=0)
    return min(len(variances), 1 + int((variances.cumsum(0) < share * variances.sum()).sum()))
