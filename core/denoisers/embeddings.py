"""How a network is told the time and the label."""

from __future__ import annotations

import math
from itertools import accumulate

import torch
from torch import Tensor, nn


def sinusoidal(t: Tensor, dims: int) -> Tensor:
    """sin and cos of 1000·t at dims/2 frequencies from 1 down to 1/10000: (B,) → (B, dims).

    The positional encoding of Vaswani et al. 2017 (section 3.5) on DDPM's scale of 1000 timesteps, whatever T is.
    """
    frequencies = torch.exp(torch.linspace(0, -math.log(10_000), dims // 2, device=t.device, dtype=t.dtype))
    phases = 1000 * t[:, None] * frequencies
    return torch.cat([phases.sin(), phases.cos()], 1)


#: How many classes each condition has: 0 without any, a number for one, several numbers for several.
Labels = int | tuple[int, ...]


def label_counts(labels: Labels) -> tuple[int, ...]:
    """How many classes each condition has: () for 0, (n,) for n. ValueError for a count below 1."""
    counts = tuple(labels) if isinstance(labels, (tuple, list)) else (labels,) if labels else ()
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in counts):
        raise ValueError(f"labels {labels!r}; a network knows 0 for none, a number of classes, or several numbers")
    return counts


class LabelEmbedding(nn.Embedding):
    """A vector for each class of each condition and, after its classes, one for its null label: "any class".

    labels  a number of classes: cond is (B,) int64; or K numbers: cond is (B, K), and the K vectors add up

    A condition with n classes has the null label n, so in a training batch any entry may be null; cond None is the null
    label of every condition throughout. ValueError for labels outside, or not of that shape.
    """

    nulls: Tensor
    starts: Tensor

    def __init__(self, labels: Labels, dims: int):
        self.labels, counts = labels, label_counts(labels)
        super().__init__(sum(counts) + len(counts), dims)
        self.register_buffer("nulls", torch.tensor(counts), persistent=False)
        #: row of each condition's class 0 in the one table that holds all of them
        starts = [*accumulate((n + 1 for n in counts[:-1]), initial=0)]
        self.register_buffer("starts", torch.tensor(starts), persistent=False)

    def forward(self, cond: Tensor | None) -> Tensor:
        """(B, dims), or (1, dims) for None."""
        if cond is None:
            return super().forward(self.starts + self.nulls).sum(0, keepdim=True)
        several = not isinstance(self.labels, int)
        if cond.ndim != 1 + several or several and cond.shape[1] != len(self.nulls):
            raise ValueError(f"labels of shape {tuple(cond.shape)}; this network needs "
                             + (f"(batch, {len(self.nulls)}), one column a condition" if several else "(batch,)"))
        columns = cond if several else cond[:, None]
        for column, null in zip(columns.T, self.nulls.tolist()) if len(cond) else ():
            if not (0 <= int(column.min()) and int(column.max()) <= null):
                raise ValueError(f"labels run from {int(column.min())} to {int(column.max())}; "
                                 f"this network knows 0 to {null - 1}, and {null} for the null label")
        return super().forward(columns + self.starts).sum(1)


def null_labels(labels: Labels, n: int) -> Tensor:
    """The null label of every condition, n times: (n,) int64 for a number of classes, (n, K) for K numbers."""
    return torch.tensor(labels).expand(n, *([len(labels)] if isinstance(labels, (tuple, list)) else []))
