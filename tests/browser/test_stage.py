"""The stage in a real browser: what is painted is what was packed, and scrubbing is the browser's own affair."""

from __future__ import annotations

import base64
import io
import threading
import time
from dataclasses import replace
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from core.drawing import stage as stage_room
from core.drawing.palettes import table, theme_of
from core.drawing.renderer import Renderer
from core.drawing.stage import frames, link, pack
from core.scene import Chart, Panel, Scene, Series
from dashboard import theme
from dashboard.head import head
from dashboard.stage import Stage, chunk, export_state, export_weight, film

#: The scripts of the stage.
SCRIPTS = Path(stage_room.__file__).parent

FRAMES = 20
EVIL = "<img src=x onerror='window.hacked=1'>"
STAGE = "[...document.querySelectorAll('#{0}, #{0} *')].find(node => node.noisescope).noisescope"


def pictures(range=(-1.0, 1.0), palette="data", key="x_t", title="x_{t}", seed=0) -> Panel:
    data = np.random.default_rng(seed).uniform(-1.2, 1.2, (FRAMES, 4, 8, 8, 1)).astype(np.float32)
    data[:, 0, 0, 0] = 0.0
    return Panel(key, title, f"note {EVIL}", "images", data, range, palette)


def dots(key="p", kind="points", **more) -> Panel:
    data = np.random.default_rng(1).normal(0, 0.5, (FRAMES, 30, 2)).astype(np.float32)
    data[:, 0] = np.linspace(-0.8, 0.8, FRAMES)[:, None]
    return Panel(key, key, "points", kind, data, (-1.0, 1.0), "accent", **more)


def only(scene: Scene, *keys: str) -> Scene:
    return replace(scene, panels=tuple(map(scene.panel, keys)))


def a_scene(*panels: Panel) -> Scene:
    t = np.linspace(1, 0, FRAMES)
    mse = np.exp(-3 * t)
    mse[3] = np.nan
    curve = Chart("error", (Series(f"network {EVIL}", t, mse),), cursor=t, ends=("noise", "data"), flip=True)
    return Scene(panels, {"t": t, "k": np.arange(FRAMES) * 50.0, "mse": mse}, clock="t = {k:.0f} / 950",
                 sentence="at t = {t:.2f} " + EVIL, formula="x_{s} = " + EVIL, figures=("mse {mse:.3f}",),
                 source="core/samplers.py", charts=(curve,))  # fmt: skip


PICTURES = a_scene(pictures(title="x_{t}" + EVIL), pictures((-1.5, 1.5), "signed", "eps", "ε", 2), dots())
MARKS = a_scene(dots(), dots("paths", "paths"),
                Panel("f", "f", "arrows", "field", np.ones((FRAMES, 6, 6, 2), np.float32), (-1.0, 1.0), "ink",
                      map=np.pad(np.ones((2, 2)), ((0, 6), (4, 2)))),
                Panel("h", "h", "heat", "heat", np.random.default_rng(3).random((FRAMES, 9, 9)).astype(np.float32),
                      (0.0, 1.0), "magnitude"))  # fmt: skip


def still(scene: Scene, **more) -> dict:
    return film([chunk(pack(scene, **more))])


@pytest.fixture(scope="module")
def heard() -> list:
    return []


class Pace:
    """Lets the parts of a streaming film go: all of them, unless a test holds them and says when."""

    def __init__(self):
        self.parts = threading.Semaphore(1_000_000)

    @contextmanager
    def held(self):
        """Gives `go`: go(n) lets n parts come."""
        free, self.parts = self.parts, threading.Semaphore(0)
        try:
            yield self.parts.release
        finally:
            self.parts.release(1_000)  # one by one, as it counts
            self.parts = free


@pytest.fixture(scope="module")
def pace() -> Pace:
    return Pace()


@pytest.fixture(scope="module")
def url(heard, pace):
    """A page with a stage of pictures, one of marks, one that plays, two that stream, and charts."""
    parts = [chunk(pack(frames(only(PICTURES, "x_t"), a, a + 5), a, FRAMES)) for a in range(0, FRAMES, 5)]
    more = [{"key": "eps", "title": "ε", "note": "the noise"}]

    def run():
        value = film(total=FRAMES, done=False, available=more, name=f"run-{time.time()}")
        yield value  # it is begun, and has no frame yet
        for n in range(1, len(parts) + 1):
            pace.parts.acquire()
            yield {**value, "chunks": parts[:n], "done": n == len(parts)}

    def follow():
        for value in run():
            yield {**value, "follow": True}

    def want(value, event: gr.EventData):
        heard.append(("want", event._data))
        return {**value, "chunks": [*value["chunks"], chunk(pack(PICTURES, keys=[event.key]))]}

    def hear(event: gr.EventData):
        heard.append((event._data.get("event", "seek"), event._data))

    def export(event: gr.EventData):
        heard.append(("export", event._data))
        if "weigh" in event._data:
            yield export_weight(event._data["weigh"], 1_234_567)
            return
        yield export_state(0.5, "half way")
        yield export_state(1.0, "no", None)

    with gr.Blocks() as demo:
        with gr.Tab("Pictures"):
            quiet = Stage("What?", shown=("x_t", "eps"), elem_id="pictures", value=still(PICTURES), autoplay=False)
            quiet.seek(hear, None, None, show_progress="hidden", trigger_mode="multiple")
            quiet.export(export, None, quiet, show_progress="hidden", trigger_mode="multiple")
        with gr.Tab("Marks"):
            Stage("Marks", shown=("p", "paths", "f", "h"), elem_id="marks", value=still(MARKS), autoplay=False)
        with gr.Tab("Plays"):
            Stage("Plays", shown=("x_t",), elem_id="plays", value=still(only(PICTURES, "x_t")))
        with gr.Tab("Streams"):
            go = gr.Button("Go", elem_id="go")
            streaming = Stage("Streams", shown=("x_t",), elem_id="streams", empty="Press Go.")
            go.click(run, None, streaming, show_progress="hidden")
            grow = gr.Button("Grow", elem_id="grow")
            growing = Stage("Grows", elem_id="growing", autoplay=False)
            grow.click(follow, None, growing, show_progress="hidden")
            streaming.want(want, streaming, streaming, show_progress="hidden")
    demo.queue().launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", ssr_mode=False,
                        head=head(), css=theme.css(), theme=theme.theme(), _frontend=False)  # fmt: skip
    yield demo.local_url
    demo.close()


@pytest.fixture
def stage(url, open_page, open_shared):
    """(name of the stage, its tab, theme, width of the page, what is said of motion) → (page, function that evaluates
    JavaScript on `stage`).

    The page is shared, its playhead at the first frame and at rest, unless the test wants a `fresh` one.
    """

    def opened(name="pictures", tab="Pictures", fresh=False, theme="light", width=1280, motion="reduce"):
        page = (open_page if fresh else open_shared)(url)
        page.set_viewport_size({"width": width, "height": 850})
        page.emulate_media(reduced_motion=motion)
        page.wait_for_selector(f"button[role=tab]:visible:has-text('{tab}')").click()
        page.wait_for_selector(f"#{name} .ns-stage:visible")
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
        if name in ("pictures", "marks"):
            page.wait_for_function(f"{STAGE.format(name)}.painted !== null")
            page.evaluate(f"(() => {{ const stage = {STAGE.format(name)}; stage.pause(); stage.seek(0); }})()")
            page.evaluate("document.activeElement.blur()")
            page.mouse.move(0, 0)
            page.evaluate(f"(() => {{ const stage = {STAGE.format(name)}; stage.paint(stage.frame); }})()")
        return page, lambda script: page.evaluate(f"() => {{ const stage = {STAGE.format(name)}; return {script}; }}")

    return opened


def streamed(page, js, condition: str) -> str:
    """Go is pressed; the film that comes, when that holds of it."""
    before = js("stage.film && stage.film.id")
    page.click("#go")
    page.wait_for_function(f"before => {{ const s = {STAGE.format('streams')}; "
                           f"return s.film && s.film.id !== before && {condition}; }}", arg=before)
    return js("stage.film.id")


def settled(page, name="pictures"):
    page.wait_for_function(f"() => {{ const s = {STAGE.format(name)}; return s.painted === s.frame; }}")


def told(heard: list, count: int) -> None:
    """Until the server has heard as much."""
    while len(heard) < count:
        time.sleep(0.05)


def colours(page, key: str, points: list[tuple[float, float]], name="pictures") -> list[list[int]]:
    """RGBA on the canvas of a panel at points given as fractions of its width and height."""
    return page.evaluate(
        """([id, key, points]) => {
            const canvas = document.querySelector(`#${id} figure[data-key="${key}"] canvas`);
            const pixel = ([x, y]) => canvas.getContext('2d').getImageData(x * canvas.width, y * canvas.height, 1, 1);
            return points.map(point => [...pixel(point).data]);
        }""",
        [name, key, points],
    )


def cells() -> list[tuple[float, float]]:
    """The middle of every pixel of a 2 × 2 grid of 8 × 8 pictures, picture by picture."""
    place = [(c // 8) / 2 + (c % 8 + 0.5) / 16.1 for c in range(16)]
    return [(place[8 * (n % 2) + j], place[8 * (n // 2) + i]) for n in range(4) for i in range(8) for j in range(8)]


def off(shown: np.ndarray, colours: np.ndarray, unit: np.ndarray) -> int:
    """How far colours on screen are from those of values in [0, 1], or of the row of the table next to theirs."""
    rows = np.rint(255 * np.clip(unit, 0, 1)).astype(int)
    near = [np.abs(colours[np.clip(rows + d, 0, 255)].astype(int) - shown).max(-1) for d in (-1, 0, 1)]
    return int(np.min(near, 0).max())


@pytest.mark.parametrize(("key", "palette", "high"), [("x_t", "data", 1.0), ("eps", "signed", 1.5)])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_seeking_paints_that_frame_in_the_colours_of_the_theme(stage, key, palette, high, mode):
    page, js = stage(theme=mode)
    for frame in (7, 19, 0):
        js(f"stage.seek({frame})")
        settled(page)
        values = PICTURES.panel(key).data[frame].ravel()
        shown = np.array(colours(page, key, cells()))[:, :3]
        assert off(shown, table(palette, mode), (values + high) / (2 * high)) <= 1


def test_a_signed_zero_is_the_background_of_the_panel(stage):
    page, js = stage(theme="dark")
    js("stage.seek(4)")
    settled(page)
    assert colours(page, "eps", cells()[:1])[0][:3] == [0x16, 0x19, 0x1C]


def test_changing_the_theme_repaints(stage):
    page, js = stage()
    before = colours(page, "eps", cells()[:1])
    paints = js("stage.paints")
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_function(f"{STAGE.format('pictures')}.paints > {paints}")
    assert before[0][:3] == [255, 255, 255] and colours(page, "eps", cells()[:1])[0][:3] == [0x16, 0x19, 0x1C]


def test_a_drag_asks_nothing_of_the_server_and_is_told_once_at_its_end(stage, heard):
    page, js = stage()
    heard.clear()
    page.focus("#pictures input[type=range]")
    page.keyboard.press("PageUp")
    page.wait_for_function(f"{STAGE.format('pictures')}.frame > 0")
    here = js("stage.frame")
    while ("seek", here) not in [(name, data.get("frame")) for name, data in heard]:  # so all from before is told
        time.sleep(0.05)
    heard.clear()
    box = page.locator("#pictures input[type=range]").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 20, middle)
    page.mouse.down()
    seen = set()
    for step in range(40):
        page.mouse.move(box["x"] + 20 + step * (box["width"] - 40) / 40, middle)
        seen.add(js("stage.frame"))
    assert len(seen) > 10
    page.mouse.up()
    told(heard, 1)
    last = js("stage.frame")
    page.keyboard.press("Home")  # when this is told, so is all from before
    told(heard, 2)
    assert [(name, data["frame"]) for name, data in heard] == [("seek", last), ("seek", 0)] and last


def test_keys_move_the_playhead(stage):
    page, js = stage()
    page.evaluate("document.activeElement.blur()")
    expected = {"End": 19, "ArrowLeft": 18, "Shift+ArrowLeft": 8, "ArrowRight": 9, "Home": 0, "Shift+ArrowRight": 10}
    for key, frame in expected.items():
        page.keyboard.press(key)
        assert js("stage.frame") == frame, key
    page.keyboard.press("Space")
    assert js("stage.playing")
    page.wait_for_function(f"{STAGE.format('pictures')}.frame > 11")
    page.keyboard.press("Space")
    assert not js("stage.playing")


def test_keys_typed_into_a_field_move_nothing(stage):
    page, js = stage()
    page.click("#pictures .ns-clock")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert js("stage.frame") == 0
    page.fill("#pictures .ns-jump", "610")
    page.keyboard.press("Enter")
    assert js("stage.frame") == 12
    settled(page)
    assert page.inner_text("#pictures .ns-clock") == "t = 600 / 950"


def test_chips_choose_the_panels_and_the_last_one_stays(stage):
    page, js = stage()
    page.click("#pictures .ns-chip[data-key=p]")
    assert js("stage.keys") == ["x_t", "eps", "p"]
    for key in ("x_t", "eps", "p"):
        page.click(f"#pictures .ns-chip[data-key={key}]")
    assert js("stage.keys") == ["p"]
    assert page.locator("#pictures figure").count() == 1
    assert page.get_attribute("#pictures .ns-chip[data-key=p]", "aria-pressed") == "true"
    for key in ("x_t", "eps", "p"):
        page.click(f"#pictures .ns-chip[data-key={key}]")
    assert js("stage.keys") == ["x_t", "eps"]


def test_frames_that_stream_in_are_appended_stand_still_if_asked_to_and_wanted_panels_are_fetched(stage, heard, pace):
    page, js = stage("streams", "Streams", fresh=True)
    assert page.inner_text("#streams .ns-empty") == "Press Go."
    heard.clear()
    with pace.held() as go:
        page.click("#go")
        page.wait_for_selector("#streams .ns-empty:has-text('working …')")  # what to press is no word of now
        go(1)
        page.wait_for_function(f"{STAGE.format('streams')}.frames === 5")
        assert js("stage.total") == FRAMES
        settled(page, "streams")
        height = page.locator("#streams .ns-screen").bounding_box()["height"]
    page.wait_for_function(f"{STAGE.format('streams')}.frames === {FRAMES}")
    assert page.locator("#streams .ns-screen").bounding_box()["height"] == height
    page.wait_for_selector("#streams .ns-stop", state="hidden")
    settled(page, "streams")
    assert not js("stage.playing") and js("stage.frame") == FRAMES - 1
    page.click("#streams .ns-chip[data-key=eps]")
    page.wait_for_function(f"{STAGE.format('streams')}.keys.join() === 'x_t,eps'")
    assert [event for event in heard if event[0] != "seek"] == [("want", {"key": "eps"})]
    js("stage.seek(13)")
    settled(page, "streams")
    shown = np.array(colours(page, "eps", cells(), "streams"))[:, :3]
    assert off(shown, table("signed"), (PICTURES.panel("eps").data[13].ravel() + 1.5) / 3) <= 1


def test_the_playhead_survives_a_new_film_of_the_same_shape_and_its_words_do_not(stage, pace):
    page, js = stage("streams", "Streams")
    streamed(page, js, f"s.frames === {FRAMES}")
    js("stage.seek(11)")
    said = page.locator("#streams .ns-sentence")
    assert said.is_visible() and said.inner_text()
    with pace.held():
        streamed(page, js, "true")
        page.wait_for_selector("#streams .ns-nothing")
        assert not said.is_visible() and not page.is_visible("#streams .ns-clock")
    page.wait_for_function(f"{STAGE.format('streams')}.film.ready === {FRAMES}")
    assert js("stage.frame") == 11 and not js("stage.playing")


def test_the_playhead_follows_a_growing_film_until_a_hand_takes_it(stage, pace):
    page, js = stage("growing", "Streams")
    with pace.held() as go:
        page.click("#grow")
        for ready in (5, 10):
            go(1)
            page.wait_for_function(f"{STAGE.format('growing')}.frames === {ready}")
            settled(page, "growing")
            assert js("stage.frame") == ready - 1
        js("stage.seek(2)")
    page.wait_for_function(f"{STAGE.format('growing')}.frames === {FRAMES}")
    assert js("stage.frame") == 2


def test_a_film_plays_by_itself(stage):
    page, js = stage("plays", "Plays", motion="no-preference")
    page.wait_for_function(f"{STAGE.format('plays')}.playing && {STAGE.format('plays')}.frame > 3")


def test_no_text_of_a_scene_is_read_as_html(stage):
    page, js = stage()
    js("stage.seek(5)")
    page.hover("#pictures .ns-chip[data-key=x_t]")
    page.hover("#pictures .ns-plot")
    settled(page)
    assert EVIL in page.inner_text("#pictures .ns-sentence")
    assert page.locator("#pictures img").count() == 0
    assert page.evaluate("window.hacked") is None
    assert page.locator("#pictures .ns-panel-title sub").first.inner_text() == "t"


def test_what_is_no_number_is_a_dash(stage):
    page, js = stage()
    js("stage.seek(3)")
    settled(page)
    page.wait_for_function("document.querySelector('#pictures .ns-figures').innerText === 'mse –'")


def test_the_chart_is_a_second_slider(stage):
    page, js = stage()
    box = page.locator("#pictures .ns-plot").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
    page.wait_for_function("document.querySelector('#pictures .ns-readout').textContent.includes('network')")
    page.mouse.down()
    page.mouse.move(box["x"] + 2, box["y"] + 40)
    page.wait_for_function(f"{STAGE.format('pictures')}.frame === 0")
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 40)
    page.mouse.up()
    page.wait_for_function(f"{STAGE.format('pictures')}.frame === {FRAMES - 1}")


def test_a_click_on_a_picture_shows_it_alone_in_every_panel_until_the_next(stage):
    page, js = stage()
    canvas = page.locator("#pictures figure[data-key=x_t] canvas")
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] * 0.75, "y": box["height"] * 0.25})
    page.wait_for_function("document.querySelector('#pictures .ns-panel-caption').textContent.startsWith('#1 ')")
    canvas.click(position={"x": box["width"] * 0.75, "y": box["height"] * 0.25})
    assert js("stage.sample") == 1
    js("stage.paint(stage.frame)")
    value = PICTURES.panel("x_t").data[0, 1, 0, 0, 0]
    shown = colours(page, "x_t", [(1 / 16, 1 / 16)])[0][0]
    assert abs(shown - round(255 * (np.clip(value, -1, 1) + 1) / 2)) <= 1
    canvas.click()
    assert js("stage.sample") is None


def test_marks_are_painted_where_they_are(stage):
    page, js = stage("marks", "Marks")
    js("stage.seek(16)")
    settled(page, "marks")
    at = (MARKS.panel("p").data[16, 0] * [1, -1] + 1) / 2
    for key in ("p", "paths"):
        assert colours(page, key, [tuple(map(float, at))], "marks")[0][3] > 150
    behind = (MARKS.panel("p").data[8, 0] * [1, -1] + 1) / 2
    assert 0 < colours(page, "paths", [tuple(map(float, behind))], "marks")[0][3] < 250
    shown = np.array(colours(page, "h", [((j + 0.5) / 9, (i + 0.5) / 9) for i in range(9) for j in range(9)], "marks"))
    assert off(shown[:, :3], table("magnitude"), MARKS.panel("h").data[16].ravel()) <= 1


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_marks_look_as_in_a_film_that_was_exported(stage, mode):
    page, js = stage("marks", "Marks", theme=mode)
    js("stage.seek(12)")
    settled(page, "marks")
    ground = theme_of(mode).rgb("bg").astype(int)
    for key in ("p", "paths", "f"):
        picture = page.evaluate("""key => {
            const canvas = document.querySelector(`#marks figure[data-key="${key}"] canvas`);
            const flat = document.createElement('canvas');
            [flat.width, flat.height] = [canvas.width, canvas.height];
            const context = flat.getContext('2d');
            context.fillStyle = getComputedStyle(canvas).backgroundColor;
            context.fillRect(0, 0, canvas.width, canvas.height);
            context.drawImage(canvas, 0, 0);
            return flat.toDataURL('image/png').split(',')[1];
        }""", key)
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB"))
        side = len(pixels)
        film = Renderer(only(MARKS, key), size=side, theme=mode, captions=False)
        *_, drawn = film.frames(range(13))
        drawn = film.palette[drawn]
        ink, inked = (np.abs(picture.astype(int) - ground).sum() for picture in (pixels, drawn))
        assert 0.8 < ink / inked < 1.25, key  # another radius, width or fade by a fifth is seen
        assert np.abs(pixels.astype(int) - drawn).sum() < 0.4 * inked, key


def test_a_map_lies_faintly_where_it_should_behind_the_marks(stage):
    page, _ = stage("marks", "Marks")
    inside, beside = ([((column + x / 8) / 8, (y + 0.5) / 16) for x in range(8) for y in range(4)]
                      for column in (4.5, 2))
    alphas = sorted(alpha for *_, alpha in colours(page, "f", inside, "marks"))
    assert 80 < alphas[len(alphas) // 4] < 130  # the map's own, where no arrow crosses it
    assert sorted(alpha for *_, alpha in colours(page, "f", beside, "marks"))[len(alphas) // 4] == 0


def test_pointing_at_a_picture_frames_it_in_every_panel(stage):
    page, js = stage()
    edge = [(0.5 + k / 400, 0.25) for k in range(8)]
    accent = (0x0F, 0x76, 0x6E)
    assert not any(tuple(rgb) == accent for *rgb, _ in colours(page, "eps", edge))
    canvas = page.locator("#pictures figure[data-key=x_t] canvas")
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] * 0.75, "y": box["height"] * 0.25})
    page.wait_for_function("document.querySelector('#pictures .ns-panel-caption').textContent.startsWith('#1 ')")
    js("stage.paint(stage.frame)")
    assert any(tuple(rgb) == accent for *rgb, _ in colours(page, "eps", edge))


def test_hovering_a_point_names_it_and_rings_it_in_every_panel(stage):
    page, js = stage("marks", "Marks")
    count = """() => {
        const c = document.querySelector('#marks figure[data-key=paths] canvas');
        const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
        return data.filter((v, i) => i % 4 === 3 && v).length;
    }"""
    before = page.evaluate(count)
    canvas = page.locator("#marks figure[data-key=p] canvas")
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] * 0.1, "y": box["height"] * 0.9})
    page.wait_for_function("document.querySelector('#marks .ns-panel-caption').textContent.startsWith('#0 ')")
    js("stage.paint(stage.frame)")
    assert page.evaluate(count) > before


def test_keys_and_a_tap_name_a_point_and_read_a_curve_too(stage):
    page, js = stage("marks", "Marks")
    named = "document.querySelector('#marks .ns-panel-caption').textContent.startsWith('#{} ')"
    page.focus("#marks figure[data-key=p] canvas")
    for index in (0, 1):
        page.keyboard.press("ArrowDown")
        page.wait_for_function(named.format(index))
    page.focus("#marks .ns-plot")
    page.wait_for_function("document.querySelector('#marks .ns-readout').textContent.startsWith('1.0')")
    assert page.inner_text("#marks .ns-panel-caption")[0] != "#"
    page.keyboard.press("ArrowRight")
    assert js("stage.frame") == 1
    page.wait_for_function("document.querySelector('#marks .ns-readout').textContent.startsWith('0.947')")
    canvas = page.locator("#marks figure[data-key=p] canvas")
    box = canvas.bounding_box()
    at = {"clientX": box["x"] + box["width"] * 0.14, "clientY": box["y"] + box["height"] * 0.86, "pointerType": "touch"}
    canvas.dispatch_event("pointerdown", at)
    canvas.dispatch_event("pointerleave", at)
    page.wait_for_function(named.format(0))


def test_nothing_is_wider_than_a_phone(stage):
    for name, tab in (("pictures", "Pictures"), ("streams", "Streams")):
        page, js = stage(name, tab, width=390)
        if name == "streams":
            streamed(page, js, "s.frames > 0")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for part in ("ns-screen", "ns-below", "ns-transport"):
            there = page.locator(f"#{name} .{part}")
            there.wait_for()
            box = there.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_export_says_what_will_come_hands_the_wish_to_the_server_and_shows_its_answer(stage, heard):
    page, _ = stage()
    page.click("#pictures .ns-export > button")
    page.select_option("#pictures .ns-popover select >> nth=0", "html")
    page.wait_for_function("document.querySelector('#pictures .ns-expected').textContent === '20 frames, 1.2 MB'")
    heard.clear()
    panels = page.locator("#pictures .ns-popover .ns-field:has(span:text-is('panels')) select")
    panels.select_option("all")
    page.wait_for_function("document.querySelector('#pictures .ns-expected').textContent === '20 frames, 1.2 MB'")
    page.select_option("#pictures .ns-popover select >> nth=0", "webp")
    assert panels.is_hidden()
    page.click("#pictures .ns-popover .ns-primary")
    page.wait_for_function("document.querySelector('#pictures .ns-message').textContent === 'no'")
    (_, asked), (name, wish) = (event for event in heard if event[0] != "seek")
    assert asked["format"] == "html" and asked["panels"] == ["x_t", "eps"] and asked["content"] == "all"
    assert name == "export"
    assert {k: wish[k] for k in ("format", "every", "panels", "content", "theme")} == {
        "format": "webp", "every": 1, "panels": ["x_t", "eps"], "content": "shown", "theme": "light"}  # fmt: skip
    assert page.is_enabled("#pictures .ns-popover .ns-primary")
    page.keyboard.press("Escape")


def test_templates_read_as_python_reads_them(stage):
    page, _ = stage()
    page.add_script_tag(content=link(SCRIPTS / "format.js", "Numbers"))
    values = [0.0, 1.0, -1.0, 0.5, 437.0, 1234567.0, -0.0625, 1e-7, 3.14159e12, 99.95, 1e16]
    for spec in ", .3f, +.2f, ,.0f, .0%, .1e, .3g, g, 8.2f, <8.1f, 06.1f".split(", "):
        template = "{{t}} = {t:" + spec + "}"
        shown = page.evaluate("([text, values]) => values.map(v => Numbers.fill(text, () => v))", [template, values])
        assert shown == [template.format(t=value) for value in values], spec


def test_controls_have_names_for_those_who_cannot_see(stage):
    page, js = stage()
    js("stage.seek(2)")
    settled(page)
    said = f"t = 100 / 950. at t = {PICTURES.numbers['t'][2]:.2f} {EVIL}"
    assert page.get_attribute("#pictures input[type=range]", "aria-valuetext") == said
    assert page.get_attribute("#pictures .ns-play", "aria-label") == "play"
    numbers = f"0.895 · network {EVIL} {PICTURES.numbers['mse'][2]:.3f}"
    label = page.get_attribute("#pictures .ns-plot", "aria-label")
    assert label.startswith("chart: error. ") and label.endswith(f". At the playhead {numbers}")


def test_a_frame_is_measured_before_it_is_painted_not_panel_by_panel(stage):
    """What a panel says moves the page: if the next one then asked how wide it is, all would be laid out each time."""
    page, js = stage("marks", "Marks")
    browser = page.context.new_cdp_session(page)
    browser.send("Performance.enable")

    def laid_out() -> int:
        return next(m["value"] for m in browser.send("Performance.getMetrics")["metrics"] if m["name"] == "LayoutCount")

    before = laid_out()
    for frame in range(1, FRAMES):
        js(f"(stage.seek({frame}), null)")
        settled(page, "marks")
    counted = laid_out() - before
    browser.detach()
    assert counted <= 2.5 * FRAMES
