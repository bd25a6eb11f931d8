"""Measures of a training: its loss, the floor below it, and what it makes of noise by now."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...metrics.coverage import Modes
from ...metrics.distances import sliced_wasserstein
from ...views import TrainingView
from ...views.baseline import BaselineView
from ...views.training import smooth
from .known import measure
from .walks import rows


def _training(of: TrainingView | BaselineView) -> TrainingView:
    return of if isinstance(of, TrainingView) else of.training


@measure
def steps_trained(of: TrainingView | BaselineView) -> float:
    """Optimizer steps that were taken."""
    return float(len(_training(of).progress.losses))


@measure
def loss(of: TrainingView | BaselineView) -> float:
    """The loss at the end: the mean over the last tenth of the steps."""
    return float(smooth(_training(of).progress.losses.numpy())[-1])


@measure
def over_floor(of: TrainingView | BaselineView, first: float = 0.0, last: float = 1.0) -> float:
    """How many times the noise's error is that of the exact denoiser, its floor, over the times from first to last.

    A ratio of means over the intervals of t in which both are known; 1: nothing is left to learn.
    """
    training = _training(of)
    t, floor = (a.numpy() for a in training.floor[:2])
    mse = training.progress.bucket_mse.numpy()
    there = np.isfinite(mse) & np.isfinite(floor) & (t >= first) & (t <= last)
    if not there.any():
        raise ValueError(f"no losses are known between t = {first:g} and {last:g}")
    return float(mse[there].mean() / floor[there].mean())


@measure
def distance_trained(of: TrainingView | BaselineView) -> float:
    """Sliced Wasserstein distance from the last preview's samples to as many fresh data, in the data's units."""
    training = _training(of)
    samples = training.previews[-1].samples
    return sliced_wasserstein(samples, rows(training.dataset, count=len(samples)), directions=256)


@measure
def modes_trained(of: TrainingView | BaselineView) -> float:
    """How many of the data's modes (of curves: of 16 equal parts) the last preview's samples cover."""
    training = _training(of)
    return float(Modes.of(training.dataset).look(training.previews[-1].samples).covered)


@measure
def modes_of_gan(of: BaselineView) -> float:
    """How many of the data's modes the GAN beside it covers at the end."""
    return float(of.coverage[-1][1].covered)


@measure
def loss_at(of: TrainingView | BaselineView, step: float) -> float:
    """The loss after so many steps: the mean over the last tenth of them."""
    losses = smooth(_training(of).progress.losses.numpy())
    return float(losses[max(0, min(len(losses), round(step)) - 1)])


@measure
def distance_at(of: TrainingView | BaselineView, step: float) -> float:
    """As `distance_trained`, of the preview that was taken nearest to this step."""
    training = _training(of)
    samples = min(training.previews, key=lambda preview: abs(preview.step - step)).samples
    return sliced_wasserstein(samples, rows(training.dataset, count=len(samples)), directions=256)


@measure
def gan_wandered(of: BaselineView) -> float:
    """How far the GAN's samples moved from each preview to the next, root mean square; the mean over the second half of
    the previews."""
    return _wandered([preview.drawn for preview in of.previews])


@measure
def diffusion_wandered(of: BaselineView) -> float:
    """As `gan_wandered`, of the diffusion model's samples."""
    return _wandered([preview.samples for preview in of.previews])


def _wandered(looks: list[Tensor]) -> float:
    late = torch.stack(looks[len(looks) // 2:]).double()
    return float(late.diff(dim=0).flatten(1).square().mean(1).sqrt().mean())
