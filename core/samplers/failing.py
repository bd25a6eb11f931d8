"""Roads that fail, kept because a lesson is in them: what becomes of samples when only the score is followed.

The score points uphill in the density. Who only climbs ends on a summit, and so does everybody who started near: the
samples pile up on modes, and how much of the data lies where, and how wide a mode is, is lost. A sampler needs the
noise that spreads them again (Langevin dynamics), or a drift that knows of the schedule (the probability-flow ODE).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..schedules import Schedule
from .rule import Rule, sampler


@sampler(
    "fails: ascent", formula="x ← x − ½ δ σ_{s} ε̂(x, s)", figures="x ← x − {eps:.3f} · ε̂(x, s), {inner:.0f} times",
    note="fails on purpose: no noise, so all climb to the modes; the last step takes x̂₀",
    line="x ← x − ½·size·sigma_s·eps(x, s)", fails=True)
def ascent(schedule: Schedule, inner: int = 5, size: float = 0.2) -> Rule:
    """Fails: annealed Langevin dynamics without its noise, x ← x − ½·size·sigma_s·eps(x, s), `inner` times at each s.

    Gradient ascent on log p_s, by ½·size·sigma_s² times the score. The last step takes the guess x0.
    1 + inner evaluations of the network a step, one at the last.
    """

    def coefficients(t, s, before=None):
        sigma = schedule.at(s)[1]
        return {"eps": size / 2 * sigma, "inner": inner if sigma > 0 else 0, "std": 0.0}

    def take(denoise, x_t, prediction, t, s):
        n = coefficients(t, s)
        x = x_t if n["inner"] else prediction.x0
        for _ in range(n["inner"]):
            x = x - n["eps"] * denoise(x, s).eps
        return x, n

    return Rule(take, coefficients)


@sampler(
    "fails: Adam", formula="x ← x − rate · m̂ / √v̂,  m and v the running means of ε̂/σ_{s} and its square",
    figures="x ← x − {rate:.4f} · m̂ / √v̂, {inner:.0f} times",
    note="fails on purpose: no noise, so all climb to the modes; the last step takes x̂₀",
    line="x ← x − rate·m̂/(√v̂ + 1e−8)", fails=True)
def ascent_adam(schedule: Schedule, inner: int = 5, size: float = 0.2,
                betas: tuple[float, float] = (0.9, 0.999)) -> Rule:
    """Fails: the same ascent by Adam (Kingma & Ba 2015, algorithm 1) on −log p_s, whose gradient is eps/sigma_s.

    m ← β₁·m + (1 − β₁)·g, v ← β₂·v + (1 − β₂)·g², x ← x − rate·m̂/(√v̂ + 1e−8), with rate = ½·size·sigma_s, the length of
    the plain ascent's step where eps is of size 1. An optimiser finds modes sooner, and modes are not samples; and what
    Adam divides by is a mean over steps long past, which no density knows of, so it does not even climb by the score.

    m and v live as long as a walk: use a fresh rule for each. One that is shown a step that does not go on where its
    last ended starts anew.
    """
    state: dict[str, Tensor | float | int] = {}

    def coefficients(t, s, before=None):
        sigma = schedule.at(s)[1]
        return {"rate": size / 2 * sigma, "inner": inner if sigma > 0 else 0, "std": 0.0}

    def take(denoise, x_t, prediction, t, s):
        if state.get("s") != float(t) or state["m"].shape != x_t.shape:
            state.update(m=torch.zeros_like(x_t), v=torch.zeros_like(x_t), count=0)
        state["s"] = float(s)
        n, sigma = coefficients(t, s), schedule.at(s)[1]
        x = x_t if n["inner"] else prediction.x0
        for _ in range(n["inner"]):
            g = denoise(x, s).eps / sigma
            state["count"] += 1
            m = state["m"] = torch.lerp(g, state["m"], betas[0])
            v = state["v"] = torch.lerp(g**2, state["v"], betas[1])
            m, v = m / (1 - betas[0] ** state["count"]), v / (1 - betas[1] ** state["count"])
            x = x - n["rate"] * m / (v.sqrt() + 1e-8)
        return x, n

    return Rule(take, coefficients)
