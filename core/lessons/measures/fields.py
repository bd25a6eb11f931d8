"""Measures of fields: where the arrows point, and whether they are the true ones."""

from __future__ import annotations

import torch
from torch import Tensor

from ...denoisers.exact import Exact
from ...metrics.distances import nearest_rows
from ...schedules import make_schedule
from ...views import TrainingView
from ...views.base import STATE_VIEW, field_points
from ...views.training import LOOK_AT
from ..evidence import Walk
from .known import measure


def _cosine(a: Tensor, b: Tensor, weight: Tensor | None = None) -> float:
    """The mean over places, weighted, of the cosine between two fields (G, 2)."""
    each = torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=1)
    weight = torch.ones_like(each) if weight is None else weight.double()
    return float((each * weight).sum() / weight.sum())


def _arrows(of: Walk, t: float) -> tuple[Tensor, Tensor, float]:
    """(places, −ε̂ there, alpha) at time t, as the panel of the field has them."""
    places, time = field_points(STATE_VIEW), torch.tensor(float(t), dtype=torch.float64)
    with torch.no_grad():
        return places, -of.resolved.denoise(places, time).eps, of.schedule.at(time)[0]


@measure
def towards_middle(of: Walk, t: float) -> float:
    """The cosine between the arrows −ε̂ at time t and the way to the middle of the data, mean over the plane: 1 where
    all point there."""
    places, arrows, alpha = _arrows(of, t)
    return _cosine(arrows, alpha * of.dataset.x0.mean(0) - places)


@measure
def towards_nearest(of: Walk, t: float) -> float:
    """The cosine between the arrows −ε̂ at time t and the way to the nearest row of the data (times α), mean over the
    plane."""
    places, arrows, alpha = _arrows(of, t)
    rows = alpha * of.dataset.x0
    return _cosine(arrows, rows[nearest_rows(places, rows)[1][:, 0]] - places)


@measure
def arrows_right(of: Walk, t: float) -> float:
    """The cosine at time t between the arrows −ε̂ and the true ones, mean over the plane where data are: weighted by the
    density p_t."""
    places, arrows, _ = _arrows(of, t)
    exact, time = of.resolved.exact, torch.tensor(float(t), dtype=torch.float64)
    return _cosine(arrows, -exact(places, time).eps, exact.log_density(places, time).exp())


@measure
def field_cosine(of: TrainingView) -> float:
    """The cosine at t = 0.4 between the arrows that were learned and the true ones, mean over the plane where data are:
    weighted by the density p_t."""
    schedule, places = make_schedule(of.config.schedule, of.config.T), field_points(STATE_VIEW)
    exact, t = Exact.of(of.dataset, schedule), torch.tensor(LOOK_AT, dtype=torch.float64)
    true = -exact(places, t).eps
    return _cosine(of.previews[-1].field.reshape(-1, 2), true, exact.log_density(places, t).exp())
