"""The playhead runs over the number of training pictures: one network, trained on more and more of the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..checkpoints.models import load_pretrained, pretrained_for
from ..data.datasets import Dataset
from ..denoisers.base import Denoiser
from ..denoisers.exact import Exact
from ..metrics.distances import draw_samples, nearest_rows
from ..metrics.memorization import copied, distinct
from ..scene import Scene
from .base import View, pictures
from .nearest import memorization_cards, memory_charts


def memory_series(data: str) -> dict[int, Denoiser]:
    """The shipped networks of a data set by how many rows they were trained on, from few to many; {} for none."""
    names = pretrained_for(data)
    return {rows: load_pretrained(names[f"rows{rows}"])[0] for rows in memorization_cards(data)}


class MemorizationView(View):
    """One frame a number of training pictures; `grow` makes them, from few to many.

    The same noise is walked to pictures by each of the networks and by the exact denoiser of the same rows, which can
    but repeat them (Heun's method, as in `core.metrics.draw_samples`).
    """

    def __init__(self, dataset: Dataset, series: dict[int, Denoiser], samples: int = 16, seed: int = 0,
                 about: dict | None = None):
        self.dataset, self.series, self.count, self.seed = dataset, series, samples, seed
        self.about = about or {}
        self.rows = list(series)
        self._made: list[dict[str, Tensor]] = []
        self.copies: list[float] = []  #: of what is shown, the share that are copies, one a frame
        self.offers = {}
        look = dict(kind="images", range=(-1.0, 1.0), palette="data")
        self.default = ("samples", "nearest", "exact")
        self.offer("samples", "samples", "what the network trained on so many pictures makes of the same noise",
                   self._part("samples"), **look)
        self.offer("nearest", "nearest training picture", "of those it was trained on, the one nearest to each sample",
                   self._part("nearest"), **look)
        self.offer("exact", "exact denoiser", "what the exact denoiser of these pictures makes of the same noise: "
                   "copies, always", self._part("exact"), **look)

    def grow(self) -> Iterator[MemorizationView]:
        """Make the frames, yielding the film after each."""
        for rows, denoiser in self.series.items():
            data = self.dataset.first(rows)
            samples = draw_samples(denoiser, data.shape, self.count, seed=self.seed)
            exact = draw_samples(Exact.of(data, denoiser.schedule), data.shape, self.count,
                                 seed=self.seed)
            known = distinct(data.x0)
            nearest = known[nearest_rows(samples, known)[1][:, 0]]
            self.copies.append(float(copied(samples, known).float().mean()))
            self._made.append({"samples": samples, "nearest": nearest, "exact": exact})  # the last: others may look
            yield self

    def _part(self, name: str):
        return lambda first, end: pictures(torch.stack([made[name] for made in self._made[first:end]]))

    @property
    def frames(self) -> int:
        return len(self._made)

    @property
    def total(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        return sum(x.nbytes for made in self._made for x in made.values())

    def shell(self, first: int, end: int) -> Scene:
        rows = np.array(self.rows[first:end], float)
        numbers = dict(t=np.zeros(len(rows)), rows=rows, copies=100 * np.array(self.copies[first:end]))
        charts = tuple(replace(chart, cursor=np.log2(self.rows)) for chart in memory_charts(self.dataset.name))
        return Scene(
            (), numbers, clock="{rows:.0f} training pictures",
            sentence="Trained on {rows:.0f} pictures, the same network makes this of the same noise: {copies:.0f} % of "
                     "what you see are copies of one of them.",
            formula="copy: |x − y_{1}| < ⅓ |x − y_{2}|",
            figures=("y₁, y₂: the nearest and the second nearest of {rows:.0f} training pictures",),
            source="core/metrics/memorization.py · first < COPY * second", charts=charts, about=self.about,
        )
