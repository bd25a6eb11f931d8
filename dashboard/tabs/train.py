"""Train: what does the network learn, and when?"""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.recipe.recipe import SPECS, Recipe
from core.runs.baseline import BaselineTraining
from core.runs.resolve import dataset_of
from core.runs.trainings import LIVE_FIELDS, Training
from core.views import TrainingView
from dashboard.server.app_state import AppState, user_error
from dashboard.server.jobs import ENDED, FAILED, FINISHED, PAUSED, STOPPED, Full, Job, watch
from dashboard.server.visitors import Gone, Visitor
from dashboard.sidebar.choices import choices_for, using
from dashboard.sidebar.controls import Controls
from dashboard.stage import Stage
from dashboard.stage.stream import SceneStream
from dashboard.tabs.stages import AFTER, QUIET, meant_by, new_stage, show, wire_stage

#: Model, sampler and steps stay as they stand.
KEPT = [gr.skip()] * 3
#: The buttons of a training, as answers set them.
BUTTONS = ("train", "pause", "resume", "stop", "go_on", "reset", "examine_training")
TOLD = 3  #: of what was turned, so many lines stand above the buttons
#: What follows a training goes on for a while after its end, and must not keep the next one out.
FOLLOWS = dict(concurrency_limit=None, trigger_mode="multiple")
WAIT = 1.0  #: seconds that a turned setting is waited for; a step that takes longer is followed by it all the same


@dataclass(frozen=True)
class TrainTab:
    """The tab's parts; `outputs` is what every answer about a training sets."""

    stage: Stage
    clocks: Stage
    controls: Controls

    @property
    def outputs(self) -> list:
        buttons = [self.controls.buttons[name] for name in BUTTONS]
        settings = [self.controls.fields[name] for name in ("model", "sampler", "steps")]
        return [self.stage, self.clocks, self.controls.status, *settings, *buttons]


def layout(controls: Controls) -> TrainTab:
    """Two stages: training time, and below it denoising time for the network as it was at some moments."""
    stage = new_stage("train", "What does the network learn, and when?",
                      "Press Train: the loss and the samples appear while it learns.", shown=(), autoplay=False,
                      renew="Press Train for that.",
                      live=dict.fromkeys(("batch", "lr", "weighting"), "Press Go on for that, or Train to begin anew."))
    clocks = new_stage("clocks", "And at every one of these moments: how was the same noise denoised?",
                       "When a training has ended, the same noise is denoised with the weights of six moments of it.",
                       shown=())
    return TrainTab(stage, clocks, controls)


def wire(app: AppState, tab: TrainTab, number: gr.JSON, token: gr.BrowserState, api: dict = QUIET) -> Any:
    """Start, pause, resume, stop, reset; returns the function by which a page finds the visitor's training: after a
    reload, or when another page of theirs has begun one."""
    buttons = tab.controls.buttons

    async def start(number: list, token: str, request: gr.Request, *values) -> AsyncIterator[list]:
        visitor = app.visitor(token, request.session_hash)
        recipe = await asyncio.to_thread(meant_by, app, request.session_hash, tab.controls, number, values)
        try:
            training = await asyncio.to_thread(app.foreground.run, training_of, recipe, visitor)
            app.turns.take(request.session_hash, "train")  # whoever follows what it replaces has nothing more to say
            submit(app, visitor, training, request.session_hash)
        except Exception as error:
            raise user_error(error) from None
        async for answer in follow(app, visitor, request.session_hash):
            yield answer

    async def again(token: str, request: gr.Request) -> AsyncIterator[list]:
        visitor = app.visitor(token, request.session_hash)
        yield [gr.skip()] * len(tab.outputs)  # a generator that yields nothing would empty its outputs
        if visitor.job is not None and not is_followed(visitor, request.session_hash):
            async for answer in follow(app, visitor, request.session_hash):
                yield answer

    def steer(name: str):
        def act(token: str, request: gr.Request) -> None:
            job = app.visitor(token, request.session_hash).job
            if job is not None:
                getattr(job, name)()
        return act

    def reset(number: list, token: str, request: gr.Request, *values) -> Iterator[list]:
        visitor = app.visitor(token, request.session_hash)
        recipe = meant_by(app, request.session_hash, tab.controls, number, values)
        turn = app.turns.take(request.session_hash, "train")
        with visitor.lock:
            visitor.take_job(None)
            app.kept.forget(visitor.token)
            visitor.denoiser = visitor.card = None
        yield [None, None, "", choices_for(recipe, visitor)[0], *KEPT[1:], *buttons_for(None)]
        for value in untrained(app, recipe, visitor, request.session_hash, turn):
            yield [value, *[gr.skip()] * (len(tab.outputs) - 1)]

    inputs = [number, token, *tab.controls.inputs]
    buttons["train"].click(start, inputs, tab.outputs, js=AFTER, **{**api, **FOLLOWS})
    for name in ("pause", "resume", "stop"):
        buttons[name].click(steer(name), token, None, **api)
    buttons["reset"].click(reset, inputs, tab.outputs, js=AFTER, **api)
    wire_stage(app, "train", tab.stage, token)
    wire_stage(app, "clocks", tab.clocks, token)
    return again


def training_of(recipe: Recipe, visitor: Visitor) -> Training:
    """What a recipe trains: a model alone, or, of points, with a GAN beside it."""
    if recipe.baseline == "nothing" or dataset_of(recipe, visitor).kind != "points":
        return Training(recipe, visitor)
    return BaselineTraining(recipe, visitor, recipe.baseline)


def untrained(app: AppState, recipe: Recipe, visitor: Visitor, session: str, turn: int) -> Iterator[dict]:
    """What the stage shows before Train is pressed: the data, what the untrained network makes of noise, the floor.

    Nothing where a training is on the stage already.
    """
    if visitor.job is None:
        def film(recipe: Recipe, visitor: Visitor) -> Iterator[TrainingView]:
            yield from training_of(recipe, visitor).untrained()

        yield from show(app, "train", film, recipe, visitor, session, turn)


def submit(app: AppState, visitor: Visitor, training: Training, session: str,
           paused_at: tuple[int, float] | None = None) -> Job:
    """Make a training the visitor's; it is saved on its way. Raises as `Pool.submit` and `Visitor.keep` do."""
    job = app.pool.submit(lambda: app.kept.steps(training, visitor), lambda job: training.progress(job.seconds),
                          training.config.steps + 1, app.door.limits.training_seconds, app.door.address_of(session),
                          paused_at=paused_at)
    visitor.take_job(job, training)
    visitor.keep("training", training)
    return job


def turn(visitor: Visitor, before: Recipe | None, recipe: Recipe) -> None:
    """What was turned in the recipe is turned in the training that is under way, if it can be: at its next step."""
    job, training = visitor.job, visitor.trains
    fields = {name: getattr(recipe, name) for name in LIVE_FIELDS
              if before is not None and getattr(recipe, name) != getattr(before, name)}
    if job is None or job.state in ENDED or not fields:
        return
    try:
        job.between(lambda: _turn(job, training, fields)).result(WAIT)
    except ValueError as error:
        gr.Warning(f"The training goes on as it was: {error}")
    except (CancelledError, TimeoutError):  # it ended just now, and Go on takes it along; or is at a long step
        pass


def go_on(app: AppState, visitor: Visitor, recipe: Recipe, session: str) -> Recipe:
    """A training that has ended goes on, as the recipe says by now of what can be turned; the recipe, with its new end.

    To the end that the recipe says, if it has not come there, else by as many steps as were planned at first.
    """
    if visitor.job is not None and visitor.job.state in ENDED:
        visitor.job.wait(WAIT)  # it may be about to save, for which it needs the lock
    with visitor.lock:
        job, training = visitor.job, visitor.trains
        if not can_go_on(job, training):
            raise gr.Error("There is no training of yours here that could go on; press Train.", print_exception=False)
        taken, most = training.trainer.step, SPECS["train_steps"].high
        if taken >= most:
            raise gr.Error(f"{taken:,} steps are the most that one training takes here.", print_exception=False)
        if training.steps_of(recipe) <= taken:
            recipe = recipe.with_(train_steps=min(taken + training.planned, most))
        job = submit(app, visitor, training, session, paused_at=(taken, training.trainer.seconds))
        _turn(job, training, {name: getattr(recipe, name) for name in LIVE_FIELDS})
        job.resume()
    return recipe


def can_go_on(job: Job | None, training: Training | None) -> bool:
    """Whether a training has ended with something learned, and not because it could not go on."""
    return job is not None and job.over and job.state in (STOPPED, FINISHED) and training.trainer is not None


def _turn(job: Job, training: Training, fields: dict) -> None:
    training.turn(**fields)
    job.total = training.config.steps + 1


def find_again(app: AppState, visitor: Visitor, session: str) -> None:
    """What was kept of the training of a visitor who comes back is theirs again, paused where it was saved last."""
    with visitor.lock:
        if visitor.job is not None:
            return
        try:
            training = app.kept.load(visitor)
            if training is None:
                return
            training.give(visitor)
            done = training.trainer.step
            job = submit(app, visitor, training, session, paused_at=(done, training.trainer.seconds))
            if done == training.config.steps:  # nothing is left but to end
                job.resume()
        except ValueError as error:
            gr.Warning(f"Your last training was found, but it cannot go on: {error}")
        except (Full, Gone) as error:
            gr.Warning(f"Your last training is kept, and there is no room for it now: {error}")


def is_followed(visitor: Visitor, session: str) -> bool:
    """Whether a page is told of its visitor's training already."""
    stream, training = visitor.trace(f"train/{session}"), visitor.trace("training")
    return stream is not None and training is not None and stream.film is training.film


async def follow(app: AppState, visitor: Visitor, session: str) -> AsyncIterator[list]:
    """What the page is told while a training runs, and once more when it has ended."""
    job, training = visitor.job, visitor.trace("training")
    turn = app.turns.take(session, "train")
    stream = SceneStream(training.film, follow=True)
    visitor.keep(f"train/{session}", stream)
    shown = buttons_for(job)
    yield [gr.skip(), None, status_of(job, training, visitor.not_saved), *KEPT, *shown]
    async for _ in watch(job):
        if not app.turns.holds(session, "train", turn):
            return
        value = await asyncio.to_thread(stream.refreshed, False) if training.film.frames else gr.skip()
        before, shown = shown, buttons_for(job)
        buttons = shown if shown != before else [gr.skip()] * len(shown)
        yield [value, gr.skip(), status_of(job, training, visitor.not_saved), *KEPT, *buttons]
    if not app.turns.holds(session, "train", turn):
        return
    if job.error:
        gr.Warning(job.error)
    settings, recipe = KEPT, app.recipes.get(session)  # as it is by now: other data may have been chosen meanwhile
    if recipe is not None and visitor.denoiser is not None and visitor.card["data"] == recipe.data:
        mine = using(recipe, "mine")
        walked = [(getattr(mine, name), getattr(recipe, name)) for name in ("sampler", "steps")]
        settings = [choices_for(mine, visitor)[0], *(gr.skip() if new == old else new for new, old in walked)]
    done = await asyncio.to_thread(stream.refreshed, True) if training.film.frames else gr.skip()
    yield [done, gr.skip(), status_of(job, training, visitor.not_saved), *settings, *buttons_for(job)]
    if training.kept:
        clocks = SceneStream(await asyncio.to_thread(app.foreground.run, training.clocks))
        if not app.turns.holds(session, "train", turn):
            return
        visitor.keep(f"clocks/{session}", clocks)
        yield [gr.skip(), await asyncio.to_thread(clocks.value, True), gr.skip(), *KEPT, *[gr.skip()] * len(BUTTONS)]


def buttons_for(job: Job | None) -> list:
    """Which of BUTTONS can be pressed."""
    idle, paused = job is None or job.state in ENDED, job is not None and job.state == PAUSED
    over = job is not None and idle
    goes_on = over and job.state != FAILED and job.steps_done > 0
    visible = (idle, not idle and not paused, paused, not idle, goes_on, over, over)
    return [gr.update(visible=v) for v in visible]


def status_of(job: Job, training: Training, not_saved: str = "") -> str:
    """What is trained, where it stands, what was turned, and why it could not be saved on its way, as HTML."""
    steps, total = training.trainer.step if training.trainer else 0, training.config.steps
    words = {"waiting": "waiting for its turn", "running": f"{job.rate:,.0f}/s", "paused": "paused",
             "stopped": "stopped", "finished": f"done in {job.seconds:.1f} s", "failed": "failed"}[job.state]
    left = f" · {job.eta:,.0f} s left" if job.state == "running" and job.eta is not None else ""
    not_saved = not_saved if training.can_be_saved else "with a GAN beside it a training is not kept"
    left += f" · not saved: {html.escape(not_saved)}" if not_saved else ""
    title = html.escape(training.dataset.title)
    turned = [f"from step {turn.step:,}: {turn.words}" for turn in training.turns]
    lines = [f"{title}: step <b>{steps:,}</b> of {total:,} · {words}{left}",
             *map(html.escape, turned[:-TOLD] and [f"turned {len(turned)} times, last"]),
             *map(html.escape, turned[-TOLD:])]
    live = " ns-turns" if job.state != FAILED else ""
    return (f'<div class="ns-training{live}">{"".join(f"<p>{line}</p>" for line in lines)}'
            f'<div class="ns-bar"><span style="width:{100 * steps / total:.1f}%"></span></div></div>')
