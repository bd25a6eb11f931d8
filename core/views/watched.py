"""A walk that was watched in somebody else's program, as a film: plain arrays, and nothing is asked of any network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..scene import Chart, Scene
from .base import NOISE_VIEW, PATHS, STATE_VIEW, View

#: Frames that are shown at most; of longer walks every k-th step is.
MOST_FRAMES = 1001


@dataclass(frozen=True)
class Watched:
    """What is there of a walk of F steps with N samples. What was not seen is NaN, or None.

    t           (F,) what the network was told
    x           (F + 1, N, ...) the states, and where the walk arrived
    x0, eps     (F, N, ...) the output as a guess of the data and as noise; None where it is not known what it means
    output      (F, N, ...) as the network gave it
    alpha, sigma    (F,) of the noise level that training has at t
    numbers     name → (F,) more numbers of each step, for `figures`
    """

    t: np.ndarray
    x: np.ndarray
    output: np.ndarray
    x0: np.ndarray | None = None
    eps: np.ndarray | None = None
    alpha: np.ndarray | None = None
    sigma: np.ndarray | None = None
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        return len(self.t)


class WatchedView(View):
    """One frame a step, and one for where the walk arrived.

    beside   walks that are shown next to it: key → (title, one line, their states (F', N, ...)). One of another length
             is shown at the same share of its way
    charts   of the whole walk; their cursor is made here where they have x values of t
    """

    def __init__(self, walk: Watched, beside: Mapping[str, tuple[str, str, np.ndarray]] | None = None,
                 charts: tuple[Chart, ...] = (), sentence: str = "", figures: tuple[str, ...] = (),
                 data_range: float = 1.0, about: dict | None = None):
        every = max(1, -(-walk.steps // (MOST_FRAMES - 1)))
        self.walk, self.charts, self.sentence, self.figures = walk, charts, sentence, figures
        self.at = np.append(np.arange(0, walk.steps, every), walk.steps)
        self.beside, self.about = dict(beside or {}), about or {}
        self.scale = self._scale()
        self.data_range = max(0.05, min(data_range, 1e3))
        self.offers, self.default = {}, ()
        shape = walk.x.shape[2:]
        if shape == (2,):
            self._offer_points()
        elif len(shape) == 3:
            self._offer_pictures()
        else:
            self._offer_rows()
        self._offer_beside()

    def _scale(self) -> np.ndarray:
        """What states are divided by to be shown: 1, but for paths whose states are larger than the data by design."""
        walk, ones = self.walk, np.ones(self.walk.steps + 1)
        if walk.alpha is not None and walk.sigma is not None:
            size = np.sqrt(walk.alpha**2 + walk.sigma**2)
            return np.append(np.where(size > 1.01, size, 1.0), 1.0)  # NaN is not larger
        first = float(np.sqrt(np.nanmean(walk.x[0].astype(np.float64) ** 2)))
        if not first > 2:
            return ones
        rms = np.sqrt(np.nanmean(walk.x.reshape(len(walk.x), -1).astype(np.float64) ** 2, 1))
        return np.where(rms > 1.01, rms, 1.0)

    @property
    def frames(self) -> int:
        return len(self.at)

    @property
    def nbytes(self) -> int:
        walk = self.walk
        arrays = [walk.x, walk.output, walk.x0, walk.eps, *(states for _, _, states in self.beside.values())]
        return sum(a.nbytes for a in arrays if a is not None)

    def states(self, first: int, end: int, states: np.ndarray | None = None) -> np.ndarray:
        """The states of some frames as they are shown; of another walk at the same share of its way."""
        at = self.at[first:end]
        scale = self.scale[at]
        if states is None:
            states = self.walk.x
        elif len(states) != len(self.walk.x):
            at = np.rint(at / max(1, self.walk.steps) * (len(states) - 1)).astype(int)
        return states[at] / scale.reshape(-1, *[1] * (states.ndim - 1))

    def said(self, of: np.ndarray, first: int, end: int) -> np.ndarray:
        """What belongs to the steps: the last frame holds the last one's."""
        return of[np.minimum(self.at[first:end], self.walk.steps - 1)]

    @property
    def _by(self) -> str:
        return "" if (self.scale == 1).all() else " · ÷ its size"

    def _offer_points(self) -> None:
        view = STATE_VIEW * max(1.0, self.data_range)
        state = dict(kind="points", range=(-view, view), palette="ink", caption=f"±{view:.2g}{self._by}")
        self._state = dict(state, palette="accent")
        self.offer("x_t", "noisy points x_{t}", "the state, as the program had it", self.states, **state)
        if self.walk.x0 is not None:
            self.offer("x0", "clean guess x̂_{0}", "the guess of the data that the output means",
                       lambda a, b: self.said(self.walk.x0, a, b), kind="points", range=(-view, view),
                       palette="accent", caption=f"±{view:.2g}")
        noise = dict(kind="points", range=(-NOISE_VIEW, NOISE_VIEW), palette="noise")
        if self.walk.eps is not None:
            self.offer("eps", "guessed noise ε̂", "the noise that the output means",
                       lambda a, b: self.said(self.walk.eps, a, b),
                       **noise)
        self.offer("output", "output", "what the network said, as it said it",
                   lambda a, b: self.said(self.walk.output, a, b), **{**noise, "palette": "accent"})
        self.offer("paths", "paths", "the way of some of the points", lambda a, b: self.states(a, b)[:, :PATHS],
                   **{**state, "kind": "paths", "caption": f"{PATHS} at most{self._by}"})
        self.default = tuple(key for key in ("x_t", "x0", "eps", "paths") if key in self.offers)

    def _offer_pictures(self) -> None:
        size = max(1.0, self.data_range)
        state = dict(kind="images", range=(-size, size), caption=f"±{size:.2g}{self._by}")
        signed = dict(kind="images", palette="signed", range=(-3.0, 3.0))
        self._state = state
        self.offer("x_t", "noisy pictures x_{t}", "the state, as the program had it",
                   lambda a, b: _pictures(self.states(a, b)), **state)
        if self.walk.x0 is not None:
            self.offer("x0", "clean guess x̂_{0}", "the guess of the data that the output means",
                       lambda a, b: _pictures(self.said(self.walk.x0, a, b)), kind="images", range=(-size, size))
        if self.walk.eps is not None:
            self.offer("eps", "guessed noise ε̂", "the noise that the output means",
                       lambda a, b: _signed(self.said(self.walk.eps, a, b)), **signed)
        self.offer("output", "output", "what the network said, as it said it; the mean of its channels",
                   lambda a, b: _signed(self.said(self.walk.output, a, b)), **signed)
        self.default = tuple(key for key in ("x_t", "x0", "eps") if key in self.offers)

    def _offer_rows(self) -> None:
        """Samples of another shape: a row each, side by side their first numbers."""
        look = dict(kind="heat", palette="signed", range=(-3.0, 3.0), caption="a row a sample")
        self._state = look
        self.offer("x_t", "noisy rows x_{t}", "the state: a row a sample, of at most 64 its first 64 numbers",
                   lambda a, b: _rows(self.states(a, b)), **look)
        for key, title, note, values in (
                ("x0", "clean guess x̂_{0}", "the guess of the data that the output means", self.walk.x0),
                ("eps", "guessed noise ε̂", "the noise that the output means", self.walk.eps),
                ("output", "output", "what the network said", self.walk.output)):
            if values is not None:
                self.offer(key, title, note, lambda a, b, v=values: _rows(self.said(v, a, b)), **look)
        self.default = tuple(key for key in ("x_t", "x0", "eps") if key in self.offers)

    def _offer_beside(self) -> None:
        shape = self.walk.x.shape[2:]
        for key, (title, note, states) in self.beside.items():
            if states.shape[2:] != shape:
                continue
            draw = (lambda x: x) if shape == (2,) else _pictures if len(shape) == 3 else _rows
            self.offer(key, title, note, lambda a, b, s=states, d=draw: d(self.states(a, b, s)), **self._state)

    def shell(self, first: int, end: int) -> Scene:
        walk = self.walk
        step = np.minimum(self.at, walk.steps - 1)
        numbers = {"step": self.at.astype(float), "steps": np.full(len(self.at), float(walk.steps)), "t": walk.t[step]}
        numbers |= {name: np.asarray(values, float)[step] for name, values in walk.numbers.items()}
        return Scene(
            (), {name: values[first:end] for name, values in numbers.items()},
            clock="step {step:.0f} / {steps:.0f} · t = {t:.4g}", sentence=self.sentence,
            formula="x_{s} = a·x_{t} + b·output + c·z" if self.figures else "", figures=self.figures,
            charts=self.charts, about=self.about,
        )


def _pictures(x: np.ndarray) -> np.ndarray:
    """(F, N, C, H, W) → (F, N, H, W, 1 or 3); of other numbers of channels the first is shown."""
    x = x[:, :64]
    return np.moveaxis(x if x.shape[2] in (1, 3) else x[:, :, :1], 2, -1)


def _signed(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x[:, :64].mean(2, keepdims=True), 2, -1)


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(*x.shape[:2], -1)[:, :64, :64]
