"""What a program really does, in numbers: alpha and sigma at each t, what its network is taught, where its steps land.

**Levels.** The rows of the training calls give alpha(t), sigma(t) and the target u(t)·x0 + v(t)·eps.

**Landing.** Whatever a sampler is called, if the network said the truth about one x0 and one eps all along the path, it
must lead from alpha_t·x0 + sigma_t·eps to alpha_s·x0 + sigma_s·eps. A state that is Σ a_j·x_j + Σ b_j·out_j + c·z then
holds A = Σ a_j·alpha_j + Σ b_j·u_j of x0, E = Σ a_j·sigma_j + Σ b_j·v_j of eps and c of fresh noise, and
A = alpha_s, E² + c² = sigma_s² for DDIM with any eta, DDPM, Euler and Heun in sigma, multistep rules and straight flows
alike. DDPM with variance beta has the posterior's E and more noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from .record import Arrival, Run, Walk

#: How much of a step's own move it may miss its landing by. Arithmetic in float32 misses it by 1e-4; what is called a
#: fault here moves it by a hundredth of the move and more.
TOLERANCE = 0.001
#: The same where the coefficients come from least squares.
FITTED = 0.01
#: The same where the level was not seen at just this t, and stands between two that were.
BETWEEN = 0.25

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
#: What may be told instead of a time: (what, sigma/alpha of it).
LEVELS_TOLD: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("sigma/alpha", lambda t: t),
    ("ln(sigma/alpha)/4", lambda t: np.exp(4 * t)),
    ("ln(sigma/alpha)", np.exp),
    ("ln(alpha²/sigma²)", lambda t: np.exp(-t / 2)),
    ("ln(sigma²/alpha²)", lambda t: np.exp(t / 2)),
    ("arctan(sigma/alpha)", np.tan),
)
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
        return np.array([self.at(float(x)) for x in t], dtype=np.float64).reshape(-1, 5)


def _lagrange(x: np.ndarray, y: np.ndarray, at: float) -> float:
    total = 0.0
    for i in range(len(x)):
        w = 1.0
        for j in range(len(x)):
            if i != j:
                w *= (at - x[j]) / (x[i] - x[j])
        total += w * y[i]
    return float(total)


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
    _close(levels)
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


def _close(levels: Levels) -> None:
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


# --- landings -----------------------------------------------------------------------------------------------
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
    found = []
    for m in range(1, len(walk.calls)):
        arrival = walk.calls[m].arrival
        if arrival is None:
            continue
        landing = _land(_as_asked_last(arrival, walk), m, times, table)
        if {walk.calls[k].facts.get("dtype") for k in (m - 1, m)} & {"float16", "bfloat16"}:
            landing.seen = False  # rounding of the state hides the coefficients
        aim = true[m] if goal is None else goal(float(times[landing.call - 1]), float(times[m]))
        want = levels.at(aim)
        landing.want, landing.exact = (want[0], want[1]), landing.exact and want[4]
        found.append(landing)
    return found


def _land(arrival: Arrival, m: int, times: np.ndarray, table: np.ndarray) -> Landing:
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
        start=(float(table[base][0]), float(table[base][1])),
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
    return [_land(_as_asked_last(arrival, walk), len(walk.calls), times, table) for arrival in walk.ends]


def _is_bare(arrival: Arrival | None) -> bool:
    """Whether a state is one before it, unchanged."""
    return arrival is not None and [(t.kind, t.factor) for t in arrival.terms] == [("x", 1.0)]


def _as_asked_last(arrival: Arrival, walk: Walk) -> Arrival:
    """The same sum, with a state that was asked for at several times as that of the last whose output is in it."""
    again = {}
    for k in (term.call for term in arrival.terms if term.kind == "out"):
        if 0 < k < len(walk.calls) and _is_bare(walk.calls[k].arrival):
            again[walk.calls[k].arrival.terms[0].call] = k
    terms = [replace(t, call=again[t.call]) if t.kind == "x" and t.call in again else t for t in arrival.terms]
    return replace(arrival, terms=terms)
