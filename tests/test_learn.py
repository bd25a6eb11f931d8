"""The Learn tab's server side: what a link to a lesson opens, what the page is told, and who was right on its stage."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from core.data.datasets import Dataset
from core.lessons.evidence import NotYet
from core.lessons.lesson import LESSONS, lessons
from core.recipe.recipe import Recipe
from core.runs.brought import Brought
from core.runs.walks import denoise
from dashboard.server.foreground import Foreground
from dashboard.tabs.learn import Slides, answer, catalogue, link_of, opened
from dashboard.ui import fit, without_hidden

LESSON = lessons()["why-noise"]


def test_a_link_to_a_step_opens_what_that_step_shows():
    for number, step in enumerate(LESSON.steps, 1):
        assert opened(f"?lesson=why-noise&step={number}") == (step.recipe, [])
        assert opened(f"?__theme=dark&lesson=why-noise&step={number}&present=") == (step.recipe, [])
    assert opened("lesson=why-noise") == (LESSON.steps[0].recipe, [])


def test_what_a_link_says_of_the_recipe_comes_before_the_lesson():
    recipe, complaints = opened("lesson=why-noise&step=5&sampler=heun&tab=denoise")
    assert (recipe, complaints) == (Recipe(sampler="heun"), [])
    recipe, complaints = opened("lesson=why-noise&step=5&frame=7&panels=x0")
    assert (recipe, complaints) == (LESSON.steps[4].recipe.with_(frame=7, panels=("x0",)), [])
    assert opened("steps=50&nonsense=1") == Recipe.from_query("steps=50&nonsense=1")


@pytest.mark.parametrize("query, said", [
    ("lesson=nothing", "There is no lesson nothing; there are "),
    ("lesson=why-noise&step=9", "step = 9 in the link: this lesson has the steps 1 to 5; the first is shown"),
    ("lesson=why-noise&step=-1", "step = -1 in the link"),
    ("lesson=why-noise&step=5&eta=7", "eta = 7 in the link"),
])
def test_what_a_link_asks_for_in_vain_is_said(query, said):
    recipe, (complaint,) = opened(query)
    assert complaint.startswith(said) and isinstance(recipe, Recipe)


def test_the_page_is_told_every_step_and_no_answer():
    told = catalogue(lessons())
    assert [one["name"] for one in told] == [*lessons()]
    text = json.dumps(told)
    for lesson in lessons().values():
        for step in lesson.steps:
            for choice in step.question.choices if step.question else ():
                assert json.dumps(choice.text.raw) in text
                assert choice.reply.raw == "" or json.dumps(choice.reply.raw) not in text
                if "(" in choice.when.text:
                    assert json.dumps(choice.when.text)[1:-1] not in text


def test_every_step_opens_unchanged_for_somebody_who_has_nothing_and_its_link_says_all_of_it():
    visitor = SimpleNamespace(data=None, denoiser=None, training=None, watched=(), classifier=None)
    for lesson in lessons().values():
        for number, step in enumerate(lesson.steps, 1):
            for recipe in (step.recipe, *([step.mend.solved] if step.mend else [])):
                assert fit(recipe, visitor) == (recipe, []), f"{lesson.path.name}, line {step.line}"
                assert without_hidden(recipe, visitor) == recipe, f"{lesson.path.name}, line {step.line}"
                assert Recipe.from_query(link_of(recipe)) == (recipe, [])
                assert opened(f"lesson={lesson.name}&step={number}&{link_of(recipe)}") == (recipe, [])


def test_the_readme_says_of_every_lesson_once_what_is_seen_and_links_to_it():
    rows = [line.split("|") for line in (LESSONS.parent / "README.md").read_text("utf-8").splitlines()
            if line.startswith("|") and "?lesson=" in line]
    assert [row[2].strip() for row in rows] == [f"`?lesson={name}`" for name in lessons()]
    assert all(len(row) == 5 and len(row[3].split()) > 3 for row in rows)


def asked_of(recipe: Recipe, **asked):
    """What the page is told of a walk of this recipe on its stage."""
    view = list(denoise(recipe))[-1]
    stream = SimpleNamespace(name="film", film=view)
    visitor = SimpleNamespace(trace=lambda name: stream if name == "denoise/page" else None)
    return answer(visitor, "page", {"lesson": "why-noise", "step": 4, "film": "film", **asked})


def test_a_goal_is_met_by_the_numbers_of_the_walk_that_is_on_the_stage():
    step, few = LESSON.steps[4], dict(samples=200, steps=20)
    told = asked_of(step.recipe.with_(**few))
    assert told["own"] is False and told["verdict"]["goal"] is False and told["verdict"]["hint"]
    assert asked_of(step.mend.solved.with_(**few))["verdict"]["goal"] is True
    json.dumps(told)
    with pytest.raises(NotYet, match="another film"):
        asked_of(step.recipe.with_(**few), film="another")
    with pytest.raises(NotYet, match="another film"):
        asked_of(step.recipe.with_(**few), step=1)  # that one is about Compare, where there is none
    for wrong in (dict(lesson="none"), dict(step=99), dict(step="1"), dict(lesson=None)):
        with pytest.raises(NotYet, match="no such step"):
            asked_of(step.recipe.with_(**few), **wrong)


def test_a_lesson_that_takes_any_shape_is_judged_by_a_drawing_as_by_its_own_data_and_another_is_not():
    rows = torch.rand((300, 2), generator=torch.Generator().manual_seed(0)) * torch.tensor([2.0, 0.02]) - 1
    brought = Brought(data=Dataset("own_line", "Your drawing", "points", rows, bandwidth=0.012))
    lesson = lessons()["noise-becomes-a-trex"]
    assert lesson.drawing
    drawn = lesson.steps[1].recipe.with_(data="own", model="exact", samples=300, steps=20)
    stream = SimpleNamespace(name="film", film=list(denoise(drawn, brought))[-1])
    visitor = SimpleNamespace(data=brought.data, denoiser=None, trace=lambda name: stream)
    asked = {"lesson": lesson.name, "step": 1, "film": "film"}
    assert answer(visitor, "page", asked) == {"own": False, "verdict": None}  # of other steps than the lesson's
    drawn = lesson.steps[1].recipe.with_(data="own", model="exact", samples=300)
    stream.film = list(denoise(drawn, brought))[-1]
    told = answer(visitor, "page", asked)
    assert told["own"] and told["verdict"]["hold"] == told["verdict"]["answer"]["truth"] > 0
    assert lessons()["which-line"].drawing is False


def test_the_slides_of_a_lesson_say_how_far_they_are_and_are_made_once(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    lesson, made = lessons()["one-step-by-hand"], Slides(Foreground())
    *told, (done, path) = made.of(lesson)
    assert [share for share, _ in told] == sorted(share for share, _ in told) and max(told)[0] < done == 1
    assert path.name == "one-step-by-hand-slides.html" and tmp_path in path.parents
    assert lesson.title in path.read_text("utf-8")
    assert [*made.of(lesson)] == [(1.0, path)]
    path.unlink()  # cleared away in time
    assert len([*made.of(lesson)]) > 1
