"""Where to train: a GPU where there is one and it pays."""

from __future__ import annotations

import torch


def best_device(kind: str) -> torch.device:
    """The device to train a network for this kind of data on.

    Images: cuda, else mps, else the CPU. Points: the CPU, as their networks are so small that a GPU waits for its
    orders.
    """
    if kind == "images":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
    return torch.device("cpu")
