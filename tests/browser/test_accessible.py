"""The page for who does not see it, or has no mouse: what axe-core looks for, and where the focus is."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from playwright.sync_api import expect

from tests.sweep import few

AXE = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
#: What is seen for the first time, in `fresh`: the whole page, and then what a tab has that none before it had.
NEW = """() => {
    const before = window.looked ?? new Set();
    const seen = new Set([...document.body.querySelectorAll('*')].filter(node => node.checkVisibility()));
    const late = seen.difference(before);
    window.fresh = before.size ? [...late].filter(node => !late.has(node.parentElement)) : document;
    window.looked = before.union(seen);
    return late.size > 0;
}"""
#: What of it is found serious or critical, in words: the rule, the element, and what is wrong with it.
FOUND = """async rules => {
    const options = { resultTypes: ['violations'], ...(rules ? { runOnly: rules } : {}) };
    const { violations } = await axe.run(fresh === document ? document : { include: fresh }, options);
    return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').flatMap(({ id, nodes }) =>
        nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary.slice(-160)}`));
}"""
STAGES = ("denoise", "forward", "lens", "compare", "debug")  # the first shows all that every tab has as well


def checked(page) -> list[str]:
    """What axe finds in what is new, in both themes; in the second, what depends on colours alone."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE)
        page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    assert page.evaluate(NEW)
    found = page.evaluate(FOUND)
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_function("getComputedStyle(document.body).getPropertyValue('--ns-bg').trim() === '#0f1113'")
    found += page.evaluate(FOUND, ["color-contrast"])
    page.evaluate("document.body.classList.remove('dark')")
    return found


@pytest.mark.parametrize("tab", few(STAGES, "denoise", "debug"))
def test_axe_finds_nothing_serious_in_either_theme(at, tab):
    assert checked(at(f"tab={tab}&steps=5&samples=20")) == []


def test_axe_finds_nothing_serious_before_a_training_and_among_the_lessons(at):
    page = at("steps=5&samples=20")
    page.click("button[role=tab]:has-text('Train')")
    page.wait_for_selector("#stage-train .ns-panel")
    assert checked(page) == []
    captions = "[...document.querySelectorAll('#stage-train .ns-panel-caption')]"  # whole, or not seen
    assert page.evaluate(f"{captions}.every(caption => caption.scrollWidth <= caption.clientWidth + 1)")
    page.click("button[role=tab]:has-text('Learn')")
    page.wait_for_selector(".ns-lesson-card")
    assert checked(page) == []


def test_the_playhead_and_the_charts_say_in_words_what_they_show(at):
    page = at("steps=5&samples=20&frame=2")
    expect(page.locator("#stage-denoise .ns-seek")).to_have_attribute(
        "aria-valuetext", re.compile(r"^step 2 / 5.*by variance\.$", re.S))
    chart = page.locator("#stage-denoise .ns-chart canvas").first
    expect(chart).to_have_attribute("aria-label", re.compile(
        "^chart: spread over what theory says.*From t=1 noise to t=0 data: this walk .*(in|out)side the band.*"
        "At the playhead", re.S))
    before = chart.get_attribute("aria-label")
    page.focus("#stage-denoise .ns-seek")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("([node, before]) => node.getAttribute('aria-label') !== before",
                           arg=[chart.element_handle(), before])


def test_the_focus_is_seen_on_whatever_has_it(at):
    page = at("steps=5&samples=20")
    for place in ("#field-steps input", "#field-seed input", ".ns-fold-button", ".ns-play", ".ns-chip", "#denoise",
                  "[data-ns=glossary]"):
        page.locator(place).first.focus()
        page.keyboard.press("Shift")  # the hand is on the keys
        outline = page.evaluate("(({ outlineStyle, outlineWidth }) => [outlineStyle, parseFloat(outlineWidth)])"
                                "(getComputedStyle(document.activeElement))")
        assert outline[0] != "none" and outline[1] >= 2, place
