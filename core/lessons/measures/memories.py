"""Measures of the networks trained on few pictures: how much of what they draw are copies."""

from __future__ import annotations

import math

from ...views import MemorizationView
from ...views.nearest import memorization_cards
from .known import measure


def _figure(of: MemorizationView, who: str, name: str, rows: float) -> float:
    """A figure of the cards at the number of rows that is nearest, by its logarithm."""
    cards = memorization_cards(of.dataset.name)
    return cards[min(cards, key=lambda there: abs(math.log(there / rows)))][who][name]


@measure
def copies_of_network(of: MemorizationView, rows: float) -> float:
    """The share of samples, 0 to 1, that are copies, of the network trained on so many pictures; as on its card."""
    return _figure(of, "network", "rate", rows)


@measure
def copies_of_exact(of: MemorizationView, rows: float) -> float:
    """The share of samples, 0 to 1, that are copies, of the exact denoiser of so many pictures; as on its card."""
    return _figure(of, "exact", "rate", rows)


@measure
def copies_shown(of: MemorizationView, rows: float) -> float:
    """The share of the samples that are shown, 0 to 1, that are copies, at so many training pictures."""
    k = min(range(of.frames), key=lambda k: abs(math.log(of.rows[k] / rows)))
    return of.copies[k]


@measure
def worse_on_unseen(of: MemorizationView, rows: float) -> float:
    """How many times as large the error of x̂₀ is on unseen pictures as on those trained on; as on the card."""
    return _figure(of, "network", "unseen", rows) / _figure(of, "network", "seen", rows)
