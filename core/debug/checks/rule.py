"""The line that makes x_s of x_t: whether its steps land where they should."""

from __future__ import annotations

import math

import numpy as np

from ..exam import Exam, number
from ..landings import SHARE, Landing, landings, missed
from ..places import Place
from .readings import explain


def check_rule(exam: Exam) -> None:
    L, walk = exam.levels, exam.walk
    if L.kind in (None, "none"):
        exam.not_seen("what the output means", "compare it with its target inside the block")
        return
    if _crooked(exam):
        return
    found = landings(walk, L)
    exam.landings = found
    known = [x for x in found if x.seen and math.isfinite(x.A)]
    exam.identified["steps"] = [
        {
            "t": x.t,
            "s": x.s,
            "a": x.a,
            "b": x.b,
            "c": x.c,
            "A": x.A,
            "E": x.E,
            "alpha_s": x.want[0],
            "sigma_s": x.want[1],
            "good": x.good,
        }
        for x in known[:2000]
    ]
    if not known:
        exam.not_seen(
            "the coefficients of the steps",
            "walk with a batch of 8 or more, with torch arithmetic inside the "
            "block, or run.step(x_t=…, output=…, x_s=…, noise=…)",
        )
        return
    judged = [x for x in known if math.isfinite(x.want[0])]
    judged = [x for x in judged if not x.bare] or judged  # a state that is only asked for again is no step
    if not judged:
        return
    exam.fine(Place.STEP, Place.STEP_NOISE, Place.SCHEDULE, Place.LADDER, Place.PARAMETERIZATION, Place.TIME)
    moving = [x for x in judged if x.move > 1e-9] or judged
    if _shifted(exam, judged):
        return
    if len(missed(moving)) <= SHARE * len(moving) and not _few(moving):
        _tell_rule(exam, judged)
        return
    if exam.has(Place.FORWARD, Place.TARGET, Place.TIME, Place.TIME_SAMPLING, Place.NOISE):
        exam.found(Place.STEP, "the steps do not land on training's noise levels", weight=1)
        return
    explain(exam, moving)


def _crooked(exam: Exam) -> bool:
    """Whether states are divided by what they should be sums of."""
    calls = [c for c in exam.walk.calls[1:] if c.arrival is not None]
    sources = [c.arrival.source for c in calls if c.arrival.source.startswith("divided")]
    if len(sources) <= SHARE * len(calls):
        return False
    below = max(set(sources), key=sources.count).split()[-1]
    place, what = {
        "z": (Place.STEP_NOISE, "the fresh noise"),
        "outputs": (Place.GUIDANCE, "a difference of outputs"),
        "x": (Place.STEP, "a state or an output"),
    }[below]
    exam.found(
        place,
        f"the steps divide by {what}: they are no sum of x_t, output and noise",
        weight=3,
        expected="a·x_t + b·output + c·z",
        evidence=f"the arithmetic of {len(sources)} steps",
    )
    return True


def _shifted(exam: Exam, steps: list[Landing]) -> bool:
    """Whether steps add a constant to every number, which is no part of any rule."""
    found = [x for x in steps if x.is_shifted]
    if len(found) <= SHARE * len(steps):
        return False
    mid = found[len(found) // 2]
    exam.found(
        Place.STEP,
        f"{len(found)} of {len(steps)} steps add a constant to every number of the state, such as {number(mid.offset)}"
        f" at t = {number(mid.t)}",
        weight=3,
        measured=f"{number(mid.offset)}",
        expected="a·x_t + b·output + c·z and nothing else",
        evidence=f"coefficients read from the {mid.source} of the sampler",
        refute="data whose mean moves with t",
    )
    return True


def _few(moving: list[Landing]) -> bool:
    """Whether some steps, though few, miss by more than any rounding: an index at an edge, a wrong branch."""
    bad = [
        x
        for x in missed(moving)
        if x.exact
        and max(x.off_mean, x.off_noise) > 0.5
        and max(abs(x.A - x.want[0]), abs(math.hypot(x.E, x.c) - x.want[1])) > 0.02
    ]
    return len(bad) > 0


def _tell_rule(exam: Exam, judged: list[Landing]) -> None:
    c = [x.c / max(x.posterior[1], 1e-9) for x in judged if x.posterior[1] > 1e-6]
    noise = float(np.median(c)) if c else 0.0
    name = (
        "without noise (DDIM, an ODE)"
        if noise < 1e-3
        else "DDPM's posterior"
        if abs(noise - 1) < 0.02
        else (f"with {number(noise)} of the posterior's noise")
    )
    mid = judged[len(judged) // 2]
    exam.tell(
        f"{len(judged)} steps, {name}: from t = {number(mid.t)} to {number(mid.s)}, x_s = {mid.a:.5f}·x_t + "
        f"{mid.b:.5f}·output + {mid.c:.5f}·z"
    )
