"""What makes sense without a page: the same actions for `gradio_client`, under names of their own.

    from gradio_client import Client
    client = Client("http://127.0.0.1:7860")
    client.predict("data=trex&steps=50", "x_t,x0", api_name="/gif")

A recipe is a link's query ("data=mnist16&sampler=ddpm&steps=50"), or the JSON that a film carries: whatever the page
shows can be asked for here. What one address may ask for is bounded (`dashboard/server/door.py`), and work that nobody
listens to any more is stopped.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from core.checkpoints.models import pretrained, save_checkpoint
from core.data.datasets import load, names
from core.drawing.export import FORMATS, export
from core.recipe.handed_back import recipe_from_json
from core.recipe.models import MEMORY
from core.recipe.recipe import Recipe, as_refusal
from core.recipe.values import shown
from core.runs.examine import open_trace
from core.runs.resolve import CannotShow
from core.runs.trainings import Training
from core.runs.walks import denoise, forward_film, lens
from core.views import View
from dashboard.server.app_state import AppState
from dashboard.server.exports import options_of
from dashboard.stage.stage import new_folder
from dashboard.tabs.compare import growing as compare

#: How many of a kind are under way at a time: what is told at once, what is worked out, what is trained.
QUICK = dict(concurrency_limit=4, concurrency_id="quick calls")
WORK = dict(concurrency_limit=2, concurrency_id="calls")
TRAININGS = dict(concurrency_limit=4, concurrency_id="training calls")
FILMS = {"denoise": denoise, "lens": lens, "forward": lambda recipe: [forward_film(recipe)], "compare": compare}
NOBODY = "nobody listened for the answer any more"


def recipe_of(query: Any) -> Recipe:
    """A link's query, or JSON, as a recipe. ValueError names everything that it cannot be."""
    if not isinstance(query, str):
        raise ValueError(f"recipe is {shown(query)}; it can be a link's query as text, as data=trex&steps=50, or the "
                         "JSON of a recipe")
    recipe, complaints = recipe_from_json(query) if query.lstrip().startswith("{") else Recipe.from_query(query)
    if complaints:
        raise ValueError(as_refusal(complaints))
    return recipe


def panels_of(text: Any) -> list[str]:
    """Names of panels with commas between them, as a list. ValueError for anything else."""
    if not isinstance(text, str):
        raise ValueError(f"panels is {shown(text)}; it can be names with commas between them as text, as x_t,x0")
    return [key for key in text.split(",") if key]


def datasets() -> list[dict]:
    """The data sets: name, title, kind ("points" or "images"), number of rows, licence."""
    return [{"name": d.name, "title": d.title, "kind": d.kind, "rows": len(d), "licence": d.licence}
            for d in map(load, names())]


def models() -> dict:
    """The cards of the pretrained models, by name."""
    return pretrained()


class Calls:
    """What a program can ask for."""

    def __init__(self, app: AppState):
        self.app = app

    def noise_lens(self, recipe: str = "", request: gr.Request = None) -> dict:
        """Predicted against true noise over t: lists t, mse, floor (the exact denoiser's mse), cosine, exact_cosine."""
        film = self._film(recipe_of(recipe), "lens", request)
        numbers = self.app.foreground.run(film.shell, 0, film.frames).numbers
        return {name: numbers[name].tolist() for name in ("t", "mse", "floor", "excess", "cosine", "exact_cosine")}

    def trace(self, recipe: str = "", request: gr.Request = None) -> dict:
        """A walk from noise to data with every timestep, as one safetensors file that core.trace.Trace.load reads."""
        wanted = recipe_of(recipe)
        if wanted.model == MEMORY:
            raise CannotShow("model=memorization walks with many networks, and a trace is the record of one walk; take "
                             "another model, or ask for it at /gif")
        film = self._film(wanted, "denoise", request)
        return _file(film.trace.save(new_folder() / "trace.safetensors"))

    def gif(self, recipe: str = "", panels: str = "x_t,x0", film: str = "denoise", format: str = "gif", size: int = 224,
            fps: int = 20, every: int = 1, request: gr.Request = None) -> dict:
        """A film of the recipe as a file: film is denoise, lens, forward or compare, format gif, mp4, webp, png
        or html.

        Panels by their keys; of another film than denoise give "" for its own choice.
        """
        wish = options_of(dict(format=format, size=size, fps=fps, every=every, panels=panels_of(panels)))
        kind, keys, _ = (wish.pop(name) for name in ("format", "panels", "content"))
        if kind not in FORMATS:
            raise ValueError(f"format {kind!r}; ask for it at /trace")
        made = self._film(recipe_of(recipe), film, request)
        with self.app.foreground.work() as work:
            return _file(export(made.scene(keys or None), new_folder() / f"noisescope.{kind}",
                                progress=lambda *_: work.breathe(), stop=lambda: self._deserted(request), **wish))

    def diagnose(self, trace: dict, request: gr.Request = None) -> dict:
        """The Doctor's report of a trace that run.save wrote, uploaded with handle_file("run.trace"): healthy, causes
        (each with its place and what it says), unusual, unknown, identified, and the verdict of every line."""
        path, name = _uploaded(trace)
        report = self.app.foreground.run(lambda: open_trace(path, name).diagnose())
        return json.loads(report.to_json(), parse_constant=lambda _: None)

    async def train(self, recipe: str = "", request: gr.Request = None) -> list[dict]:
        """Train by the recipe (data, preset, prediction_type, schedule, train_steps, batch, seed): weights and card.

        Takes its turns with everybody else's training; is stopped after its time, and when nobody listens any more.
        """
        wanted, app, owner = recipe_of(recipe), self.app, self.app.door.address_of(request.session_hash)
        training = await asyncio.to_thread(app.foreground.run, Training, wanted)
        job = app.pool.submit(training.run, total=training.config.steps + 1, owner=f"calls from {owner}",
                              cap_seconds=app.door.limits.training_seconds, most_each=app.door.limits.call_trainings)
        try:
            while not job.over:
                await asyncio.sleep(0.1)
                if self._deserted(request):
                    raise CannotShow(NOBODY)
        finally:
            job.stop(NOBODY)
        if job.error:
            raise CannotShow(job.error)
        path = await asyncio.to_thread(save_checkpoint, new_folder() / "model.safetensors", training.trainer)
        return [_file(path), _file(path.with_suffix(".json"))]

    def _film(self, recipe: Recipe, what: str, request: gr.Request) -> View:
        if not isinstance(what, str) or what not in FILMS:
            raise ValueError(f"film is {shown(what)}; it can be {', '.join(FILMS)}")

        def listened_to() -> Iterator[View]:
            for film in FILMS[what](recipe):
                if self._deserted(request):
                    raise CannotShow(NOBODY)
                yield film

        *_, film = self.app.foreground.each(listened_to())
        return film

    def _deserted(self, request: gr.Request) -> bool:
        return self.app.door.deserted(request.session_hash)


def _uploaded(value: Any) -> tuple[str, str]:
    """(path, name) of an uploaded file. ValueError for anything else: only what is marked as one has been looked at."""
    file = value if isinstance(value, dict) else getattr(value, "model_dump", dict)()
    if file.get("meta") != {"_type": "gradio.FileData"} or not isinstance(file.get("path"), str):
        raise ValueError(f"trace is {shown(value)}; it can be an uploaded file, in gradio_client "
                         'handle_file("run.trace")')
    return file["path"], str(file.get("orig_name") or Path(file["path"]).name)


def _file(path: Path) -> dict:
    return FileData(path=str(path), orig_name=path.name).model_dump()


def expose(app: AppState) -> None:
    """Register all of the above with the blocks that are open."""
    calls = Calls(app)
    for function, room in ((datasets, QUICK), (models, QUICK), (calls.noise_lens, WORK), (calls.trace, WORK),
                           (calls.gif, WORK), (calls.diagnose, WORK), (calls.train, TRAININGS)):
        gr.api(function, api_name=function.__name__, **room)
