"""Oracle swap: one half of a program is put in the place of its counterpart that is known to be right.

Its own sampler, as it was identified, with the exact denoiser of the data that training saw; and what its network said,
with a step that lands where it should. Whichever brings the samples to the data clears the half that was kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .landings import endings
from .levels import Levels
from .record import Arrival, Run, Walk

#: Samples of a replay, rows of data, and pairs of them over all steps at most.
SAMPLES, ROWS, PAIRS = 128, 1024, 150_000_000
#: Where coefficients were read from, and the share of the steps that must be.
READ, MOSTLY = ("arithmetic", "least squares"), 0.9
#: Rows of either side that a distance is worked out from.
COMPARED = 400
#: Samples are off the data if they are farther away than chance explains, by CHANCE times what two draws of one
#: distribution differ about; and far if that is FAR of the data's own size at least: no small network ends there.
FAR, CHANCE = 0.35, 2.0


@dataclass(frozen=True)
class Replay:
    """A walk that was not taken: its states (K + 1, N, ...), or why it cannot be; and what it leaves out."""

    states: np.ndarray | None
    why: str = ""
    without: str = ""


def posterior_mean(data: np.ndarray, x: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
    """E[x0 | x_t = x] for data that are just these rows: Σ_i softmax_i(−|x − alpha·y_i|²/(2·sigma²))·y_i.

    data (R, ...), x (N, ...) → (N, ...).
    """
    rows, flat = data.reshape(len(data), -1), x.reshape(len(x), -1)
    logits = alpha * (flat @ rows.T) - 0.5 * alpha**2 * (rows**2).sum(1)
    weights = torch.softmax(torch.from_numpy(logits / max(sigma**2, 1e-6)), 1)  # twice as fast as exp of NumPy
    return (weights.numpy() @ rows).reshape(x.shape)


def with_exact_denoiser(run: Run, walk: Walk, levels: Levels | None) -> Replay:
    """The program's sampler as it was identified, from its own start, told by the exact denoiser what the output is.

    The few steps whose coefficients were not seen, as where output and state are nearly the same, are those of DDIM.
    """
    if run.data is None:
        return Replay(None, "no data were seen: train inside the block, or give x0 to run.train")
    if levels is None or levels.kind in (None, "none", "other"):
        return Replay(None, "it is not known what the output means")
    if walk.calls[0].x is None or run.data.shape[1:] != walk.calls[0].x.shape[1:]:
        return Replay(None, "the states are not of the shape of the data")
    arrivals = [call.arrival for call in walk.calls[1:]] + [end_of(walk, levels)]
    known = [a is not None and bool(a.terms) and a.source in READ for a in arrivals]
    if sum(known) < MOSTLY * len(known):
        return Replay(None, "the coefficients of too many steps were not seen")
    table = levels.many(np.array([call.t for call in walk.calls]))
    if not np.isfinite(table[:, :4]).all():
        return Replay(None, "some steps are at a t that training never had")
    rng = np.random.default_rng(0)
    x = walk.calls[0].x[:SAMPLES].astype(np.float64)
    most = max(64, min(ROWS, PAIRS // (len(x) * len(walk.calls))))
    data = run.data[rng.permutation(len(run.data))[:most]].astype(np.float64)
    states, outputs = [x], []
    levels_after = [*map(tuple, table[1:, :2]), (1.0, 0.0)]
    for (alpha, sigma, u, v, _), (alpha_s, sigma_s), arrival, read in zip(table, levels_after, arrivals, known):
        x0 = posterior_mean(data, states[-1], alpha, sigma)
        eps = (states[-1] - alpha * x0) / sigma if sigma > 1e-4 else 0 * x0
        outputs.append(u * x0 + v * eps)
        with np.errstate(all="ignore"):
            states.append(_arrive(arrival, states, outputs, rng) if read else alpha_s * x0 + sigma_s * eps)
    left = any(not _can_clamp(a, clip) for a, read in zip(arrivals, known) if read for clip in a.clips)
    return Replay(np.stack(states).astype(np.float32), without="without its clamps" if left else "")


def _arrive(arrival: Arrival, states: list[np.ndarray], outputs: list[np.ndarray], rng) -> np.ndarray:
    """The sum that a state is made of; what was drawn is drawn anew, with the mean and spread that it had."""
    x, draws = np.zeros_like(states[0]), {}
    for term in arrival.terms:
        if term.kind == "z":
            if term.call not in draws:
                about = arrival.draws[term.call] if term.call < len(arrival.draws) else {}
                shape = (1, *x.shape[1:]) if about.get("alike") or about.get("shape", [0])[:1] == [1] else x.shape
                scale = (about.get("mean", 0.0), about.get("std", 1.0)) if not about.get("modulated") else (0.0, 1.0)
                draws[term.call] = scale[0] + scale[1] * rng.standard_normal(shape)
            x = x + term.factor * draws[term.call]
        elif term.kind == "1":
            x = x + term.factor
        else:
            x = x + term.factor * (states if term.kind == "x" else outputs)[term.call]
    for clip in arrival.clips:
        if _can_clamp(arrival, clip):
            part = sum(f * (states if kind == "x" else outputs)[call] for kind, call, _, f in clip["terms"])
            x = x + clip["factor"] * (np.clip(part, clip["low"], clip["high"]) - part)
    return x


def _can_clamp(arrival: Arrival, clip: dict) -> bool:
    """Whether all is known of a clamp; least squares has fitted to what it did already."""
    bounds = [b for b in (clip["low"], clip["high"]) if b is not None]
    return arrival.source == "arithmetic" and clip.get("whole", False) and bool(bounds) and not np.isnan(bounds).any()


def end_of(walk: Walk, levels: Levels | None) -> Arrival | None:
    """The sum that the last step was: of all that the last output went into, what is nearest to data at t = 0; of
    several that are alike, as before and after a clamp, the last."""
    if not walk.ends:
        return None
    if levels is None:
        return walk.ends[-1]
    found = endings(walk, levels)
    off = np.array([abs(x.A - 1) + abs(x.E) if np.isfinite([x.A, x.E]).all() else np.inf for x in found])
    return walk.ends[int(np.flatnonzero(off <= off.min() + 1e-9)[-1])]


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """√(2·E|a − b| − E|a − a'| − E|b − b'|), 0 for one distribution (Székely & Rizzo 2013)."""
    a, b = (x.reshape(len(x), -1).astype(np.float64)[:COMPARED] for x in (a, b))

    def apart(p, q, same):
        square = (p**2).sum(1)[:, None] + (q**2).sum(1) - 2 * p @ q.T
        total = np.sqrt(np.maximum(square, 0)).sum()
        return total / (len(p) * (len(q) - same))

    return float(np.sqrt(max(0.0, 2 * apart(a, b, 0) - apart(a, a, 1) - apart(b, b, 1))))


def halves(run: Run, ends: dict[str, np.ndarray]) -> dict | None:
    """How far the ends of some walks are from the data, beside other data; None where no data were seen.

    {"rows": [{"name", "distance", "off", "far"}, …], "says": one sentence, "size": a distance that would be large}
    """
    data = run.data
    if data is None or len(data) < 32:
        return None
    mixed = data[np.random.default_rng(0).permutation(len(data))]
    half = min(COMPARED, len(mixed) // 2)
    first = mixed[:half]
    size = float(np.sqrt(2 * np.var(first.reshape(half, -1), axis=0).sum()))  # of one row from another, about
    rows = []
    for name, end in ends.items():
        if end.shape[1:] != data.shape[1:] or len(end) < 4:
            continue
        distance = energy_distance(np.clip(end, -1e6, 1e6), first) if np.isfinite(end).all() else None
        off = distance is None or distance**2 > CHANCE * size * (1 / len(end) + 1 / half)
        far = off and (distance is None or distance**2 > FAR**2 * size)
        rows.append({"name": name, "distance": distance, "off": bool(off), "far": bool(far)})
    off, far = ([row[name] for row in rows] for name in ("off", "far"))
    return {"rows": rows, "says": _conclusion(off, far), "size": FAR * size**0.5}


def _conclusion(off: list[bool], far: list[bool]) -> str:
    """What follows from who is off, and far: the walk, its sampler with the exact denoiser, its network with ours."""
    if len(far) < 3:
        return ""
    if not off[0]:
        return "Your samples cannot be told from the data that training saw."
    if not far[0]:
        return ("Your samples are near the data that training saw, and beyond chance not the same: the fault is small, "
                "or the network has not learned enough.")
    return {
        (True, False): "Your sampler misses the data even with the exact denoiser, and your network reaches them with "
                       "a sampler of ours: the fault is in the sampler.",
        (False, True): "Your sampler reaches the data with the exact denoiser, and your network misses them with a "
                       "sampler of ours: the fault is in the network or in its training.",
        (True, True): "Both halves miss the data, each with a sound counterpart: look at what they share, the noise "
                      "levels, the time and the data; or both are at fault.",
        (False, False): "Each half reaches the data with a sound counterpart: the fault is small, or in how the two "
                        "fit together.",
    }[far[1], far[2]]
