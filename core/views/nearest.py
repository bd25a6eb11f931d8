"""Memory at the playhead: the training row nearest to every guess, which guesses are copies of one, and since when."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import torch

from ..checkpoints.models import pretrained
from ..data.datasets import Dataset
from ..metrics.distances import Estimate, nearest_rows
from ..metrics.memorization import COPY, LEVEL, distinct, memorization_rate
from ..scene import Chart, Series
from .base import STATE_VIEW, pictures
from .trace import TraceView


def offer_nearest(film: TraceView, dataset: Dataset | None = None) -> None:
    """Offer the panel "nearest": at each timestep, for every sample, the row of its data nearest to the guess x̂0.

    dataset     what the denoiser was trained on; the film's own unless told

    Once somebody has looked at the panel there are charts too, of the frames that were looked at: the share of guesses
    that are copies (`core.metrics.memorization.copied`), and of those whose nearest row is by now the one it will be in
    the end; when the walk is over, `memory_charts` with a dot for this walk. For points there is the second share
    alone, since one point in nine would be called a copy by chance.
    """
    dataset = dataset or film.dataset
    points = dataset.kind == "points"
    seen: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # frame → distances and indices of the two nearest rows
    rows = cache(lambda: distinct(dataset.x0))

    def make(first: int, end: int) -> torch.Tensor:
        for k in set(range(first, end)) - set(seen):
            seen[k] = nearest_rows(film.quantity("x0", k, k + 1)[0], rows(), min(2, len(rows())))
        shown = torch.stack([rows()[seen[k][1][:, 0]] for k in range(first, end)])
        return shown if points else pictures(shown)

    def charts() -> tuple[Chart, ...]:
        if not seen:
            return ()
        frames, last = sorted(seen), film.total - 1
        cursor = torch.cat([film.kept, film.times[-1:]]).numpy()
        curves = []
        if not points and len(rows()) > 1:
            copied = [(near[:, 0] < COPY * near[:, 1]).float().mean() for near, _ in (seen[k] for k in frames)]
            curves.append(Series("copies", cursor[frames], np.array(copied)))
        if last in seen:
            found = [(seen[k][1][:, 0] == seen[last][1][:, 0]).float().mean() for k in frames]
            curves.append(Series("found", cursor[frames], np.array(found), palette="ink", style="dashed"))
        title = ("which guesses have found their row?" if points else
                 "which guesses are copies, and which have found their picture?")
        over_t = (Chart(f"{title} share", tuple(curves), cursor, ends=("t=1 noise", "t=0 data"), flip=True),)
        return (over_t if curves else ()) + (over_rows() if film.finished and not points else ())

    @cache
    def over_rows() -> tuple[Chart, ...]:
        here = (len(dataset), memorization_rate(film.trace.final, rows())) if len(rows()) > 1 else None
        return memory_charts(dataset.name, here)

    look = dict(kind="images", range=(-1.0, 1.0), palette="data")
    if points:
        look = dict(kind="points", range=(-STATE_VIEW, STATE_VIEW), palette="ink", backdrop=dataset.x0.numpy())
    what = "row" if points else "picture"
    film.offer("nearest", f"nearest training {what}",
               f"the training {what} nearest to each guess x̂0: to which one a sample goes, and since when",
               make, caption=f"of {len(dataset):,}", holds="samples", **look)
    film.more_charts.append(charts)
    film.more_bytes.append(lambda: sum(part.nbytes for found in [*seen.values()] for part in found))


@lru_cache(maxsize=64)  # a visitor's own data have whatever name
def memorization_cards(data: str) -> dict[int, dict]:
    """What the shipped models of a data set remember, by how many rows they were trained on, from few to many.

    Each is the "memorization" of a card, see `core.metrics.memorization`. {} where there are no such models.
    """
    cards = [card for card in pretrained().values() if card["data"] == data and "memorization" in card]
    return {card["train_size"]: card["memorization"] for card in sorted(cards, key=lambda card: card["train_size"])}


def memory_charts(data: str, here: tuple[int, Estimate] | None = None) -> tuple[Chart, ...]:
    """From copies to new pictures: what was measured of the shipped models of a data set, over log₂ of their rows.

    The share of copies among the samples of one network trained on more and more rows, and of the exact denoiser of the
    same rows; and how well each guesses x0 of pictures it was trained on and of others, which meet where nothing is
    learned by heart. here: (rows, share of copies) of what is looked at, as a dot. () without such models.
    """
    cards = memorization_cards(data)
    if not cards:
        return ()
    rows, ends = np.log2(list(cards)), (f"{min(cards):,}", f"{max(cards):,} training pictures")

    def curve(label: str, who: str, figure: str, style: str = "line") -> Series:
        values = np.array([card[who][figure] for card in cards.values()])
        return Series(label, rows, values, style, "ink" if who == "exact" else "accent")

    dot = ()
    if here is not None:
        at, share = here
        dot = (Series(f"here {share.value:.0%} ± {share.error:.0%}", np.log2([at]), np.array([share.value]), "dots"),)
    return (
        Chart("share of samples that are copies, over log₂ of the rows",
              (curve("exact", "exact", "rate", "dashed"), curve("network", "network", "rate"), *dot), ends=ends),
        Chart(f"error of the guess x̂₀ at σ/α = {LEVEL:g}, of pictures trained on and unseen",
              (curve("exact, unseen", "exact", "unseen", "dashed"), curve("unseen", "network", "unseen"),
               curve("trained on", "network", "seen", "dashed")), ends=ends),
    )
