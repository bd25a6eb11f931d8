"""What a step does besides its mean: clamps, and fresh noise."""

from __future__ import annotations

import math

import numpy as np

from ..exam import Exam, number
from ..places import Place


def check_clip(exam: Exam) -> None:
    L, data = exam.levels, exam.identified.get("data")
    if data is None:
        return
    calls = exam.walk.calls
    times = np.array([c.t for c in calls])
    table = L.many(times)
    found = []
    for call in calls[1:]:
        for clip in call.arrival.clips if call.arrival else []:
            A = E = 0.0
            for kind, k, _, factor in clip["terms"]:
                alpha, sigma, u, v, _ = table[k]
                A, E = A + factor * (alpha if kind == "x" else u), E + factor * (sigma if kind == "x" else v)
            found.append((call, clip, A, E))
    if not found:
        return
    exam.fine(Place.CLIP)
    known = [f for f in found if math.isfinite(f[2])]
    of_x0 = [f for f in known if abs(f[2] - 1) < 0.1 and abs(f[3]) < 0.15 and not f[1]["noise"]]
    others = [f for f in known if not (abs(f[2] - 1) < 0.1 and abs(f[3]) < 0.15 and not f[1]["noise"])]
    share = float(np.mean([f[1]["share"] for f in others])) if others else 0.0
    if others and share > 0.01:
        call, clip, A, E = others[len(others) // 2]
        what = "the state" if clip["noise"] or abs(A) > 0.02 else "the noise"
        exam.found(
            Place.CLIP,
            f"{what} is clamped to [{clip['low']}, {clip['high']}] on its way: {share:.1%} of its numbers are changed",
            weight=1,
            measured=f"{share:.2%} changed, {number(A)}·x0 + {number(E)}·eps",
            expected="only x0 has a range",
            evidence=f"{len(others)} steps",
        )
        return
    if of_x0:
        low, high = of_x0[0][1]["low"], of_x0[0][1]["high"]
        beyond = max((low - data["low"]) if low is not None else 0, (data["high"] - high) if high is not None else 0)
        late = [f[1]["share"] for f in of_x0[-max(1, len(of_x0) // 4) :]]
        if beyond > 0.08 * max(data["high"] - data["low"], 1e-9) and beyond == beyond:
            exam.found(
                Place.CLIP,
                f"x0 is clamped to [{number(low)}, {number(high)}], inside the data's range of "
                f"[{number(data['low'])}, {number(data['high'])}]",
                weight=1,
                measured=f"{np.mean(late):.1%} of its numbers are changed near the end",
                expected="the data's range",
                evidence=f"{len(of_x0)} steps",
                refute="data that never leave these bounds",
            )


def check_step_noise(exam: Exam) -> None:
    calls = [c for c in exam.walk.calls[1:] if c.arrival is not None and c.arrival.draws]
    draws = [d for c in calls for d in c.arrival.draws if d.get("count")]
    if len(draws) < 2:
        return
    exam.fine(Place.STEP_NOISE)
    rows = exam.walk.calls[0].facts.get("rows", 1)
    used = [
        d
        for c in calls
        for t in c.arrival.terms
        if t.kind == "z" and abs(t.factor) > 1e-9
        for d in c.arrival.draws[t.call : t.call + 1]
    ]
    if not used:
        return
    small = [
        d
        for d in used
        if d["alike"]
        or (d["shape"] and d["shape"][0] == 1 and rows > 1)
        or (len(d["shape"]) < len(exam.walk.calls[0].facts["state"]["shape"]) and rows > 1)
    ]
    if len(small) > 0.5 * len(used):
        exam.found(
            Place.STEP_NOISE,
            "all rows get the same fresh noise",
            weight=2,
            measured=f"a draw of shape {tuple(small[0]['shape'])}",
            expected="noise of the state's own shape",
            evidence=f"{len(used)} steps",
        )
        return
    keys = [d["key"] for d in used if "key" in d]
    if len(keys) > 4 and len(set(keys)) < 0.7 * len(keys):
        exam.found(
            Place.STEP_NOISE,
            f"the same noise is added again and again: {len(set(keys))} draws in {len(keys)} steps",
            weight=2,
            measured="repeated draws",
            expected="drawn anew at every step",
        )
        return
    off = exam.normal(used)
    if off:
        law = used[0].get("law", "")
        exam.found(
            Place.STEP_NOISE,
            f"the fresh noise is not N(0, 1): its {off[0]} is off"
            + (f"; it is drawn from a {law} law" if law not in ("normal", "") else ""),
            measured=off[1],
            expected="mean 0, std 1",
            chance=off[2],
            weight=1,
            evidence=f"{len(used)} steps",
        )
