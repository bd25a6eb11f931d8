"""Which network is sampled, and in which mode."""

from __future__ import annotations

import numpy as np

from ..exam import Exam, number
from ..places import Place


def check_mode(exam: Exam) -> None:
    calls = exam.walk.calls
    if any(c.facts.get("by_hand") for c in calls):
        return
    net = exam.run.networks[calls[0].facts["network"]] if exam.run.networks else {}
    exam.fine(Place.MODE)
    what = [f"dropout of {net['dropout']:g}"] * bool(net.get("dropout")) + list(net.get("batch_norm") or [])
    if not what:
        return
    if np.mean([c.facts["training"] for c in calls]) > 0.5:
        exam.found(
            Place.MODE,
            f"the network is sampled in training mode, with {' and '.join(what)} at work",
            weight=2,
            measured=f"training = True in {len(calls)} calls",
            expected="net.eval() before sampling",
            refute="no layer of it behaves otherwise in training",
        )
    elif exam.learning and not any(c.facts["training"] for c in exam.learning):
        exam.found(Place.MODE, f"the network is trained in eval mode: {' and '.join(what)} do nothing", unusual=True)


def check_weights(exam: Exam) -> None:
    facts, calls = exam.run.facts.get("weights", {}), exam.walk.calls
    if not facts or not exam.learning or any(c.facts.get("by_hand") for c in (*calls, *exam.learning)):
        return
    sampled, trained = calls[0].facts["network"], exam.learning[-1].facts["network"]
    at = exam.walk.facts.get("weights") or facts.get("end")
    if not at or max(sampled, trained) >= len(at["moved"]):
        return
    if not at["finite"][sampled]:
        exam.found(Place.WEIGHTS, "the sampled network's weights are not finite")
        return
    exam.fine(Place.WEIGHTS)
    if sampled == trained:
        return
    gap, moved = at["gaps"][sampled][trained], at["moved"][trained]
    if gap is None or not moved:
        return
    name = exam.run.networks[sampled]["name"]
    own = 0.0 if exam.run.networks[sampled].get("copy") else at["moved"][sampled]
    lag = gap / moved
    common = dict(
        measured=f"distance to the trained weights {number(gap)}, which moved by {number(moved)}",
        expected="a small part of that",
        evidence="64 numbers of every parameter",
    )
    if own < 1e-3 * moved and lag > 0.9:
        exam.found(
            Place.WEIGHTS,
            f"the sampled network ({name}) has not learnt: its weights are those of the start",
            weight=2,
            refute="its weights are updated after every step, and not only at the start",
            **common,
        )
    elif lag > 3 and own > 2 * moved:
        exam.found(
            Place.WEIGHTS,
            f"the sampled network's weights are far from the trained ones: {number(lag)} times as "
            "far as training ever went",
            weight=2,
            **common,
        )
    elif lag > 0.5:
        exam.found(
            Place.WEIGHTS,
            f"the sampled weights lag far behind: {lag:.0%} of the way is missing",
            unusual=True,
            **common,
        )
