"""The Debug tab without a browser: scripts run as jobs, runs are kept, traces belong to who brought them."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from core.debug import Run
from core.debug.cases import museum
from core.debug.cases.live import turns
from core.recipe.recipe import Recipe
from core.runs import examine
from dashboard.server.app_state import AppState
from dashboard.server.museum import Museum
from dashboard.tabs import debug
from dashboard.ui import _is_shown
from tests.test_debug_showing import told

CASE = museum()["flow-backwards"]


@pytest.fixture
def app():
    app = AppState()
    yield app
    app.close()


@pytest.fixture
def short_scripts(monkeypatch):
    """A little of a script is a script, where nobody is to stop it on its way."""
    monkeypatch.setattr(examine, "turns", partial(turns, steps=20, samples=16))


@pytest.fixture
def endless_scripts(monkeypatch):
    """A script that is to be stopped on its way has no end of its own."""
    monkeypatch.setattr(examine, "turns", partial(turns, steps=10**9, samples=16))


def answers(app, recipe: Recipe, session: str = "page"):
    """The values that the tab's stage is given for a recipe."""
    visitor = app.visitor(app.arrive(None, session), session)
    return debug.shown_by(app, "debug", debug, recipe, visitor, session, app.turns.take(session, "debug"))


def test_a_script_runs_as_a_job_and_is_run_once_for_all(app, short_scripts):
    values = [*answers(app, Recipe(bug=CASE.name, seed=3))]
    said = [value.get("status", "") for value in values if "status" in value]
    assert any("the script" in words for words in said) and said[-1] == "" and not len(app.pool)
    assert app.museum[CASE.name, 3] is not None
    values = [*answers(app, Recipe(bug=CASE.name, seed=3), "another page")]
    assert not any("status" in value for value in values) and values[-1]["findings"] and values[-1]["done"]


def test_a_page_that_goes_at_the_first_word_leaves_no_script_running(app, endless_scripts):
    running = answers(app, Recipe(bug=CASE.name, seed=6))
    next(running)
    (job,) = app.pool._jobs
    running.close()
    assert job.wait(60) and app.museum[CASE.name, 6] is None


def test_a_newer_run_on_the_stage_stops_the_script(app, endless_scripts):
    running = answers(app, Recipe(bug=CASE.name, seed=4))
    next(running)
    app.turns.take("page", "debug")
    assert [*running] == [] and app.museum[CASE.name, 4] is None
    for thread in [thread for thread in threading.enumerate() if thread.name == "case"]:
        thread.join(10)
        assert not thread.is_alive()


def test_stop_ends_the_script_and_the_film_before_it_stands_again(app, endless_scripts):
    *_, before = answers(app, Recipe(steps=10, samples=20))
    running = answers(app, Recipe(bug=CASE.name, seed=5))
    assert next(running)["value"]["film"] != before["film"]
    app.turns.stop("page", "debug")
    *_, last = running
    assert last["value"]["film"] == before["film"] and last["value"]["done"] and last["status"] == ""
    assert app.museum[CASE.name, 5] is None


def ends(app) -> None:
    """Until no script runs any more."""
    for job in list(app.pool._jobs):
        assert job.wait(600)


def test_a_script_that_has_ended_when_stop_is_pressed_leaves_the_film_before_it_all_the_same(app, short_scripts):
    *_, before = answers(app, Recipe(steps=10, samples=20))
    running = answers(app, Recipe(bug=CASE.name, seed=5))
    next(running)
    ends(app)
    app.turns.stop("page", "debug")
    (last,) = running
    assert last["value"]["film"] == before["film"] and last["value"]["done"] and last["status"] == ""


def test_a_script_that_has_ended_when_something_newer_begins_says_nothing_more(app, short_scripts):
    running = answers(app, Recipe(bug=CASE.name, seed=4))
    next(running)
    ends(app)
    app.turns.take("page", "debug")
    assert [*running] == []


def test_a_script_that_ends_after_something_newer_has_begun_leaves_the_stage_to_it(app, short_scripts):
    assert [*answers(app, Recipe(bug=CASE.name, seed=3))]
    late = answers(app, Recipe(bug=CASE.name, seed=3))
    newer = app.turns.take("page", "debug")
    assert [*late] == [] and app.turns.holds("page", "debug", newer)


def test_a_stage_shows_a_recipe_unless_the_film_of_another_one_is_coming(app):
    recipe, other = Recipe(steps=10, samples=20), Recipe(steps=12, samples=20)
    assert [*answers(app, recipe)]
    visitor = app.visitor(None, "page")

    def shown():
        return [_is_shown(app, visitor, "page", "debug", each) for each in (recipe, other)]

    assert shown() == [True, False]
    turn = app.turns.take("page", "debug", other)
    assert shown() == [False, True]
    app.turns.ended("page", "debug", turn)
    assert shown() == [True, False]


def test_the_museum_lets_the_oldest_runs_go(monkeypatch):
    monkeypatch.setattr(Museum, "MOST", 2)
    runs = Museum()
    for seed in range(3):
        runs["a", seed] = Run()
    assert runs["a", 0] is None and runs["a", 1] is not None and runs["a", 2] is not None


def test_of_traces_the_two_opened_last_are_kept_for_their_visitor_alone(app):
    mine, other = (app.visitor(app.arrive(None, session), session) for session in ("mine", "other"))
    runs = [told() for _ in range(3)]
    for run in runs:
        mine.open_trace(run)
    assert mine.watched == (runs[2], runs[1]) and other.watched == () and mine.nbytes >= runs[2].nbytes


def test_the_trace_that_the_server_was_started_with_is_there_for_every_visitor(app):
    app.opened = told()
    visitor = app.visitor(app.arrive(None, "page"), "page")
    assert visitor.watched == (app.opened,)
    *_, value = answers(app, Recipe(bug="trace"))
    assert value["total"] == 51 and value["findings"]
