"""Noise levels over the t that a network is told, and what the network is taught there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

KINDS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "eps": lambda a, s: (0 * a, 1 + 0 * a),
    "x0": lambda a, s: (1 + 0 * a, 0 * a),
    "v": lambda a, s: (-s, a),
    "velocity": lambda a, s: (-1 + 0 * a, 1 + 0 * a),
    "data − noise": lambda a, s: (1 + 0 * a, -1 + 0 * a),
    "−eps": lambda a, s: (0 * a, -1 + 0 * a),
    "−v": lambda a, s: (s, -a),
    "−x0": lambda a, s: (-1 + 0 * a, 0 * a),
    "score": lambda a, s: (0 * a, -1 / np.maximum(s, 1e-12)),
    "sigma·eps": lambda a, s: (0 * a, s),
    "eps/sigma": lambda a, s: (0 * a, 1 / np.maximum(s, 1e-12)),
    "−sigma·eps": lambda a, s: (0 * a, -s),
    # (x0 − c_skip·x_t)/c_out of Karras et al. 2022, for the sigma_data² = (1 − sigma²)/alpha² of a scaled input
    "EDM's F": lambda a, s: (s * a / np.sqrt(np.maximum(1 - s**2, 1e-24)), -np.sqrt(np.maximum(1 - s**2, 0.0))),
}
OPPOSITE = {"eps": "−eps", "x0": "−x0", "v": "−v", "velocity": "data − noise"}
OPPOSITE |= {b: a for a, b in OPPOSITE.items()} | {"score": "eps/sigma", "eps/sigma": "score"}


@dataclass
class Levels:
    """alpha, sigma, u and v over the t that the network was told, sorted; `spread` is how far rows of one t differ."""

    t: np.ndarray
    alpha: np.ndarray
    sigma: np.ndarray
    u: np.ndarray
    v: np.ndarray
    rows: np.ndarray  #: training rows at each t
    spread: float = 0.0
    kind: str | None = None  #: of the target
    family: str | None = None  #: "VP", "flow", "VE", "EDM"
    closed: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None  #: alpha, sigma of any t
    closed_name: str = ""
    told: str = ""  #: what t is, where it is no time but the noise level itself: one of LEVELS_TOLD
    flipped: bool = False  #: x_t is made with −sigma·eps; here sigma and v have their signs turned

    @property
    def discrete(self) -> bool:
        return bool(len(self.t) and (self.t == np.round(self.t)).all() and self.t[-1] > 1)

    @property
    def rising(self) -> bool:
        """Whether there is more noise at a higher t."""
        order = self.sigma / np.maximum(np.abs(self.alpha), 1e-12)
        return bool(order[-1] > order[0])

    def at(self, t: float) -> tuple[float, float, float, float, bool]:
        """(alpha, sigma, u, v, whether just this t was seen or is known in closed form); NaN beyond what was seen."""
        n = len(self.t)
        k = int(np.searchsorted(self.t, t))
        for j in (k - 1, k):
            if 0 <= j < n and abs(self.t[j] - t) <= 1e-6 * max(1.0, abs(t)):
                return (*(float(x[j]) for x in (self.alpha, self.sigma, self.u, self.v)), True)
        if self.closed is not None and np.isfinite(t):
            with np.errstate(all="ignore"):
                a, s = (float(x[0]) for x in self.closed(np.array([float(t)])))
            if self.kind in KINDS and np.isfinite([a, s]).all():
                u, v = (float(x) for x in KINDS[self.kind](np.float64(a), np.float64(s)))
                return a, s, u, v, not self.discrete or t == round(t)
        if n < 4 or not self.t[0] <= t <= self.t[-1]:
            edge = (self.t[-1] - self.t[0]) / max(n, 1) * 4
            if n < 4 or not self.t[0] - edge <= t <= self.t[-1] + edge:
                return (math.nan,) * 4 + (False,)
        lo = min(max(k - 2, 0), n - 4)
        near = slice(lo, lo + 4)
        a, s = (_lagrange(self.t[near], x[near], t) for x in (self.alpha, self.sigma))
        if self.kind in KINDS:
            u, v = (float(x) for x in KINDS[self.kind](np.float64(a), np.float64(s)))
        else:
            u, v = (_lagrange(self.t[near], x[near], t) for x in (self.u, self.v))
        return a, s, u, v, False

    def many(self, t: np.ndarray) -> np.ndarray:
        """`at` of many t: (n, 5)."""
        found, k = np.empty((len(t), 5)), np.searchsorted(self.t, t)
        left = np.ones(len(t), bool)
        for j in (k - 1, k):  # those that were seen, all at once
            here = np.flatnonzero(left & (j >= 0) & (j < len(self.t)))
            here = here[np.abs(self.t[j[here]] - t[here]) <= 1e-6 * np.maximum(1.0, np.abs(t[here]))]
            for column, x in enumerate((self.alpha, self.sigma, self.u, self.v)):
                found[here, column] = x[j[here]]
            found[here, 4], left[here] = 1.0, False
        for i in np.flatnonzero(left):
            found[i] = self.at(float(t[i]))
        return found


def _lagrange(x: np.ndarray, y: np.ndarray, at: float) -> float:
    total = 0.0
    for i in range(len(x)):
        w = 1.0
        for j in range(len(x)):
            if i != j:
                w *= (at - x[j]) / (x[i] - x[j])
        total += w * y[i]
    return float(total)
