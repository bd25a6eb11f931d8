"""Measures of shapes: when the eye can first name what the points draw."""

from __future__ import annotations

from torch import Tensor

from ...metrics.distances import nearest_distances
from ...views import TrainingView
from ..evidence import Walk
from .known import measure

#: As near as this, in the data's units, a point lies on the shape to the eye: a fortieth of its panel's side.
NEAR = 0.05


def alike(points: Tensor, rows: Tensor, near: float = NEAR) -> float:
    """How alike points (B, 2) and rows (N, 2) are, 0 to 1: 2·p·r/(p + r), with p the share of points that lie near a
    row and r the share of rows that have a point near."""
    drawn = float((nearest_distances(points, rows) <= near).double().mean())
    covered = float((nearest_distances(rows, points) <= near).double().mean())
    return 2 * drawn * covered / (drawn + covered) if drawn + covered else 0.0


@measure
def likeness(of: Walk, t: float = 0.0) -> float:
    """How alike the points x_t and the data are, 0 to 1: the harmonic mean of how many points lie on the shape and how
    much of the shape has points on it (both within 0.05)."""
    return alike(of.state(t), of.dataset.x0)


@measure
def likeness_of_guess(of: Walk, t: float) -> float:
    """How alike the guess x̂₀ made at time t and the data are, as `likeness`."""
    return alike(of.guess(t), of.dataset.x0)


@measure
def likeness_trained(of: TrainingView) -> float:
    """How alike the last preview's samples of a training and the data are, as `likeness`."""
    return alike(of.previews[-1].samples, of.dataset.x0)


@measure
def seen_at(of: Walk, like: float) -> float:
    """The earliest time t from which on `likeness` of x_t is at least this; 0 if it never is before the end."""
    return _since(of, "x_t", like)


@measure
def guess_seen_at(of: Walk, like: float) -> float:
    """The earliest time t from which on `likeness_of_guess` is at least this; 0 if it never is before the end."""
    return _since(of, "x0", like)


def _since(of: Walk, name: str, like: float) -> float:
    since = 0.0
    for k in reversed(range(len(of.trace))):
        if alike(of.trace.part(name, k, k + 1)[0], of.dataset.x0) < like:
            break
        since = float(of.trace.t[k])
    return since
