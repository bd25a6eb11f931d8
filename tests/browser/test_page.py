"""The whole page in a real browser, used as a visitor would use it."""

from __future__ import annotations

import io
import threading
import zipfile
from urllib.parse import parse_qsl

import pytest
from PIL import Image

from core.drawing.export import read_recipe
from dashboard.stage.stream import play
from dashboard.tabs import stages

STAGE = "window.Noisescope && Noisescope.stageOf && Noisescope.stageOf('stage-{0}')"

#: Another film than that of this id is there, whole.
OTHER = "s.film && s.film.id !== '{}' && s.film.total > 1 && s.film.ready === s.film.total"

#: Keeps the words of every message that comes up, also of those that go by themselves.
TOASTS = """
    window.toasts = [];
    new MutationObserver(changes => changes.forEach(change => change.addedNodes.forEach(node => {
        const toast = node.querySelector && (node.closest('[data-testid=toast-body]')
                                             || node.querySelector('[data-testid=toast-body]'));
        if (toast) toasts.push(toast.innerText);
    }))).observe(document, { childList: true, subtree: true });
"""


#: Adds up how much the page moves by itself (web.dev/cls): a share of the window, times how far.
SHIFTS = """
    window.shifts = 0;
    new PerformanceObserver(list => list.getEntries().forEach(({ value, hadRecentInput }) => {
        if (!hadRecentInput) shifts += value;
    })).observe({ type: 'layout-shift', buffered: true });
"""


def stage(page, tab: str) -> dict:
    return page.evaluate(f"(() => {{ const s = {STAGE.format(tab)}; "
                         "return { frame: s.frame, frames: s.frames, total: s.total, playing: s.playing, keys: s.keys, "
                         "film: s.film && s.film.id }; })()")


def wait(page, tab: str, condition: str) -> dict:
    """Until `condition` on the stage `s` holds; the stage then."""
    page.wait_for_function(f"(() => {{ const s = {STAGE.format(tab)}; return s && ({condition}); }})()")
    return stage(page, tab)


def whole(page, tab: str) -> dict:
    return wait(page, tab, "s.film && s.film.total > 1 && s.film.ready === s.film.total")


def go(page, title: str) -> None:
    page.click(f"button[role=tab]:has-text('{title}')")


def toast(page, words: str) -> str:
    """What a message says that has these words in it; one of before may still stand there."""
    return page.wait_for_selector(f"[data-testid=toast-body]:has-text('{words}')").inner_text()


def choose(page, field: str, words: str) -> None:
    page.click(f"#field-{field} input")
    page.click(f"ul[role=listbox] li:has-text('{words}')")


def offered(page, field: str) -> list[str]:
    """What the menu of a field offers."""
    page.click(f"#field-{field} input")
    listed = page.wait_for_function("(list => list.length && list)([...document.querySelectorAll("
                                    "'ul[role=listbox] li')].map(item => item.innerText))")  # at one moment
    words = [item.strip().removeprefix("✓").strip() for item in listed.json_value()]
    page.locator(f"#field-{field} input").blur()
    return words


def number(page, field: str, value) -> None:
    page.fill(f"#field-{field} input", str(value))
    page.press(f"#field-{field} input", "Enter")


def text(page, selector: str) -> str:
    return page.inner_text(selector)


def says(page, selector: str, words: str) -> None:
    """Until these words are there."""
    page.locator(selector).filter(has_text=words).wait_for()


def holds(page, field: str, value: str) -> None:
    """Until a field has this value."""
    page.wait_for_function("([at, value]) => document.querySelector(at)?.value === value",
                           arg=[f"#field-{field} input", value])


def chips(page, tab: str, *titles: str) -> None:
    """Until these are the first chips of a stage: they are made anew after its film has come."""
    page.wait_for_function("([tab, titles]) => titles.every((title, k) => document.querySelectorAll("
                           "`#stage-${tab} .ns-chip`)[k]?.innerText === title)", arg=[tab, titles])


def asks(page, words: str) -> None:
    """Until the address has these words in it."""
    page.wait_for_function("words => location.search.includes(words)", arg=words)


def test_the_page_greets_with_a_trace_that_plays_and_stands_still_and_who_comes_back_can_start_all_on_a_phone(
        open_page, url):
    page = open_page(url, before=SHIFTS + TOASTS, reduced_motion="no-preference")
    wait(page, "denoise", "s.playing && s.frame > 2")
    page.wait_for_selector("body.ns-ready")
    assert page.evaluate("shifts") < 0.05
    assert stage(page, "denoise")["keys"] == ["x_t", "x0", "field", "paths"]
    says(page, "#stage-denoise .ns-sentence", "1,000 points")
    assert page.evaluate("toasts") == []

    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{url}?tab=compare&variants=steps:20&steps=10&samples=50", wait_until="domcontentloaded")
    page.wait_for_selector("body.ns-ready")
    whole(page, "compare")
    assert page.get_attribute("button[role=tab]:has-text('Compare')", "aria-selected") == "true"
    starts = {"Forward": "#dissolve", "Noise lens": "#look", "Train": "#train", "Denoise": "#denoise"}
    for title, button in starts.items():
        go(page, title)
        page.wait_for_selector(f"{button}:visible")
        page.wait_for_function(f"""(() => {{
            const {{ top, bottom, height }} = document.querySelector('{button}').getBoundingClientRect();
            return height && 0 <= top && bottom <= 844;
        }})()""")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, title
    page.click(".ns-recipe-button")
    page.wait_for_selector("#field-seed")
    number(page, "seed", 5)  # once this is answered, so is all from before
    asks(page, "seed=5")
    assert page.evaluate("toasts") == []


def test_a_change_of_the_recipe_makes_another_film_and_another_address(at):
    page = at("samples=50&steps=10")
    first = whole(page, "denoise")["film"]
    choose(page, "sampler", "DDPM")
    number(page, "steps", 20)
    wait(page, "denoise", OTHER.format(first) + " && s.film.total === 21")
    page.wait_for_function("location.search.includes('sampler=ddpm') && location.search.includes('steps=20')")
    assert stage(page, "denoise")["total"] == 21


def test_a_link_opens_the_same_recipe_panels_and_playhead_and_what_it_asks_for_in_vain_is_named_and_replaced(
        open_page, url):
    page = open_page(url, query="data=soccer_ball&model=exact&schedule=drawn:0,8;0.5,0;1,-9&sampler=heun&samples=50"
                                "&seed=5&panels=x_t,eps,hidden&frame=17&steps=5000&thresholding=magic&colour=red")
    said = toast(page, "steps = 5000")
    assert "magic" in said and "colour" in said
    toast(page, "No panel hidden here")
    now = whole(page, "denoise")
    assert (now["total"], now["keys"], now["frame"], now["playing"]) == (101, ["x_t", "eps"], 17, False)
    asks(page, "panels=x_t,eps")
    page.wait_for_function("!/hidden|5000|magic|red/.test(location.search)")
    holds(page, "seed", "5")
    holds(page, "sampler", "Heun")
    assert page.input_value("#field-schedule select") == "drawn" and page.locator(".ns-knot").count() == 3
    page.wait_for_function("""() => {
        const [picker, chosen] = ['.ns-picker', '.ns-pick[aria-checked=true][title="Soccer ball"]'].map(
            at => document.querySelector(at)?.getBoundingClientRect());
        return chosen && picker.top <= chosen.top && chosen.bottom <= picker.bottom;
    }""")


def knot(page, i: int) -> tuple[float, float]:
    """Where the i-th knot of the drawn schedule is on the screen."""
    box = page.locator(".ns-knot").nth(i).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, i: int, dx: float, dy: float) -> None:
    x, y = knot(page, i)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=6)
    page.mouse.up()


def drawn(page) -> list[tuple[float, float]]:
    """The knots in the address."""
    text = page.evaluate("new URLSearchParams(location.search).get('schedule')")
    return [tuple(map(float, pair.split(","))) for pair in text.removeprefix("drawn:").split(";")]


def films_log_snr(page, t: float) -> float:
    """What the film on Forward's stage says of the log-SNR at this time."""
    return page.evaluate(f"""(() => {{
        const {{ t, log_snr }} = {STAGE.format('forward')}.film.numbers, i = t.findIndex(time => time >= {t} - 1e-9);
        const share = ({t} - t[i - 1]) / (t[i] - t[i - 1]);
        return share === 1 ? log_snr[i] : log_snr[i - 1] + share * (log_snr[i] - log_snr[i - 1]);
    }})()""")


def test_a_schedule_is_drawn_by_dragging_knots_and_its_link_brings_it_back(at):
    page = at("tab=forward&samples=50")
    first = whole(page, "forward")["film"]
    assert not page.is_visible(".ns-knots-plot")
    page.select_option("#field-schedule select", "drawn")
    asks(page, "schedule=drawn:0,8;0.5,0;1,-9")
    second = wait(page, "forward", OTHER.format(first))["film"]
    drag(page, 1, -50, -20)
    page.wait_for_function("!location.search.includes(';0.5,0;')")
    third = wait(page, "forward", OTHER.format(second))["film"]
    (_, high), (t, level), (_, low) = drawn(page)
    assert 0.2 < t < 0.35 and 3 < level < 5 and (high, low) == (8, -9)
    assert films_log_snr(page, 0.01) == pytest.approx(high + 0.01 / t * (level - high), abs=0.01)
    assert films_log_snr(page, round(t, 2)) == pytest.approx(level, abs=0.2)
    drag(page, 2, 0, -45)  # up to where signal is left at the end
    wait(page, "forward", OTHER.format(third))
    says(page, "#stage-forward .ns-figures", "! terminal SNR is")
    kept, link = drawn(page), page.evaluate("location.search.slice(1)")
    assert films_log_snr(page, 1) == pytest.approx(kept[2][1], abs=1e-3)
    at("tab=forward&samples=50")
    page.wait_for_selector(".ns-knots-plot", state="hidden")
    at(link)
    assert drawn(page) == kept and page.input_value("#field-schedule select") == "drawn"
    page.wait_for_function("document.querySelectorAll('.ns-knot').length === 3")
    assert films_log_snr(page, 1) == pytest.approx(kept[2][1], abs=1e-3)


def test_knots_are_added_removed_and_moved_by_keys_and_never_pass_their_neighbours(at):
    page = at("samples=50&steps=5&schedule=drawn:0,8;0.5,0;1,-9")
    page.wait_for_function("document.querySelectorAll('.ns-knot').length === 3")
    page.locator(".ns-knots-plot").scroll_into_view_if_needed()
    drag(page, 1, 125, 10)  # past the last one
    asks(page, ";0.99,")
    drag(page, 1, -60, 0)
    page.wait_for_function("!location.search.includes(';0.99,')")
    box = page.locator(".ns-knots-plot").bounding_box()
    page.mouse.dblclick(box["x"] + 0.2 * box["width"], box["y"] + 1)
    page.wait_for_function("location.search.split(';').length === 4")
    (_, first), (t, level), *_ = drawn(page)
    assert t == pytest.approx(0.2, abs=0.01) and level == pytest.approx(first - 0.05)
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    wanted = [round(t + 0.01, 3), round(level - 0.5, 2)]
    page.wait_for_function(f"location.search.includes(';{wanted[0]:g},{wanted[1]:g};')")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "knot 2 of 4"
    page.keyboard.press("Delete")
    page.wait_for_function("location.search.split(';').length === 3")
    drag(page, 1, 0, 200)  # far out of the field
    page.wait_for_function("location.search.split(';').length === 2")
    page.locator(".ns-knot").first.focus()
    page.keyboard.press("Delete")
    drag(page, 1, 0, 200)
    assert page.locator(".ns-knot").count() == 2, "the ends stay"
    asks(page, ";1,-12")
    whole(page, "denoise")
    page.select_option("#field-schedule select", "flow")
    asks(page, "schedule=flow")
    page.wait_for_selector(".ns-knots-plot", state="hidden")


def test_no_steps_are_refused_in_words_and_marked_until_they_are_right_and_the_film_stays(at):
    page = at("samples=50&steps=10")
    before = whole(page, "denoise")["film"]
    number(page, "steps", 0)
    toast(page, "steps is 0; it can be 1…1000")
    assert stage(page, "denoise")["film"] == before
    page.wait_for_selector("#field-steps input[aria-invalid=true]")
    number(page, "seed", 5)  # all is refused as long as one value is
    number(page, "steps", 12)
    asks(page, "steps=12&samples=50&seed=5")
    page.wait_for_selector("#recipe [aria-invalid]", state="detached")


def test_each_tab_answers_its_question_at_once(at):
    page = at("samples=50&steps=10")
    whole(page, "denoise")
    go(page, "Forward")
    assert whole(page, "forward")["total"] == 101
    says(page, "#stage-forward .ns-sentence", "times the data plus")
    go(page, "Noise lens")
    whole(page, "lens")
    says(page, "#stage-lens .ns-sentence", "explains")
    asks(page, "tab=lens")


def test_the_lens_shows_the_exact_denoiser_at_its_own_floor(at):
    page = at("model=exact&tab=lens&data=gaussians8&samples=50")
    whole(page, "lens")
    numbers = page.evaluate(f"(() => {{ const n = {STAGE.format('lens')}.film.numbers; "
                            "return [n.mse, n.floor, n.excess].map(a => [...a]); })()")
    assert numbers[0] == numbers[1] and max(numbers[2]) < 1e-9
    assert 0 < min(numbers[1]) and max(numbers[1]) <= 1.2


def open_export(page) -> None:
    """Open what makes a file of the film, if it is not."""
    if not page.is_visible("#stage-denoise .ns-popover"):
        page.click("#stage-denoise .ns-export > button")


def test_an_exported_gif_is_the_film_on_the_stage_and_knows_its_recipe(at, tmp_path):
    page = at("samples=50&steps=12&seed=3")
    whole(page, "denoise")
    open_export(page)
    with page.expect_download() as download:
        page.click("#stage-denoise .ns-popover .ns-primary")
    path = tmp_path / "film.gif"
    download.value.save_as(path)
    with Image.open(path) as gif:
        assert gif.n_frames == 13
    made_from = read_recipe(path)
    assert (made_from["data"], made_from["seed"], made_from["steps"]) == ("trex", 3, 12)
    page.select_option("#stage-denoise .ns-popover select >> nth=0", "html")
    with page.expect_download() as download:  # at once, while it is still asked what it will weigh
        page.click("#stage-denoise .ns-popover .ns-primary")
    download.value.save_as(tmp_path / "film.html")
    assert read_recipe(tmp_path / "film.html") == made_from


def test_a_film_that_is_still_made_is_exported_when_it_is_whole(at, tmp_path, monkeypatch):
    page, go_on = at("samples=50&steps=10"), threading.Event()

    def held(*given):
        for value in play(*given):
            yield value
            assert go_on.wait(600)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(stages, "play", held)
            number(page, "steps", 12)
            wait(page, "denoise", "s.total === 13 && s.frames && !s.done")
            open_export(page)
            page.select_option("#stage-denoise .ns-popover select >> nth=0", "gif")
            with page.expect_download() as download:
                page.click("#stage-denoise .ns-popover .ns-primary")
                says(page, "#stage-denoise .ns-popover", "as soon as the film is whole …")
                go_on.set()
    finally:
        go_on.set()
    download.value.save_as(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 13


def test_a_training_shows_itself_pauses_outlives_a_reload_goes_on_and_leaves_a_model(open_page, url):
    page = open_page(url, query="tab=train&data=gaussians8&train_steps=100000&samples=50&steps=10")  # it never ends
    wait(page, "train", "s.frames === 1 && s.total === 1")
    says(page, "#stage-train", "Not trained yet: this is what the network makes of noise.")
    page.click("#stage-train .ns-guess button:has-text('draw your guess')")
    page.wait_for_function("document.activeElement?.classList.contains('ns-drawn-on')")
    box = page.locator("#stage-train .ns-drawn-on").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 10, box["y"] + 90, steps=4)
    page.mouse.up()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")  # what a hand can draw, keys can change
    page.click("#stage-train .ns-guess button:has-text('done')")
    says(page, "#stage-train .ns-guess", "Drawn. Train, and see.")
    page.click("#train")
    wait(page, "train", "s.frames > 2")
    says(page, "#stage-train", "steps of training the same noise becomes this")
    page.wait_for_function("/At step [\\d,]+ you drew [\\d.]+, it is [\\d.]+/.test("
                           "document.querySelector('#stage-train .ns-guess').innerText)")
    page.click("#pause")
    page.wait_for_selector("#resume:visible")
    page.wait_for_function("document.querySelector('#training-status').innerText.includes('paused')")
    paused = text(page, "#training-status")
    go(page, "Forward")  # while it rests, the page answers everything else
    whole(page, "forward")
    go(page, "Train")
    page.wait_for_selector("#resume:visible")
    assert text(page, "#training-status") == paused
    page.reload(wait_until="domcontentloaded")
    page.wait_for_selector("#resume:visible")
    frames = wait(page, "train", "s.frames > 1")["frames"]
    assert text(page, "#training-status") == paused
    page.click("#resume")
    wait(page, "train", f"s.frames > {frames} && s.film.charts.length === 2")
    page.click("#stop")
    says(page, "#training-status", "stopped")
    go(page, "Denoise")
    whole(page, "denoise")
    holds(page, "model", "my training")
    go(page, "Train")
    page.click("#reset")
    page.wait_for_function("document.querySelector('#training-status').innerText.trim() === ''")


@pytest.fixture(scope="module")
def trained(open_shared, url):
    """A page with a training of 60 steps. Train was pressed as soon as it could be: it waits until the recipe of the
    link is in place."""
    page = open_shared(url, query="tab=train&train_steps=60&samples=50&steps=10")
    page.wait_for_selector("#train").click()
    wait(page, "clocks", "s.total === 6 && s.frames === 6 && s.keys.length === 6")
    says(page, "#training-status", "60 of 60")
    page.wait_for_selector("#reset:visible")
    return page


def test_two_visitors_see_only_their_own_things(trained, at):
    mine, yours = trained, at("samples=50&steps=10")
    go(yours, "Train")
    wait(yours, "train", "s.frames === 1 && s.total === 1")  # what is not trained yet
    assert not yours.is_visible("#pause") and yours.query_selector(".ns-training") is None
    yours.click(".ns-pick[title='Moons']")
    yours.wait_for_function("location.search.includes('data=moons')")
    assert "moons" not in mine.url
    for page, there in ((mine, True), (yours, False)):
        go(page, "Denoise")
        page.wait_for_function("!location.search.includes('tab=')")  # the answer has come, and with it what is offered
        whole(page, "denoise")
        if there:
            holds(page, "model", "my training")
        assert ("my training" in offered(page, "model")) == there


def test_what_another_recipe_made_is_never_shown_as_if_it_were_of_this_one(trained, url):
    """Another data set leaves a training as it is, under its own name; so does a link opened beside it."""
    page, made = trained, "#stage-train .ns-made"
    go(page, "Train")
    assert "T-Rex" in page.inner_text("#training-status") and not page.is_visible(made)
    page.click(".ns-pick[title='Moons']")
    page.wait_for_selector(f"{made}:text-is('Made with T-Rex. The recipe now says Moons. Press Train for that.')")
    page.wait_for_selector("#stage-clocks .ns-made")
    page.click(".ns-pick[title='T-Rex']")
    page.wait_for_selector(made, state="hidden")
    number(page, "train_steps", 50)
    page.wait_for_selector(f"{made}:text-is('Made with steps 60. The recipe now says steps 50. Press Train for that.')")
    asks(page, "train_steps=50")
    beside = page.context.new_page()
    beside.goto(f"{url}?tab=train&train_steps=60&data=digits8&samples=4&steps=2&__theme=light",
                wait_until="domcontentloaded")
    beside.wait_for_selector(made)
    assert "Made with T-Rex" in beside.inner_text(made) and "digits" in beside.inner_text(made).lower()
    assert "T-Rex" in beside.inner_text("#training-status")
    go(beside, "Denoise")
    whole(beside, "denoise")
    beside.wait_for_selector("#stage-denoise .ns-made", state="hidden")
    beside.close()


def open_own(page) -> None:
    """Open “your own data”, if it is not."""
    if not page.is_visible("#own-file"):
        page.click(".ns-own button")


def bring(page, file) -> None:
    with page.expect_file_chooser() as chooser:
        page.click("#own-file")
    chooser.value.set_files(file)


def test_points_of_ones_own_come_from_a_csv_and_what_is_none_is_refused(at):
    page = at("samples=50&steps=10")
    first = whole(page, "denoise")["film"]
    open_own(page)
    rows = "\n".join(f"{i % 7},{i % 5}" for i in range(40))
    bring(page, {"name": "p.csv", "mimeType": "text/csv", "buffer": f"x,y\n{rows}".encode()})
    wait(page, "denoise", OTHER.format(first))
    page.wait_for_selector("#own-note strong:text-is('p: 40 points')")
    bring(page, {"name": "x.zip", "mimeType": "application/zip", "buffer": b"no zip at all"})
    toast(page, "zip")


def test_what_was_understood_of_a_table_is_shown_its_columns_can_be_chosen_and_it_can_be_selected_again(at):
    page = at("samples=50&steps=10")
    first = whole(page, "denoise")["film"]
    open_own(page)
    rows = "\n".join(f"{k};{k % 7},5;{k % 5},25;{'ab'[k % 2]}" for k in range(40))
    bring(page, {"name": "p.csv", "mimeType": "text/csv", "buffer": f"t;<i>u;v;kind\n{rows}".encode("utf-16")})
    page.wait_for_selector("#own-note :text('which are x and y?')")
    assert stage(page, "denoise")["film"] == first  # nothing is guessed: what was shown stays
    for menu, words in (("x", "u"), ("y", "v")):
        page.click(f"#own-{menu} input")
        page.click(f"ul[role=listbox] li:has-text('{words}')")
    second = wait(page, "denoise", OTHER.format(first))["film"]
    page.wait_for_selector("#own-note dd:text-is('v, 0.25 to 4.25')")
    assert text(page, "#own-note strong") == "p: 40 points"
    terms, words = (page.locator(f"#own-note {tag}").all_inner_texts() for tag in ("dt", "dd"))
    assert dict(zip(terms, words)) == {"x": "<i>u, 0.5 to 6.5", "y": "v, 0.25 to 4.25", "not used": "t, kind",
                                       "text": "UTF-16", "cells": "parted by semicolons",
                                       "numbers": "with a decimal comma", "header": "line 1"}  # fmt: skip
    page.click("#own-labels input")
    page.click("ul[role=listbox] li:has-text('kind')")
    wait(page, "denoise", OTHER.format(second))
    page.wait_for_selector("#own-note dd:text-is('kind: a, b')")
    page.wait_for_selector("#field-label")
    assert {"a", "b"} <= set(offered(page, "label"))
    own = ".ns-pick[title='your own data']"
    page.wait_for_selector(f"{own}[aria-checked=true] img")
    page.click(".ns-pick[title='Moons']")
    asks(page, "data=moons")
    page.click(own)
    asks(page, "data=own")
    page.reload(wait_until="domcontentloaded")
    page.wait_for_selector(f"{own}[aria-checked=true]")
    open_own(page)
    page.wait_for_selector("#own-note dd:text-is('kind: a, b')")


def test_a_film_that_was_exported_opens_as_what_it_shows(at, tmp_path):
    page = at("data=moons&model=exact&steps=12&samples=50&sampler=ddpm&seed=4")
    asked = page.evaluate("location.search")
    open_export(page)
    with page.expect_download() as download:
        page.click("#stage-denoise .ns-popover .ns-primary")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    page = at("samples=50&steps=5")
    first = whole(page, "denoise")["film"]
    open_own(page)
    bring(page, str(path))
    wait(page, "denoise", OTHER.format(first))
    page.wait_for_function("location.search.includes('data=moons')")
    fields = {name: text for name, text in parse_qsl(asked.lstrip("?")) if not name.startswith("__")}
    now = dict(parse_qsl(page.evaluate("location.search").lstrip("?")))
    assert {name: now.get(name) for name in fields} == fields


def test_pictures_of_ones_own_come_from_a_zip(at, tmp_path):
    page = at("samples=50&steps=5")
    first = whole(page, "denoise")["film"]
    path = tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(8):
            file = io.BytesIO()
            Image.new("RGB", (20, 20), (i * 30, 90, 200)).save(file, "PNG")
            archive.writestr(f"{i}.png", file.getvalue())
    open_own(page)
    bring(page, str(path))
    now = wait(page, "denoise", OTHER.format(first))
    assert now["keys"] == ["x_t", "x0", "eps"]


def test_a_drawing_becomes_points(at):
    page = at("samples=50&steps=10")
    first = whole(page, "denoise")["film"]
    open_own(page)
    pad = page.wait_for_selector(".ns-pad")
    pad.scroll_into_view_if_needed()
    page.click("#own-pad button:has-text('use the drawing')")
    toast(page, "no drawing yet")
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] / 2, steps=12)
    page.mouse.up()
    page.click("#own-pad button:has-text('use the drawing')")
    wait(page, "denoise", OTHER.format(first))
    spread = page.evaluate(f"""(() => {{
        const codes = {STAGE.format('denoise')}.film.panels.get('x_t').at(10).codes, size = [0, 0];
        codes.forEach((value, i) => {{ size[i % 2] = Math.max(size[i % 2], Math.abs(value)); }});
        return size;
    }})()""")
    assert spread[0] > 5 * spread[1]  # a line across the pad: wide and flat


def test_every_control_says_what_it_is(at):
    page = at("samples=50&steps=5")
    whole(page, "denoise")
    names = ["schedule", "sampler", "steps", "eta", "seed", "thresholding", "model"]
    page.wait_for_function("names => names.every(name => document.querySelector("
                           "`#field-${name}[title], #field-${name} [aria-description]`))", arg=names)


def test_panels_that_come_at_once_stand_side_by_side(at):
    page = at("tab=forward&samples=50")
    whole(page, "forward")
    page.wait_for_function("document.querySelectorAll('#stage-forward .ns-panel').length === 4")
    tops = page.evaluate("[...document.querySelectorAll('#stage-forward .ns-panel')]"
                         ".map(panel => Math.round(panel.getBoundingClientRect().top))")
    assert len(set(tops)) == 1


def test_a_label_is_asked_for_and_guided_to_and_what_it_changes_can_be_seen(at):
    page = at("data=gaussians8&model=exact&steps=12&samples=50")
    whole(page, "denoise")
    assert offered(page, "label")[:4] == ["any", "each in turn", "0°", "45°"]
    assert not page.is_visible("#field-guidance_scale") and not page.is_visible("#field-label2")
    before = whole(page, "denoise")["film"]
    choose(page, "label", "90°")
    page.wait_for_selector("#field-guidance_scale")
    wait(page, "denoise", OTHER.format(before))
    page.wait_for_selector("#stage-denoise .ns-chip[data-key=tilted_density]")
    asks(page, "label=2")
    page.click(".ns-pick[title='T-Rex']")
    page.wait_for_function("!location.search.includes('label')")
    page.wait_for_selector("#field-label", state="hidden")


def test_models_for_few_steps_bring_their_way_of_walking_and_take_it_with_them(at):
    page = at("samples=50&steps=10")
    choose(page, "model", "one step")
    page.wait_for_function("['model=consistency', 'sampler=multistep_consistency', 'steps=1']"
                           ".every(part => location.search.includes(part))")
    choose(page, "model", "exact")
    asks(page, "model=exact")
    page.wait_for_function("!location.search.includes('multistep_consistency') && !location.search.includes('steps')")
    holds(page, "sampler", "DDIM")
    holds(page, "steps", "100")


def test_other_data_than_those_of_a_one_step_model_are_walked_as_usual(at):
    page = at("data=moons&model=consistency&sampler=multistep_consistency&steps=1&samples=50")
    first = whole(page, "denoise")["film"]
    page.click(".ns-pick[title='Heart']")
    wait(page, "denoise", OTHER.format(first) + " && s.film.total === 101")
    holds(page, "sampler", "DDIM")
    holds(page, "steps", "100")


def test_a_layer_does_not_bar_the_way_to_a_model_that_has_none(at):
    page = at("data=digits8&layer=middle&samples=16&steps=5")
    first = whole(page, "denoise")["film"]
    choose(page, "model", "exact")
    wait(page, "denoise", OTHER.format(first))
    page.wait_for_selector("#field-layer", state="hidden")
    assert page.query_selector("[data-testid=toast-body]") is None


def test_an_example_sets_up_a_whole_comparison(at):
    page = at("tab=compare&samples=50")
    choose(page, "example", "ODE, flow, one step")
    asks(page, "model:consistency")
    wait(page, "compare",
         "s.film && [...'ABCD'].every(run => [...s.film.panels.values()].some(p => p.title.startsWith(run)))")
    chips(page, "compare", "A · pretrained", "B · rectified flow", "C · reflow, 1 step", "D · one step, 1 step")
    holds(page, "steps", "50")
