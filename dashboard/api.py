"""What makes sense without a page: the same actions for `gradio_client`, under names of their own.

    from gradio_client import Client
    client = Client("http://127.0.0.1:7860")
    client.predict("data=trex&steps=50", "x_t,x0", api_name="/gif")

A recipe is a link's query ("data=mnist16&sampler=ddpm&steps=50"): whatever the page shows can be asked for here.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.data_classes import FileData

from core.checkpoints.models import pretrained, save_checkpoint
from core.data.datasets import load, names
from core.drawing.export import export
from core.recipe.recipe import Recipe
from core.runs.trainings import Training
from core.runs.walks import denoise, forward_film, lens
from dashboard.server.app_state import AppState, user_error
from dashboard.server.exports import FORMATS, options_of
from dashboard.stage.stage import new_folder
from dashboard.tabs.compare import growing as compare

#: One at a time from outside, so that programs leave the machine to people.
SHARED = dict(concurrency_limit=1, concurrency_id="api")
FILMS = {"denoise": denoise, "lens": lens, "forward": lambda recipe: [forward_film(recipe)], "compare": compare}


def _recipe(query: str) -> Recipe:
    recipe, complaints = Recipe.from_query(query)
    if complaints:
        raise gr.Error("; ".join(complaints), print_exception=False)
    return recipe


def _film(recipe: Recipe, what: str):
    if what not in FILMS:
        raise gr.Error(f"film {what[:20]!r}; there are {', '.join(FILMS)}", print_exception=False)
    try:
        *_, film = FILMS[what](recipe)
    except Exception as error:
        raise user_error(error) from None
    return film


def _file(path: Path) -> dict:
    return FileData(path=str(path), orig_name=path.name).model_dump()


def datasets() -> list[dict]:
    """The data sets: name, title, kind ("points" or "images"), number of rows, licence."""
    return [{"name": d.name, "title": d.title, "kind": d.kind, "rows": len(d), "licence": d.licence}
            for d in map(load, names())]


def models() -> dict:
    """The cards of the pretrained models, by name."""
    return pretrained()


def noise_lens(recipe: str = "") -> dict:
    """Predicted against true noise over t: lists t, mse, floor (the exact denoiser's mse), cosine and exact_cosine."""
    film = _film(_recipe(recipe), "lens")
    numbers = film.shell(0, film.frames).numbers
    return {name: numbers[name].tolist() for name in ("t", "mse", "floor", "excess", "cosine", "exact_cosine")}


def trace(recipe: str = "") -> dict:
    """A walk from noise to data with every timestep, as one safetensors file that `core.trace.Trace.load` reads."""
    return _file(_film(_recipe(recipe), "denoise").trace.save(new_folder() / "trace.safetensors"))


def gif(recipe: str = "", panels: str = "x_t,x0", film: str = "denoise", format: str = "gif", size: int = 224,
        fps: int = 20, every: int = 1) -> dict:
    """A film of the recipe as a file: film is denoise, lens, forward or compare, format gif, mp4, webp or png.

    Panels by their keys; of another film than denoise give "" for its own choice.
    """
    try:
        wanted = [key for key in panels.split(",") if key]
        wish = options_of(dict(format=format, size=size, fps=fps, every=every, panels=wanted))
        if wish["format"] not in FORMATS[:-1]:
            raise ValueError("format 'trace'; ask for it at /trace")
        kind, keys = wish.pop("format"), wish.pop("panels")
        scene = _film(_recipe(recipe), film).scene(keys or None)
        return _file(export(scene, new_folder() / f"noisescope.{kind}", **wish))
    except Exception as error:
        raise user_error(error) from None


def expose(app: AppState) -> None:
    """Register the functions above, and `train` in the lab's pool, with the blocks that are open."""

    def train(recipe: str = "") -> list[dict]:
        """Train by the recipe (data, recipe, target, schedule, train_steps, batch, seed); gives weights and their card.

        Takes its turns with everybody else's training, and is stopped after 15 minutes.
        """
        try:
            training = Training(_recipe(recipe))
            job = app.pool.submit(training.run, total=training.config.steps + 1)
            job.wait()
            if job.error:
                raise ValueError(job.error)
            path = save_checkpoint(new_folder() / "model.safetensors", training.trainer)
        except Exception as error:
            raise user_error(error) from None
        return [_file(path), _file(path.with_suffix(".json"))]

    for function in (datasets, models, noise_lens, trace, gif, train):
        gr.api(function, api_name=function.__name__, **SHARED)
