"""How much of the data samples cover: are all modes there, and is what is there any good?

    modes = Modes.of(load("gaussians8"))
    modes.look(samples)                  # Coverage(covered=8, count=8, good=0.989)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..data.datasets import Dataset
from .distances import nearest_rows

HALVINGS = 4  #: so often data are cut in two
SMALLEST = 1 / 32  #: share of the data that a mode holds at least
NEAR = 3.0  #: bandwidths within which a sample is good (Srivastava et al. 2017, "VEEGAN", section 4.1)
QUARTER = 0.25  #: of its fair share is what a mode must get to count as covered
FEWEST = 16  #: samples that the smallest mode's fair share must be: exact ones then miss it in one set of 10,000


@dataclass(frozen=True)
class Coverage:
    """What a set of samples has of the data."""

    covered: int  #: modes that got at least a QUARTER of their fair share in good samples
    count: int  #: modes that there are
    good: float  #: share of samples within NEAR bandwidths of a row
    shares: Tensor = field(repr=False)  #: of all samples, the good ones in each mode, (count,) float64


@dataclass(frozen=True, eq=False)
class Modes:
    """What of the data can be there or missing: `of_row` says in which mode a row of `rows` is.

    Rows are cut in two equal halves across the longer side of their bounding box, the halves again, and so on, HALVINGS
    times or until there is one row in each: of eight centres every one is a mode. A curve or an area has no modes to
    count; it is cut into 16 parts of equal weight. Nothing is cut where less than SMALLEST would fall off.
    """

    rows: Tensor  #: the data's rows, each place once, (M, 2)
    bandwidth: float
    of_row: Tensor  #: (M,) int64
    fair: Tensor  #: the data's share of each mode, float64; they add up to 1

    @classmethod
    def of(cls, dataset: Dataset) -> Modes:
        """ValueError for images, and for points without a bandwidth: nothing then says what is near."""
        if dataset.kind != "points" or not dataset.bandwidth:
            raise ValueError(f"{dataset.name} holds {dataset.kind} with a bandwidth of {dataset.bandwidth:g}; modes "
                             "are counted of points with a bandwidth above 0")
        rows, times = torch.unique(dataset.x0, dim=0, return_counts=True)
        parts = [torch.arange(len(rows))]
        for _ in range(HALVINGS):
            parts = [half for part in parts for half in _halves(rows, times, part)]
        of_row = torch.empty(len(rows), dtype=torch.int64)
        for k, part in enumerate(parts):
            of_row[part] = k
        return cls(rows, dataset.bandwidth, of_row, torch.bincount(of_row, times.double()) / len(dataset))

    @property
    def count(self) -> int:
        return len(self.fair)

    @property
    def word(self) -> str:
        """What they are: "modes" where each is one place, else "parts"."""
        return "modes" if self.count == len(self.rows) else "parts"

    @property
    def least(self) -> int:
        """Samples that a count needs: FEWEST in the fair share of the smallest mode.

        What an exact sampler puts there is binomial with a mean of FEWEST or more, and is less than a QUARTER of that
        with a probability below 1e-4.
        """
        return int(torch.ceil(FEWEST / self.fair.min()))

    def look(self, samples: Tensor) -> Coverage:
        """What samples (n, 2) have of the data. With d_i the distance of sample i to the nearest row, in mode k_i,

            good = mean_i [d_i ≤ NEAR·h],    share_k = mean_i [d_i ≤ NEAR·h and k_i = k],
            and mode k is covered if share_k ≥ QUARTER·fair_k.

        Draws from the data are good with probability 1 − exp(−NEAR²/2) = 0.989 where rows lie far apart, and more
        often where they do not. All are means over samples: the standard error of `good` is √(good·(1 − good)/n).
        ValueError for fewer samples than `least`, and for samples that are no numbers.
        """
        if samples.ndim != 2 or samples.shape[1] != 2 or len(samples) < self.least:
            raise ValueError(f"samples of shape {tuple(samples.shape)}; to count {self.count} {self.word} takes points "
                             f"(n, 2) with n = {self.least} or more")
        if not samples.isfinite().all():
            raise ValueError("some samples are NaN or infinite; the model that made them has diverged")
        distance, row = (near[:, 0] for near in nearest_rows(samples, self.rows))
        near = distance <= NEAR * self.bandwidth
        shares = torch.bincount(self.of_row[row[near]], minlength=self.count).double() / len(samples)
        covered = int((shares >= QUARTER * self.fair).sum())
        return Coverage(covered, self.count, float(near.double().mean()), shares)


def _halves(rows: Tensor, times: Tensor, part: Tensor) -> list[Tensor]:
    """The two halves of a part of the rows, across the longer side of its box; the part itself where one is too small.

    times: how often each row is there.
    """
    low, high = rows[part].aminmax(dim=0)
    order = rows[part, (high - low).argmax()].argsort(stable=True)
    halves = [part[half] for half in order.tensor_split(2)]
    small = min(int(times[half].sum()) for half in halves) < SMALLEST * int(times.sum())
    return [part] if small else halves
