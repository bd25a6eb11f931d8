"""The Train tab without a browser: what is turned in the recipe while a training runs, and going on after its end."""

import asyncio

import gradio as gr
import pytest

from core.recipe.recipe import Recipe
from dashboard.server.app_state import AppState
from dashboard.server.jobs import FINISHED, PAUSED, STOPPED
from dashboard.tabs.train import (
    BUTTONS, buttons_for, follow, go_on, is_followed, status_of, submit, training_of, turn,
)

pytestmark = pytest.mark.usefixtures("short_previews", "cards_of_few_samples")
RECIPE = Recipe(data="gaussians8", train_steps=12, batch=32)


@pytest.fixture
def app():
    """The state of a server whose pool takes its turns when told to."""
    app = AppState()
    app.pool.shutdown()
    app.pool = type(app.pool)(workers=0)
    yield app
    app.pool.shutdown()


@pytest.fixture
def visitor(app):
    return app.visitors.of(app.visitors.enter(None))


def begun(app, visitor, recipe=RECIPE, steps=0):
    """A training of the visitor's that has taken so many steps."""
    training = training_of(recipe, visitor)
    job = submit(app, visitor, training, "page")
    while steps and (training.trainer is None or training.trainer.step < steps):
        assert app.pool.turn()
    return job, training


def to_the_end(app, job):
    while not job.over:
        assert app.pool.turn()


def pressable(job):
    return [name for name, update in zip(BUTTONS, buttons_for(job)) if update["visible"]]


def turned(app, visitor, before, after):
    """`turn`, which waits for the pool, while the pool works."""
    visitor.job.pause()  # its steps are counted
    app.pool.turn()
    wish = []
    between = visitor.job.between

    def at_once(change):
        wish.append(between(change))
        app.pool.turn()
        return wish[-1]

    visitor.job.between = at_once
    turn(visitor, before, after)
    del visitor.job.between
    return wish


def test_what_was_turned_since_the_last_recipe_is_turned_at_the_next_step_and_nothing_else_is(app, visitor):
    job, training = begun(app, visitor, RECIPE.with_(train_steps=100_000), steps=3)
    shown = RECIPE.with_(train_steps=100_000, seed=9)  # other fields of the page may say something else by then
    assert turned(app, visitor, shown, shown.with_(seed=1)) == []
    assert turned(app, visitor, None, shown.with_(lr=0.5)) == []
    (wish,) = turned(app, visitor, shown, shown.with_(lr=2e-3, train_steps=90_000))
    assert wish.done() and job.state == PAUSED and job.total == 90_001
    at = training.trainer.step
    assert [(change.step, change.changes) for change in training.turns] == [
        (at, {"lr": (1e-2, 2e-3), "steps": (100_000, 90_000)})]
    assert training.recipe == RECIPE.with_(lr=2e-3, train_steps=90_000) and training.config.batch == 32
    said = status_of(job, training)
    assert f"<b>{at}</b> of 90,000" in said and "steps 100,000 → 90,000 · rate 0.01 → 0.002" in said


def test_an_end_before_the_steps_that_are_taken_is_refused_in_words_and_the_training_goes_on(app, visitor, monkeypatch):
    said = []
    monkeypatch.setattr(gr, "Warning", said.append)
    job, training = begun(app, visitor, RECIPE.with_(train_steps=100_000), steps=5)
    turned(app, visitor, RECIPE, RECIPE.with_(train_steps=2))
    assert "steps is 2, and" in said[0] and "are taken already" in said[0]
    assert not training.turns and job.total == 100_001


def test_a_training_that_has_ended_goes_on_as_often_as_it_is_asked_by_as_many_steps_as_were_planned(app, visitor):
    job, training = begun(app, visitor)
    to_the_end(app, job)
    assert pressable(job) == ["train", "go_on", "reset", "examine_training"]
    first = training.trainer.denoiser
    recipe = go_on(app, visitor, RECIPE.with_(lr=1e-3, data="trex"), "page")  # of other data nothing is taken
    assert recipe == RECIPE.with_(lr=1e-3, data="trex", train_steps=24)
    assert visitor.job is not job and visitor.trains is training and visitor.job.steps_done == 12
    to_the_end(app, visitor.job)
    assert (visitor.job.state, training.trainer.step, visitor.card["steps"]) == (FINISHED, 24, 24)
    assert training.trainer.denoiser is first and visitor.card["data"] == "gaussians8"
    assert go_on(app, visitor, recipe, "page").train_steps == 36  # by 12 again
    to_the_end(app, visitor.job)
    assert [change.words for change in training.turns] == ["steps 12 → 24 · rate 0.01 → 0.001", "steps 24 → 36"]


def test_one_that_was_stopped_goes_on_to_the_end_that_was_planned_and_one_that_never_began_does_not(app, visitor):
    job, training = begun(app, visitor, RECIPE.with_(train_steps=40), steps=5)
    job.stop()
    app.pool.turn()
    assert job.state == STOPPED and "go_on" in pressable(job) and training.trainer.step < 40
    assert go_on(app, visitor, RECIPE.with_(train_steps=40), "page").train_steps == 40
    to_the_end(app, visitor.job)
    assert training.trainer.step == 40 and not training.turns
    job, _ = begun(app, visitor)
    job.stop()
    app.pool.turn()
    assert "go_on" not in pressable(job)
    with pytest.raises(gr.Error, match="press Train"):
        go_on(app, visitor, RECIPE, "page")


def test_a_training_that_runs_cannot_be_told_to_go_on(app, visitor):
    begun(app, visitor, RECIPE.with_(train_steps=100_000), steps=2)
    with pytest.raises(gr.Error, match="press Train"):
        go_on(app, visitor, RECIPE, "page")


def test_a_training_with_a_gan_beside_it_takes_the_gan_along(app, visitor):
    job, training = begun(app, visitor, RECIPE.with_(baseline="plain"))
    to_the_end(app, job)
    go_on(app, visitor, RECIPE.with_(batch=16), "page")
    to_the_end(app, visitor.job)
    assert training.trainer.step == training.gan.step == 24
    assert training.gan.config.batch == training.config.batch == 16
    assert training.film.frames == len(training.film.coverage) == training.film.total


def test_a_page_follows_the_training_that_another_page_of_its_visitor_has_begun(app, visitor):
    async def heard(page):
        return await anext(aiter(follow(app, visitor, page)))

    begun(app, visitor, RECIPE.with_(train_steps=100_000))
    assert not is_followed(visitor, "one")
    *_, status = asyncio.run(heard("one"))[:3]
    assert "Eight Gaussians" in status and is_followed(visitor, "one") and not is_followed(visitor, "two")
    begun(app, visitor, RECIPE.with_(data="heart"))
    assert not is_followed(visitor, "one")  # it shows what was there before
    answer = asyncio.run(heard("one"))
    shown = [name for name, update in zip(BUTTONS, answer[-len(BUTTONS):]) if update["visible"]]
    assert "Heart" in answer[2] and shown == ["pause", "stop"] and is_followed(visitor, "one")


def test_clocks_of_a_training_that_another_has_followed_are_not_shown(app, visitor):
    job, training = begun(app, visitor)
    to_the_end(app, job)
    clocks, made = training.clocks, []

    def meanwhile():
        begun(app, visitor, RECIPE.with_(data="heart"))
        app.turns.take("page", "train")
        made.append(True)
        return clocks(steps=2)

    training.clocks = meanwhile

    async def answers():
        return [answer async for answer in follow(app, visitor, "page")]

    told = asyncio.run(answers())
    assert made and all(answer[1] is None or answer[1] == gr.skip() for answer in told)
    assert visitor.trace("clocks/page") is None


@pytest.fixture(scope="module")
def events():
    """All events of the page that the server answers."""
    from dashboard.ui import build

    app = AppState()
    page = build(app)
    where = lambda block: page.blocks[block].elem_id if block in page.blocks else None  # noqa: E731
    yield [(event, {(where(block), name) for block, name in event.targets})
           for event in page.fns.values() if event.fn is not None]
    app.close()


def test_whatever_follows_a_training_lets_the_next_one_be_begun(events):
    """Gradio drops a press while the last one of its kind is answered: a training's clocks come after its end."""
    follows = [event for event, _ in events if getattr(event.fn, "__name__", "") in ("start", "again")]
    assert len(follows) == 5 and sum(event.trigger_mode == "multiple" for event in follows) == 4  # opening happens once


def test_dropped_while_the_last_one_is_answered_is_only_what_says_the_same_twice(events):
    """Gradio does so unless it is told otherwise: the second of two panels that were wished for never came."""
    once = {("stage", name) if place and place.startswith("stage-") else (place, name) for event, targets in events
            for place, name in targets if event.trigger_mode != "multiple"}
    assert once == {("stage", "stop"), *((press, "click") for press in (
        "branch", "examine", "examine-training", "pause", "resume", "stop", "reset")), ("lesson", "slides"),
        *((None, name) for name in ("load", "success", "unload"))}  # fmt: skip
