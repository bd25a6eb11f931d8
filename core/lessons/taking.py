"""A lesson taken in a program, say a notebook: the same guesses, runs and verdicts as on the page.

    lesson = take("why-noise")
    lesson.guess(2)         # the third of the choices of the next guess
    lesson.run()            # the stage, and who was right
    lesson.saw(0)
    lesson.explain()
    lesson.mend("sampler=heun")
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..drawing.export import to_bytes
from ..drawing.notebook import framed
from ..recipe.recipe import Recipe
from ..views import View
from .evidence import Evidence, evidence_of
from .judge import Answer, Verdict, judge
from .lesson import BadLesson, Lesson, Question, Step, lessons, load

#: Frames of what a notebook shows, as the stage and as a GIF, and the GIF's panel size: enough to see, little to keep.
FRAMES, GIF_FRAMES, SIZE = 61, 20, 160
ORDINARY = {"number": "a number", "playhead": "a time t from 0 to 1", "place": "a place (x, y)",
            "curve": "a curve, [(t, value), …]"}


def find(name: str) -> Lesson:
    """A lesson by its name, or by the path of its file. BadLesson names those that there are."""
    if name in lessons():
        return lessons()[name]
    if name.endswith(".md"):
        return load(Path(name))
    raise BadLesson(f"there is no lesson {name}; there are {', '.join(lessons())}, or the path of a file NN-name.md")


def take(name: str) -> Taking:
    """A lesson, from its first step. BadLesson as `find`."""
    return Taking(find(name))


@dataclass(frozen=True)
class Said:
    """What a step says, and the stage that it says it of: in a notebook both are seen."""

    text: str
    view: View | None = None
    panels: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        words = "".join(f"<p>{html.escape(line)}</p>" for line in self.text.split("\n"))
        return words if self.view is None else words + self._stage

    @cached_property
    def _stage(self) -> str:
        scene = self.view.scene(tuple(key for key in self.panels if key in self.view.offers) or None)
        page = to_bytes(scene, "html", every=-(-scene.frames // FRAMES)).decode()
        still = to_bytes(scene, "gif", size=SIZE, every=-(-scene.frames // GIF_FRAMES))
        return framed(page, still, "the stage of this step")


class Taking:
    """A lesson under way. `at` is the number of the step that comes next, from 0; each call is for the next step of its
    kind, and begins again with the first after the last."""

    def __init__(self, lesson: Lesson):
        self.lesson, self.at = lesson, 0
        self.answers: dict[int, Any] = {}
        self._made: tuple[Recipe, Evidence] | None = None

    def guess(self, answer: Any) -> Said:
        """Guess: a choice by its number from 0, or what the step asks for. ValueError for what is no answer to it."""
        number = self._next("guess")
        question = self.lesson.steps[number].question
        self.answers[number] = checked(question, answer)
        return Said(f"You guess: {shown(question, answer)}. Run the next cell to see.")

    def run(self) -> Said:
        """Make the run; what came out, beside the guess."""
        number = self._next("run")
        step, verdict = self._judged(number)
        lines = [verdict.headline, verdict.text]
        asked = self.lesson.asked(number)
        if asked is not None:
            lines += outcome(self.lesson.steps[asked].question, verdict.answer, self.answers.get(asked))
        return Said(joined(lines), self._made[1].view, step.recipe.panels)

    def saw(self, answer: Any) -> Said:
        """Say what was seen; whether that is what was there."""
        number = self._next("saw")
        step, verdict = self._judged(number)
        self.answers[number] = checked(step.question, answer)
        return Said(joined(outcome(step.question, verdict.answer, answer)))

    def explain(self) -> Said:
        """Why, with the numbers of the run."""
        _, verdict = self._judged(self._next("explain"))
        return Said(joined([verdict.headline, verdict.text, plain(verdict.formula)]))

    def mend(self, changes: str = "") -> Said:
        """Turn a control, as in a link: "steps=20"; whether the goal is met then. With none, what there is to mend.

        ValueError for what a recipe cannot be, and for another field than the step is about.
        """
        number = self._next("mend")
        step = self.lesson.steps[number]
        recipe = changed(step, changes)
        verdict = judge(self.lesson, number, self._evidence(recipe))
        state = "Mended." if verdict.goal else f"Not yet. {verdict.hint if changes else ''}".strip()
        return Said(joined([verdict.text, state]), self._made[1].view, recipe.panels)

    def _next(self, kind: str) -> int:
        steps = self.lesson.steps
        order = [*range(self.at, len(steps)), *range(self.at)]
        number = next((k for k in order if steps[k].kind == kind), None)
        if number is None:
            raise ValueError(f"{self.lesson.name} has no step “{kind}”; it has "
                             f"{', '.join(dict.fromkeys(step.kind for step in steps))}")
        if kind != "mend":  # which is tried again and again
            self.at = number + 1
        return number

    def _judged(self, number: int) -> tuple[Step, Verdict]:
        step = self.lesson.steps[number]
        return step, judge(self.lesson, number, self._evidence(step.recipe))

    def _evidence(self, recipe: Recipe) -> Evidence:
        """The run of a recipe; that of the step before, where it is the same."""
        same = recipe.with_(panels=(), frame=0)
        if self._made is None or self._made[0] != same:
            self._made = same, evidence_of(recipe)
        return self._made[1]


def changed(step: Step, changes: str) -> Recipe:
    """The recipe of a step to mend with changes of the fields that it is about."""
    recipe, complaints = Recipe.from_query(changes)
    names = [part.partition("=")[0] for part in changes.split("&") if part]
    if complaints or not set(names) <= set(step.mend.controls):
        raise ValueError(f"{changes!r}: turn {' or '.join(step.mend.controls)}, as “{step.mend.controls[0]}=…”"
                         + "".join(f"; {complaint}" for complaint in complaints))
    return step.recipe.with_(**{name: getattr(recipe, name) for name in names})


def checked(question: Question, answer: Any) -> Any:
    """An answer that the question can have. ValueError says what it can be."""
    if question.kind == "choices":
        if type(answer) is int and 0 <= answer < len(question.choices):
            return answer
        raise ValueError(f"{answer!r} is no answer; give the number of one, 0 to {len(question.choices) - 1}")
    try:
        return {"place": tuple, "curve": list}.get(question.kind, float)(answer)
    except (TypeError, ValueError):
        raise ValueError(f"{answer!r} is no answer; give {ORDINARY[question.kind]}") from None


def shown(question: Question, answer: Any) -> str:
    """An answer in words."""
    if question.kind == "choices":
        return question.choices[answer].text.raw
    if question.kind == "place":
        return f"({answer[0]:.3g}, {answer[1]:.3g})"
    if question.kind == "curve":
        return f"from {answer[0][1]:.3g} at t = {answer[0][0]:.3g} to {answer[-1][1]:.3g} at t = {answer[-1][0]:.3g}"
    return f"{answer:.3g}"


def outcome(question: Question, answer: Answer, given: Any) -> list[str]:
    """What came out, and whether that was guessed."""
    if question.kind == "choices":
        came = " / ".join(choice.text.raw for choice, holds in zip(question.choices, answer.holds) if holds)
    else:
        came = shown(question, answer.truth)
    if given is None:
        return [f"It is: {came}."]
    mark = "✓" if answer.right(given) else "✗"
    reply = answer.replies[given] if question.kind == "choices" else ""
    return [f"{mark} You said: {shown(question, given)}. It is: {came}.", reply]


def joined(lines: list[str]) -> str:
    return "\n".join(plain(line) for line in lines if line)


def plain(text: str) -> str:
    """Without the page's markup: x_{t} → x_t."""
    return text.replace("_{", "_").replace("^{", "^").replace("}", "")
