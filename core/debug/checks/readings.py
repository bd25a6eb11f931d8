"""Steps that do not land where they should: which other reading of the program would make them?"""

from __future__ import annotations

import math

import numpy as np

from ..closed_forms import other_tables
from ..exam import Exam, number
from ..landings import SHARE, Landing, fits, landings, missed
from ..levels import KINDS, OPPOSITE, Levels
from ..places import Place
from .guidance import weights_are_wrong


def explain(exam: Exam, found: list[Landing]) -> None:
    """Which other reading of the program would make its steps land? The first that does names the line."""
    L, walk = exam.levels, exam.walk
    bad = missed(found)
    worst = max(bad, key=lambda x: x.off_mean + x.off_noise)
    mid = sorted(bad, key=lambda x: x.call)[len(bad) // 2]
    evidence = f"{len(bad)} of {len(found)} steps, coefficients read from the {mid.source} of the sampler"
    read = dict(
        measured=f"at t = {number(mid.t)}: x_s = {number(mid.a)}·x_t + {number(mid.b)}·output + {number(mid.c)}·z"
        f", which leads to {number(mid.A)}·x0 + {number(mid.E)}·eps",
        expected=f"{number(mid.want[0])}·x0 and {number(mid.want[1])} of noise in all at t = {number(mid.s)}",
        evidence=evidence,
    )
    few = len(bad) < SHARE * len(found)
    if few:  # the rule as such is right
        _odd_steps(exam, found, bad, worst, mid, read, evidence)
        return
    # taken for another kind of output
    for kind in ("eps", "x0", "v", "velocity", "data − noise", "score"):
        if kind in (L.kind, OPPOSITE.get(L.kind)) or L.family == "VE" and kind in ("v",):
            continue
        if fits(landings(walk, L, kind=kind)):
            exam.found(
                Place.PARAMETERIZATION,
                f"the network is taught {L.kind}, and the sampler takes its output for {kind}",
                weight=3,
                refute="a target that is what the sampler takes the output for",
                **read,
            )
            return
    flipped = OPPOSITE.get(L.kind)
    if flipped in KINDS and L.kind.startswith("−") and fits(landings(walk, L, kind=flipped)):
        exam.found(
            Place.TARGET,
            f"the network is taught {L.kind}, and the sampler takes its output for {flipped}",
            weight=3,
            refute="a sampler that turns the sign",
            **read,
        )
        return
    if flipped in KINDS and fits(landings(walk, L, kind=flipped)):
        exam.found(
            Place.STEP,
            "the steps go the wrong way: the output enters with its sign flipped",
            weight=3,
            refute="an output that is the opposite of what training compares it with",
            **read,
        )
        return
    # the wrong neighbour on the ladder
    if _ladder(exam, L, walk, mid, read):
        return
    if weights_are_wrong(exam, found, read):
        return
    if _clock(exam, L, walk, found, read):
        return
    _odd_steps(exam, found, bad, worst, mid, read, evidence)


def _odd_steps(
    exam: Exam, found: list[Landing], bad: list[Landing], worst: Landing, mid: Landing, read: dict, evidence: str
) -> None:
    """No other reading fits: the noise alone is off, or the mean is."""
    if _noise_alone(exam, found, evidence):
        return
    extra = ""
    if abs(mid.A - mid.want[0]) / max(mid.move, 1e-6) <= mid.tolerance:
        extra = ": the part of eps is off"
    elif mid.off_noise <= mid.tolerance:
        extra = ": the part of x0 is off"
    few = len(bad) < SHARE * len(found)
    x = worst if few else mid
    where = f"at t = {number(x.t)}" if few else f"at {len(bad)} of {len(found)} steps, such as t = {number(x.t)},"
    exam.found(
        Place.STEP,
        f"{where} the step leads to {number(x.A)}·x0 + {number(x.E)}·eps + {number(x.c)}·z where the schedule has "
        f"{number(x.want[0])} and {number(x.want[1])}{extra}",
        weight=1,
        refute="a rule whose mean and noise do add up to the schedule's",
        **read,
    )


def _ladder(exam: Exam, L: Levels, walk, mid: Landing, read: dict) -> bool:
    times = np.array([c.t for c in walk.calls])
    gaps = np.abs(np.diff(times))
    gaps = gaps[gaps > 0]
    if not len(gaps):
        return False
    down = -1.0 if L.rising else 1.0
    unit = 1.0 if L.discrete else None
    if unit and np.median(gaps) > 1.5:
        for step in (1, 2):
            if fits(landings(walk, L, goal=lambda t, s, step=step: t + down * step)):
                exam.found(
                    Place.LADDER,
                    f"t goes down by {number(float(np.median(gaps)))} at a time, and the coefficients "
                    f"are those of t → t − {step}",
                    weight=3,
                    refute="a ladder of all T steps",
                    **read,
                )
                return True
    if unit and len(times) > 2 and np.mean(np.diff(times) * down < 0) > 0.9:
        turned = landings(walk, L, told=lambda t: L.t[0] + L.t[-1] - t)
        if fits(turned):
            exam.found(
                Place.TIME,
                f"the network is told t where the state has the noise level of {number(L.t[0] + L.t[-1])} − t",
                weight=3,
                refute="training tells the same t at the same noise level",
                **read,
            )
            return True
        exam.found(
            Place.LADDER,
            "the loop runs from data to noise: t goes the wrong way",
            weight=3,
            refute="a schedule in which a higher t is less noise",
            **read,
        )
        return True
    if unit:
        for off in (1, -1, 2, -2):
            shifted = landings(walk, L, goal=lambda t, s, off=off: s + down * off)
            inside = [x for x in shifted if math.isfinite(x.want[0])]
            if len(inside) > 0.5 * len(shifted) and fits(inside):
                exam.found(
                    Place.STEP,
                    f"the steps land on the level of t = s {'−' if down * off < 0 else '+'} {abs(off)}"
                    ": an index is off",
                    weight=2,
                    **read,
                )
                return True
    return False


def _clock(exam: Exam, L: Levels, walk, found: list[Landing], read: dict) -> bool:
    """The sampler's own noise level at each t, from the coefficients alone; does it follow a ladder of its own?"""
    times = np.array([c.t for c in walk.calls])
    top, low = float(L.t[-1]), float(L.t[0])
    asked = times[np.isfinite(times)]
    # told another t than that of the state: some fixed relation makes everything fit
    unit = 1.0 if L.discrete else 10 ** math.floor(math.log10(max(top, 1e-9)) + 1e-9) / 100
    relations = [
        (f"t {'+' if k > 0 else '−'} {number(abs(k) * unit)}", lambda t, k=k: t + k * unit)
        for size in range(1, 21)
        for k in (size, -size)
    ]
    relations.insert(0, (f"{number(top + low)} − t", lambda t: top + low - t))
    edges = [t for t in (low, top) if (times == t).sum() > 1]  # what is told may be clamped there
    for words, relation in relations:
        shifted = landings(walk, L, told=relation)
        inside = [x for x in shifted if math.isfinite(x.want[0]) and math.isfinite(x.A) and x.t not in edges]
        sure = bool(inside) and np.mean([x.exact for x in inside]) > 0.5  # between known levels nearly anything fits
        if sure and len(inside) > 0.6 * len(shifted) and fits(inside):
            covers = abs(asked.max() - top) <= 1e-9 and abs(asked.min() - low) <= 1e-9
            if covers and "− t" not in words[1:]:
                exam.found(
                    Place.SCHEDULE,
                    f"the sampler's alpha and sigma at t are those that training has at {words}",
                    weight=2,
                    refute="training and sampler share one table and one index",
                    **read,
                )
            else:
                exam.found(
                    Place.TIME,
                    f"the network is told t where the state has the noise level of {words}",
                    weight=2,
                    refute="training tells the same t at the same noise level",
                    **read,
                )
            return True
    if np.median([x.E for x in found if x.seen]) < 0:  # noise that is turned round is no level
        return False
    for name, other in other_tables(L):
        if fits(landings(walk, other)):
            k = len(found) // 2
            sigma = other.at(found[k].t)[1]
            exam.found(
                Place.SCHEDULE,
                f"the sampler walks another schedule than training's: {name}; at t = {number(found[k].t)} its sigma is "
                f"{number(sigma)}, and training's {number(L.at(found[k].t)[1])}",
                weight=2,
                refute="both read one table",
                **read,
            )
            return True
    implied = _implied(L, found)
    if implied is None:
        return False
    at, after, steps = implied
    inner = [k for k in range(len(steps) - 1) if steps[k + 1].call == steps[k].call + 1]
    if len(inner) < 3:
        return False
    chain = np.abs(after[inner] - at[[k + 1 for k in inner]])
    move = np.abs(after[inner] - at[inner])
    if np.median(chain / np.maximum(move, 1e-9)) > 0.02 or not ((at > 0) & (at < 1.0001)).mean() > 0.9:
        return False
    want = np.array([L.at(s.t)[1] for s in steps])
    # a consistent schedule of its own. Does it visit training's levels in order, at other names?
    if L.discrete:
        place = np.interp(at, *((L.sigma, L.t) if L.rising else (L.sigma[::-1], L.t[::-1])))
        on_grid = np.abs(place - np.round(place))
        table = np.interp(np.round(place), L.t, L.sigma)
        told = np.array([s.t for s in steps])
        if (
            np.median(np.abs(place - told)) > 0.5
            and np.median(on_grid) < 0.02
            and np.median(np.abs(table - at)) < 1e-4
            and len(set(np.round(place))) > 3
        ):
            exam.found(
                Place.TIME,
                f"told t = {number(steps[0].t)}, {number(steps[1].t)}, … the state has the noise levels "
                f"of t = {place[0]:.0f}, {place[1]:.0f}, …",
                weight=2,
                **read,
            )
            return True
    k = int(np.abs(at - want).argmax())
    exam.found(
        Place.SCHEDULE,
        f"the sampler walks a schedule of its own: at t = {number(steps[k].t)} its sigma is "
        f"{number(at[k])}, and training's {number(want[k])}",
        weight=2,
        measured=f"sigma {number(at[k])}",
        expected=f"sigma {number(want[k])}",
        evidence=read["evidence"],
        refute="both read one table",
    )
    return True


def _implied(L: Levels, found: list[Landing]):
    """sigma of each step's beginning and end as its coefficients alone imply, for variance-preserving eps and x0."""
    steps = [x for x in found if x.seen and x.a and x.b]
    if L.family != "VP" or L.kind not in ("eps", "x0") or len(steps) < 4:
        return None
    a, b, c = (np.array([getattr(x, n) for x in steps]) for n in "abc")
    with np.errstate(all="ignore"):
        part = (1 - a**2 - b**2 - c**2) / (2 * a * b)
        if L.kind == "eps":
            at = part
            after = np.hypot(a * at + b, c)
        else:
            at = np.sqrt(1 - part**2)
            after = np.hypot(a * at, c)
    if not np.isfinite(at).mean() > 0.8:
        return None
    good = np.isfinite(at) & np.isfinite(after)
    return at[good], after[good], [s for s, g in zip(steps, good) if g]


def _noise_alone(exam: Exam, found: list[Landing], evidence: str) -> bool:
    """The mean is a rule's own, and only the size of the fresh noise is not."""
    bad = missed(found)
    mean_right = np.mean([x.off_mean <= x.tolerance for x in bad])
    if mean_right < 0.9:
        return False
    posterior = np.mean([x.mean_is_posterior for x in bad])
    ratio = np.array([x.c / max(x.posterior[1], 1e-12) for x in bad if x.posterior[1] > 1e-6])
    mid = sorted(bad, key=lambda x: x.call)[len(bad) // 2]
    E, least, most = mid.posterior
    if posterior > 0.8:
        what = (
            "no fresh noise is added"
            if mid.c < 1e-9
            else (f"the fresh noise has std {number(mid.c)}, and this mean goes with {number(least)} to {number(most)}")
        )
        hint = (
            ": that is the variance, not its root"
            if abs(mid.c - least**2) < 0.03 * least**2 or (abs(mid.c - most**2) < 0.03 * most**2)
            else ""
        )
        exam.found(
            Place.STEP_NOISE,
            f"at t = {number(mid.t)} {what}{hint}",
            measured=f"std {number(mid.c)}",
            weight=2,
            expected=f"sqrt of the posterior's variance, {number(least)}, or of beta, {number(most)}",
            evidence=evidence,
            refute="a mean that goes with this noise: E² + c² = sigma²",
        )
        return True
    ddim = np.mean([abs(x.E - x.want[1]) <= x.tolerance * max(x.move, 1e-6) for x in bad])
    if ddim > 0.8 and mid.c > 0:
        steady = len(ratio) > 2 and np.std(ratio) < 0.02 * np.mean(ratio)
        if steady:
            exam.found(
                Place.STEP,
                f"at t = {number(mid.t)} noise of std {number(mid.c)} is added and the eps in the mean "
                f"stays {number(mid.E)}: together they are more than sigma",
                weight=2,
                measured=f"E² + c² = {number(mid.E**2 + mid.c**2)}",
                expected=f"{number(mid.want[1] ** 2)}",
                evidence=evidence,
                refute="a direction of sqrt(sigma_s² − std²)·eps",
            )
        else:
            exam.found(
                Place.STEP_NOISE,
                f"at t = {number(mid.t)} noise of std {number(mid.c)} is added to a mean that needs none",
                weight=2,
                measured=f"std {number(mid.c)}",
                expected="0",
                evidence=evidence,
            )
        return True
    return False
