"""Measures of the room that forgets: what of the data is gone in the middle, and back at the end."""

from __future__ import annotations

from ...views import HeatView
from .known import measure
from .shapes import alike


@measure
def forgotten(of: HeatView) -> float:
    """The share, 0 to 1, of the entropy between the data's and that of the even room that has been gained in the
    middle, where the room turns back."""
    first, last = float(of.entropy[0]), float(of.entropy[-1])
    return (last - first) / (of.most - first)


@measure
def returned(of: HeatView) -> float:
    """How alike the walkers at the end and the data are, 0 to 1, as `likeness`."""
    return alike(of.walkers[-1], of.dataset.x0)


@measure
def likeness_halfway(of: HeatView) -> float:
    """How alike the walkers in the middle and the data are, 0 to 1, as `likeness`."""
    return alike(of.walkers[of.half], of.dataset.x0)


@measure
def astray(of: HeatView) -> float:
    """How far from where it began a walker ends, the median."""
    return float((of.walkers[-1] - of.walkers[0]).norm(dim=-1).median())
