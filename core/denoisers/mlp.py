"""The network for points: a residual MLP that sees where a point is and how noisy it is."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from .embeddings import LabelEmbedding, Labels, sinusoidal
from .networks import network


@network("mlp", "MLP", "points",
         lambda config, data: {"dims": data.channels, "depth": config.depth, "fourier": config.fourier})
class MLP(nn.Module):
    """network(x, t, noise_level, cond) → output of x's shape, for points x of shape (B, dims).

    With `fourier` the first layer sees, for every axis of x and for the noise level, the value itself and sin and cos
    of it at frequencies in geometric progression: an MLP on plain coordinates learns fine detail very slowly (Tancik et
    al. 2020, "Fourier Features Let Networks Learn High Frequency Functions"; theirs are random directions, these are
    the axes). Without it, it sees x and a sinusoidal embedding of the timestep, as the textbooks have it.

    width    of the hidden layers
    depth    hidden layers, each h ← h + W·silu(h) + b
    labels   how many classes cond can name, 0 for none; several numbers where cond names several, (B, K)
    """

    FREQUENCIES = (32, 0.5, 60.0)  #: of x: how many, the lowest, the highest in radians per unit of the scaled input
    LEVELS = (8, 1.0, 16.0)  #: of the noise level, likewise
    TIMES = 64  #: size of the timestep's embedding, without Fourier features

    frequencies: Tensor | None

    def __init__(self, dims: int = 2, width: int = 128, depth: int = 2, fourier: bool = True, labels: Labels = 0):
        super().__init__()
        labels = tuple(labels) if isinstance(labels, list) else labels  # as JSON has it
        self.architecture = {"network": "mlp", "dims": dims, "width": width, "depth": depth, "fourier": fourier,
                             "labels": labels}
        if fourier:
            # One product with a fixed matrix gives every phase: row i holds the frequencies of input i, else zeros.
            count = self.FREQUENCIES[0]
            phases = torch.zeros(dims + 1, dims * count + self.LEVELS[0])
            for row in range(dims):
                phases[row, row * count : (row + 1) * count] = _geometric(*self.FREQUENCIES)
            phases[dims, dims * count :] = _geometric(*self.LEVELS)
            self.register_buffer("frequencies", phases, persistent=False)
            features = dims + 1 + 2 * phases.shape[1]
        else:
            self.frequencies = None
            features = dims + self.TIMES
        self.enter = nn.Linear(features, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.leave = nn.Linear(width, dims)
        self.label = LabelEmbedding(labels, width) if labels else None

    def features(self, x: Tensor, t: Tensor, noise_level: Tensor) -> Tensor:
        """What the first layer sees, (B, features)."""
        if self.frequencies is None:
            return torch.cat([x, sinusoidal(t, self.TIMES)], 1)
        z = torch.cat([x, noise_level[:, None]], 1)
        phases = z @ self.frequencies
        return torch.cat([z, phases.sin(), phases.cos()], 1)

    def forward(self, x: Tensor, t: Tensor, noise_level: Tensor, cond: Tensor | None = None) -> Tensor:
        h = self.enter(self.features(x, t, noise_level))
        if self.label is not None:
            h = h + self.label(cond)
        for layer in self.hidden:
            h = h + layer(silu(h))
        return self.leave(silu(h))


def _geometric(count: int, low: float, high: float) -> Tensor:
    # On the CPU, where the rest may be shapes alone: torch.logspace of those loads torch's compiler, half a second.
    # torch.block_diag of them does too.
    return torch.logspace(math.log10(low), math.log10(high), count, device="cpu")
