"""Measures of labels and latents: whether what was asked for came, and how many numbers stand for a picture."""

from __future__ import annotations

import math

import torch

from ...data.datasets import Dataset
from ...metrics.distances import agreement, nearest_rows
from ...runs.conditioning import cond_of
from ..evidence import Walk
from .known import measure


@measure
def as_asked(of: Walk) -> float:
    """The share of samples, 0 to 1, whose nearest row of the data is called as they were asked to be."""
    cond = cond_of(of.recipe, of.resolved, len(of.end))
    if cond is None:
        raise ValueError("nothing was asked for; let the recipe say label or label2")
    return agreement(of.end, cond, of.dataset)


@measure
def middle_of_label(data: Dataset, label: float) -> tuple[float, float]:
    """The mean place of the rows so called, (x, y); of points with labels."""
    x, y = _called(data, label).double().mean(0).tolist()
    return x, y


@measure
def width_of_label(data: Dataset, label: float) -> float:
    """Root mean square distance of the rows so called from their middle."""
    rows = _called(data, label).double()
    return float((rows - rows.mean(0)).square().sum(1).mean().sqrt())


def _called(data: Dataset, label: float) -> torch.Tensor:
    if data.labels is None or not (data.labels == round(label)).any():
        raise ValueError(f"no row of {data.name} is called {label:g}")
    return data.x0[data.labels == round(label)]


@measure
def abs_place(place: tuple) -> float:
    """How far a place lies from (0, 0)."""
    return math.hypot(*place)


@measure
def called(of: Walk, label: float) -> float:
    """The share of samples, 0 to 1, whose nearest row of the data has this label."""
    if of.dataset.labels is None:
        raise ValueError(f"{of.dataset.name} has no labels")
    near = nearest_rows(of.end, of.dataset.x0)[1][:, 0]
    return float((of.dataset.labels[near] == round(label)).double().mean())


@measure
def numbers_in_latent(data: Dataset) -> float:
    """How many numbers a row of the data has."""
    return float(data.x0[0].numel())


@measure
def numbers_in_picture(data: Dataset) -> float:
    """How many numbers the picture has that is decoded from a row; of data that are no latents, the row itself."""
    with torch.no_grad():
        picture = data.x0[:1] if data.decode is None else data.decode(data.x0[:1])
    return float(picture[0].numel())
