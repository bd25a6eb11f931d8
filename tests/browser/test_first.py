"""The first minute of somebody who has never been here, in a real browser."""

from __future__ import annotations

import pytest

STAGE = "window.Noisescope && Noisescope.stageOf && Noisescope.stageOf('stage-{0}')"


@pytest.fixture
def page(open_shared, url):
    """The page as it greets, which the tests of this file share."""
    page = open_shared(url)
    page.wait_for_selector("body.ns-ready")
    page.wait_for_function(f"({STAGE.format('denoise')}).done")
    page.wait_for_selector("#stage-denoise .ns-stage:not(.ns-other)", state="attached")  # the film of now has come
    return page


def test_what_is_folded_opens_by_hand_which_the_browser_remembers_and_by_a_recipe_that_sets_it(page):
    assert page.is_visible("#field-steps") and not page.is_visible("#field-spacing")
    page.click("[data-fold=sampling]")
    page.wait_for_selector("#field-spacing")
    assert page.get_attribute("[data-fold=sampling]", "aria-expanded") == "true"
    assert page.evaluate("localStorage.getItem('noisescope-folds')") == "sampling"
    page.click("[data-fold=sampling]")
    page.wait_for_selector("#field-spacing", state="hidden")
    page.evaluate("history.pushState(null, '', '?time_shift=0.05&steps=5&samples=20'); "
                  "dispatchEvent(new PopStateEvent('popstate'))")
    page.wait_for_selector("#field-time_shift")
    assert not page.is_visible("#field-spacing")
    page.click("[data-fold=interventions]")
    page.wait_for_selector("#field-time_shift", state="hidden")


def test_the_greeting_says_what_this_is_and_its_ways_in_are_one_press_away(page):
    assert "diffusion models" in page.inner_text(".ns-greeting p")
    ways = page.locator(".ns-way b").all_inner_texts()
    assert ways == ["Watch", "Learn", "Debug", "Draw"]
    page.click(".ns-way:has-text('Watch')")
    page.wait_for_function(f"(() => {{ const s = {STAGE.format('denoise')}; return s.playing && s.frame > 1; }})()")
    page.evaluate(f"({STAGE.format('denoise')}).pause()")
    page.click(".ns-way:has-text('Draw')")
    page.wait_for_function("document.activeElement?.classList.contains('ns-pad')")
    box = page.locator("#own-pad .ns-pad").bounding_box()
    assert 0 <= box["y"] and box["y"] + box["height"] <= 850
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 120, steps=5)
    page.mouse.up()
    page.click("#own-pad button:has-text('use the drawing')")
    page.wait_for_function("location.search.includes('data=own')")


def test_all_tabs_are_in_the_bar_wherever_it_stands_beside_the_brand(page):
    wide = page.viewport_size
    try:
        for width in (761, 860, 901):
            page.set_viewport_size({"width": width, "height": 850})
            page.wait_for_function(
                "[...document.querySelectorAll('#tabs [role=tab]')].filter(tab => tab.checkVisibility()).length === 7")
            assert page.evaluate("document.documentElement.scrollWidth") == width
    finally:
        page.set_viewport_size(wide)


def test_at_200_percent_the_panels_begin_in_sight(page):
    wide = page.viewport_size
    page.set_viewport_size({"width": 640, "height": 425})
    try:
        page.wait_for_function(
            "document.querySelector('#stage-denoise .ns-panels').getBoundingClientRect().top < "
            "document.querySelector('.ns-actions.ns-for-denoise').getBoundingClientRect().top - 60")
        assert page.evaluate("document.documentElement.scrollWidth") == 640
    finally:
        page.set_viewport_size(wide)


def test_a_low_window_shows_the_pad_and_keeps_the_bar(page):
    wide = page.viewport_size
    page.set_viewport_size({"width": 1280, "height": 480})
    try:
        page.evaluate("scrollTo(0, 0)")
        page.click(".ns-way:has-text('Draw')")
        page.wait_for_function("document.activeElement?.classList.contains('ns-pad')")
        box = page.locator("#own-pad .ns-pad").bounding_box()
        assert page.evaluate("scrollY") == 0 and 53 <= box["y"] and box["y"] + box["height"] <= 480
    finally:
        page.set_viewport_size(wide)


def test_a_symbol_answers_a_pointer_the_focus_and_a_tap_and_the_glossary_is_a_link_away(page):
    said = page.locator(".ns-answer-box")
    page.hover("#stage-denoise .ns-panel[data-key=x0] .ns-panel-title")
    said.filter(has_text="what the model takes the data to be").wait_for()
    page.mouse.move(5, 5)
    said.wait_for(state="detached")
    page.click("#stage-denoise .ns-formula .ns-term:has-text('ε')")
    said.filter(has_text="guessed noise").wait_for()
    page.keyboard.press("Escape")
    said.wait_for(state="detached")
    page.keyboard.press("Shift+Tab")  # to the symbol before it
    said.filter(has_text="noise put back").wait_for()
    page.keyboard.press("Escape")
    page.evaluate("location.hash = '#word-eta'")
    page.locator("dialog.ns-glossary[open] #word-eta").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("location.hash === '' && !document.querySelector('.ns-glossary')")


def test_a_label_of_the_recipe_answers_a_pointer_a_press_and_the_focus_of_what_it_labels(page):
    said, label = page.locator(".ns-answer-box"), page.locator("#field-eta [data-testid=block-info]")
    label.hover()
    said.filter(has_text="Fresh noise in each DDIM step").wait_for()
    assert page.get_attribute("#field-eta", "title") is None  # it is not said twice
    page.mouse.move(5, 5)
    said.wait_for(state="detached")
    label.click()
    said.filter(has_text="SDE or ODE").wait_for()  # with the lesson that explains it
    page.keyboard.press("Escape")
    said.wait_for(state="detached")
    page.focus("#field-steps input")
    page.keyboard.press("Tab")
    said.filter(has_text="Fresh noise in each DDIM step").wait_for()
    row, box = page.locator("#field-eta").bounding_box(), said.bounding_box()
    assert box["x"] >= row["x"] + row["width"]  # what is turned stays in sight
    assert page.evaluate("document.activeElement.getAttribute('aria-description')").startswith("Fresh noise")
    page.keyboard.press("Escape")
    said.wait_for(state="detached")


def test_a_way_in_goes_there_without_opening_the_page_anew_and_back_leads_out_of_it(page):
    page.evaluate("window.same = true")
    page.click(".ns-way:has-text('Learn')")
    page.wait_for_selector(".ns-lesson[data-step='1']")  # of the first lesson
    assert not page.is_visible(".ns-greeting")
    page.click("[data-name='list']")
    page.wait_for_selector("button[role=tab][aria-selected=true]:has-text('Learn')")
    page.wait_for_selector(".ns-lesson-card")
    page.evaluate("history.go(-2)")
    page.wait_for_selector("button[role=tab][aria-selected=true]:has-text('Denoise')")
    assert page.evaluate("window.same")


def test_the_greeting_goes_when_it_is_sent_away_and_stays_away(page):
    page.wait_for_selector(".ns-greeting")
    page.click(".ns-greeted")
    page.wait_for_selector(".ns-greeting", state="hidden")
    assert page.evaluate("localStorage.getItem('noisescope-greeted')")
