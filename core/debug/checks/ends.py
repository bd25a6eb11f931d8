"""Where a walk begins and ends: the schedule's end, the start, the ladder, the last step, the samples."""

from __future__ import annotations

import math

import numpy as np

from ..exam import Exam, number
from ..landings import Landing, endings
from ..levels import Levels
from ..places import Place


def check_terminal(exam: Exam) -> None:
    L, walk = exam.levels, exam.walk
    first = walk.calls[0]
    data = exam.identified.get("data")
    alpha, sigma, *_ = L.at(first.t)
    if not math.isfinite(alpha) or data is None or walk.facts["start"].get("op") == "sum":
        return
    exam.fine(Place.TERMINAL)
    share = abs(alpha) * data["rms"] / max(abs(sigma), 1e-9)
    end = 0 if not L.rising else -1
    best = abs(float(L.alpha[end])) * data["rms"] / max(abs(float(L.sigma[end])), 1e-9)
    if L.family == "VE" or exam.has(Place.DATA):
        return
    words = dict(
        measured=f"alpha = {number(alpha)} at t = {number(first.t)}: data of size {number(data['rms'])} leave "
        f"{number(share)} in the noise there",
        expected="alpha below 0.03 where sampling starts from pure noise",
        evidence=f"start has std {number(walk.facts['start'].get('std', math.nan))}",
        refute="start sampling from alpha·x0 + sigma·eps: the symptom stays",
    )
    if share > 0.12 and best > 0.12:
        exam.found(
            Place.TERMINAL,
            f"at its end the schedule still holds {number(abs(alpha))} of the data, and sampling "
            "starts from pure noise",
            weight=1,
            **words,
        )
    elif share > 0.12:
        exam.found(
            Place.LADDER,
            f"the walk starts at t = {number(first.t)}, where {number(abs(alpha))} of the data is left, "
            "with pure noise",
            weight=1,
            **words,
        )
    elif share > 0.035:
        exam.found(
            Place.TERMINAL, f"where sampling starts, {number(abs(alpha))} of the data is left", unusual=True, **words
        )


def check_start(exam: Exam) -> None:
    walk = exam.walk
    m = walk.facts.get("start") or walk.calls[0].facts["state"]
    if not m.get("count"):
        return
    exam.fine(Place.START)
    L = exam.levels
    sigma = 1.0
    if L is not None:
        alpha, sigma, *_ = L.at(walk.calls[0].t)
        if not math.isfinite(sigma):
            sigma = float(L.sigma[-1 if L.rising else 0]) if L.family != "VE" else math.nan
    if m["shape"][0] > 1 and m.get("alike"):
        exam.found(
            Place.START,
            "all samples start from the same noise",
            weight=2,
            measured="rows alike",
            expected="independent noise for each",
        )
        return
    if not math.isfinite(sigma) or m.get("op") in ("sum", "state"):
        return
    if m["std"] == 0:
        exam.found(
            Place.START,
            f"sampling starts from the constant {number(m['mean'])}",
            weight=2,
            measured="std 0",
            expected=f"N(0, {number(sigma**2)})",
        )
        return
    if L is None and abs(m["std"] - 1) > 0.3 and m["law"] in ("normal", ""):
        return
    off = exam.normal([m], max(sigma, 1e-6))
    if off:
        exam.found(
            Place.START,
            f"sampling does not start from N(0, {number(sigma**2)}): its {off[0]} is off"
            + (f"; it is drawn from a {m['law']} law" if m["law"] not in ("normal", "") else ""),
            measured=f"mean {number(m['mean'])}, std {number(m['std'])} of {m['count']:,} numbers",
            expected=f"mean 0, std {number(sigma)}",
            chance=off[2],
            weight=1,
            refute="another noise level at the start that training knows",
        )


def check_ladder(exam: Exam) -> None:
    """The order of the times, and whether the walk comes to its end."""
    times = np.array([c.t for c in exam.walk.calls])
    L = exam.levels
    if L is None or not np.isfinite(times).all() or exam.has(Place.TIME, Place.TIME_SAMPLING, Place.LADDER):
        return
    exam.fine(Place.LADDER)
    span = float(L.t[-1] - L.t[0])
    if span <= 0 or exam.has(Place.STEP, Place.SCHEDULE):
        return
    data_end = float(L.t[0] if L.rising else L.t[-1])
    rest = abs(times[-1] - data_end) / span
    steps = np.abs(np.diff(times))
    steps = steps[steps > 0]
    ends = [x for x in endings(exam.walk, L) if x.seen and math.isfinite(x.A)]
    arrives = any(abs(x.E) < 0.08 * max(1, abs(x.A)) and x.c < 0.08 for x in ends)
    if len(steps) and rest > 0.02 and ends and not arrives:
        usual = float(np.median(steps))
        alpha, sigma, *_ = L.at(float(times[-1]))
        if abs(times[-1] - data_end) > 2.5 * usual and sigma > 0.1:
            exam.found(
                Place.LADDER,
                f"the walk stops at t = {number(times[-1])}, where sigma is {number(sigma)}: noise is "
                "left in the samples",
                weight=1,
                measured=f"last t {number(times[-1])}",
                expected=f"on to {number(data_end)}",
            )


def check_last(exam: Exam) -> None:
    """What is made of the last output: does it end at the data, and without fresh noise?"""
    L = exam.levels
    if L.kind in (None, "none") or exam.has(
        Place.FORWARD, Place.TARGET, Place.STEP, Place.PARAMETERIZATION, Place.SCHEDULE, Place.TIME, Place.LADDER
    ):
        return
    found = [x for x in endings(exam.walk, L) if x.seen and math.isfinite(x.A) and abs(x.A) > 1e-5]
    held = max((x.alive for x in found), default=0)
    found = [x for x in found if x.alive == held]
    if not found:
        return
    sizable = [x for x in found if abs(x.A) > 0.2]
    start = found[0].start
    last = sizable[-1] if sizable else None
    # Where both the mean and what was drawn about it are still held, or neither, it cannot be known which one is meant:
    # programs of the SDE draw once more and hand back the mean.
    of_sde = L.kind == "score" or any(x.is_euler and not x.lands for x in exam.landings)
    meant = of_sde and any(x.c == 0 and abs(x.A - 1) < 0.3 for x in sizable)
    noisy = last is not None and last.c > 1e-4 * max(1.0, start[1]) and abs(last.A - 1) < 0.3
    if noisy and not (meant or _stays_on_the_path(L, last)):
        x = last
        exam.found(
            Place.STEP_NOISE,
            f"the last step adds noise of std {number(x.c)} to the finished samples",
            weight=1,
            measured=f"std {number(x.c)}",
            expected="0 at the last step",
            evidence="the step after the last call",
            refute="a walk that goes on after it",
        )
        return
    found = [x for x in found if x.a and x.b]
    if not found:
        return
    x = found[-1]
    level = abs(x.E) / max(abs(x.A), 1e-9)
    before = start[1] / max(abs(start[0]), 1e-9)
    good = any(abs(y.A - 1) < 0.15 and abs(y.E) <= 1.02 * start[1] + 1e-6 for y in sizable)
    if level > 1.2 * before + 0.05 and math.hypot(x.A, x.E) > 0.3 and (not good or abs(x.E) > 0.5):
        exam.found(
            Place.STEP,
            f"the last step, from t = {number(x.t)}, leads back to noise: {number(x.A)}·x0 + {number(x.E)}·eps",
            weight=1,
            measured=f"{number(x.E)} of eps",
            expected="0",
            refute="an index before the first that does not wrap around",
        )


def _stays_on_the_path(L: Levels, x: Landing) -> bool:
    """Whether a last step lands on a level that training has and that is below the one it came from."""
    ratio = np.sort(L.sigma / np.maximum(np.abs(L.alpha), 1e-9))
    lowest = ratio[0] * 0.98
    if not L.discrete and len(ratio) > 17:
        lowest -= ratio[17] - ratio[0]  # drawn levels miss the least there is by more than that once in 10⁷
    before = x.start[1] / max(abs(x.start[0]), 1e-9)
    level = math.hypot(x.E, x.c) / max(abs(x.A), 1e-9)
    return lowest <= level < 0.9 * before


def check_output(exam: Exam) -> None:
    final = exam.walk.facts.get("final")
    if not final:
        return
    exam.fine(Place.OUTPUT)
    if not final["finite"]:
        exam.found(Place.OUTPUT, "the samples are not finite", measured="NaN or infinity", expected="finite numbers")
        return
    data = exam.identified.get("data")
    if data and final["std"] > 20 * max(data["rms"], 1e-6):
        exam.found(
            Place.OUTPUT,
            f"the samples spread over {number(final['std'])}, the data over {number(data['rms'])}",
            unusual=True,
        )
