"""A real Chromium for the tests of the page, and the pages they open."""

from __future__ import annotations

import itertools
import os
import shutil
from contextlib import contextmanager
from urllib.parse import parse_qsl

import pytest

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    # a page of another site may hold one of this machine in a frame
    "--disable-component-update --disable-sync "
    "--disable-features=LocalNetworkAccessChecks,SpareRendererForSitePerProcess"
).split()

#: How many times slower than this machine the pages are made: NOISESCOPE_THROTTLE=6 is about a slow phone.
THROTTLE = float(os.environ.get("NOISESCOPE_THROTTLE", "1"))
PATIENCE = 60_000 * max(1, THROTTLE)  #: milliseconds, of what never comes


def pytest_collection_modifyitems(items):
    """On a loaded machine a browser may miss what it should not: a test that fails is tried once more, and the summary
    names it (RERUN). Nothing is tried again where such tests are looked for: `make sweep`, NOISESCOPE_THROTTLE."""
    if THROTTLE > 1 or os.environ.get("NOISESCOPE_SWEEP"):
        return
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.flaky(reruns=1))


SEEDS = itertools.count(1000)
STAGE = "(window.Noisescope && Noisescope.stageOf(`stage-${tab}`))"  # a page that reloads has none for a while
GO_TO = f"""([query, tab]) => {{
    document.querySelectorAll('[data-testid=toast-close]').forEach(button => button.click());
    window.filmBefore = {STAGE} && {STAGE}.film ? {STAGE}.film.id : null;
    history.pushState(null, '', `?${{query}}&__theme=light`);
    dispatchEvent(new PopStateEvent('popstate'));
}}"""
GONE_TO = f"""([tab, seed]) => {{
    const stage = {STAGE}, film = stage && stage.film;
    return film && film.id !== filmBefore && film.total > 1 && film.ready === film.total
        && stage.from.seed === `seed ${{seed}}`
        && document.body.dataset.tab === tab
        && !document.querySelector('[data-testid=toast-body]');
}}"""


def _unavailable(why: str) -> None:
    if os.environ.get("CI") == "true" or os.environ.get("NOISESCOPE_BROWSER") == "required":
        pytest.fail(f"the tests of the page need a browser: {why}")
    pytest.skip(f"tests of the page: {why}")


@pytest.fixture(scope="session")
def browser():
    """Chromium, headless. Without one these tests are skipped, unless CI=true or NOISESCOPE_BROWSER=required.

    Its headless shell is taken where it is: it has no window, which costs a page a third of its processor time.
    """
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        _unavailable("Playwright is not installed (pip install -r requirements-dev.txt)")
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        _unavailable(f"none of {', '.join(names)} is on the PATH")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def url():
    """The dashboard's address: one server for all tests of the page."""
    from dashboard.server.serve import serve

    with serve(host="127.0.0.1") as address:
        yield address


@contextmanager
def pages(browser):
    """A function that makes pages, each in a context of its own with these options, until the block ends. No script of
    theirs may have failed by then."""
    contexts, errors = [], []

    def made(before: str = "", **options):
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        if before:
            context.add_init_script(before)
        page = context.new_page()
        if THROTTLE > 1:
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield made
    for context in contexts:
        context.close()
    assert not errors, f"the page's scripts failed: {errors}"


@pytest.fixture
def new_page(browser):
    """(before, **context options) → a page with nothing on it. Errors of its scripts fail the test."""
    with pages(browser) as made:
        yield made


@contextmanager
def opening(browser):
    """A function that opens pages, as `open_page` says, until the block ends."""
    def opened(url: str, width: int = 1280, height: int = 850, theme: str = "light", query: str = "",
               before: str = "", **options):
        options = {"reduced_motion": "reduce", **options}  # a film that plays is painted all the time
        page = made(before, viewport={"width": width, "height": height}, **options)
        query = "&".join(filter(None, (query, f"__theme={theme}")))
        page.goto(f"{url}?{query}", wait_until="domcontentloaded")
        return page

    with pages(browser) as made:
        yield opened


@pytest.fixture
def open_page(browser):
    """(url, width, height, theme, query, before, **context options) → a page in a context of its own.

    `before` is a script that runs ahead of the page's own. No film plays by itself, unless `reduced_motion` is
    "no-preference". Errors of the page's scripts fail the test. The environment
    variable NOISESCOPE_THROTTLE slows the page down by that factor.
    """
    with opening(browser) as opened:
        yield opened


@pytest.fixture(scope="module")
def open_shared(browser):
    """As `open_page`, but all tests of a file that ask for the same have the same page: opening one takes seconds."""
    pages = {}
    with opening(browser) as opened:
        def shared(url: str, **options):
            key = (url, *sorted(options.items()))
            if key not in pages:
                pages[key] = opened(url, **options)
            return pages[key]

        yield shared


@pytest.fixture
def at(open_shared, url):
    """query → the page that a file's tests share, gone over to that recipe as Back does, with its film whole.

    Opening a page takes seconds of processor time. A test that chooses panels, or is about opening, has its own page.
    """

    def gone_to(query: str):
        page = open_shared(url)
        page.wait_for_selector("body.ns-ready")
        if "seed=" not in query:
            query += f"&seed={next(SEEDS)}"  # so that its film is another one
        fields = dict(parse_qsl(query))
        tab = fields.get("tab", "denoise")
        page.evaluate(GO_TO, [query, tab])
        page.wait_for_function(GONE_TO, arg=[tab, fields["seed"]])
        return page

    return gone_to
