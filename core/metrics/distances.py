"""How far samples are from the data: two distances between sets, and both for a model with what real data would get."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..buffers import scratch, slices
from ..data.datasets import Dataset
from ..denoisers.base import Denoiser
from ..denoisers.exact import Exact
from ..guidance.classifier_free import condition
from ..reverse import start_noise, walk
from ..samplers import heun

#: Blocks that a set of samples is split into, to see how far a distance varies from set to set.
BLOCKS = 8
OUTLIER = 4.5  #: a normal sample in 2-D lies farther out with probability exp(−4.5²/2) = 4e-5


def sliced_wasserstein(a: Tensor, b: Tensor, directions: int = 512, seed: int = 0) -> float:
    """Mean over random directions of the 1-D Wasserstein distance between a and b, in the data's units.

    In one dimension that distance is the mean |difference| of the sorted projections (Bonneel et al. 2015, section
    2.3). It sees how much of the whole is where. ValueError if a and b have not the same shape.
    """
    if a.shape != b.shape:
        raise ValueError(f"sets of {tuple(a.shape)} and {tuple(b.shape)}; compare as many samples, of one shape")
    a, b = a.flatten(1), b.flatten(1)
    w = torch.randn(a.shape[1], directions, generator=torch.Generator().manual_seed(seed)).to(a)
    w = w / w.norm(dim=0)
    # A direction a row, sorted by NumPy: it takes a fifteenth of the time of torch's `sort` along columns.
    one, other = (np.sort((w.T @ x.T).cpu().numpy(), axis=1) for x in (a, b))
    return float(np.abs(one - other).mean())


def nearest_rows(samples: Tensor, rows: Tensor, count: int = 1) -> tuple[Tensor, Tensor]:
    """The `count` nearest rows of each sample: distances and indices, both (B, count), nearest first.

    Euclidean distances in the data's units. Who is near is found by inner products, which are fast; how near, by
    differences, since small distances between large numbers would be lost in rounding. ValueError for a count that the
    rows do not have.
    """
    if not 1 <= count <= len(rows):
        raise ValueError(f"the {count} nearest of {len(rows)} rows were asked for; it can be 1 to {len(rows)}")
    rows = rows.flatten(1)
    samples, half_squares = samples.flatten(1).to(rows), rows.norm(dim=1).square() / 2
    near = [_nearest(samples[part], rows, half_squares, count) for part in slices(len(samples), len(rows))]
    distances, indices = (torch.cat(parts) for parts in zip(*near))
    return distances, indices


def _nearest(samples: Tensor, rows: Tensor, half_squares: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`nearest_rows` of so few samples (b, D) that numbers for all pairs fit a cache."""
    with scratch(len(samples), len(rows), dtype=rows.dtype, device=rows.device) as far:  # (|x − y|² − |x|²)/2
        torch.addmm(half_squares, samples, rows.T, alpha=-1, out=far)
        found = far.topk(min(count + 2, len(rows)), largest=False).indices
    with scratch(*samples.shape, dtype=rows.dtype, device=rows.device) as apart:
        distances = torch.stack([torch.index_select(rows, 0, row, out=apart).sub_(samples).norm(dim=1)
                                 for row in found.T], 1)
    distances, order = distances.sort(1)
    return distances[:, :count], found.gather(1, order)[:, :count]


def nearest_distances(a: Tensor, b: Tensor) -> Tensor:
    """For each of a the Euclidean distance to the nearest of b, (len(a),), in the data's units.

    Its median sees how sharp samples are, and whether they are copies.
    """
    return nearest_rows(a, b)[0][:, 0]


@dataclass(frozen=True)
class Estimate:
    """A figure with its sampling error: one standard error, in the figure's own units."""

    value: float
    error: float


def estimated(measure: Callable[[Tensor, Tensor], float], a: Tensor, b: Tensor, pairs: bool) -> Estimate:
    """measure(a, b), with the error that comes from a (and b, if `pairs`) being samples.

    The error is std/√BLOCKS over disjoint blocks of the rows: a block's figure varies √BLOCKS times as much as that of
    the whole. With `pairs` b is split along with a, for measures of two sets of one size; else each block is held
    against all of b. Blocks, not a bootstrap: rows drawn twice would lie nearer together than samples do.
    ValueError for fewer than two rows a block.
    """
    if len(a) < 2 * BLOCKS or pairs and len(a) != len(b):
        raise ValueError(f"sets of {len(a)} and {len(b)} samples; take {2 * BLOCKS} or more"
                         + (", as many of each" if pairs else ""))
    parts = zip(a.tensor_split(BLOCKS), b.tensor_split(BLOCKS) if pairs else [b] * BLOCKS)
    blocks = torch.tensor([measure(x, y) for x, y in parts], dtype=torch.float64)
    return Estimate(measure(a, b), float(blocks.std()) / BLOCKS**0.5)


def nearest(a: Tensor, b: Tensor) -> float:
    """The median of `nearest_distances`."""
    return float(nearest_distances(a, b).median())


def draw_samples(denoiser: Denoiser | Exact, shape: tuple[int, ...], n: int, steps: int = 25, seed: int = 0,
                 cond: Tensor | None = None) -> Tensor:
    """n samples (n, *shape) by Heun's method over a grid even in log-SNR: 2·steps − 1 evaluations of the network.

    cond (n,) or (n, K) is what each shall be; None leaves it to the model.
    """
    generator, schedule = torch.Generator().manual_seed(seed), denoiser.schedule
    times = schedule.times(steps, "log_snr", schedule.start_for(denoiser.prediction_type))
    x = start_noise(schedule, (n, *shape), times[0], generator)
    denoise = denoiser if cond is None else condition(denoiser, cond)
    return deque(walk(denoise, heun(schedule), x, times, generator), maxlen=1)[0].x_s


def agreement(samples: Tensor, cond: Tensor, dataset: Dataset, skip: int = 0) -> float:
    """The share of samples whose nearest row of the data is called as was asked for, in every condition.

    With skip = 1 it is the second nearest row, for samples that are rows themselves. ValueError for data without
    labels.
    """
    if dataset.cond is None:
        raise ValueError(f"{dataset.name} has no labels that samples could agree with")
    skip = min(skip, len(dataset) - 1)
    rows = nearest_rows(samples, dataset.x0, skip + 1)[1][:, skip]
    return float((dataset.cond[rows] == cond).reshape(len(cond), -1).all(1).float().mean())


def sample_quality(denoiser: Denoiser, dataset: Dataset, n: int | None = None, seed: int = 0,
                   draw: Callable[..., Tensor] = draw_samples) -> dict[str, float]:
    """Distances of a model's samples from data it has not seen, and of the training data from them: what to hope for.

    n           samples; 2000 points or 256 images unless told, and no more images than were held out
    draw        makes them: (denoiser, shape, n, seed=seed) → (n, *shape); a model with labels is also given cond=, what
                each sample shall be: that of as many rows of the training data

    sliced_wasserstein, nearest             samples against unseen data; `nearest` is a median
    real_sliced_wasserstein, real_nearest   training data against unseen data
    outlier_rate   points: share of samples farther than OUTLIER bandwidths from every row; of the
                data one in 25,000 is
    agreement, real_agreement   with labels: share of samples, and of training data, whose nearest (other) training row
                is called as they are
    nearest_ratio   images: samples' `nearest` training image over that of unseen images; far below 1, the model
                repeats what it was shown
    """
    generator = torch.Generator().manual_seed(seed)
    if dataset.kind == "points":
        n = n or 2000
        unseen = dataset.draw(n, generator)[0]
    else:
        n = min(n or 256, len(dataset.held_out))
        if n == 0:
            return {}
        unseen = dataset.held_out[:n]
    seen, cond = dataset.draw(n, generator)
    cond = cond if denoiser.labels else None
    samples = draw(denoiser, dataset.shape, n, seed=seed, **({} if cond is None else {"cond": cond}))
    figures = {
        "sliced_wasserstein": sliced_wasserstein(samples, unseen),
        "real_sliced_wasserstein": sliced_wasserstein(seen, unseen),
        "nearest": float(nearest_distances(samples, unseen).median()),
        "real_nearest": float(nearest_distances(seen, unseen).median()),
    }
    if cond is not None:
        figures["agreement"] = agreement(samples, cond, dataset)
        figures["real_agreement"] = agreement(seen, cond, dataset, skip=1 if dataset.bandwidth == 0 else 0)
    if dataset.kind == "images":
        own, fair = (nearest_distances(x, dataset.x0).median() for x in (samples, unseen))
        figures["nearest_ratio"] = float(own / fair)
    elif dataset.bandwidth:
        away = nearest_distances(samples, dataset.x0) > OUTLIER * dataset.bandwidth
        figures["outlier_rate"] = float(away.float().mean())
    return {"samples": n, "seed": seed} | {name: round(value, 5) for name, value in figures.items()}
