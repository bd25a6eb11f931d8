"""What is kept of a run: what each training call and each step of a walk was made of, as plain numbers.

    run = Run()
    run.train(x_t=, t=, output=, target=, x0=, noise=)      # one call by hand, NumPy or torch
    run.step(x_t=, t=, output=, x_s=, noise=)               # one step by hand
    run.diagnose()
    run.save("run.trace")

`watch` fills one in by itself. Everything is NumPy: a trace can be read, and written, without torch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .report import Report

#: Rows of a state that are kept to look at, and numbers of one state at most.
ROWS, NUMBERS = 256, 16_384
#: Training rows that one call may keep.
TRAIN_ROWS = 256
#: Walks that are kept: the first ones and the last.
WALKS = 4
#: Rows of data that are kept, for the exact denoiser of them, and numbers of them at most.
DATA_ROWS, DATA_NUMBERS = 2048, 262_144


@dataclass(eq=False)
class Train:
    """One training call. Arrays are a number a row, (B,); `facts` holds what is said of the whole call.

    t        what the network was told
    alpha, sigma    x_t = alpha·x0 + sigma·eps, as it was made; None where that was not seen
    u, v     what the output is compared with, u·x0 + v·eps; None where it was not seen
    left     share of that target which is neither x0 nor eps, in squares
    error    mean of (output − target)² over a row
    power    mean of target² over a row
    """

    t: np.ndarray
    alpha: np.ndarray | None = None
    sigma: np.ndarray | None = None
    u: np.ndarray | None = None
    v: np.ndarray | None = None
    left: np.ndarray | None = None
    error: np.ndarray | None = None
    power: np.ndarray | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays in it."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))


@dataclass
class Term:
    """One part of the sum that a state was made of: factor · (a state, an output, a draw or 1)."""

    kind: str  #: "x" state, "out" output, "z" draw, "1" the same number everywhere
    call: int  #: which call of the walk, or which draw of this arrival
    part: int  #: which half or channel block of the output; 0 for the whole
    factor: float


@dataclass
class Arrival:
    """How a state was made: the sum of `terms`; `left` is what they leave unexplained, relative to the move."""

    terms: list[Term]
    source: str = "arithmetic"  #: or "least squares", or "unseen"
    left: float = 0.0
    clips: list[dict] = field(default_factory=list)  #: of clamped parts, which `terms` have as they were before
    draws: list[dict] = field(default_factory=list)
    alive: int = 0  #: of an end: 2 if the program still held it after the loop, 1 if something that was made of it


@dataclass(eq=False)
class Call:
    """One call of a network while sampling: the state it was given, what it was told and what it said."""

    t: float
    x: np.ndarray | None = None  #: (rows, ...) of the state
    out: np.ndarray | None = None  #: (rows, ...)
    facts: dict[str, Any] = field(default_factory=dict)
    arrival: Arrival | None = None  #: how x was made; None for the start


@dataclass(eq=False)
class Walk:
    """One sampling loop. `ends` are the sums that the last output went into, each a way the last step may have gone."""

    calls: list[Call] = field(default_factory=list)
    ends: list[Arrival] = field(default_factory=list)
    final: np.ndarray | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def rows(value: np.ndarray) -> np.ndarray:
    """The first rows of a batch, few enough to keep, as float32."""
    value = np.asarray(value, dtype=np.float32)
    if value.ndim == 0:
        return value[None]
    each = max(1, int(np.prod(value.shape[1:])))
    return value[: max(1, min(ROWS, NUMBERS // each))].copy()


def moments(value: np.ndarray) -> dict[str, Any]:
    """Mean, std, excess kurtosis, range and count of an array's finite numbers; whether all are finite, rows alike."""
    value = np.asarray(value, dtype=np.float64)
    flat = value.reshape(-1)
    flat = flat[:: max(1, len(flat) // 65_536)]
    finite = np.isfinite(flat)
    kept = flat[finite]
    if not len(kept):
        return {"finite": False, "count": 0}
    mean, std = float(kept.mean()), float(kept.std())
    fourth = float((((kept - mean) / std) ** 4).mean() - 3) if std > 0 else 0.0
    third = float((((kept - mean) / std) ** 3).mean()) if std > 0 else 0.0
    alike = bool(value.ndim > 1 and len(value) > 1 and (value == value[:1]).all())
    return {
        "finite": bool(finite.all()),
        "count": int(len(flat)),
        "mean": mean,
        "std": std,
        "kurtosis": fourth,
        "skew": third,
        "low": float(kept.min()),
        "high": float(kept.max()),
        "alike": alike,
        "shape": list(value.shape),
    }


def array(value: Any) -> np.ndarray | None:
    """NumPy, torch (on any device, with gradients or without), JAX or a number → NumPy."""
    if value is None:
        return None
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() and value.element_size() < 4 else value
    return np.asarray(value)


class Run:
    """The record of one run. `watch` fills it; `train` and `step` do so by hand."""

    def __init__(self):
        self.trains: list[Train] = []
        self.walks: list[Walk] = []
        self.networks: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {"training_calls": 0, "sampling_calls": 0, "unseen": []}
        self.data: np.ndarray | None = None  #: (rows, ...) of the x0 that training saw, float32
        #: (K + 1, N, ...): the walk of a sampler of ours with the sampled network, where that could be asked
        self.swapped: np.ndarray | None = None

    def saw(self, x0: np.ndarray) -> None:
        """Keep rows of the data that training sees, the first ones, as far as there is room for them."""
        x0 = np.asarray(x0)
        if x0.ndim < 2 or not x0.size or self.data is not None and self.data.shape[1:] != x0.shape[1:]:
            return
        most = max(1, min(DATA_ROWS, DATA_NUMBERS // int(np.prod(x0.shape[1:]))))
        room = most - (0 if self.data is None else len(self.data))
        if room > 0:
            new = x0[:room].astype(np.float32)
            self.data = new if self.data is None else np.concatenate([self.data, new])

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays in it."""
        calls = [call for walk in self.walks for call in walk.calls]
        arrays = [self.data, self.swapped, *(walk.final for walk in self.walks)]
        arrays += [value for call in calls for value in (call.x, call.out)]
        return (sum(value.nbytes for value in arrays if isinstance(value, np.ndarray))
                + sum(train.nbytes for train in self.trains))

    @property
    def seen(self) -> bool:
        """Whether there is anything to diagnose."""
        return bool(self.trains or any(walk.calls for walk in self.walks))

    # --- by hand ------------------------------------------------------------------------------------------------------
    def train(self, *, x_t: Any, t: Any, output: Any, target: Any = None, x0: Any = None, noise: Any = None) -> None:
        """One training call: x_t, output and target (B, ...), t a number or (B,). What can be derived is derived.

        With x0 and noise, alpha and sigma of every row follow, and with the target what the network is taught; from x_t
        and one of them alone nothing follows, and the report says so. ValueError where shapes do not fit.
        """
        x_t, output, target, x0, noise = map(array, (x_t, output, target, x0, noise))
        B = len(x_t) if x_t.ndim else 1
        for name, value in (("x0", x0), ("noise", noise)):
            if value is not None and value.shape != x_t.shape:
                raise ValueError(f"{name} has shape {value.shape} and x_t {x_t.shape}; they must be the same")
        times = _times(t, B)
        facts = {
            "shape": list(x_t.shape),
            "output_shape": list(output.shape),
            "finite": bool(np.isfinite(output).all()),
            "gradient": True,
            "training": True,
            "by_hand": True,
        }
        kept = slice(None, TRAIN_ROWS)
        call = Train(times[kept], facts=facts)
        if target is not None:
            facts |= {"compared": [list(output.shape), list(target.shape)]}
            if target.shape == output.shape:
                gap = (output - target).reshape(B, -1).astype(np.float64)
                call.error = (gap**2).mean(1)[kept]
                call.power = (target.reshape(B, -1).astype(np.float64) ** 2).mean(1)[kept]
        if x0 is not None and noise is not None:
            facts |= {"x0": moments(x0), "noise": moments(noise)}
            self.saw(x0)
            call.alpha, call.sigma, _ = (a[kept] for a in two_factors(x_t, x0, noise))
            if target is not None and target.shape == x_t.shape:
                call.u, call.v, call.left = (a[kept] for a in two_factors(target, x0, noise))
        self.facts["training_calls"] += 1
        self.trains.append(call)

    def step(self, *, x_t: Any, t: Any, output: Any, x_s: Any = None, noise: Any = None) -> None:
        """One step from x_t to x_s, in the order they are taken; a step that starts elsewhere begins a new walk."""
        x_t, output, x_s, noise = map(array, (x_t, output, x_s, noise))
        if output.shape != x_t.shape:
            raise ValueError(f"the output has shape {output.shape} and x_t {x_t.shape}; they must be the same")
        time = float(_times(t, 1)[0])
        facts = {"state": moments(x_t), "output": moments(output), "by_hand": True}
        call = Call(time, rows(x_t), rows(output), facts)
        walk = self.walks[-1] if self.walks else None
        if walk is None or walk.final is None or not np.array_equal(walk.final, rows(x_t)):
            walk = Walk(facts={"network": 0, "start": moments(x_t) | {"law": "", "op": ""}})
            self.walks.append(walk)
        else:
            call.arrival, walk.ends = walk.ends[-1], []
        walk.calls.append(call)
        self.facts["sampling_calls"] += 1
        if x_s is not None:
            regressors = [("x", len(walk.calls) - 1, x_t), ("out", len(walk.calls) - 1, output)]
            if noise is not None:
                regressors.append(("z", 0, noise))
            arrival = least_squares(x_s, x_t, regressors)
            arrival.draws = [moments(noise)] if noise is not None else []
            walk.ends, walk.final = [arrival], rows(x_s)

    # --- what follows -------------------------------------------------------------------------------------------------
    def diagnose(self) -> Report:
        """The Doctor's report: see `core.debug.doctor`."""
        from .doctor import diagnose

        self._probe()
        return diagnose(self)

    def report(self, path: str | os.PathLike) -> Path:
        """Write the walk as a film, the Doctor beside it, as one HTML file that needs nothing else; gives its path."""
        from .page import write

        return write(self, self.diagnose(), path)

    def save(self, path: str | os.PathLike) -> Path:
        """Write one safetensors file, see docs/trace-format.md; returns the path."""
        from .files import save

        self._probe()
        return save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Run:
        """Read what `save` wrote, or a trace of a walk of ours. ValueError says what is wrong with a file."""
        from .files import load

        return load(path)

    def _probe(self) -> None:
        """Ask the networks that are still here a few questions; what a trace holds was asked before."""
        probe, self._ask = getattr(self, "_ask", None), None
        if probe is not None:
            probe()

    def _repr_html_(self) -> str:
        from .notebook import html

        return html(self)


def _times(t: Any, B: int) -> np.ndarray:
    value = np.asarray(array(t), dtype=np.float64).reshape(-1)
    return np.full(B, value[0]) if len(value) == 1 else value


def two_factors(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row by row the least squares of y on a and b: (p, q, share of y² left), each (B,). NaN where a row cannot tell.

    Two numbers a row are needed; of one, NaN.
    """
    B = len(y)
    # Of nearly parallel a and b the factors carry the rounding of the numbers, over the angle between them.
    parallel = 1e-9 if all(np.asarray(v).dtype.itemsize == 8 for v in (y, a, b)) else 1e-6
    y, a, b = (np.asarray(v, dtype=np.float64).reshape(B, -1) for v in (y, a, b))
    aa, bb, ab = (a * a).sum(1), (b * b).sum(1), (a * b).sum(1)
    ya, yb, yy = (y * a).sum(1), (y * b).sum(1), (y * y).sum(1)
    det = aa * bb - ab**2
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (ya * bb - yb * ab) / det, (yb * aa - ya * ab) / det
        left = ((y - p[:, None] * a - q[:, None] * b) ** 2).sum(1) / yy
    known = det > parallel * aa * bb
    return np.where(known, p, np.nan), np.where(known, q, np.nan), np.where(known, left, np.nan)


def least_squares(y: np.ndarray, x: np.ndarray, regressors: Sequence[tuple[str, int, np.ndarray]]) -> Arrival:
    """y as a sum of factors times regressors, (kind, index, values); `left` is relative to y − x, the move.

    With too few numbers, or regressors that are not independent, the arrival is "unseen". A constant is among them
    where that alone explains what the others leave.
    """
    found = _least_squares(y, x, regressors)
    if found.terms and found.left > 1e-3:
        shifted = _least_squares(y, x, [*regressors, ("1", 0, np.ones(np.shape(y)))])
        if shifted.terms and shifted.left < 1e-2 * found.left:
            return shifted
    return found


def _least_squares(y: np.ndarray, x: np.ndarray, regressors: Sequence[tuple[str, int, np.ndarray]]) -> Arrival:
    y, x = np.asarray(y, np.float64).reshape(-1), np.asarray(x, np.float64).reshape(-1)
    A = np.stack([np.asarray(v, np.float64).reshape(-1) for _, _, v in regressors], 1)
    if len(y) < 2 * A.shape[1] + 2 or not np.isfinite(A).all() or not np.isfinite(y).all():
        return Arrival([], "unseen", 1.0)
    scale = np.sqrt((A**2).mean(0)) + 1e-300
    factors, _, rank, _ = np.linalg.lstsq(A / scale, y, rcond=1e-10)
    if rank < A.shape[1]:
        return Arrival([], "unseen", 1.0)
    factors = factors / scale
    gap, move = y - A @ factors, y - x
    left = float(np.sqrt((gap**2).mean() / max((move**2).mean(), 1e-30)))
    return Arrival(
        [Term(kind, index, 0, float(f)) for (kind, index, _), f in zip(regressors, factors)], "least squares", left
    )
