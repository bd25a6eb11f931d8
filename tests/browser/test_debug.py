"""Debug in a real browser: a museum case, a trace of one's own, one's own walk and training, before and after."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from core.debug.cases import museum
from core.debug.cases.live import turns
from core.runs import examine
from tests.test_debug_showing import told

STAGE = "(window.Noisescope && Noisescope.stageOf('stage-debug'))"
HEALTHY = "steps=20&samples=64&tab=debug"  # as the page writes it itself


@pytest.fixture(scope="module", autouse=True)
def short_scripts():
    """A script is one after few steps as well: its fault is seen, and mended it is healthy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examine, "turns", partial(turns, steps=50, samples=64))
        yield


@pytest.fixture
def page(open_shared, url):
    """The page that the tests of this file share, opened with a walk that is healthy."""
    page = open_shared(url, query=HEALTHY)
    page.wait_for_selector("body.ns-ready")
    return page


def restored(page, query: str) -> None:
    """The page goes to the recipe of a query as by Back or Forward, without being opened anew; a case is not told."""
    if "bug=" in query and page.locator("#stage-debug .ns-script").count():
        healthy(page)
    page.evaluate(f"history.pushState(null, '', '?{query}'); dispatchEvent(new PopStateEvent('popstate'))")


def examined(page, verdict: str, says: str = "") -> str:
    """What stands on top when that verdict is there, and says that."""
    which = f"[data-verdict={verdict}]" + (f":has-text('{says}')" if says else "")
    return page.wait_for_selector(f"#stage-debug .ns-verdict{which}").inner_text()


def healthy(page) -> str:
    """What stands on top of the walk that is examined first, which the page shows as before anything else."""
    restored(page, HEALTHY)
    page.wait_for_function(f"{STAGE}.total === 21 && {STAGE}.frames === 21")
    return examined(page, "healthy", "The walk of this recipe")


def line(page, code: str):
    return page.locator(f"#stage-debug .ns-code:not(.ns-script *) >> text={code}").locator("xpath=..")


def bring(page, name: str, content: bytes) -> None:
    with page.expect_file_chooser() as chooser:
        page.click("#own-trace")
    chooser.value.set_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})


@pytest.fixture(scope="module")
def traces(tmp_path_factory) -> tuple[bytes, bytes]:
    """A run whose noise has the variance where its root belongs, and the same mended."""
    folder = tmp_path_factory.mktemp("traces")
    faulty, mended = (told(std).save(folder / f"{k}.trace") for k, std in enumerate((lambda beta: beta, np.sqrt)))
    return faulty.read_bytes(), mended.read_bytes()


def test_the_walk_of_a_recipe_is_healthy_and_keys_go_over_its_lines_and_show_what_was_measured_there(page):
    assert "10 of 22 lines checked" in healthy(page)
    line(page, "x_t = alpha").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_selector("#stage-debug .ns-detail canvas")
    titles = page.locator("#stage-debug .ns-line-charts h3").all_inner_texts()
    assert any("as training made it" in title for title in titles)
    assert page.inner_text("#stage-debug .ns-detail .ns-look").startswith("x_t = alpha")


def test_a_hostile_trace_is_refused_in_words_and_the_film_stays(page, traces):
    healthy(page)
    film = page.evaluate(f"{STAGE}.film.id")
    header = json.dumps({"__metadata__": {"format": "noisescope-run-1", "record": "[" * 5000}}).encode()
    for content, says in ((b"\x80\x04cposix\nsystem\n", "no whole safetensors file"),
                          (len(header).to_bytes(8, "little") + header, "nested"), (traces[0][:-100], "safetensors")):
        bring(page, "hostile.trace", content)
        toast = page.wait_for_selector(f"[data-testid=toast-body]:has-text('{says}')")
        assert "hostile.trace" in toast.inner_text() and "/tmp" not in toast.inner_text()
    assert page.evaluate(f"{STAGE}.film.id") == film and "bug=" not in page.url


def test_an_intervention_is_named(page):
    restored(page, "steps=20&sampler=ddpm&samples=64&drop_noise=on&tab=debug")
    examined(page, "wrong", "no fresh noise")
    assert line(page, "+ std·randn_like(x)").get_attribute("data-verdict") == "wrong"


def test_examine_takes_the_walk_on_the_stage_to_the_doctor(page):
    restored(page, "steps=20&samples=64&scale_eps=0.9")
    page.wait_for_function("Noisescope.stageOf('stage-denoise')?.total === 21")
    page.click("#examine")
    examined(page, "wrong", "leads to")
    page.wait_for_function("location.search.includes('tab=debug')")


def test_a_museum_bug_is_found_by_looking_told_and_seen_beside_its_fix_which_back_undoes(page):
    case = museum()["flow-backwards"]
    restored(page, f"seed=1&bug={case.name}&tab=debug")
    head = examined(page, "hidden")
    assert case.symptom in head and case.title not in page.inner_text("#stage-debug")
    assert page.locator("#stage-debug .ns-code[data-verdict=wrong]").count() == 0
    assert page.locator("#stage-debug .ns-script .ns-code").count() == case.source.rstrip("\n").count("\n") + 1
    line(page, "x = alpha[s]").click()
    page.click("#stage-debug >> text=This is the line")
    said = page.inner_text("#stage-debug .ns-answer")
    assert "Right." in said and case.title in said and case.met in said
    assert all(step.split(".")[0] in said for step in case.procedure)
    faults = page.locator("#stage-debug .ns-fault .ns-text").all_inner_texts()
    assert faults == [case.source.splitlines()[number - 1] for number in case.lines]
    assert examined(page, "wrong")

    page.click("#stage-debug >> text=Run it mended beside it")
    page.wait_for_selector("#stage-debug .ns-beside >> text=mended: Healthy")
    page.wait_for_function("location.search.includes('against=fixed')")
    page.wait_for_function(f"{STAGE}.keys.slice(0, 2).join() === 'x_t,other'")
    assert line(page, "x = alpha[s]").locator(".ns-mark").all_inner_texts() == ["✕", "✓"]
    page.go_back()
    page.wait_for_function("!location.search.includes('against')")
    page.wait_for_function(f"{STAGE}.keys.length && !{STAGE}.keys.includes('other')")


def test_a_surprise_is_a_case_that_its_link_restores_and_whoever_guesses_wrong_is_told_so(page):
    restored(page, "seed=4&bug=surprise&tab=debug")
    before = examined(page, "hidden")
    script = page.inner_text("#stage-debug .ns-script")
    page.click("#stage-debug >> text=Tell me")
    page.wait_for_selector("#stage-debug .ns-answer:not(:has-text('Not nothing'))")
    wide = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    try:
        page.wait_for_selector(".ns-recipe-button")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.is_visible("#surprise")
    finally:
        page.set_viewport_size(wide)
    healthy(page)
    page.go_back()
    assert examined(page, "hidden") == before and page.inner_text("#stage-debug .ns-script") == script
    page.click("#stage-debug >> text=Nothing is wrong")
    assert page.inner_text("#stage-debug .ns-answer").count("Not nothing.") == 1


def test_a_trace_is_opened_beside_the_one_before_and_what_it_says_of_itself_is_only_ever_text(page, traces, tmp_path):
    bring(page, "before.trace", traces[0])
    assert "variance, not its root" in examined(page, "wrong", "The trace that was opened")
    page.wait_for_function("location.search.includes('bug=trace')")
    bring(page, "after.trace", traces[1])
    examined(page, "healthy")
    restored(page, "steps=20&samples=64&bug=trace&against=before&tab=debug")
    page.wait_for_selector("#stage-debug .ns-beside >> text=the trace before")
    assert line(page, "+ std·randn_like(x)").locator(".ns-mark").all_inner_texts() == ["✓", "✕"]

    run = told()
    run.networks = [{"name": "<img src=x onerror='window.hurt = 1'>", "parameters": 1}]
    run.facts["unseen"] = ["<script>window.hurt = 1</script>"]
    bring(page, "<b>run</b>.trace", run.save(tmp_path / "run.trace").read_bytes())
    page.wait_for_selector("#stage-debug .ns-beside", state="detached")
    page.wait_for_function(f"{STAGE}.total === 51 && {STAGE}.frames === 51")
    examined(page, "healthy")
    assert page.evaluate("window.hurt") is None


def test_a_link_that_cannot_be_shown_says_so_once(open_page, url):
    page = open_page(url, query="steps=5&samples=20&bug=trace&tab=debug")
    page.wait_for_selector(".toast-message-item:has-text('There is no trace here')")
    page.evaluate("""() => {
        window.again = [];
        const messages = node => [node, ...node.querySelectorAll?.('*') ?? []].filter(one =>
            one.matches?.('.toast-message-item'));
        new MutationObserver(changes => changes.forEach(({ addedNodes }) => addedNodes.forEach(node =>
            again.push(...messages(node))))).observe(document.body, { childList: true, subtree: true });
    }""")
    page.click("button[role=tab]:has-text('Denoise')")  # by the time that its film is there all has been answered
    page.wait_for_function("Noisescope.stageOf('stage-denoise')?.film?.ready")
    assert page.evaluate("again.length") == 0
    page.wait_for_selector("[data-testid=toast-body]", state="hidden")  # it was said of what is shown no more
