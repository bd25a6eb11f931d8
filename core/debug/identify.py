"""What a training really does: the rows of its calls give alpha(t), sigma(t) and the target u(t)·x0 + v(t)·eps."""

from __future__ import annotations

import numpy as np

from .closed_forms import find_closed_form
from .levels import KINDS, Levels
from .record import Run


def levels_of(run: Run) -> Levels | None:
    """The levels that training used, from every row whose making was seen; None if there is none."""
    parts = [
        (c.t, c.alpha, c.sigma, _or_nan(c.u, c.t), _or_nan(c.v, c.t))
        for c in run.trains
        if c.alpha is not None and len(c.alpha) == len(c.t)
    ]
    if not parts:
        return None
    t, alpha, sigma, u, v = (np.concatenate([p[i] for p in parts]).astype(np.float64) for i in range(5))
    good = np.isfinite(t) & np.isfinite(alpha) & np.isfinite(sigma)
    if good.sum() < 1:
        return None
    t, alpha, sigma, u, v = (x[good] for x in (t, alpha, sigma, u, v))
    flipped = bool((sigma < 0).mean() > 0.99)
    if flipped:
        sigma, v = -sigma, -v  # eps is as good as −eps
    order = np.argsort(t, kind="stable")
    t, alpha, sigma, u, v = (x[order] for x in (t, alpha, sigma, u, v))
    begin = np.flatnonzero(np.diff(t, prepend=-np.inf) > 1e-7 * np.abs(t))  # one t may stand there in two precisions
    unique, counts = t[begin], np.diff(begin, append=len(t))

    def middle(x):
        return np.add.reduceat(x, begin) / counts

    means = [middle(x) for x in (alpha, sigma)]
    spread = max(float(np.abs(x - np.repeat(m, counts)).max()) for x, m in zip((alpha, sigma), means))
    uv = []
    for x in (u, v):
        known = np.isfinite(x)
        n = np.add.reduceat(known.astype(np.int64), begin)
        total = np.add.reduceat(np.where(known, x, 0.0), begin)
        uv.append(np.where(n > 0, total / np.maximum(n, 1), np.nan))
    levels = Levels(unique, *means, *uv, counts, spread, flipped=flipped)
    levels.kind = kind_of(levels, run)
    levels.family = family_of(levels)
    find_closed_form(levels)
    return levels


def _or_nan(x: np.ndarray | None, like: np.ndarray) -> np.ndarray:
    return np.full(len(like), np.nan) if x is None or len(x) != len(like) else x


def kind_of(levels: Levels, run: Run | None = None) -> str | None:
    """What the network is taught, by name; "none" where the target holds neither x0 nor eps; None where not seen."""
    known = np.isfinite(levels.u) & np.isfinite(levels.v)
    a, s, u, v = (x[known] for x in (levels.alpha, levels.sigma, levels.u, levels.v))
    if not len(u):
        return None
    size = np.sqrt(u**2 + v**2)
    if np.median(size) < 1e-3:
        return "none"
    for name, form in KINDS.items():
        with np.errstate(all="ignore"):
            p, q = form(a, s)
            off = np.hypot(u - p, v - q) / np.maximum(np.hypot(p, q), 1e-9)
        if np.median(off) < 5e-3 and np.quantile(off, 0.9) < 0.05:
            return name
    return "path velocity" if _is_path_velocity(levels) else "other"


def _is_path_velocity(levels: Levels) -> bool:
    """Whether the target is a multiple of d alpha/dt·x0 + d sigma/dt·eps, whatever the path."""
    known = np.isfinite(levels.u) & np.isfinite(levels.v)
    t, a, s, u, v = (x[known] for x in (levels.t, levels.alpha, levels.sigma, levels.u, levels.v))
    if len(t) < 40:
        return False
    few = np.unique(np.linspace(0, len(t) - 1, min(len(t), 120)).round().astype(int))
    with np.errstate(all="ignore"):
        da, ds = (np.gradient(x[few], t[few])[1:-1] for x in (a, s))
    inner = few[1:-1]
    off = np.abs(u[inner] * ds - v[inner] * da) / np.maximum(np.hypot(u[inner], v[inner]) * np.hypot(da, ds), 1e-12)
    return bool(np.median(off) < 2e-3)


def family_of(levels: Levels) -> str | None:
    """VP: alpha² + sigma² = 1. flow: alpha + sigma = 1, or both straight. VE: alpha = 1. EDM: VP of scaled data."""
    a, s = levels.alpha, levels.sigma
    if np.abs(a**2 + s**2 - 1).max() < 2e-3:
        return "VP"
    if np.abs(a + s - 1).max() < 2e-3:
        return "flow"
    if np.abs(a - 1).max() < 1e-4 and len(a):
        return "VE"
    if np.ptp(a) > 0.05 and len(a) > 3 and (a > 0).all():
        straight = np.polyfit(a, s, 1)
        if (
            np.abs(np.polyval(straight, a) - s).max() < 1e-3
            and 0.9 <= straight[1] <= 1.02
            and -1 <= straight[0] < -0.85
        ):
            return "flow"  # with a least sigma
    big = a > 0.02
    if big.sum() > 3 and np.ptp(a) > 0.05:
        scale = (1 - s[big] ** 2) / a[big] ** 2  # sigma_data²
        if scale.mean() > 0 and np.abs(scale - scale.mean()).max() < 0.02 * scale.mean() + 5e-3:
            return "EDM"
    return None
