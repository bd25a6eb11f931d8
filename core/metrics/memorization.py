"""Memory: which samples are copies of training data, and how far samples are from data never seen.

A perfect denoiser of N rows can do nothing but give the rows back; what makes a network draw anything new is that it
is no such thing. From few rows it learns them by heart, from many it learns what they have in common, and between the
two lies a transition that can be measured (Gu et al. 2023, "On Memorization in Diffusion Models"; Kadkhodaie et al.
2024, "Generalization in diffusion models arises from geometry-adaptive harmonic representations").

    data = load("digits8").first(64)
    memorization_rate(samples, data.x0)  # Estimate(value=0.31, error=0.03)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..data.datasets import Dataset
from ..denoisers.base import Denoiser
from ..denoisers.exact import Exact
from ..forward import noised
from .distances import BLOCKS, Estimate, draw_samples, estimated, nearest_rows, sliced_wasserstein

LEVEL = 0.5  #: sigma/alpha at which guesses are compared: half as much noise as signal
COPY = 1 / 3  #: nearer than this share of the way to the second row, a sample is a copy of the nearest


def distinct(rows: Tensor) -> Tensor:
    """Rows (N, ...) without those that are there already: themselves where all differ, else in the order of values."""
    unique = rows.flatten(1).unique(dim=0)
    return rows if len(unique) == len(rows) else unique.reshape(-1, *rows.shape[1:])


def copied(samples: Tensor, rows: Tensor) -> Tensor:
    """Which samples are copies, (B,) bool: the nearest row is less than COPY times as far as the second nearest.

    The criterion of Yoon et al. 2023 ("Diffusion Probabilistic Models Generalize when They Fail to Memorize") and of Gu
    et al. 2023. It has no unit and no threshold to tune, and it asks for a row that stands out: something as near to
    one row as to another is new. Of pictures nothing new meets it by chance. In the plane one in nine does, as among
    places spread evenly over D dimensions the ratio r of the two distances has P(r < c) = c^D.

    Rows must differ (`distinct`): one that is there twice is its own second nearest. ValueError for fewer than 2.
    """
    if len(rows) < 2:
        raise ValueError(f"what a copy is takes the two nearest rows, and there are {len(rows)}; take 2 or more")
    first, second = nearest_rows(samples, rows, 2)[0].unbind(1)
    return first < COPY * second


def memorization_rate(samples: Tensor, rows: Tensor) -> Estimate:
    """The share of samples that are copies of a row (`copied`), with its sampling error. ValueError as there.

    The error is one of a share p of B independent samples, √(p'(1 − p')/(B + 4)) with p' = (pB + 2)/(B + 4), which is
    not 0 where all or none were copies (Agresti & Coull 1998).
    """
    return share(copied(samples, distinct(rows)))


def share(flags: Tensor) -> Estimate:
    """The share of true ones among B independent flags, with its error. ValueError if there are none."""
    if not len(flags):
        raise ValueError("no samples were given; give 1 or more")
    count, n = int(flags.sum()), len(flags)
    p = (count + 2) / (n + 4)
    return Estimate(count / n, math.sqrt(p * (1 - p) / (n + 4)))


def memorization_figures(samples: Tensor, dataset: Dataset) -> dict[str, float]:
    """What samples remember of a data set, and how near they are to what it held out, as many as there are samples.

    rate                 the share of samples that are copies of a row
    sliced_wasserstein   samples against held-out data
    rate_error, sliced_wasserstein_error   one standard error of each

    ValueError if fewer rows were held out than samples are given, or there are too few for an error.
    """
    remembered = memorization_rate(samples, dataset.x0)
    distance = estimated(sliced_wasserstein, samples, dataset.held_out[: len(samples)], pairs=True)
    figures = {"rate": remembered.value, "rate_error": remembered.error,
               "sliced_wasserstein": distance.value, "sliced_wasserstein_error": distance.error}
    return {name: round(value, 5) for name, value in figures.items()}


@torch.no_grad()
def guess_errors(denoiser: Denoiser | Exact, dataset: Dataset, count: int, seed: int = 0) -> dict[str, float]:
    """How well x0 is guessed from rows trained on ("seen") and held out ("unseen"), at the noise sigma/alpha = LEVEL.

    Mean (x̂0 − x0)² per value, over `count` noised rows of each. Where the two are one, nothing was learned by heart
    (Kadkhodaie et al. 2024, figure 1, who give it as a signal-to-noise ratio).
    """
    generator = torch.Generator().manual_seed(seed)
    t = denoiser.schedule.t_at(torch.tensor(-2 * math.log(LEVEL), dtype=torch.float64))
    errors = {}
    for name, x0 in (("seen", dataset.draw(count, generator)[0]), ("unseen", dataset.held_out[:count])):
        event = noised(denoiser.schedule, x0, t, torch.randn(x0.shape, generator=generator))
        errors[name] = round(float((denoiser(event.x_t, t).x0 - x0).square().mean()), 5)
    return errors


def memorization_card(denoiser: Denoiser, dataset: Dataset, seed: int = 0) -> dict[str, object]:
    """How much a model remembers of its training data: its "memorization" on a card. {} where none were held out.

    samples         how many were drawn, 256 at most and no more than were held out; seed: of their noise
    network, exact  `memorization_figures` and `guess_errors` of the model, and of the exact denoiser of the same data
    unseen_rate     the share of held-out data that would be called copies: what the criterion finds by chance
    """
    count = min(256, len(dataset.held_out))
    if count < 2 * BLOCKS:
        return {}
    exact = Exact.of(dataset, denoiser.schedule)
    card: dict[str, object] = {"samples": count, "seed": seed}
    models: dict[str, Denoiser | Exact] = {"network": denoiser, "exact": exact}
    for name, of in models.items():
        drawn = draw_samples(of, dataset.shape, count, seed=seed)
        card[name] = memorization_figures(drawn, dataset) | guess_errors(of, dataset, count, seed)
    return card | {"unseen_rate": round(memorization_rate(dataset.held_out[:count], dataset.x0).value, 5)}
