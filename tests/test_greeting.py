"""What a newcomer is offered leads where it says."""

from __future__ import annotations

from core.debug.cases import CASES
from core.lessons.lesson import lessons
from core.runs.examine import case_of
from dashboard.greeting import WAYS, greeting
from dashboard.tabs.learn import opened


def test_every_link_of_the_greeting_opens_and_debug_shows_a_model_that_is_sick_and_learn_the_first_lesson():
    recipes = {name: opened(query) for _, query, name, _ in WAYS if query}
    assert recipes and not any(complaints for _, complaints in recipes.values())
    assert case_of(recipes["Debug"][0]) in CASES
    assert recipes["Learn"][0] == next(iter(lessons().values())).steps[0].recipe


def test_the_greeting_is_one_sentence_and_says_no_symbol():
    said = greeting()
    assert said.partition("<p>")[2].partition("</p>")[0].count(".") == 1
    assert not set("εσαηᾱ_") & set(said.replace("ns-", ""))
