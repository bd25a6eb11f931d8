"""The page where it is not alone: in a frame of another site, as a Space is seen, and under a path of a proxy."""

from __future__ import annotations

import pytest

from core.recipe.recipe import Recipe

STAGE = "window.Noisescope && Noisescope.stageOf && Noisescope.stageOf('stage-{0}')"

#: What a browser does in a frame of another site for those who block what other sites keep.
NO_STORAGE = """
    if (window !== window.top) {
        const refuse = { configurable: true, get() { throw new DOMException('Access is denied', 'SecurityError'); } };
        for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, refuse);
    }
"""
AROUND = """<!doctype html><title>around</title>
<script>
    window.heard = [];
    addEventListener('message', ({{ data }}) => {{ if (data.queryString !== undefined) heard.push(data); }});
</script><iframe src="{url}" style="width: 1280px; height: 850px; border: 0"></iframe>"""


@pytest.fixture
def framed(new_page, url):
    """(address of the page around, query) → (that page, the frame in it). Storage throws in the frame."""
    def opened(around: str, query: str):
        page = new_page(NO_STORAGE, viewport={"width": 1300, "height": 870}, reduced_motion="reduce")
        html = AROUND.format(url=f"{url}?{query}")
        page.route(f"{around}**", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto(around)
        frame = page.wait_for_selector("iframe").content_frame()
        frame.wait_for_selector("body.ns-ready")
        return page, frame

    return opened


def whole(frame, tab: str) -> None:
    frame.wait_for_function(f"(() => {{ const s = {STAGE.format(tab)}; "
                            "return s && s.total > 1 && s.frames === s.total; })()")


def test_every_tab_works_in_a_frame_of_another_site_without_storage_and_on_hugging_face_the_address_follows(framed):
    page, frame = framed("https://huggingface.co/spaces/me/scope",
                         "steps=10&samples=50&train_steps=20&data=gaussians8&__theme=light")
    assert frame.evaluate("(() => { try { return localStorage.length >= 0 } catch { return false } })()")
    whole(frame, "denoise")
    assert frame.is_visible(".ns-brand") and frame.is_visible("#denoise")
    for title, tab in (("Noise lens", "lens"), ("Compare", "compare"), ("Forward", "forward")):
        frame.click(f"button[role=tab]:has-text('{title}')")
        whole(frame, tab)
        page.wait_for_function("tab => heard.length && heard.at(-1).queryString.endsWith(`&tab=${tab}`)", arg=tab)
    frame.fill("#field-seed input", "7")
    frame.press("#field-seed input", "Enter")
    query = Recipe(data="gaussians8", steps=10, samples=50, train_steps=20, seed=7, tab="forward").to_query()
    page.wait_for_function("query => heard.at(-1).queryString === query", arg=query)
    frame.evaluate("Noisescope.onSpace('me/scope')")  # the server says so where it is a Space
    frame.click("[data-ns=copy]")
    assert frame.input_value(".ns-link input") == f"https://huggingface.co/spaces/me/scope?{query}"
    frame.click(".ns-link button")
    frame.wait_for_selector(".ns-link", state="detached")
    frame.click("button[role=tab]:has-text('Train')")
    frame.click("#train")
    whole(frame, "clocks")
    assert frame.query_selector("[data-testid=toast-body]") is None
