"""Measures of walks: where the samples are, how far from the data and from each other, what the steps were."""

from __future__ import annotations

import torch
from torch import Tensor

from ...data.datasets import Dataset
from ...metrics.coverage import Modes
from ...metrics.distances import estimated, nearest_distances, sliced_wasserstein
from ...metrics.memorization import memorization_rate
from ...runs.comparison import DATA_SEED
from ..evidence import Walk
from .known import measure


def rows(of: Walk | Dataset, t: float = 0.0, count: int | None = None) -> Tensor:
    """The samples of a walk at t, or as many fresh draws of the data."""
    if isinstance(of, Walk):
        return of.state(t)
    count = count or (1000 if of.kind == "points" else min(64, len(of)))
    return of.draw(count, torch.Generator().manual_seed(DATA_SEED))[0]


@measure
def spread(of: Walk | Dataset, t: float = 0.0) -> float:
    """Standard deviation of the samples around their own middle, over all coordinates, at time t (of data: at 0)."""
    x = rows(of, t).flatten(1).double()
    return float((x - x.mean(0)).square().mean().sqrt())


@measure
def width(of: Walk | Dataset, t: float = 0.0) -> float:
    """Root mean square of the samples' values at time t: 1 for standard normal noise."""
    return float(rows(of, t).double().square().mean().sqrt())


@measure
def middle(of: Walk | Dataset, t: float = 0.0) -> tuple[float, float]:
    """The mean of the samples at time t, as a place (x, y); of points."""
    x, y = rows(of, t).double().flatten(1).mean(0)[:2].tolist()
    return x, y


@measure
def distance(of: Walk, to: Walk | Dataset) -> float:
    """Sliced Wasserstein distance from where a walk ended to the data, or to the ends of another, in the data's units.

    To data: as many fresh draws as there are samples.
    """
    return sliced_wasserstein(of.end, rows(to, count=len(of.end)), directions=256)


@measure
def distance_error(of: Walk, to: Walk | Dataset) -> float:
    """One standard error of `distance`, from disjoint blocks of the samples."""
    return estimated(sliced_wasserstein, of.end, rows(to, count=len(of.end)), pairs=True).error


@measure
def apart(one: Walk, other: Walk, t: float = 0.0) -> float:
    """Root mean square distance between the same samples of two walks at time t, over all coordinates."""
    return float((one.state(t).double() - other.state(t).double()).square().mean().sqrt())


@measure
def nearest(of: Walk) -> float:
    """Median Euclidean distance from a sample to the nearest row of the data."""
    return float(nearest_distances(of.end, of.dataset.x0).median())


@measure
def off_data(of: Walk, within: float) -> float:
    """The share of samples, 0 to 1, farther than this from every row of the data."""
    return float((nearest_distances(of.end, of.dataset.x0) > within).double().mean())


@measure
def modes(of: Walk) -> float:
    """How many of the data's modes (of curves: of 16 equal parts) got a quarter or more of their fair share."""
    return float(Modes.of(of.dataset).look(of.end).covered)


@measure
def modes_of_data(data: Dataset) -> float:
    """How many modes the data have; of curves 16 equal parts."""
    return float(Modes.of(data).count)


@measure
def copies(of: Walk) -> float:
    """The share of samples, 0 to 1, that are copies of a row: three times nearer to it than to the second nearest."""
    return memorization_rate(of.end, of.dataset.x0).value


@measure
def evaluations(of: Walk) -> float:
    """How often the network was asked for each sample."""
    return float(of.calls if of.calls is not None else len(of.times) - 1)


@measure
def noise_put_back(of: Walk) -> float:
    """Standard deviation of all fresh noise that the steps drew, together: the root of the sum of their variances."""
    return float(of.trace.std.square().sum().sqrt())


@measure
def guess_error(of: Walk, t: float) -> float:
    """Root mean square distance from the guess x̂₀ at time t to where the walk ended, over all coordinates."""
    return float((of.guess(t).double() - of.end.double()).square().mean().sqrt())


@measure
def known_at(of: Walk, within: float) -> float:
    """The earliest time t from which on the guess x̂₀ stays within this (root mean square) of where the walk ended.

    Measured at the kept moments; 0 if it never does before the end.
    """
    return _settled(of, "x0", within)


@measure
def arrived_at(of: Walk, within: float) -> float:
    """The earliest time t from which on the state x_t itself stays within this (root mean square) of the end."""
    return _settled(of, "x_t", within)


def _settled(of: Walk, name: str, within: float) -> float:
    end, since = of.end.double(), 0.0
    for k in reversed(range(len(of.trace))):
        if float((of.trace.part(name, k, k + 1)[0].double() - end).square().mean().sqrt()) > within:
            break
        since = float(of.trace.t[k])
    return since


@measure
def spread_of_guess(of: Walk, t: float) -> float:
    """Standard deviation of the guesses x̂₀ made at time t around their own middle, over all coordinates."""
    x = of.guess(t).flatten(1).double()
    return float((x - x.mean(0)).square().mean().sqrt())


@measure
def crowds_apart(one: Walk, other: Walk) -> float:
    """The largest sliced Wasserstein distance between the states of two walks at any of 21 times from 1 to 0."""
    times = [k / 20 for k in range(21)]
    return max(sliced_wasserstein(one.state(t), other.state(t), directions=64) for t in times)


@measure
def distance_by_chance(of: Walk) -> float:
    """Sliced Wasserstein distance between two draws of the data, as many as the walk has samples; as on the chart."""
    generator = torch.Generator().manual_seed(DATA_SEED)
    drawn = (of.dataset.draw(len(of.end), generator)[0] for _ in range(2))
    return sliced_wasserstein(*drawn, directions=256)


@measure
def denser_than_data(of: Walk) -> float:
    """The share of fresh data, 0 to 1, that lie at less dense places than the median sample of the walk does.

    By the exact density of the data at t = 1/T: 0.5 for samples of the data, 1 for who climbs to its summits.
    """
    t = torch.tensor(1 / of.schedule.T, dtype=torch.float64)
    alpha = of.schedule.at(t)[0]
    ends, fresh = (of.resolved.exact.log_density(alpha * x, t) for x in (of.end, rows(of.dataset)))
    return float((fresh < ends.median()).double().mean())
