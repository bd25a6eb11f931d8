"""Algorithm 2, line by line: which of its checks are made and in which order; and what ends the search early."""

from __future__ import annotations

import math

import numpy as np

from ..exam import Exam, number
from ..places import Place
from .clip_and_noise import check_clip, check_step_noise
from .ends import check_ladder, check_last, check_output, check_start, check_terminal
from .guidance import check_guidance
from .network import check_mode, check_weights
from .rule import check_rule


def sampling_checks(exam: Exam) -> None:
    """Everything that the walks tell."""
    if exam.walk is None or not exam.walk.calls:
        exam.not_seen("no sampling was seen", "sample inside the block, with the network that is watched")
        return
    check_mode(exam)
    check_weights(exam)
    if not check_finite(exam):
        return
    if len(exam.walk.calls) < 2:
        exam.not_seen("only one call of sampling was seen", "walk inside the block, with every step")
        return
    if check_one_time(exam):
        return
    if exam.levels is None:
        without_training(exam)
    else:
        check_terminal(exam)
        check_rule(exam)
        check_clip(exam)
        check_last(exam)
    check_start(exam)
    check_ladder(exam)
    check_step_noise(exam)
    check_guidance(exam)
    check_output(exam)


def check_one_time(exam: Exam) -> bool:
    """Whether the network is told the same t all along, though it was trained on many."""
    asked = [c.t for c in exam.walk.calls]
    many = exam.levels is not None and len(exam.levels.t) > 3
    if len(asked) < 4 or len(set(asked)) > 1 or not many or not math.isfinite(asked[0]):
        return False
    exam.found(
        Place.TIME,
        f"the network is told t = {number(asked[0])} at every step",
        weight=3,
        measured="one t",
        expected="the t of the step",
        evidence=f"{len(asked)} calls",
        refute="one step that is repeated on purpose",
    )
    return True


def check_finite(exam: Exam) -> bool:
    for k, call in enumerate(exam.walk.calls):
        if not call.facts["state"]["finite"]:
            before = exam.walk.calls[k - 1] if k else None
            factors = [t.factor for t in call.arrival.terms] if call.arrival else []
            if k == 0:
                exam.found(Place.START, "sampling starts from numbers that are not finite", weight=3)
            elif not np.isfinite(factors).all():
                exam.found(
                    Place.STEP,
                    f"the step from t = {number(before.t)} has a coefficient that is not a number",
                    weight=3,
                    measured=str(factors),
                    expected="finite numbers: no root of a negative one",
                )
            else:
                _explode(exam, k)
            return False
        if not call.facts["output"]["finite"]:
            if k == 0 or call.facts["state"].get("std", 0) < 1e4:
                exam.found(Place.LEARNING, f"the network's output is not finite at t = {number(call.t)}", weight=1)
            else:
                _explode(exam, k)
            return False
    return True


def _explode(exam: Exam, k: int) -> None:
    """The states ran away before they were no numbers: the rule, if it can be read, says why."""
    walk = exam.walk
    if exam.levels is not None and k > 1:
        cut = type(walk)(walk.calls[:k], [], None, walk.facts)
        exam.walk = cut
        check_terminal(exam)
        check_rule(exam)
        check_start(exam)
        exam.walk = walk
    if not exam.wrong:
        exam.found(Place.STEP, f"the states grow beyond all numbers: at call {k} they are not finite", weight=2)


def without_training(exam: Exam) -> None:
    exam.not_seen(
        "training was not seen, so the noise levels the network knows are not known",
        "train a few steps inside the block too, or hand them over with run.train(…)",
    )
