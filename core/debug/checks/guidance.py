"""Two outputs for one state: guidance, its weights and its labels."""

from __future__ import annotations

import math

import numpy as np

from ..exam import Exam, number
from ..landings import Landing
from ..places import Place


def _pairs(exam: Exam):
    """(step, [(call, part, factor)]) of arrivals that use more than one output of one state."""
    calls = exam.walk.calls
    found = []
    for call in calls[1:]:
        if call.arrival is None:
            continue
        outs = [t for t in call.arrival.terms if t.kind == "out"]
        base = {}
        for t in outs:
            x = calls[t.call]
            base.setdefault(x.t, []).append(t)
        for same in base.values():
            if len(same) == 2:
                found.append((call, same))
    return found


def _twins(exam: Exam) -> bool:
    """Whether two outputs of a step belong to one state: two calls of the same x, or halves of one."""
    calls = exam.walk.calls
    for _, (p, q) in _pairs(exam)[:1]:
        if p.call == q.call:
            return True
        later = calls[max(p.call, q.call)]
        terms = later.arrival.terms if later.arrival else []
        return len(terms) == 1 and terms[0].kind == "x" and abs(terms[0].factor - 1) < 1e-6
    return False


def weights_are_wrong(exam: Exam, found: list[Landing], read: dict) -> bool:
    """Whether guidance's two weights fail to add up to one: the steps would land with weights that did."""
    if not _twins(exam):
        return False
    L = exam.levels
    need = []
    for x in found:
        if not x.seen or not x.b or x.want[0] != x.want[0]:
            continue
        alpha, sigma, u, v, _ = L.at(x.t)
        if abs(v) > 1e-6:
            for E in (math.copysign(math.sqrt(max(x.want[1] ** 2 - x.c**2, 0)), 1), x.posterior[0]):
                b = (E - x.a * sigma) / v
                if abs(x.a * alpha + b * u - x.want[0]) <= 0.05 * max(x.move, 1e-6) and b:
                    need.append(x.b / b)
                    break
    if len(need) < 3:
        return False
    ratio = float(np.median(need))
    if abs(ratio - 1) > 0.02 and np.std(need) < 0.02 * abs(ratio):
        exam.found(
            Place.GUIDANCE,
            f"the weights of the two outputs add up to {number(ratio)}, not 1",
            weight=3,
            measured=f"sum of weights {number(ratio)}",
            expected="(1 − w) + w = 1",
            evidence=read["evidence"],
        )
        return True
    return False


def check_guidance(exam: Exam) -> None:
    if not _twins(exam):
        return
    exam.fine(Place.GUIDANCE)
    calls, pairs = exam.walk.calls, _pairs(exam)
    weights = []
    for _, (p, q) in pairs:
        p, q = sorted((p, q), key=lambda t: (t.call, t.part))
        total = p.factor + q.factor
        if total:
            weights.append((p.factor / total, q.factor / total))
    first, second = (pairs[0][1][0], pairs[0][1][1])
    a, b = calls[min(first.call, second.call)], calls[max(first.call, second.call)]
    if not weights:
        return
    w = np.median(np.array(weights), axis=0)
    null, known = _null_of(exam, a, b)
    exam.identified["guidance"] = {"weights": w.tolist(), "null": null}
    same = (
        a is not b
        and a.out is not None
        and b.out is not None
        and a.out.shape == b.out.shape
        and np.array_equal(a.out, b.out)
    )
    if a is b and a.out is not None and len(a.out) >= 2 and a.facts["doubled"] == 2:
        half = len(a.out) // 2
        same = len(a.out) == 2 * len(a.x) and np.array_equal(a.out[:half], a.out[half:])
    if same:
        exam.found(
            Place.GUIDANCE,
            "the output with the label and that without it are the same: guidance does nothing",
            weight=2,
            measured="equal outputs",
            expected="outputs that differ by label",
        )
        return
    if null is not None:
        conditional = float(w[1 - null])
        exam.tell(
            f"guidance: {number(float(w[null]))} of the output without label, {number(conditional)} of that with it"
        )
        if conditional < 0:
            exam.found(
                Place.GUIDANCE,
                f"the output with the label enters with weight {number(conditional)}: guidance drives away from it",
                weight=2,
                measured=f"w = {number(conditional)}",
                expected="w > 0",
                refute="the first of the two calls is the one with the label",
            )
    if known is not None and known[1] and not known[0]:
        exam.found(
            Place.GUIDANCE,
            f"the null label {known[2]} is asked for in sampling and was never trained",
            weight=2,
            measured=f"0 of {known[1]:,} training rows",
            expected="about a tenth of them",
            refute="a network that was trained without a label elsewhere",
        )


def _null_of(exam: Exam, a, b):
    """(which of the two calls has no label, (rows trained with it, rows, label)); None where that cannot be told."""
    trained: dict[str, dict[int, int]] = {}
    nothing: dict[str, int] = {}
    for c in exam.learning:
        for name, value in (c.facts.get("others") or {}).items():
            if isinstance(value, dict) and "labels" in value:
                counts = trained.setdefault(name, {})
                for label, n in zip(value["labels"], value["counts"]):
                    counts[label] = counts.get(label, 0) + n
            elif value is None:
                nothing[name] = nothing.get(name, 0) + 1
    if a is b:
        return None, None
    for name in {*a.facts["others"], *b.facts["others"]}:
        one, two = a.facts["others"].get(name), b.facts["others"].get(name)
        if (one is None) != (two is None):
            null = 0 if one is None else 1
            rows = sum(trained.get(name, {}).values())
            return null, (nothing.get(name, 0), rows, "None") if rows > 500 else None
        if isinstance(one, dict) and isinstance(two, dict) and one.get("labels") != two.get("labels"):
            singles = [x["labels"][0] if len(x["labels"]) == 1 else None for x in (one, two)]
            counts, rows = trained.get(name, {}), sum(trained.get(name, {}).values())
            top = max([*counts, *one["labels"], *two["labels"]])
            for k in (1, 0):
                if singles[k] is not None and (singles[k] == top or singles[k] == -1 or singles[1 - k] is None):
                    told = (counts.get(singles[k], 0), rows, singles[k]) if rows > 500 else None
                    return k, told
    return None, None
