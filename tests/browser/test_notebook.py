"""A notebook that was run: its outputs hold the stage, and a picture for who may not run it."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from tests.sweep import SWEEP
from tests.test_lessons_written import run_here, run_in_a_kernel

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
#: The cells, each shown by its last line: what the README says, and a program of a few steps that is told by hand.
CELLS = (
    re.search(r"## Ten lines in a notebook\n\n```python\n(.*?)```", README, re.S)[1],
    "from core.debug import Run\nimport numpy as np\nrun, rng = Run(), np.random.default_rng(0)\n"
    "for k in (3, 2, 1, 0):\n    x = rng.normal(size=(8, 2)) if k == 3 else x_s\n    x_s = 0.9 * x - 0.1 * x\n"
    "    run.step(x_t=x, t=k, output=x, x_s=x_s)\nrun",
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> list[str]:
    """The HTML that every cell shows."""
    path = tmp_path_factory.mktemp("notebook") / "it.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, CELLS)]), path)
    return [shown["text/html"] for shown in (run_in_a_kernel if SWEEP else run_here)(path)]


@pytest.fixture
def cell(new_page, tmp_path):
    """(HTML) → a page that holds it, as a notebook does: put in by innerHTML."""
    def shown(output: str):
        page = new_page(offline=True, reduced_motion="reduce", viewport={"width": 900, "height": 800})
        (tmp_path / "notebook.html").write_text("<!doctype html><meta charset=utf-8><div id=output></div>")
        page.goto((tmp_path / "notebook.html").as_uri())
        page.evaluate("html => { document.getElementById('output').innerHTML = html; }", output)
        return page

    return shown


def test_a_trace_shows_itself_on_the_stage(cell, outputs):
    page = cell(outputs[0])
    stage = page.frame_locator("iframe")
    expect(stage.locator(".ns-panel")).to_have_count(2)
    expect(stage.locator(".ns-clock")).to_have_text("t = 0.000")
    stage.locator(".ns-seek").press("Home")
    expect(stage.locator(".ns-clock")).to_have_text("t = 1.000")
    expect(page.locator("img")).to_have_count(0)
    # The frame is as high as what stands in it: nothing scrolls inside.
    page.wait_for_function("""() => {
        const frame = document.querySelector('iframe'), { body } = frame.contentDocument;
        return Math.abs(frame.clientHeight - body.offsetHeight) <= 1;
    }""")


def test_a_watched_run_shows_its_walk_and_what_the_doctor_says(cell, outputs):
    stage = cell(outputs[1]).frame_locator("iframe")
    expect(stage.locator(".ns-panel").first).to_be_visible()
    expect(stage.locator(".ns-badge")).to_be_visible()


@pytest.mark.parametrize("which", [0, 1])
def test_what_an_untrusted_notebook_keeps_is_a_picture(cell, outputs, which):
    page = cell(re.sub(r"<iframe.*?</iframe>", "", outputs[which], flags=re.S))
    assert page.evaluate("document.images[0].decode().then(() => document.images[0].naturalWidth)") > 100
    assert page.locator("img").get_attribute("alt")
