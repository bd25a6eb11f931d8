"""Where the steps of a walk lead, by the noise levels of training.

Whatever a sampler is called, if the network said the truth about one x0 and one eps all along the path, it
must lead from alpha_t·x0 + sigma_t·eps to alpha_s·x0 + sigma_s·eps. A state that is Σ a_j·x_j + Σ b_j·out_j + c·z then
holds A = Σ a_j·alpha_j + Σ b_j·u_j of x0, E = Σ a_j·sigma_j + Σ b_j·v_j of eps and c of fresh noise, and
A = alpha_s, E² + c² = sigma_s² for DDIM with any eta, DDPM, Euler and Heun in sigma, multistep rules and straight flows
alike. DDPM with variance beta has the posterior's E and more noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from .levels import KINDS, Levels
from .record import Arrival, Walk

#: How much of a step's own move it may miss its landing by. Arithmetic in float32 misses it by 1e-4; what is called a
#: fault here moves it by a hundredth of the move and more.
TOLERANCE = 0.001
#: The same where the coefficients come from least squares.
FITTED = 0.01
#: The same where the level was not seen at just this t, and stands between two that were.
BETWEEN = 0.25
#: A fault of the rule shows in this share of the steps and more.
SHARE = 0.2


@dataclass
class Landing:
    """Where one step of a walk lands: its parts of x0, eps and fresh noise, beside where it is said to land."""

    call: int  #: the call it arrives at; that after the last for the end
    t: float
    s: float
    a: float = math.nan  #: of the state before
    b: float = math.nan  #: of all outputs since
    A: float = math.nan
    E: float = math.nan
    c: float = 0.0
    offset: float = 0.0  #: that is added to every number
    want: tuple[float, float] = (math.nan, math.nan)
    start: tuple[float, float] = (math.nan, math.nan)
    exact: bool = True
    seen: bool = True
    last: bool = False
    bare: bool = False  #: the state as it was, asked for again
    source: str = ""
    alive: int = 0
    clips: list[dict] = field(default_factory=list)
    draws: list[dict] = field(default_factory=list)

    @property
    def move(self) -> float:
        return abs(self.want[0] - self.start[0]) + abs(self.want[1] - self.start[1])

    @property
    def off_mean(self) -> float:
        """How far A is off, in moves."""
        return abs(self.A - self.want[0]) / max(self.move, 1e-6)

    @property
    def off_noise(self) -> float:
        """How far sqrt(E² + c²) is off, in moves."""
        turned = self.E < -1e-5 * max(1.0, abs(self.want[1]))  # noise that is turned round is no level; 0 is none
        return abs(math.hypot(self.E, self.c) * (-1 if turned else 1) - self.want[1]) / max(self.move, 1e-6)

    @property
    def tolerance(self) -> float:
        size = max(1.0, *map(abs, self.want), *map(abs, self.start))
        return (
            (FITTED if self.source == "least squares" else TOLERANCE) if self.exact else BETWEEN
        ) + 3e-6 * size / max(self.move, 1e-6)

    @property
    def posterior(self) -> tuple[float, float, float]:
        """(E, least c, most c) of DDPM's posterior mean for this step."""
        (a0, s0), (a1, s1) = self.start, self.want
        if not a1 or not s0:
            return 0.0, 0.0, 0.0
        r = a0 / a1
        between = max(s0**2 - r**2 * s1**2, 0.0)
        return r * s1**2 / s0, math.sqrt(between) * s1 / s0, math.sqrt(between)

    @property
    def mean_is_posterior(self) -> bool:
        return abs(self.E - self.posterior[0]) <= self.tolerance * max(self.move, 1e-6)

    @property
    def good(self) -> bool:
        """Whether it lands where it is said to, for some member of the family."""
        if not self.seen or not math.isfinite(self.A) or not math.isfinite(self.want[0]):
            return True
        return not self.is_shifted and (self.lands or self.is_euler or self.is_langevin)

    @property
    def is_shifted(self) -> bool:
        """Whether a constant is added that is neither state, output nor noise."""
        fitted = FITTED if self.source == "least squares" else TOLERANCE
        return abs(self.offset) > fitted * self.move + 1e-5 * max(1.0, *map(abs, self.start))

    @property
    def is_langevin(self) -> bool:
        """A step of Langevin dynamics at the level that it starts from, x + (δ/2)·score + √δ·z: whatever level the
        network is told next, as annealing has it (Song & Ermon 2019, algorithm 1)."""
        a0, s0 = self.start
        if not (self.c > 0 and s0 > 0):
            return False
        drift = self.c**2 / (2 * s0)
        near = 0.01 * drift + 2e-6 * max(1.0, s0)
        return abs(self.A - a0) < near and abs(self.E - (s0 - drift)) < near

    @property
    def lands(self) -> bool:
        """Whether it lands on the level exactly, as DDIM, DDPM and solvers in sigma do."""
        bound = self.tolerance
        slack = 0.0
        if self.move < 1e-3 * max(1.0, abs(self.want[1])) and self.c:  # a corrector: it stays at its level
            slack = 1.1 * self.c**4 / (4 * max(self.want[1], 1e-6) ** 3) / max(self.move, 1e-6) + 1.0
        if self.off_mean <= bound + slack and self.off_noise <= bound + slack:
            return True
        E, least, most = self.posterior
        if self.off_mean <= bound and self.mean_is_posterior and 0.997 * least <= self.c <= 1.003 * most and self.c > 0:
            return True
        return False

    @property
    def is_euler(self) -> bool:
        """A first-order step of the reverse SDE or its ODE in t (Song et al. 2021): right to the step's size."""
        (a0, s0), (a1, s1) = self.start, self.want
        if not (a1 > 0 and s0 > 0) or not self.seen:
            return False
        between = s0**2 - (a0 / a1 * s1) ** 2  # of the forward step q(x_t | x_s), which "reverse diffusion" turns round
        for noise in (0.0, 1.0):
            A, E = (2 - a0 / a1) * a0, (2 - a0 / a1) * s0 - between * (1 + noise) / 2 / s0
            near = self.tolerance * max(self.move, 1e-6)
            if max(abs(self.A - A), abs(self.E - E)) < near and abs(self.c - noise * math.sqrt(max(between, 0))) < near:
                return True
        if not a0 > 0:
            return False
        for beta in (2 * math.log(a1 / a0), 1 - (a0 / a1) ** 2, (a1 / a0) ** 2 - 1):
            if not 0 < beta < 0.3:
                continue
            for noise in (0.0, 1.0):
                A = a0 * (1 + beta / 2)
                E = s0 * (1 + beta / 2) - beta * (1 + noise) / 2 / s0
                near = max(abs(self.A - A), abs(self.E - E)) < 0.02 * beta + 2e-6
                if near and abs(self.c - noise * math.sqrt(beta)) < 0.03 * math.sqrt(beta) + 1e-6:
                    return True
        return False


def landings(
    walk: Walk,
    levels: Levels,
    kind: str | None = None,
    told: Callable[[float], float] | None = None,
    goal: Callable[[float, float], float] | None = None,
) -> list[Landing]:
    """Where each step of a walk lands, by the levels of training.

    kind   take the outputs for this instead of what training taught
    told   t → the t whose level the state is supposed to have
    goal   (t, s) → the t whose level the step is supposed to land on
    """
    times = np.array([c.t for c in walk.calls])
    true = times if told is None else np.array([told(t) for t in times])
    table = levels.many(true)
    if kind is not None:
        with np.errstate(all="ignore"):
            table[:, 2], table[:, 3] = KINDS[kind](table[:, 0], table[:, 1])
    rows, found = table.tolist(), []
    for m in range(1, len(walk.calls)):
        arrival = walk.calls[m].arrival
        if arrival is None:
            continue
        landing = _land(_as_asked_last(arrival, walk), m, times, rows)
        if {walk.calls[k].facts.get("dtype") for k in (m - 1, m)} & {"float16", "bfloat16"}:
            landing.seen = False  # rounding of the state hides the coefficients
        want = rows[m] if goal is None else levels.at(goal(float(times[landing.call - 1]), float(times[m])))
        landing.want, landing.exact = (want[0], want[1]), landing.exact and bool(want[4])
        found.append(landing)
    return found


def _land(arrival: Arrival, m: int, times: np.ndarray, table: list[list[float]]) -> Landing:
    A = E = a = b = variance = offset = 0.0
    exact = True
    for term in arrival.terms:
        if term.kind == "z":
            variance += term.factor**2
            continue
        if term.kind == "1":
            offset += term.factor
            continue
        alpha, sigma, u, v, seen = table[term.call]
        exact &= bool(seen)
        if term.kind == "x":
            A, E, a = A + term.factor * alpha, E + term.factor * sigma, a + term.factor
        else:
            A, E, b = A + term.factor * u, E + term.factor * v, b + term.factor
    k = max([t.call for t in arrival.terms if t.kind in ("x", "out")], default=m - 1)
    states = [t for t in arrival.terms if t.kind == "x"]
    base = max(states, key=lambda t: abs(t.factor)).call if states else k
    read = arrival.source == "arithmetic" or arrival.source == "least squares" and arrival.left < 2e-3
    seen = bool(arrival.terms) and read
    return Landing(
        m,
        float(times[k]),
        float(times[m]) if m < len(times) else math.nan,
        a,
        b,
        A,
        E,
        math.sqrt(variance),
        offset,
        start=(table[base][0], table[base][1]),
        exact=exact,
        seen=seen,
        last=m == len(times),
        bare=_is_bare(arrival),
        source=arrival.source,
        alive=arrival.alive,
        clips=arrival.clips,
        draws=arrival.draws,
    )


def endings(walk: Walk, levels: Levels, kind: str | None = None) -> list[Landing]:
    """The sums the last output went into, as landings; which of them was the last step is the Doctor's to say."""
    times = np.array([c.t for c in walk.calls])
    table = levels.many(times)
    if kind is not None:
        table[:, 2], table[:, 3] = KINDS[kind](table[:, 0], table[:, 1])
    rows = table.tolist()
    return [_land(_as_asked_last(arrival, walk), len(walk.calls), times, rows) for arrival in walk.ends]


def _is_bare(arrival: Arrival | None) -> bool:
    """Whether a state is one before it, unchanged."""
    return arrival is not None and [(t.kind, t.factor) for t in arrival.terms] == [("x", 1.0)]


def _as_asked_last(arrival: Arrival, walk: Walk) -> Arrival:
    """The same sum, with a state that was asked for at several times as that of the last whose output is in it."""
    again = {}
    for k in (term.call for term in arrival.terms if term.kind == "out"):
        if 0 < k < len(walk.calls) and _is_bare(walk.calls[k].arrival):
            again[walk.calls[k].arrival.terms[0].call] = k
    if not again:
        return arrival
    terms = [replace(t, call=again[t.call]) if t.kind == "x" and t.call in again else t for t in arrival.terms]
    return replace(arrival, terms=terms)


def missed(found: list[Landing]) -> list[Landing]:
    """Those that land where they should not."""
    return [x for x in found if not x.good]


def fits(found: list[Landing]) -> bool:
    """Whether all land where they should, but for one in twenty."""
    known = [x for x in found if x.seen and math.isfinite(x.A) and math.isfinite(x.want[0]) and x.move > 1e-9]
    allowed = max(0.05 * len(known), 0 if len(known) < 20 else 1)
    too_many = islice((x for x in known if not x.good), int(allowed), None)  # most readings are wrong at every step
    return bool(known) and next(too_many, None) is None
