"""How a network is told the time and the label."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sinusoidal(t: Tensor, dims: int) -> Tensor:
    """sin and cos of 1000·t at dims/2 frequencies from 1 down to 1/10000: (B,) → (B, dims).

    The positional encoding of Vaswani et al. 2017 (section 3.5) on DDPM's scale of 1000 timesteps, whatever T is.
    """
    frequencies = torch.exp(torch.linspace(0, -math.log(10_000), dims // 2, device=t.device, dtype=t.dtype))
    phases = 1000 * t[:, None] * frequencies
    return torch.cat([phases.sin(), phases.cos()], 1)


class LabelEmbedding(nn.Embedding):
    """A vector for each of `labels` classes and one more, row `labels`, for the null label: "any class".

    cond is (B,) int64, or None for the null label throughout; in a training batch some rows may be null, so the number
    `labels` itself is allowed. ValueError for a label outside.
    """

    def __init__(self, labels: int, dims: int):
        super().__init__(labels + 1, dims)

    def forward(self, cond: Tensor | None) -> Tensor:
        """(B, dims), or (1, dims) for None."""
        null = self.num_embeddings - 1
        if cond is None:
            return self.weight[null:]
        if len(cond) and not (0 <= int(cond.min()) and int(cond.max()) <= null):
            raise ValueError(f"labels run from {int(cond.min())} to {int(cond.max())}; "
                             f"this network knows 0 to {null - 1}, and {null} for the null label")
        return super().forward(cond)
