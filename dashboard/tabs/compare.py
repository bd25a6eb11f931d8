"""Compare: what does one choice change? And Branch, the button that leads here from a walk."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.recipe.recipe import Recipe
from core.runs.comparison import branched, compare
from dashboard.server.app_state import AppState, user_error
from dashboard.sidebar.choices import without_hidden
from dashboard.sidebar.controls import Controls
from dashboard.stage import Stage
from dashboard.tabs.stages import QUIET, meant_by, new_stage

growing = compare
#: The playhead of the Denoise tab, and after which change it was pressed, put before the other inputs.
PLAYHEAD = ("(frame, number, ...rest) => "
            "[(Noisescope.stageOf('stage-denoise') || { frame: 0 }).frame, Noisescope.last(), ...rest]")


def stage() -> Stage:
    """The tab's stage."""
    return new_stage("compare", "What does one choice change?", "Choose what run B changes, and press Compare.",
                     shown=())


def wire_branch(app: AppState, controls: Controls, number: gr.JSON, token: gr.BrowserState, tabs: gr.Tabs) -> Any:
    """Branch here: the sidebar goes back to the walk on the stage; what differed becomes run B from this step on."""

    def on_branch(frame: float, number: list, token: str, request: gr.Request, *values) -> list:
        try:
            visitor = app.visitor(token, request.session_hash)
            film = app.stream(visitor, request.session_hash, "denoise").film
            frame = max(0, min(int(frame or 0), len(film.trace) - 1))
            noisy = bool((film.trace.std[frame:] > 0).any())
            walked, wanted = Recipe.from_dict(film.about), meant_by(app, request.session_hash, controls,
                                                                    number, values)
            wanted = without_hidden(wanted, visitor)
            recipe = branched(walked, wanted, frame * film.trace.every, noisy)
        except Exception as error:
            raise user_error(error) from None
        return [gr.update(selected="compare"), *controls.show(recipe)]

    playhead, outputs = gr.Number(visible=False), [tabs, *controls.inputs]
    inputs = [playhead, number, token, *controls.inputs]
    return controls.buttons["branch"].click(on_branch, inputs, outputs, js=PLAYHEAD, **QUIET)
