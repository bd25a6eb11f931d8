"""Debug: what is wrong with this model? A trace, a script of the museum, or one's own walk and training, examined."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import gradio as gr

from core.debug.cases import Case
from core.debug.record import Run
from core.recipe.recipe import Recipe
from core.runs.examine import case_of, examine, fixed, open_trace, run_case
from dashboard.server.app_state import AppState, user_error
from dashboard.server.jobs import ENDED, Job
from dashboard.server.visitors import Visitor
from dashboard.sidebar.controls import Controls
from dashboard.stage import Stage, film as stage_value
from dashboard.tabs.stages import AFTER, QUIET, meant_by, new_stage, show, standing

growing = examine
#: Seconds between two looks at a script that runs.
LOOK_EVERY = 0.25


def stage() -> Stage:
    """The tab's stage; the Doctor's findings stand on it."""
    return new_stage("debug", "What is wrong with this model?", "Take a surprise, or open a trace of your own.",
                     shown=())


def shown_by(app: AppState, tab: str, of: Any, recipe: Recipe, visitor: Visitor, session: str,
             turn: int) -> Iterator[Any]:
    """The values of a tab's stage for a recipe. A script of the museum runs first, in fair turns as a training."""
    case = case_of(recipe) if tab == "debug" else None
    if case is None:
        yield from show(app, tab, of.growing, recipe, visitor, session, turn)
        return
    wanted = [case, fixed(case)] if recipe.against == "fixed" else [case]
    runs: list[Run] = []
    try:
        for each in wanted:
            if app.museum[each.name, recipe.seed] is None:
                yield from _running(app, each, recipe.seed, turn, visitor, session)
            run = app.museum[each.name, recipe.seed]
            if run is None or not app.turns.holds(session, "debug", turn):  # it was stopped, or something newer began
                return
            runs.append(run)
    except Exception as error:
        raise user_error(error) from None
    yield from show(app, tab, lambda recipe, visitor: examine(recipe, visitor, *runs), recipe, visitor, session, turn)


def _running(app: AppState, case: Case, seed: int, turn: int, visitor: Visitor, session: str) -> Iterator[Any]:
    """Run a case in the pool, telling the stage how far it is; its run is in the museum then, unless it was stopped."""

    def steps():
        for at in run_case(case, seed):
            if at.run is not None:
                app.museum[case.name, seed] = at.run
            yield at

    job: Job = app.pool.submit(steps, None, None, app.door.limits.training_seconds, app.door.address_of(session))
    begun = stage_value([], done=False)
    try:
        yield gr.update(value=begun, status="the script begins")
        over = False
        while not over:
            over = job.wait(LOOK_EVERY)  # it may be over before anybody could press Stop, which is pressed all the same
            if not app.turns.holds(session, "debug", turn) or app.door.deserted(session):
                if app.turns.stopped(session, "debug"):  # what was told last may overtake the answer to Stop
                    yield gr.update(value=standing(app, visitor, session, "debug"), status="")
                return
            if not over and (at := job.last):
                yield gr.update(value=begun, status=f"the script {at.doing}" + f": call {at.calls:,}" * bool(at.calls))
    finally:
        if job.state not in ENDED:
            job.stop()
    if job.error:
        raise gr.Error(f"The script could not be run to its end: {job.error}", print_exception=False)
    yield gr.update(status="")


def wire(app: AppState, controls: Controls, stage: Stage, sidebar: Any, tabs: gr.Tabs, number: gr.JSON,
         token: gr.BrowserState) -> None:
    """Open a trace, a surprise, what the findings ask for, and Examine: the buttons that lead here."""

    def bring(recipe: Recipe, visitor: Visitor, path: str | None) -> tuple[Recipe, dict] | None:
        if path is None:
            return None
        run = open_trace(path)
        visitor.open_trace(run)
        recipe = recipe.with_(bug="trace", against="nothing", tab="debug")
        return recipe, _sets(controls, recipe)

    def surprise(recipe: Recipe, visitor: Visitor) -> tuple[Recipe, dict]:
        recipe = recipe.with_(bug="surprise", against="nothing", seed=throw())
        return recipe, _sets(controls, recipe)

    def asked(recipe: Recipe, visitor: Visitor, event: dict) -> tuple[Recipe, dict] | None:
        field, value = event.get("field"), event.get("value")
        if field == "surprise":
            return surprise(recipe, visitor)
        if field not in ("bug", "against") or not isinstance(value, str):
            return None
        recipe = recipe.with_(**{field: value})
        return recipe, _sets(controls, recipe)

    sets = [controls.fields[name] for name in ("bug", "against", "seed")]
    sidebar.on(controls.trace.upload, bring, controls.trace, sets=sets)
    sidebar.on(controls.buttons["surprise"].click, surprise, sets=sets)
    sidebar.on(stage.ask, asked, sets=sets)
    for name, bug in (("examine", "walk"), ("examine_training", "training")):
        _wire_examine(app, controls, tabs, number, token, name, bug)


def _wire_examine(app: AppState, controls: Controls, tabs: gr.Tabs, number: gr.JSON, token: gr.BrowserState, name: str,
                  bug: str) -> None:
    """The sidebar goes back to what is on the stage, and the Debug tab, once in front, examines just that."""

    def act(number: list, token: str, request: gr.Request, *values) -> list:
        try:
            visitor = app.visitor(token, request.session_hash)
            recipe = meant_by(app, request.session_hash, controls, number, values)
            if bug == "walk":
                recipe = Recipe.from_dict(app.stream(visitor, request.session_hash, "denoise").film.about)
            recipe = recipe.with_(bug=bug, against="nothing")
        except Exception as error:
            raise user_error(error) from None
        return [gr.update(selected="debug"), *controls.show(recipe)]

    controls.buttons[name].click(act, [number, token, *controls.inputs], [tabs, *controls.inputs], js=AFTER, **QUIET)


def _sets(controls: Controls, recipe: Recipe) -> dict:
    return {controls.fields[name]: getattr(recipe, name) for name in ("bug", "against", "seed")}


def throw() -> int:
    """A seed that nobody knows beforehand."""
    return random.SystemRandom().randrange(100_000)
