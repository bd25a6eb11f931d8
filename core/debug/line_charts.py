"""The lines of the algorithms as charts: what was measured at each, beside the closed form."""

from __future__ import annotations

import math

import numpy as np

from ..scene import Chart, Series
from .landings import Landing
from .levels import KINDS
from .places import Place
from .seen import POINTS, Seen, ends_of, thin


def place_charts(seen: Seen) -> list[tuple[str, Chart]]:
    """(place, chart) of all that was measured at a line, beside the closed form where there is one."""
    found: list[tuple[Place, Chart | None]] = []
    levels, target, told = _level_charts(seen), _target_chart(seen), _told_chart(seen)
    for place in (Place.FORWARD, Place.TERMINAL, Place.SCHEDULE, Place.PRECISION):
        found += [(place, chart) for chart in levels]
    found += [(Place.TARGET, target), (Place.PARAMETERIZATION, target), (Place.TIME, told), (Place.SCHEDULE, told)]
    a, b, c = _coefficient_charts(seen)
    found += [(Place.STEP, a), (Place.STEP, b), (Place.STEP, c), (Place.STEP_NOISE, c)]
    loss, curve = seen.loss(), _loss_curve(seen)
    found += [(Place.LOSS, curve), (Place.LEARNING, curve), (Place.LOSS, loss), (Place.LEARNING, loss)]
    found += [(Place.TIME_SAMPLING, _trained_chart(seen)), (Place.LADDER, _ladder_chart(seen)),
              (Place.NOISE, _draws_chart(seen)), (Place.CLIP, _clip_chart(seen))]
    data = _data_chart(seen)
    found += [(Place.DATA, data), (Place.OUTPUT, data), (Place.START, _start_chart(seen))]
    return [(str(place), chart) for place, chart in found if chart is not None]


def _level_charts(seen: Seen) -> list[Chart]:
    L = seen.levels
    if L is None or len(L.t) < 2:
        return []
    wide, charts = np.linspace(L.t[0], L.t[-1], POINTS), []
    paper = None
    if L.closed is not None:
        with np.errstate(all="ignore"):
            paper = L.closed(np.round(wide) if L.discrete else wide)
    for k, (name, values) in enumerate((("α", L.alpha), ("σ", L.sigma))):
        series = [Series("training", *thin(L.t, values), "dots")]
        if paper is not None:
            series.insert(0, Series(L.closed_name.split(",")[0], wide, paper[k], palette="ink"))
        charts.append(Chart(f"{name} of x_{{t}} = α·x_{{0}} + σ·ε, as training made it", tuple(series),
                            ends=ends_of(L.t)))
    return charts


def _target_chart(seen: Seen) -> Chart | None:
    L = seen.levels
    if L is None or len(L.t) < 2 or not np.isfinite(L.u).any():
        return None
    series = []
    if L.kind in KINDS:
        with np.errstate(all="ignore"):
            u, v = KINDS[L.kind](L.alpha, L.sigma)
        series += [Series("", *thin(L.t, u), palette="ink"), Series("", *thin(L.t, v), palette="ink")]
    series += [Series("of x₀", *thin(L.t, L.u), "dots"), Series("of ε", *thin(L.t, L.v), "dots")]
    return Chart(f"what the network is taught: u·x_{{0}} + v·ε ({L.kind or 'not known'})", tuple(series),
                 ends=ends_of(L.t))


def _told_chart(seen: Seen) -> Chart | None:
    """σ/α at the t that the network was told, against that which the state had by then."""
    L = seen.levels
    if L is None or len(L.t) < 2 or len(seen.landings) < 2:
        return None
    with np.errstate(all="ignore"):
        trained = L.sigma / L.alpha
        got = np.array([math.hypot(s.E, s.c) / s.A if s.A > 0 else np.nan for s in seen.landings])
    t = np.array([s.s for s in seen.landings])
    return Chart("σ/α at the t told: in training, and of the states that the sampler made",
                 (Series("training", *thin(L.t, trained), palette="ink"),
                  Series("sampler", *thin(t, got), "dots")), log=True, ends=ends_of(L.t))


def _coefficient_charts(seen: Seen) -> list[Chart | None]:
    if len(seen.landings) < 2 or not np.isfinite([s.t for s in seen.landings]).all():
        return [None] * 3
    t = np.array([s.t for s in seen.landings])
    falls = bool(t[-1] < t[0])
    look = {"flip": falls, "ends": (f"t = {t[0]:.4g}", f"t = {t[-1]:.4g}")}
    rows = [_paper(seen, s) for s in seen.landings]
    charts = []
    for k, (name, what) in enumerate((("a", "the state"), ("b", "the output"))):
        is_, want = np.array([getattr(s, name) for s in seen.landings]), np.array([row[k] for row in rows])
        room = 3 * max(np.nanmax(np.abs(want)) if np.isfinite(want).any() else 1.0, 1e-6)
        charts.append(Chart(f"{name}: what a step multiplies {what} by",
                            (Series("closed form", *thin(t, want), palette="ink"),
                             Series("step", *thin(t, np.clip(is_, -room, room)), "dots")), **look))
    least, most = (np.array([s.posterior[k] for s in seen.landings]) for k in (1, 2))
    c = np.array([s.c for s in seen.landings])
    series = [Series("√β", *thin(t, most), palette="ink"), Series("√β̃", *thin(t, least), "dashed", "ink"),
              Series("step", *thin(t, c), "dots")]
    return [*charts, Chart("c: the std of the noise that a step adds", tuple(series), **look)]


def _paper(seen: Seen, s: Landing) -> tuple[float, float]:
    """(a, b) of the closed form for the step that this one is: DDPM's mean, or DDIM's with the same noise."""
    alpha, sigma, u, v = seen.table[min(s.call - 1, len(seen.table) - 1)]
    eps = s.posterior[0] if s.mean_is_posterior and s.c > 0 else math.sqrt(max(s.want[1] ** 2 - s.c**2, 0.0))
    det = alpha * v - sigma * u
    if not math.isfinite(det) or abs(det) < 1e-9:
        return math.nan, math.nan
    A = s.want[0]
    return (A * v - eps * u) / det, (eps * alpha - A * sigma) / det


def _loss_curve(seen: Seen) -> Chart | None:
    calls = seen.learning
    if len(calls) < 2:
        return None
    at = np.array([c.facts.get("index", k) for k, c in enumerate(calls)], float)
    error = np.array([np.nanmean(c.error) if np.isfinite(c.error).any() else np.nan for c in calls])
    power = np.array([np.nanmean(c.power) if c.power is not None and np.isfinite(c.power).any() else np.nan
                      for c in calls])
    series = [Series("loss", *thin(at, error))]
    if np.isfinite(power).any():
        series.insert(0, Series("saying 0", *thin(at, np.full(len(at), np.nanmean(power))), "dashed", "ink"))
    return Chart("mean (output − target)² of the training calls", tuple(series),
                 ends=("first call", f"call {at[-1] + 1:,.0f}"))


def _trained_chart(seen: Seen) -> Chart | None:
    t = [c.t for c in seen.run.trains if c.facts.get("gradient")]
    t = np.concatenate(t) if t else np.empty(0)
    t = t[np.isfinite(t)]
    if len(t) < 50 or np.ptp(t) == 0:
        return None
    count, edges = np.histogram(t, 40)
    return Chart("how often each t was trained, and the t that sampling asks for",
                 (Series("trained", (edges[:-1] + edges[1:]) / 2, count / count.sum()),
                  Series("asked", *thin(np.array([c.t for c in seen.walk.calls]) if seen.walk else np.empty(0)),
                         "dots", "ink")), ends=ends_of(edges))


def _ladder_chart(seen: Seen) -> Chart | None:
    if seen.walk is None or len(seen.walk.calls) < 2:
        return None
    t = np.array([call.t for call in seen.walk.calls])
    told = Series("told", *thin(np.arange(len(t), dtype=float), t), "dots")
    return Chart("t of each call of the sampler", (told,), ends=("first call", f"call {len(t):,}"))


def _draws_chart(seen: Seen) -> Chart | None:
    noise = [c.facts["noise"] for c in seen.run.trains if "std" in c.facts.get("noise", {})]
    if len(noise) < 2:
        return None
    at = np.arange(len(noise), dtype=float)
    std, mean = (np.array([n[name] for n in noise]) for name in ("std", "mean"))
    return Chart("noise of the training calls: std and mean", (
        Series("", at[[0, -1]], np.ones(2), palette="ink"), Series("", at[[0, -1]], np.zeros(2), palette="ink"),
        Series("std", *thin(at, std), "dots"), Series("mean", *thin(at, mean), "dots")), ends=("first", "last"))


def _clip_chart(seen: Seen) -> Chart | None:
    if seen.walk is None:
        return None
    clamped = [call for call in seen.walk.calls[1:] if call.arrival and call.arrival.clips]
    share = [(call.t, call.arrival.clips[0]["share"]) for call in clamped]
    if len(share) < 2:
        return None
    t, values = np.array(share, float).T
    return Chart("share of numbers that a clamp changed", (Series("", *thin(t, values)),), ends=ends_of(t),
                 flip=bool(t[-1] < t[0]))


def _data_chart(seen: Seen) -> Chart | None:
    if seen.run.data is None or seen.states is None:
        return None
    data, end = (x[np.isfinite(x)].reshape(-1) for x in (seen.run.data, seen.states[-1]))
    if not len(end):
        return None
    low, high = (float(np.quantile(data, q)) for q in (0.001, 0.999))
    room = 0.3 * max(high - low, 1e-3)
    edges = np.linspace(low - room, high + room, 49)
    centres = (edges[:-1] + edges[1:]) / 2
    parts = [np.histogram(np.clip(x, edges[0], edges[-1]), edges)[0] / len(x) for x in (data, end)]
    return Chart("values of the data, and of the samples",
                 (Series("data", centres, parts[0], palette="ink"), Series("samples", centres, parts[1])),
                 ends=ends_of(edges))


def _start_chart(seen: Seen) -> Chart | None:
    if seen.states is None:
        return None
    x = seen.states[0][np.isfinite(seen.states[0])].reshape(-1).astype(np.float64)
    if len(x) < 50:
        return None
    sigma = seen.table[0, 1] if np.isfinite(seen.table[0, 1]) else 1.0
    edges = np.linspace(-4 * sigma, 4 * sigma, 41)
    centres = (edges[:-1] + edges[1:]) / 2
    count = np.histogram(np.clip(x, edges[0], edges[-1]), edges)[0] / len(x)
    normal = np.exp(-0.5 * (centres / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi)) * (edges[1] - edges[0])
    return Chart("values that the walk starts from, and the normal law they should have",
                 (Series("N(0, σ²)", centres, normal, palette="ink"), Series("start", centres, count, "dots")),
                 ends=ends_of(edges))
