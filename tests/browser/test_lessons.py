"""Lessons in a real browser, each taken to its end: by a guess at random, and by what came of it."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import Page, expect

from core.lessons.lesson import Lesson, lessons

NAME = "one-jump"  #: choices and a number are asked for, and a run holds the playhead
#: All of them take minutes: `make lessons`. One shows that the page does what a lesson needs.
TAKEN = lessons() if os.environ.get("NOISESCOPE_LESSONS") == "all" else {NAME: lessons()[NAME]}
STRIP = ".ns-lesson[data-step='{}']"
#: How the controls of the recipe stand.
SET = "[...document.querySelectorAll('#recipe input')].map(input => `${input.value} ${input.checked}`).join()"
CARD = ".ns-lesson-card:has(b:text-is('{}'))"


@pytest.fixture
def page(at) -> Page:
    """The page with the list of lessons in front."""
    page = at("samples=50&steps=5")
    page.evaluate("localStorage.removeItem('noisescope-lessons')")  # a test before may have been left in the middle
    page.click("button[role=tab]:has-text('Learn')")
    page.wait_for_selector(".ns-lesson-card")
    return page


def guess(page: Page, lesson: Lesson, number: int, choice: int) -> None:
    """Answer a question by this choice, or by whatever its kind takes."""
    question = lesson.steps[number].question
    if question.kind == "choices":
        page.click(f"[data-name='choice-{choice}']")
        return
    if question.kind == "playhead":
        tab = lesson.steps[number].recipe.tab
        page.wait_for_function(f"(() => {{ const s = Noisescope.stageOf('stage-{tab}'); return s && s.done; }})()")
    for name in {"number": ["number"], "place": ["x", "y"]}.get(question.kind, ()):
        page.fill(f"[data-name='{name}']", "0.25")
    page.click("[data-name='give']")


def outcome(page: Page) -> int | None:
    """Which choice holds in this run, when that is said."""
    page.wait_for_selector(".ns-lesson .ns-holds")
    holds = page.locator(".ns-outcomes li").evaluate_all("all => all.findIndex(li => li.matches('.ns-holds'))")
    return holds if holds >= 0 else None


def take(page: Page, lesson: Lesson, answers: dict[int, int], steps: int) -> dict[int, int]:
    """Take so many steps of a lesson with these answers to its questions, by step; gives what came out."""
    found = {}
    page.click(CARD.format(lesson.title))
    for number, step in enumerate(lesson.steps[:steps]):
        page.wait_for_selector(STRIP.format(number + 1))
        expect(page.locator(".ns-lesson [aria-current=step]")).to_have_count(1)
        if step.kind == "guess":
            guess(page, lesson, number, answers.get(number, 0))
            at = number
        if step.kind == "run":
            if step.press:
                page.click("[data-name='press']")
            right = outcome(page)
            if right is not None:
                found[at] = right
                said = "You guessed right." if right == answers.get(at, 0) else "It came out otherwise."
                expect(page.locator(".ns-lesson-label").first).to_have_text(said)
                expect(page.locator(".ns-outcomes .ns-mine")).to_contain_text("your guess")
            assert "…" not in page.inner_text(".ns-lesson-headline")
            if step.hold is not None:  # it played to its end, and stands where the answer is seen
                page.wait_for_function(f"(() => {{ const s = Noisescope.stageOf('stage-{step.recipe.tab}'); "
                                       "return s.frame < s.total - 1; })()")
        if step.kind == "saw":
            guess(page, lesson, number, answers.get(number, 0))
            right = outcome(page)
            if right is not None:
                found[number] = right
                said = "That is what is there." if right == answers.get(number, 0) else "Look again:"
                expect(page.locator(".ns-lesson-label").first).to_have_text(said)
        if step.kind == "explain":
            expect(page.locator(".ns-lesson-words")).not_to_contain_text("…")
        if step.kind == "mend":
            if step.recipe.tab == "train" and page.is_visible("#reset"):  # that of the time before
                page.click("#reset")
            expect(page.locator(".ns-lesson-state")).to_have_text("The page says when it is mended.")
            met = page.evaluate(f"JSON.parse(localStorage['noisescope-lessons'])['{lesson.name}'].met")
            assert not met  # by the film of the step before, which may meet the goal
            before = page.evaluate(SET)
            page.click("[data-name='solve']")
            if step.recipe.tab == "train":
                page.wait_for_function(f"before => {SET} !== before", arg=before)  # else the recipe before is trained
                page.click("#train")
            expect(page.locator(".ns-lesson-state")).to_have_text("✓ Mended.")
        if number + 1 < steps:
            page.click("[data-name='next']")
    return found


@pytest.mark.parametrize("name", TAKEN)
def test_a_lesson_is_taken_to_its_end_and_again_to_its_last_question_with_wrong_guesses_for_right_ones(page, name):
    lesson = lessons()[name]
    right = take(page, lesson, {}, len(lesson.steps))  # the first choice each time, which is right or wrong
    page.click("[data-name='index']")
    expect(page.locator("li.ns-done " + CARD.format(lesson.title))).to_have_count(1)
    other = {number: choice or 1 for number, choice in right.items()}  # and then the other way
    asked = 1 + max(number for number, step in enumerate(lesson.steps) if step.kind in ("run", "saw"))
    assert take(page, lesson, other, asked) == right
    page.click("[data-name='list']")


def test_a_lesson_can_be_left_and_taken_up_again_and_a_link_opens_any_step(page):
    card = CARD.format(lessons()["why-noise"].title)
    page.click(card)
    page.click("[data-name='choice-0']")
    page.click("[data-name='next']")
    page.wait_for_selector(STRIP.format(2))
    page.wait_for_function("/step=2/.test(location.search) && !/data=/.test(location.search)")  # it says no more
    page.click("[data-name='leave']")
    page.wait_for_selector(".ns-lesson", state="hidden")
    page.wait_for_function("!/lesson/.test(location.search) && /data=|tab=compare/.test(location.search)")
    page.evaluate("history.back()")
    page.wait_for_selector(STRIP.format(2))
    page.click("[data-name='list']")
    expect(page.locator(f"li.ns-begun {card} .ns-lesson-said")).to_contain_text("step 2 of")
    page.click(card)
    page.wait_for_selector(STRIP.format(2))
    expect(page.locator(".ns-outcomes .ns-mine")).to_contain_text("your guess")


def test_a_lesson_is_taken_with_a_drawing_and_again_without(page):
    page.click(CARD.format(lessons()["noise-becomes-a-trex"].title))
    page.wait_for_selector(STRIP.format(1))
    page.click("[data-name='draw']")
    page.wait_for_function("document.activeElement?.classList.contains('ns-pad')")
    box = page.locator("#own-pad .ns-pad").bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 60, steps=5)
    page.mouse.up()
    page.click("#own-pad button:has-text('use the drawing')")
    page.wait_for_selector("[data-name='undrawn']")
    page.wait_for_function("location.search.includes('data=own')")
    page.click("[data-name='next']")
    page.wait_for_selector(STRIP.format(2))
    page.wait_for_function("/step=2/.test(location.search) && /data=own/.test(location.search)")
    page.click("[data-name='enough']")
    page.wait_for_selector(".ns-lesson .ns-holds")
    seen = float(page.inner_text(".ns-outcome-line.ns-holds button").removeprefix("t = "))
    at = "(() => { const s = Noisescope.stageOf('stage-denoise'); return s.film.numbers.t[s.frame]; })()"
    page.wait_for_function(f"Math.abs({at} - {seen}) < 0.01")
    page.click("[data-name='step-6']")  # to train it: of the drawing as well
    page.wait_for_function("/step=7/.test(location.search) && /data=own/.test(location.search)")
    page.click("[data-name='undrawn']")
    page.wait_for_selector("[data-name='draw']")
    page.wait_for_function("!/data=own/.test(location.search)")
    page.click("[data-name='list']")


def test_a_number_that_is_typed_and_not_given_yet_outlives_whatever_is_drawn_anew(page):
    page.click(CARD.format(lessons()["one-step-by-hand"].title))
    page.wait_for_selector(STRIP.format(1))
    page.fill("[data-name='x']", "0.25")
    page.evaluate("history.replaceState(null, '', location.search + '&present='); "
                  "dispatchEvent(new PopStateEvent('popstate'))")
    page.wait_for_selector("body.ns-present")
    assert page.input_value("[data-name='x']") == "0.25"
    assert page.input_value("[data-name='y']") == ""
    page.evaluate("history.replaceState(null, '', location.search.replace('&present=', '')); "
                  "dispatchEvent(new PopStateEvent('popstate'))")
    page.wait_for_selector("body:not(.ns-present)")
    page.click("[data-name='list']")
