"""Closed forms of noise levels: schedules that papers and their code use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from .levels import KINDS, Levels

#: What may be told instead of a time: (what, sigma/alpha of it).
LEVELS_TOLD: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("sigma/alpha", lambda t: t),
    ("ln(sigma/alpha)/4", lambda t: np.exp(4 * t)),
    ("ln(sigma/alpha)", np.exp),
    ("ln(alpha²/sigma²)", lambda t: np.exp(-t / 2)),
    ("ln(sigma²/alpha²)", lambda t: np.exp(t / 2)),
    ("arctan(sigma/alpha)", np.tan),
)


def find_closed_form(levels: Levels) -> None:
    """Find the closed form of these levels, so that they are known at every t."""
    t, a, s = levels.t, levels.alpha, levels.sigma
    for name, form in closed_forms(levels):
        with np.errstate(all="ignore"):
            p, q = form(t)
        if (
            np.isfinite(p).all()
            and np.isfinite(q).all()
            and max(np.abs(p - a).max(), (np.abs(q - s) / np.maximum(1, s)).max()) < 2e-5
        ):
            levels.closed, levels.closed_name = form, name
            levels.told = name.removeprefix("t = ") if name.startswith("t = ") else ""
            return


def closed_forms(levels: Levels):
    """(name, t → alpha, sigma) of forms that these levels may have: schedules that papers and their code use."""
    top = float(levels.t[-1])
    if levels.family in ("VE", "VP", "EDM"):
        scale = 0.0 if levels.family == "VE" else _data_scale(levels)
        for name, ratio in LEVELS_TOLD:
            yield f"t = {name}", partial(_of_ratio, ratio=ratio, scale=scale)
    for scale in {1.0, 1000.0, top, top + 1}:
        if scale > 0:
            yield "flow, t from data to noise", lambda x, k=scale: (1 - x / k, x / k)
            yield "flow, t from noise to data", lambda x, k=scale: (x / k, 1 - x / k)
            yield "flow, t from noise to data, (t + 1)", lambda x, k=scale: ((x + 1) / k, 1 - (x + 1) / k)
            yield "trigonometric", lambda x, k=scale: (np.cos(x / k * np.pi / 2), np.sin(x / k * np.pi / 2))
    if not levels.discrete or levels.family not in ("VP",):
        return
    for T in sorted({1000, int(top) + 1, _round_up(top + 1)}):
        for name, betas in tables(T):
            bar = np.cumprod(1 - betas)
            for shift in (0, -1):

                form = partial(_of_table, bar=bar, shift=shift)
                yield f"{name}, T = {T}" + (", t from 1" if shift else ""), form


def _data_scale(levels: Levels) -> float:
    """sigma_data² of an input c_in·(x0 + r·eps), c_in = 1/√(sigma_data² + r²): alpha²·sigma_data² + sigma² = 1."""
    a = levels.alpha**2
    return float((a * (1 - levels.sigma**2)).sum() / (a**2).sum())


def _of_ratio(t: np.ndarray, ratio: Callable[[np.ndarray], np.ndarray], scale: float) -> tuple[np.ndarray, np.ndarray]:
    """alpha, sigma where t tells r = sigma/alpha: (1, r)/√(scale + r²), or (1, r) themselves with no scale."""
    r = ratio(np.asarray(t, dtype=np.float64))
    size = np.sqrt(scale + r**2) if scale else 1 + 0 * r
    return 1 / size, r / size


def _of_table(x: np.ndarray, bar: np.ndarray, shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """alpha, sigma of a table of alpha_bar; between two whole t sigma/alpha runs straight, as in diffusers' Euler."""
    ratio = np.sqrt(1 / np.concatenate([[1.0], bar]) - 1)
    r = np.interp(x + shift, np.arange(-1, len(bar)), ratio, np.nan, np.nan)
    return 1 / np.sqrt(1 + r**2), r / np.sqrt(1 + r**2)


def other_tables(levels: Levels):
    """(name, levels) of the schedules that everybody uses, with the target of these: what else a sampler may walk."""
    if levels.family != "VP" or not levels.discrete or levels.kind not in KINDS:
        return
    for T in sorted({1000, int(levels.t[-1]) + 1}):
        for name, betas in tables(T):
            bar = np.cumprod(1 - betas)
            t = np.arange(T, dtype=np.float64)
            a, s = _of_table(t, bar)
            u, v = KINDS[levels.kind](a, s)
            yield f"{name}, T = {T}", replace(
                levels, t=t, alpha=a, sigma=s, u=u, v=v, closed=partial(_of_table, bar=bar), closed_name=name
            )


def _round_up(x: float) -> int:
    for n in (10, 20, 50, 100, 128, 200, 250, 256, 300, 400, 500, 512, 600, 800, 1000, 1024, 2000, 4000):
        if n >= x:
            return n
    return int(x)


def tables(T: int):
    """(name, betas) of the discrete schedules that everybody uses."""
    yield "linear", np.linspace(1e-4, 0.02, T)
    k = 1000 / T
    if k * 0.02 < 1:
        yield "linear, scaled", np.linspace(1e-4 * k, 0.02 * k, T)
    yield "linear from 0.00085 to 0.012", np.linspace(0.00085, 0.012, T)
    yield "scaled linear", np.linspace(0.00085**0.5, 0.012**0.5, T) ** 2
    yield "quadratic", np.linspace(1e-4**0.5, 0.02**0.5, T) ** 2
    x = np.arange(T + 1) / T
    bar = np.cos((x + 0.008) / 1.008 * np.pi / 2) ** 2
    yield "cosine", np.clip(1 - bar[1:] / bar[:-1], 0, 0.999)
