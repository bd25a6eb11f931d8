"""What is true of a run: the answers to a step's question, its text with the figures, whether its goal is met.

    verdict = judge(lesson, 1, evidence)
    verdict.answer.holds         # [False, False, True]: which of the guess's choices hold in this very run
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .evidence import Evidence
from .lesson import Lesson, Question

CURVE_AT = 41  #: times at which a drawn curve is held against the true one


@dataclass(frozen=True)
class Answer:
    """What a question's answer is in a run. kind: of the question."""

    kind: str
    holds: tuple[bool, ...] = ()  #: which choices
    replies: tuple[str, ...] = ()  #: what is said to who chose each
    truth: Any = None  #: a number, a place (x, y), or a curve, [(t, value), …]
    within: float = 0.0

    @property
    def clear(self) -> bool:
        """Whether the run answers it: exactly one choice holds, or the truth is finite."""
        if self.kind == "choices":
            return sum(self.holds) == 1
        flat = [self.truth] if isinstance(self.truth, float) else [x for part in self.truth for x in _flat(part)]
        return all(map(math.isfinite, flat))

    def right(self, given: Any) -> bool:
        """Whether this was the answer: a choice by its number (from 0), a number, a place, a curve [(t, y), …]."""
        if self.kind == "choices":
            return isinstance(given, int) and 0 <= given < len(self.holds) and self.holds[given]
        if self.kind == "place":
            return math.dist(given, self.truth) <= self.within
        if self.kind == "curve":
            apart = [abs(_at(given, t) - _at(self.truth, t)) for t in (k / (CURVE_AT - 1) for k in range(CURVE_AT))]
            return sum(apart) / len(apart) <= self.within
        return abs(float(given) - self.truth) <= self.within


@dataclass(frozen=True)
class Verdict:
    """What a step says of a run."""

    headline: str
    text: str
    formula: str
    answer: Answer | None = None
    goal: bool | None = None  #: whether it is met; None where there is none
    hint: str = ""
    hold: float | None = None  #: the t at which the answer is seen, where the playhead is left

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def judge(lesson: Lesson, number: int, evidence: Evidence) -> Verdict:
    """What step `number` (from 0) of a lesson says of a run. ValueError if something cannot be worked out there."""
    step, names = lesson.steps[number], evidence.names
    asked = lesson.asked(number)
    answer = None if asked is None else answer_of(lesson.steps[asked].question, names)
    goal, hint = None, ""
    if step.mend is not None:
        goal, hint = bool(step.mend.goal.value(names)), step.mend.hint.said(names)
    hold = None if step.hold is None else float(step.hold.value(names))
    return Verdict(step.headline.said(names), step.text.said(names), step.formula.said(names), answer, goal, hint, hold)


def answer_of(question: Question, names: Mapping[str, Any]) -> Answer:
    """What the answer to a question is in a run."""
    if question.kind == "choices":
        return Answer("choices", tuple(bool(choice.when.value(names)) for choice in question.choices),
                      tuple(choice.reply.said(names) for choice in question.choices))
    truth = question.truth.value(names)
    if question.kind in ("number", "playhead"):
        truth = float(truth)
    return Answer(question.kind, truth=truth, within=float(question.within.value(names)))


def _flat(part: Any) -> list[float]:
    return [float(part)] if not isinstance(part, list | tuple) else [float(x) for x in part]


def _at(curve: list[tuple[float, float]], t: float) -> float:
    """The height of a curve at t, straight between its points (which are in the order of t), level beyond them."""
    (before, low), *others = curve
    if t <= before:
        return low
    for after, high in others:
        if t <= after:
            return low + (high - low) * (t - before) / ((after - before) or 1.0)
        before, low = after, high
    return low
