"""Whether what a lesson claims is true of its own runs: each question answered, each goal met by its control."""

from __future__ import annotations

from ..recipe.recipe import Recipe
from .evidence import Evidence, evidence_of
from .judge import Answer, judge
from .lesson import Lesson


def check(lesson: Lesson, seed: int, without: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with a lesson's claims when its recipes are run with this seed; nothing if all hold.

    without: tabs whose steps are passed over, as "train", whose runs take long
    """
    wrong: list[str] = []
    made: dict[Recipe, Evidence] = {}

    def run(recipe: Recipe) -> Evidence:
        recipe = recipe.with_(seed=seed, panels=(), frame=0)
        if recipe not in made:
            made[recipe] = evidence_of(recipe)
        return made[recipe]

    for number, step in enumerate(lesson.steps):
        if step.recipe.tab in without or step.kind == "guess":
            continue
        where = f"{lesson.path.name}, line {step.line}"
        lost = [key for key in step.recipe.panels if key not in run(step.recipe).view.offers]
        if lost:
            wrong.append(f"{where}: there is no panel {', '.join(lost)}; there are "
                         f"{', '.join(run(step.recipe).view.offers)}")
        try:
            verdict = judge(lesson, number, run(step.recipe))
        except ValueError as error:
            wrong.append(f"{where}: {error}")
            continue
        if verdict.answer is not None and not verdict.answer.clear:
            wrong.append(f"{where}: {unclear(verdict.answer)}")
        if step.mend is not None:
            if verdict.goal:
                wrong.append(f"{where}: the goal is met before anything is turned")
            if not judge(lesson, number, run(step.mend.solved)).goal:
                wrong.append(f"{where}: the goal is not met by what is said to meet it")
    return wrong


def unclear(answer: Answer) -> str:
    """Why a run does not answer a question."""
    if answer.kind != "choices":
        return f"its answer is {answer.truth}, which is no number"
    held = [str(k) for k, holds in enumerate(answer.holds, 1) if holds]
    return f"of its answers {' and '.join(held) + ' hold' if held else 'none holds'}; it is to be one"
