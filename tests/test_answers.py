"""What answers set and what hands turn meanwhile."""

from __future__ import annotations

import gradio as gr
import pytest

from core.recipe.recipe import DEFAULTS
from dashboard.sidebar.answers import REMEMBERED, Answers
from dashboard.sidebar.controls import build_controls

STOOD = {"data": "trex", "model": "pretrained", "steps": 100}


@pytest.fixture
def answers():
    """The first change of a page was answered with other data, and with them another model and 1 step."""
    answers = Answers()
    answers.give("page", 1, STOOD, {"data": "moons", "model": "exact", "steps": 1})
    return answers


def test_a_change_made_before_the_answer_was_heard_is_made_to_what_the_answer_set(answers):
    meant, coming = answers.merged("page", 0, STOOD)
    assert meant == coming == {"data": "moons", "model": "exact", "steps": 1}


def test_what_a_hand_has_turned_meanwhile_is_meant_though_the_answer_will_overwrite_it(answers):
    meant, coming = answers.merged("page", 0, STOOD | {"steps": 20})
    assert meant == {"data": "moons", "model": "exact", "steps": 20} and coming["steps"] == 1


def test_after_the_answer_was_heard_the_page_knows_best(answers):
    back = STOOD | {"data": "moons"}
    assert answers.merged("page", 1, back) == (back, back)
    assert answers.merged("other", 0, STOOD) == (STOOD, STOOD)
    answers.forget("page")
    assert answers.merged("page", 0, STOOD) == (STOOD, STOOD)


def test_several_answers_on_their_way_come_one_after_the_other(answers):
    answers.give("page", 2, STOOD, {"model": "linear"})
    answers.give("page", 3, STOOD | {"steps": 7}, {"steps": 7})
    meant, coming = answers.merged("page", 0, STOOD | {"steps": 7})
    assert meant == coming == {"data": "moons", "model": "linear", "steps": 7}


def test_only_the_last_answers_are_remembered(answers):
    for number in range(2, REMEMBERED + 2):
        answers.give("page", number, STOOD, {"steps": number})
    assert answers.merged("page", 0, STOOD)[0] == STOOD | {"steps": REMEMBERED + 1}


def test_an_answer_sets_only_what_does_not_stand_there_anyhow():
    with gr.Blocks():
        controls = build_controls()
    fields, note = controls.fields, object()
    stood = {name: DEFAULTS[name] for name in fields} | {"steps": 20}
    news = controls.news({fields["steps"]: 20, fields["eta"]: 0.5, note: "said", fields["sampler"]: "ddim",
                          fields["model"]: gr.update(choices=["a"], value="pretrained"),
                          fields["label"]: gr.update(choices=["b"], value="3")}, stood)
    assert news[fields["eta"]] == 0.5 and news[note] == "said"
    assert fields["steps"] not in news and fields["sampler"] not in news
    assert news[fields["model"]]["choices"] == ["a"] and "value" not in news[fields["model"]]
    assert news[fields["label"]]["value"] == "3"
    assert controls.named(news) == {"eta": 0.5, "label": "3"}
