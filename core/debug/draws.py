"""What is told of draws and of what is made of them: which part of an input is the noise, and by what factor."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from .operations import DRAWS
from .record import (
    array,
    moments,
)
from .sums import open_up, rows_of, strip
from .tape import Node


def full(values: np.ndarray, B: int) -> np.ndarray:
    return np.pad(values, (0, B - len(values)), constant_values=np.nan) if len(values) < B else values


def mean_of(factor: Tensor) -> float:
    return float(factor.double().mean())


def key_of(value: Tensor) -> str:
    return str(hash(tuple(value.detach().reshape(-1)[:8].double().tolist())))


def about_draw(node: Node) -> dict:
    at = strip(node)
    return {"law": at.law if at.op in DRAWS else "made of draws", "serial": at.serial}


def modulated(leaf: Node) -> tuple[Node, float] | None:
    """A draw times a tensor of its own shape (a std that the network learned): the draw, and the factor's size."""
    if leaf.op == "product" and len(leaf.args) == 2 and all(isinstance(a, Node) for a in leaf.args):
        a, b = map(strip, leaf.args)
        draw, other = (a, b) if a.pure else (b, a)
        if draw.pure and other.value is not None and not other.pure:
            return draw, float(other.value.double().pow(2).mean().sqrt())
    return None


def bare(node: Node, factor: Tensor, scalars: bool) -> tuple[Node, Tensor]:
    """What a term is a multiple of, and of which factor. Numbers alike in all rows are the data's own scale: they stay,
    unless all rows have one time."""
    once = False
    while node.op in ("product", "quotient", "neg", "negative", "same"):
        opened = open_up(node)
        if not opened or len(opened) != 1 or len(opened[0][1]) != len(factor):
            break
        inner, f = opened[0]
        alike = bool((f == f[0]).all())
        if node.op not in ("same", "neg", "negative") and alike and not inner.pure and (not scalars or once):
            break
        once = once or node.op in ("product", "quotient")
        node, factor = inner, factor * f
    return node, factor


def spread(node: Node, factor: Tensor, like: Node) -> tuple[Node, Tensor]:
    """A draw that all rows share, as what it is added to them as."""
    if node.numel == like.numel or not node.pure:
        return node, factor
    inner = bare(node, factor, True)
    value = inner[0].value.expand(like.value.shape)
    B = rows_of(like.value)
    shared = Node(inner[0].serial, inner[0].op, (), value, value._version, law=inner[0].law, pure=True)
    return shared, inner[1].mean().expand(B)


def normality(value: Tensor) -> float:
    """1 for what looks standard normal, falling to 0: used only where nobody saw the noise being drawn."""
    m = moments(array(value))
    if not m["count"] or not m["finite"]:
        return 0.0
    width = 4 / max(m["count"], 1) ** 0.5
    off = max(abs(m["mean"]) / width, abs(m["std"] - 1) / width, abs(m["kurtosis"]) / (5 * width))
    return float(np.exp(-off / 2))
