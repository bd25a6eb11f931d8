"""What the tabs with a stage have in common: sending a film, a panel more, an export."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from core.recipe.recipe import Recipe
from core.recipe.values import shown
from core.views import View
from dashboard.server.app_state import AppState, said_with, user_error, while_newest
from dashboard.server.exports import export_stream, weight
from dashboard.server.visitors import Visitor
from dashboard.sidebar.controls import Controls
from core.recipe.words import uses
from dashboard.stage import Stage, export_state, export_weight
from dashboard.stage.stage import new_folder
from dashboard.stage.stream import LOOK_EVERY, play

#: Events of the page are no API; what makes sense without a page is in dashboard/api.py. Nor does anything show their
#: progress: Gradio's page would copy each component that ever was an output of one, at every word of every event.
QUIET = dict(show_progress="hidden", show_progress_on=[], api_visibility="private", concurrency_limit=8)

#: What reads the sidebar and changes nothing of it says first after which change it was pressed: see `meant_by`.
AFTER = "(_, ...rest) => [Noisescope.last(), ...rest]"


def new_stage(tab: str, question: str, empty: str, **options) -> Stage:
    """A stage whose id is that of its tab."""
    return Stage(question, empty=empty, elem_id=f"stage-{tab}", **{"uses": uses(tab), **options})


def show(app: AppState, tab: str, growing: Callable[[Recipe, Visitor], Iterator[View]], recipe: Recipe,
         visitor: Visitor, session: str, turn: int) -> Iterator[dict]:
    """The stage's values while a film is made and kept for its page; a newer run on the same stage ends it."""
    name, before = f"{tab}/{session}", visitor.trace(f"{tab}/{session}")
    try:
        films = while_newest(app, session, tab, turn, growing(recipe, visitor))
        for stream, value in app.foreground.each(play(films, recipe.panels, recipe.frame or None, before)):
            if not app.turns.holds(session, tab, turn):
                return
            if visitor.trace(name) is not stream:
                _miss(recipe.panels, stream.film)
            visitor.keep(name, stream)
            yield value
    except Exception as error:
        raise user_error(error) from None


def standing(app: AppState, visitor: Visitor, session: str, tab: str) -> dict | None:
    """The stage's value when what was being made for it is stopped: the film there is, whole as far as it came."""
    if visitor.trace(f"{tab}/{session}") is None and tab != "denoise":
        return None
    return app.stream(visitor, session, tab).value(done=True)


def _miss(panels: Sequence[str], film: View) -> None:
    """Say which of the panels that a link asks for this film does not have."""
    lost = [shown(key) for key in panels if key not in film.offers]
    if lost:
        gr.Warning(f"No panel {', '.join(lost)} here, as the link asks; there are {', '.join(film.offers)}")


def wire_stage(app: AppState, tab: str, stage: Stage, token: gr.State) -> None:
    """Chips that want a panel more, the export, the address: what every stage answers to."""

    def want(token: str, request: gr.Request, event: gr.EventData) -> Any:
        stream = app.stream(app.visitor(token, request.session_hash), request.session_hash, tab)
        try:
            with app.foreground.work():
                stream.want(str(said_with(event).get("key", ""))[:40])
                return stream.value()
        except ValueError as error:
            raise user_error(error) from None

    def save(token: str, request: gr.Request, event: gr.EventData) -> Iterator[Any]:
        visitor = app.visitor(token, request.session_hash)
        try:
            stream, wish = app.stream(visitor, request.session_hash, tab), said_with(event)
            if isinstance(wish.get("weigh"), int):
                with app.foreground.work():
                    yield export_weight(wish["weigh"], weight(stream, wish))
                return
            while stream.grows:
                yield export_state(0.0, "as soon as the film is whole …")
                time.sleep(LOOK_EVERY)
                stream = app.stream(visitor, request.session_hash, tab)  # another film may have taken its place
            name = f"noisescope-{tab}-{stream.film.about.get('data', '')}"
            for done, path in export_stream(stream, wish, new_folder(), name):
                said = f"ready: {Path(path).stat().st_size / 1e6:.2f} MB" if path else f"{100 * done:.0f} %"
                yield export_state(done, said, path)
        except Exception as error:
            yield export_state(1.0, str(user_error(error).message))

    def halt(token: str, request: gr.Request) -> Any:
        app.turns.stop(request.session_hash, tab)
        visitor = app.visitor(token, request.session_hash)
        return standing(app, visitor, request.session_hash, tab)

    # A panel may be wished for while another is on its way, and what a file will weigh is asked by the wish for it.
    stage.want(want, token, stage, trigger_mode="multiple", **QUIET)
    stage.export(save, token, stage, trigger_mode="multiple", **QUIET)
    stage.stop(halt, token, stage, **QUIET)
    for event, what in ((stage.seek, "frame"), (stage.shown, "panels")):
        event(None, None, None, js=f"() => Noisescope.seen('stage-{tab}', '{what}')", api_visibility="private")


def meant_by(app: AppState, session: str, controls: Controls, number: list, values) -> Recipe:
    """The recipe that stands in the sidebar for who presses a button: a press can overtake what was set before it.

    Blocks until that has been worked on. gr.Error as `recipe_from`.
    """
    return recipe_from(controls, app.meant(session, number, dict(zip(controls.fields, values))))


def recipe_from(controls: Controls, values) -> Recipe:
    """The sidebar as a recipe. gr.Error in plain words if a value cannot be; everything stays as it was then."""
    try:
        return controls.recipe(values)
    except ValueError as error:
        raise user_error(error) from None
