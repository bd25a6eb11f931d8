"""What can be shown of a run: the arrays of its walk, and the curves that it is held against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..scene import Chart, Series
from ..views.watched import Watched
from .exam import walk_of
from .identify import levels_of
from .landings import Landing, endings, landings
from .oracle import Replay, end_of, halves, posterior_mean, with_exact_denoiser
from .record import Run, Train, Walk

#: Points of a curve that are shown at most.
POINTS = 400
#: Intervals of t for the loss; rows of data that its floor is worked out from, and noised ones it is a mean of.
BUCKETS, FLOOR_ROWS, FLOOR_SAMPLES = 20, 1024, 128
LEAST_FLOOR = 1e-6
#: Names of what stands beside a walk.
EXACT, OURS, OTHER = "exact", "ours", "other"


class Seen:
    """What can be shown of a run: the arrays of its walk, and the curves that its lines are held against."""

    def __init__(self, run: Run):
        self.run, self.levels = run, levels_of(run)
        self.missing: list[tuple[str, str]] = []
        self.walk: Walk | None = walk_of(run)
        self.frames = _frames(self.walk) if self.walk is not None else []
        self.table = self._table()
        self.landings = self._landings()
        self.states = self._states()
        self.replay = self._replay()

    def _table(self) -> np.ndarray:
        """(calls, 4): alpha, sigma, u and v of the t that each call was told."""
        calls = self.walk.calls if self.walk is not None else []
        if self.levels is None or not calls:
            return np.full((len(calls), 4), np.nan)
        return self.levels.many(np.array([call.t for call in calls]))[:, :4]

    def _landings(self) -> list[Landing]:
        if self.walk is None or self.levels is None or self.levels.kind in (None, "none"):
            return []
        return [x for x in landings(self.walk, self.levels) if x.seen and math.isfinite(x.A)]

    def _states(self) -> np.ndarray | None:
        """(F + 1, N, ...): the states of the frames and the end."""
        if not self.frames:
            return None
        calls = self.walk.calls
        states = [calls[k].x for k in self.frames]
        return np.stack([*states, self._end(states[-1])])

    def _end(self, last: np.ndarray) -> np.ndarray:
        """Where the walk arrived, before anything else was made of it."""
        walk, end = self.walk, end_of(self.walk, self.levels)
        calls = walk.calls
        if end is not None and end is not walk.ends[-1] and all(t.kind in ("x", "out") for t in end.terms):
            parts = [(t.factor, calls[t.call].x if t.kind == "x" else calls[t.call].out) for t in end.terms]
            if all(value is not None and value.shape == last.shape for _, value in parts):
                return np.asarray(sum(f * value for f, value in parts), np.float32)
        if walk.final is not None and walk.final.shape == last.shape:
            return walk.final
        return last

    def _replay(self) -> Replay:
        if self.walk is None:
            return Replay(None)
        replay = with_exact_denoiser(self.run, self.walk, self.levels)
        if self.run.swapped is None:
            self.missing.append(("your network with a sampler of ours", "diagnose or save in the program itself, with "
                                 "a network of at most 50 million parameters that takes x_t and t"))
        if replay.states is None:
            self.missing.append(("the same sampler with the exact denoiser", replay.why))
        return replay

    @property
    def watched(self) -> Watched:
        if self.states is None:
            raise ValueError("no walk was seen that could be shown: call the sampler inside the block")
        calls = [self.walk.calls[k] for k in self.frames]
        output = np.stack([_like(call.out, call.x) for call in calls])
        table = self.table[self.frames]
        x0, eps = _meaning(self.states[:-1], output, table)
        return Watched(np.array([call.t for call in calls]), self.states, output, x0, eps, table[:, 0], table[:, 1],
                       self._numbers())

    def _numbers(self) -> dict[str, np.ndarray]:
        numbers = {name: np.full(len(self.frames), np.nan) for name in ("a", "b", "c", "A", "S", "alpha_s", "sigma_s")}
        at = {landing.call - 1: landing for landing in [*self.landings, *self._last_step()]}
        for i, k in enumerate(self.frames):
            if k in at:
                x = at[k]
                values = (x.a, x.b, x.c, x.A, math.hypot(x.E, x.c), *x.want)
                for name, value in zip(numbers, values):
                    numbers[name][i] = value
        return numbers

    def _last_step(self) -> list[Landing]:
        """Where the step after the last call lands, beside the data, 1·x₀ + 0·ε, if it was seen: [it] or []."""
        if not self.landings:
            return []
        end, ways = end_of(self.walk, self.levels), zip(self.walk.ends, endings(self.walk, self.levels))
        return [replace(landing, want=(1.0, 0.0)) for arrival, landing in ways
                if arrival is end and landing.seen and math.isfinite(landing.A)]

    @property
    def figures(self) -> tuple[str, ...]:
        if not self.landings:
            return ()
        return ("xₛ = {a:+.4f}·xₜ {b:+.4f}·output {c:+.4f}·z, as the program computed it",
                "lands on {A:.4f}·x₀ + {S:.4f}·ε; the forward process has {alpha_s:.4f} and {sigma_s:.4f} there")

    @property
    def sentence(self) -> str:
        n = len(self.states[0]) if self.states is not None else 0
        told = "at step {step:.0f} of {steps:.0f} the network was told t = {t:.4g}"
        return f"{n:,} samples of a watched program: {told}."

    @property
    def data_range(self) -> float:
        data = self.run.data
        return float(np.quantile(np.abs(data), 0.999)) if data is not None else 1.0

    def beside(self) -> dict[str, tuple[str, str, np.ndarray]]:
        """The two oracle swaps, as far as they can be made."""
        found = {}
        if (states := self.replay.states) is not None:
            left = f", {self.replay.without}" if self.replay.without else ""
            found[EXACT] = ("exact denoiser, your sampler",
                            f"your sampler's own coefficients{left}, with what the exact denoiser of the data says",
                            states[[*self.frames, len(states) - 1]])
        swapped = self.run.swapped
        if swapped is not None and self.states is not None and swapped.shape[2:] == self.states.shape[2:]:
            found[OURS] = ("your network, our sampler",
                           f"DDIM in {len(swapped) - 1} steps down training's noise levels, with your network",
                           swapped)
        return found

    def halves(self) -> dict | None:
        """Which half is broken? The ends of the walk and of its swaps, held against the data."""
        if self.states is None:
            return None
        ends = {"your walk": self.states[-1]}
        ends |= {title: states[-1] for title, _, states in self.beside().values()}
        return halves(self.run, ends)

    @property
    def axis(self) -> tuple[np.ndarray, dict]:
        """(x of each frame, how the chart has it): t as it was told, or the step where no t was seen."""
        t = np.array([self.walk.calls[k].t for k in self.frames])
        if len(t) < 2 or not np.isfinite(t).all() or not ((np.diff(t) <= 0).all() or (np.diff(t) >= 0).all()):
            return np.arange(len(t), dtype=float), {"ends": ("first step", "last step")}
        falls = bool(t[-1] < t[0])
        return t, {"flip": falls, "ends": (f"t = {t[0]:.4g} noise", f"t = {t[-1]:.4g} data")}

    def cursor(self, x: np.ndarray) -> np.ndarray:
        every = max(1, -(-len(x) // 1000))
        return np.append(x[::every], x[-1])

    def charts(self) -> tuple[Chart, ...]:
        """Under the stage: where steps land, the spread of the states, that of ε̂, the loss over t."""
        if self.states is None:
            return ()
        x, look = self.axis
        look = {**look, "cursor": self.cursor(x)}
        made = [*self._landing_charts(x, look), self._band(x, look), self._noise(x, look), self.loss(x, look)]
        return tuple(chart for chart in made if chart is not None)

    def _by_frame(self, values: Mapping[int, float]) -> np.ndarray:
        return np.array([values.get(k, np.nan) for k in self.frames])

    def _landing_charts(self, x: np.ndarray, look: dict) -> list[Chart]:
        if len(self.landings) < 2:
            return []
        at = {landing.call - 1: landing for landing in self.landings}
        found = []
        for title, is_, want, fits in (
            ("where each step lands: its part of x_{0}, against training's α",
             lambda s: s.A, lambda s: s.want[0], lambda s: s.off_mean <= s.tolerance),
            ("and all its noise, against training's σ",
             lambda s: math.hypot(s.E, s.c), lambda s: s.want[1], lambda s: s.off_noise <= s.tolerance),
        ):
            line = self._by_frame({k: want(s) for k, s in at.items()})
            good = self._by_frame({k: is_(s) for k, s in at.items() if s.good or fits(s)})
            off = self._by_frame({k: is_(s) for k, s in at.items() if not s.good and not fits(s)})
            room = 2 * max(float(np.nanmax(np.abs(line))), 1e-3) if np.isfinite(line).any() else 1.0
            series = [Series("training", *thin(x, line), palette="ink")]
            series += [Series(label, *thin(x, np.clip(values, -room, room)), "dots", palette)
                       for label, values, palette in (("step", good, "accent"), ("off", off, "wrong"))
                       if np.isfinite(values).any()]
            found.append(Chart(title, tuple(series), **look))
        return found

    def _band(self, x: np.ndarray, look: dict) -> Chart | None:
        """The spread of the states over the forward process's own: √(E|x_t − α·μ|² / (α²·Var + σ²·D))."""
        data, table = self.run.data, self.table[self.frames]
        if data is None or data.shape[1:] != self.states.shape[2:] or not np.isfinite(table[:, :2]).any():
            return None
        rows = data.reshape(len(data), -1).astype(np.float64)
        mean, d = rows.mean(0), rows.shape[1]
        away = ((rows - mean) ** 2).sum(1)
        alpha, sigma = table[:, 0], table[:, 1]
        x_t = self.states[:-1].reshape(len(self.frames), self.states.shape[1], -1).astype(np.float64)
        with np.errstate(all="ignore"):
            walked = ((x_t - alpha[:, None, None] * mean) ** 2).mean((1, 2))
            forward = alpha**2 * away.mean() / d + sigma**2
            spread = alpha**4 * away.var() + 4 * alpha**2 * sigma**2 * away.mean() + 2 * d * sigma**4
            ratio, error = np.sqrt(walked / forward), np.sqrt(spread / x_t.shape[1]) / d / forward
        ratio = np.clip(ratio, 0, 5)
        band = Series("±2 s.e.", *thin(x, 1 + error), style="band", low=thin(x, 1 - error)[1])
        return Chart("is the walk where the forward process would be? std of x_{t}, walk over theory",
                     (band, Series("walk / theory", *thin(x, ratio))), **look)

    def _noise(self, x: np.ndarray, look: dict) -> Chart | None:
        """Mean and root mean square of ε̂: of the best network the second is at most 1."""
        eps = self.watched.eps
        if eps is None:
            return None
        flat = eps.reshape(len(eps), -1).astype(np.float64)
        with np.errstate(all="ignore"):
            rms, mean = np.sqrt((flat**2).mean(1)), flat.mean(1)
        series = [Series("1", x[[0, -1]], np.ones(2), "faint", "ink"),
                  Series("rms", *thin(x, np.clip(rms, 0, 5))),
                  Series("mean", *thin(x, np.clip(mean, -5, 5)), "dashed")]
        if (exact := self._exact_rms()) is not None:
            series.insert(1, Series("exact", *thin(x, exact), palette="ink"))
        return Chart("ε̂ of the walk: root mean square and mean", tuple(series), **look)

    def _exact_rms(self) -> np.ndarray | None:
        """Root mean square of the exact denoiser's eps at the noise levels of the frames, over noised data."""
        if self.run.data is None or self.levels is None:
            return None
        table = self.table[self.frames]
        errors = [_floor_at(self.run.data, a, s) if np.isfinite([a, s]).all() and s > 1e-4 else np.nan
                  for a, s in table[few(len(table), 24), :2]]
        # ε has variance 1, and the best guess of it is what is left: E|ε̂|² = 1 − E|ε − ε̂|².
        kept = np.sqrt(np.clip(1 - np.array(errors), 0, 1))
        return np.interp(np.arange(len(table)), few(len(table), 24), kept)

    def loss(self, x: np.ndarray | None = None, look: dict | None = None) -> Chart | None:
        """The later half of training: mean error of the output by t, over the exact denoiser's."""
        calls = [c for c in self.learning if len(c.error) == len(c.t)]
        calls = calls[len(calls) // 2 :]
        if not calls:
            return None
        t, error = (np.concatenate([getattr(c, name) for c in calls]) for name in ("t", "error"))
        known = np.isfinite(t) & np.isfinite(error)
        t, error = t[known], error[known]
        if len(t) < 4 * BUCKETS or np.ptp(t) == 0:
            return None
        edges = np.linspace(t.min(), t.max(), BUCKETS + 1)
        at = np.clip(np.searchsorted(edges, t, "right") - 1, 0, BUCKETS - 1)
        count = np.bincount(at, minlength=BUCKETS)
        with np.errstate(all="ignore"):
            mean = np.bincount(at, error, BUCKETS) / count
        centres = (edges[:-1] + edges[1:]) / 2
        series = [Series("loss", centres, mean)]
        if (floor := self._floor(centres)) is not None:
            series.insert(0, Series("floor", centres, floor, palette="ink"))
        look = look or {}
        if look and look["ends"][0].startswith("first"):
            look = {}
        return Chart("loss by t, over the exact denoiser's of the data seen", tuple(series), log=bool((mean > 0).all()),
                     **look)

    def _floor(self, t: np.ndarray) -> np.ndarray | None:
        """The least error at each t, in the units of the target, for the data that were seen.

        At a given x_t, u·x0 + v·eps changes with eps as v − u·sigma/alpha: that, squared, times the error of eps.
        """
        if self.run.data is None or self.levels is None or self.levels.kind in (None, "none", "other"):
            return None
        found = []
        for alpha, sigma, u, v, _ in self.levels.many(t):
            if not np.isfinite([alpha, sigma, u, v]).all() or sigma < 1e-4:
                found.append(np.nan)
                continue
            factor = (v - u * sigma / alpha) ** 2 if alpha > 1e-6 else np.nan
            found.append(factor * _floor_at(self.run.data, alpha, sigma))
        least = np.array(found)
        return np.where(least > LEAST_FLOOR, least, np.nan)  # below it each row is known again

    @property
    def learning(self) -> list[Train]:
        """The training calls whose error was seen."""
        return [c for c in self.run.trains if c.error is not None and len(c.error) and c.facts.get("gradient")]


def _frames(walk: Walk) -> list[int]:
    """The calls that are shown: those whose state was kept, each state once."""
    found: list[int] = []
    for k, call in enumerate(walk.calls):
        if call.x is None or call.out is None or found and call.x.shape != walk.calls[found[0]].x.shape:
            continue
        before = walk.calls[found[-1]] if found else None
        if before is None or call.t != before.t or not np.array_equal(call.x, before.x):
            found.append(k)
    return found


def _like(out: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The part of an output that belongs to a state: of a doubled batch one half, of mean and variance the mean."""
    out = out[: len(x)]
    if out.shape[2:] == x.shape[2:] and out.ndim > 1 and out.shape[1] >= x.shape[1]:
        out = out[:, : x.shape[1]]
    return out if out.shape == x.shape else np.full_like(x, np.nan)


def _meaning(x: np.ndarray, output: np.ndarray, table: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(x0, eps) that outputs u·x0 + v·eps mean at states alpha·x0 + sigma·eps; None where that is not known."""
    alpha, sigma, u, v = (values.reshape(-1, *[1] * (x.ndim - 1)) for values in table.T)
    with np.errstate(all="ignore"):
        det = alpha * v - sigma * u
        det = np.where(np.abs(det) > 1e-6, det, np.nan)
        x0, eps = (v * x - sigma * output) / det, (alpha * output - u * x) / det
    if not np.isfinite(x0).any():
        return None, None
    return x0.astype(np.float32), eps.astype(np.float32)


def _floor_at(data: np.ndarray, alpha: float, sigma: float) -> float:
    """E|eps − eps_exact|² over noised rows of the data, by the exact denoiser of the data that were seen."""
    rng = np.random.default_rng(0)
    rows = data.reshape(len(data), -1)[:FLOOR_ROWS].astype(np.float64)
    x0 = rows[rng.integers(0, len(rows), FLOOR_SAMPLES)]
    eps = rng.standard_normal(x0.shape)
    best = posterior_mean(rows, alpha * x0 + sigma * eps, alpha, sigma)
    return float(((alpha * (x0 - best) / sigma) ** 2).mean())


def few(n: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def thin(x: np.ndarray, y: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """No more points than are seen. One array alone lies on the axis."""
    y = np.zeros(len(x)) if y is None else y
    at = few(len(x), POINTS) if len(x) else np.empty(0, int)
    return np.asarray(x, float)[at], np.asarray(y, float)[at]


def ends_of(t: np.ndarray) -> tuple[str, str]:
    return f"{float(np.min(t)):.4g}", f"{float(np.max(t)):.4g}"
