"""Small things that hands do on the page: Back, Enter, arrow keys, one panel too many; in a real browser."""

from __future__ import annotations

STAGE = "window.Noisescope && Noisescope.stageOf && Noisescope.stageOf('stage-{0}')"


def whole(page, tab: str, condition: str = "true") -> str:
    page.wait_for_function(f"(() => {{ const s = {STAGE.format(tab)}; "
                           f"return s && s.done && s.total > 1 && ({condition}); }})()")
    return page.evaluate(f"{STAGE.format(tab)}.film.id")


def number(page, field: str, value) -> None:
    page.fill(f"#field-{field} input", str(value))
    page.press(f"#field-{field} input", "Enter")


def test_back_goes_to_the_recipe_before_and_forward_to_the_one_after(at):
    page = at("samples=50&steps=10")
    page.wait_for_selector("body.ns-ready")
    whole(page, "denoise")
    number(page, "steps", 20)
    page.wait_for_function("location.search.includes('steps=20')")
    whole(page, "denoise", "s.total === 21")
    page.click(".ns-pick[title='Moons']")
    page.wait_for_function("location.search.includes('data=moons')")
    page.click("button[role=tab]:has-text('Forward')")
    page.wait_for_function("location.search.includes('tab=forward')")
    page.evaluate("history.back()")
    page.wait_for_selector("button[role=tab][aria-selected=true]:has-text('Denoise')")
    page.evaluate("history.back()")
    page.wait_for_function("!location.search.includes('moons')")
    page.wait_for_selector(".ns-pick[aria-checked=true][title='T-Rex']")
    whole(page, "denoise", "s.total === 21")
    page.evaluate("history.back()")
    whole(page, "denoise", "s.total === 11")
    page.wait_for_function("document.querySelector('#field-steps input').value === '10'")
    page.evaluate("history.forward()")
    page.wait_for_function("document.querySelector('#field-steps input').value === '20'")
    whole(page, "denoise", "s.total === 21")
    assert page.query_selector("[data-testid=toast-body]") is None


def test_a_message_stands_there_once_and_goes_when_it_is_true_no_longer(at):
    page = at("samples=50&steps=10")
    standing = "document.querySelectorAll('[data-testid=toast-body]:not([data-ns-gone])')"
    said = f"[...{standing}].map(toast => toast.innerText).join()"
    for value in (99999, 99998, 99999):  # Enter tells it, and leaving the box tells it again
        number(page, "steps", value)
        page.wait_for_function(f"{said}.includes('steps is {value};')")
    page.wait_for_function(f"{said}.split('99999').length === 2 && {said}.split('99998').length === 2")
    page.wait_for_selector("#field-steps input[aria-invalid]")
    number(page, "steps", 12)
    page.wait_for_function("location.search.includes('steps=12')")
    assert page.evaluate(f"{standing}.length") == 0
    page.click(".ns-pick[title='Checkerboard']")
    page.wait_for_function(f"{said}.includes('No trained network is shipped for Checkerboard')")
    page.click(".ns-pick[title='Heart']")
    page.wait_for_function("location.search.includes('data=heart')")
    assert page.evaluate(f"{standing}.length") == 0


def test_enter_beside_a_slider_and_keys_on_it_count_like_a_pointer(at):
    page = at("samples=50&steps=10")
    page.wait_for_selector("body.ns-ready")
    page.fill("#field-eta input[type=number]", "0.5")
    page.press("#field-eta input[type=number]", "Enter")
    page.wait_for_function("location.search.includes('eta=0.5')")
    track, box = (page.locator(f"#field-eta input[type={kind}]").bounding_box() for kind in ("range", "number"))
    assert track["x"] + track["width"] <= box["x"], "the whole track can be reached"
    page.focus("#field-eta input[type=range]")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("location.search.includes('eta=0.51')")


def test_all_data_are_seen_by_kind_and_are_one_stop_of_the_tab_key(at):
    page = at("samples=50&steps=5")
    first = whole(page, "denoise")
    picker = page.locator(".ns-picker")
    assert picker.locator(".ns-kind").all_inner_texts()[-2:] == ["points in the plane", "pictures"]
    assert picker.evaluate("node => node.scrollHeight <= node.clientHeight")
    assert page.locator(".ns-pick").count() >= 32 and page.locator(".ns-pick[tabindex='0']").count() == 1
    page.focus(".ns-pick[title='T-Rex']")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.title") == "Moons" == page.inner_text(".ns-picked")
    page.keyboard.press("Enter")
    page.wait_for_selector(".ns-pick[title='Moons'][tabindex='0']")
    page.wait_for_function("location.search.includes('data=moons')")
    whole(page, "denoise", f"s.film.id !== '{first}'")
    assert page.evaluate("document.activeElement.title") == "Moons"
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.getAttribute('aria-checked')") == "false"


def test_arrow_keys_move_the_playhead_after_a_click_in_the_sidebar(at):
    page = at("samples=50&steps=10&frame=3")
    page.wait_for_selector("body.ns-ready")
    first = whole(page, "denoise")
    page.click(".ns-pick[title='Moons']")
    whole(page, "denoise", f"s.film.id !== '{first}' && !s.playing")
    page.evaluate(f"{STAGE.format('denoise')}.seek(3)")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{STAGE.format('denoise')}.frame === 4")


def test_a_seventh_panel_is_refused_in_words(at):
    page = at("samples=50&steps=10")
    chips = page.locator("#stage-denoise .ns-chip")
    for k in range(chips.count()):
        if page.locator("#stage-denoise .ns-chip[aria-pressed=true]").count() == 6:
            break
        if chips.nth(k).get_attribute("aria-pressed") == "false":
            chips.nth(k).click()
            key = chips.nth(k).get_attribute("data-key")
            page.wait_for_selector(f"#stage-denoise .ns-chip[data-key={key}][aria-pressed=true]")
    page.click("#stage-denoise .ns-chip[aria-pressed=false] >> nth=0")
    assert page.inner_text("#stage-denoise .ns-status") == "6 panels are the most: switch one off first."
    said = page.evaluate("""() => [...document.querySelectorAll('#stage-denoise figcaption')].map(head => {
        const [place, words] = [head, head.lastChild].map(node => node.getBoundingClientRect());
        return words.top >= place.bottom ? 'none' : words.right <= place.right + 1 ? 'whole' : 'cut';
    })""")
    assert len(said) == 6 and "cut" not in said and "whole" in said
    page.click("#stage-denoise .ns-chip[aria-pressed=true] >> nth=0")
    assert page.inner_text("#stage-denoise .ns-status") == ""


def test_pictures_have_panels_of_their_own_for_those_that_only_points_have(at):
    page = at("samples=9&steps=3&panels=x_t,field,paths")
    first = whole(page, "denoise", "s.keys.join() === 'x_t,field,paths'")
    page.click(".ns-pick[title='Digits 8×8']")
    whole(page, "denoise", f"s.film.id !== '{first}' && s.keys.join() === 'x_t,x0,eps'")
    page.wait_for_function("!/field|paths/.test(location.search)")
