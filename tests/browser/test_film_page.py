"""A film as one HTML file, opened from the disk without a network: the stage itself, in a reader's hands."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from core.debug import Run
from core.drawing.export import export
from core.drawing.stage.page import Slide, slides
from core.scene import Chart, Panel, Scene, Series

STAGE = "document.getElementById('stage').noisescope"
STEPS = 80


def scene() -> Scene:
    t = np.linspace(1, 0, STEPS + 1)
    way = np.stack([np.linspace(-0.75, 0.75, STEPS + 1), np.zeros(STEPS + 1)], -1)
    dot = np.repeat(way[:, None], 3, 1)
    wide = np.concatenate([dot, np.random.default_rng(0).normal(0, 0.5, (STEPS + 1, 500, 2))], 1)
    grey = np.linspace(-1, 1, STEPS + 1)[:, None, None, None, None] * np.ones((1, 1, 4, 4, 1))
    panels = (Panel("x_t", "x_{t}", "the state", "points", dot.astype(np.float32), (-1.0, 1.0), "accent"),
              Panel("many", "many", "many", "points", wide.astype(np.float32), (-1.0, 1.0), "ink"),
              Panel("grey", "grey", "from black to white", "images", grey.astype(np.float32), (-1.0, 1.0)))
    curve = Chart("error", (Series("network", t, t**2),), cursor=t, ends=("noise", "data"), flip=True)
    return Scene(panels, {"t": t, "k": np.arange(STEPS + 1.0)}, clock="step {k:.0f}", sentence="now t = {t:.3f}",
                 formula="x_{s} = x_{t}", charts=(curve,), about={"data": "trex", "steps": STEPS})  # fmt: skip


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    return export(scene(), tmp_path_factory.mktemp("film") / "film.html", hold=0)


@pytest.fixture
def opened(new_page):
    """(path, before, **context) → its page, once it has panels. No request may leave it, no script may fail.

    before: a script that runs ahead of the page's own.
    """
    wrong = []

    def open_film(path: Path, before: str = "", **options):
        page = new_page(before, **{"viewport": {"width": 1280, "height": 850}, "offline": True, **options})
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector(".ns-canvas")
        return page

    yield open_film
    assert not wrong


def at(page, frame: int, root=None) -> None:
    """The film stands at a frame: it says so, and its canvases show it."""
    expect((root or page).locator(".ns-clock")).to_have_text(f"step {frame}")


def pixel(page, key: str, x: float, y: float) -> list[int]:
    return page.evaluate("""([key, x, y]) => {
        const canvas = document.querySelector(`figure[data-key="${key}"] canvas`);
        return [...canvas.getContext('2d').getImageData(x * canvas.width, y * canvas.height, 1, 1).data];
    }""", [key, x, y])


def test_it_plays_from_the_disk_every_frame_as_it_is_and_keys_chips_and_the_chart_work_without_a_server(opened, film):
    page = opened(film)
    expect(page.locator(".ns-play")).to_have_attribute("aria-label", "pause")
    expect(page.locator(".ns-chip")).to_have_count(3)
    for frame in (0, 40, STEPS):  # of the first part, the second and the last
        page.evaluate(f"{STAGE}.seek({frame})")
        at(page, frame)
        page.evaluate(f"{STAGE}.paint({frame})")
        x = (-0.75 + 1.5 * frame / STEPS + 1) / 2
        assert pixel(page, "x_t", x, 0.5)[3] > 150 and pixel(page, "x_t", 1 - x + 0.11, 0.3)[3] == 0
        assert abs(pixel(page, "grey", 0.5, 0.5)[0] - 255 * frame / STEPS) <= 1
    expect(page.locator(".ns-sentence")).to_have_text("now t = 0.000")
    said = page.locator(".ns-chart canvas").get_attribute("aria-label")
    assert said.startswith("chart: error. ") and said.endswith(". At the playhead 0.000 · network 0.000")

    page.keyboard.press("Home")
    at(page, 0)
    page.keyboard.press("ArrowRight")
    at(page, 1)
    page.keyboard.press("End")
    at(page, STEPS)
    page.click(".ns-chip[data-key=many]")
    expect(page.locator(".ns-panel")).to_have_count(2)
    box = page.locator(".ns-plot").bounding_box()
    page.mouse.click(box["x"] + 35, box["y"] + 50)
    assert page.evaluate(f"{STAGE}.frame") < STEPS / 4
    assert page.locator(".ns-export, .ns-stop:visible").count() == 0


def test_a_key_counts_before_the_browser_has_said_what_is_in_sight(opened, film):
    late = """window.IntersectionObserver = class {
        constructor(tell) { this.tell = tell; }
        observe() { this.tell([{ isIntersecting: false }]); } // as of a page that has just been behind another
        disconnect() {}
    };"""
    page = opened(film, before=late, reduced_motion="reduce", bypass_csp=True)
    page.wait_for_function(f"{STAGE}.frames > 40")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{STAGE}.frame") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_as_the_reader_likes_until_the_button_says_otherwise(opened, film, scheme):
    page = opened(film, color_scheme=scheme, reduced_motion="reduce")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 17, 19)"
    assert dark == (scheme == "dark")
    page.click(".ns-theme")
    assert (page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 17, 19)") != dark


def test_who_wants_no_motion_sees_the_end_and_a_phone_never_scrolls_sideways(opened, film):
    page = opened(film, reduced_motion="reduce", viewport={"width": 390, "height": 844})
    at(page, STEPS)
    expect(page.locator(".ns-play")).to_have_attribute("aria-label", "play")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_it_lives_in_a_frame_that_may_do_nothing_but_run_it(opened, film, tmp_path):
    outer = tmp_path / "outer.html"
    outer.write_text(f'<!doctype html><iframe sandbox="allow-scripts" style="width: 900px; height: 800px" '
                     f'srcdoc="{html.escape(film.read_text())}"></iframe><p class="ns-canvas">beside</p>')
    page = opened(outer)
    inner = page.frame_locator("iframe")
    expect(inner.locator(".ns-panel")).to_have_count(3)
    inner.locator(".ns-play").click()
    inner.locator(".ns-seek").press("End")
    at(page, STEPS, inner)


def test_pacing_and_speed_are_those_that_were_asked_for(opened, tmp_path):
    t = np.array([1.0, 0.9, 0.8, 0.2, 0.0])
    panel = Panel("x", "x", "", "points", np.zeros((5, 1, 2), np.float32), (-1.0, 1.0), "ink")
    film = Scene((panel,), {"t": t, "k": np.arange(5.0)}, clock="step {k:.0f}")
    page = opened(export(film, tmp_path / "film.html", fps=2, pacing="t", loop=False, theme="dark"),
                  color_scheme="light")
    assert page.evaluate("document.body.classList.contains('dark')")
    expect(page.locator(".ns-pill[aria-pressed]")).to_have_attribute("aria-pressed", "false")
    at(page, 4)  # it gets there and stays
    expect(page.locator(".ns-play")).to_have_attribute("aria-label", "play")


def watched(steps: int = 30, fault: bool = True, walked: bool = True) -> Run:
    """A program told by hand: a perfect network of data ~ N(0, I), and DDPM with a variance where its root belongs."""
    rng, run = np.random.default_rng(0), Run()
    betas = np.linspace(1e-3, 0.25, steps)
    bar = np.cumprod(1 - betas)
    for _ in range(24):
        x0, noise, t = rng.normal(size=(64, 2)), rng.normal(size=(64, 2)), rng.integers(0, steps, 64)
        alpha, sigma = np.sqrt(bar[t])[:, None], np.sqrt(1 - bar[t])[:, None]
        x_t = alpha * x0 + sigma * noise
        run.train(x_t=x_t, t=t, output=sigma * x_t, target=noise, x0=x0, noise=noise)
    x = rng.normal(size=(64, 2))
    for i in reversed(range(steps if walked else 0)):
        out, z = np.sqrt(1 - bar[i]) * x, rng.normal(size=x.shape)
        std = (betas[i] if fault else np.sqrt(betas[i])) if i else 0.0
        x_s = (x - betas[i] / np.sqrt(1 - bar[i]) * out) / np.sqrt(1 - betas[i]) + std * z
        run.step(x_t=x, t=i, output=out, x_s=x_s, noise=z if i else None)
        x = x_s
    return run


def test_a_report_is_the_walk_that_was_watched_and_the_line_at_fault(opened, tmp_path):
    page = opened(watched().report(tmp_path / "report.html"))
    expect(page.locator(".ns-badge")).to_have_text("✕ Wrong")
    expect(page.locator(".ns-code[data-verdict=wrong]").first).to_be_visible()
    assert page.locator(".ns-code[data-verdict=healthy]").count() > 5
    page.keyboard.press("End")
    expect(page.locator(".ns-clock")).to_have_text(re.compile("step 30 / 30"))
    page.locator(".ns-code[data-verdict=healthy]").first.click()
    expect(page.locator(".ns-detail .ns-word")).to_have_text("✓ healthy")
    assert page.locator(".ns-line-charts canvas, .ns-told").count() > 0


def test_a_report_without_a_walk_is_what_the_doctor_says(opened, tmp_path):
    run = watched(walked=False)
    path = run.report(tmp_path / "report.html")
    path.write_text(path.read_text().replace("<body>", '<body><i class="ns-canvas"></i>'))
    page = opened(path)
    assert not run.diagnose().causes
    expect(page.locator(".ns-badge")).to_have_text("✓ Healthy")
    assert page.locator(".ns-transport").count() == 0 and page.locator("h2").inner_text() == "Diagnosis"


def test_slides_are_turned_by_the_arrow_keys_each_above_its_film(opened, tmp_path):
    asked = Slide("What is left of x_{t}?", ["Guess."], ["much", "nothing"], film=0, at="start")
    shown = [asked, Slide("Nothing", [""], asked.choices, [False, True], film=0, at="end"),
             Slide("Why", formula="x_{s} = x_{t}", film=1, at="end")]
    (tmp_path / "slides.html").write_text(slides("A lesson", shown, [(scene(), ["x_t"]), (scene(), ["grey", "many"])]))
    page = opened(tmp_path / "slides.html", reduced_motion="reduce")
    seen = page.locator(".slide-film > .ns-root:not([hidden])")
    expect(page.locator("h1")).to_have_text("What is left of xt?")
    expect(seen.locator(".ns-clock")).to_have_text("step 0")
    expect(page.locator(".holds")).to_have_count(0)
    expect(seen.locator(".ns-below")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".holds")).to_have_text("✓ nothing")
    expect(seen.locator(".ns-clock")).to_have_text(f"step {STEPS}")  # though slides have every second frame alone
    page.keyboard.press("PageDown")
    expect(seen.locator(".ns-panel")).to_have_count(2)
    expect(page.locator(".slide-place")).to_have_text("3 / 3")
    expect(page.get_by_label("next slide")).to_be_disabled()
    page.get_by_label("the slide before").click()
    expect(seen.locator(".ns-panel")).to_have_count(1)
    assert page.url.endswith("#2")
