"""A real Chromium for the tests of the page, and the pages they open."""

from __future__ import annotations

import itertools
import os
import shutil
from functools import partialmethod
from urllib.parse import parse_qsl

import pytest

from core.runs import comparison, trainings
from core.runs.trainings import Training

CLOCK_STEPS = 5  #: of each walk with which a training ends
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    # a page of another site may hold one of this machine in a frame
    "--disable-component-update --disable-sync "
    "--disable-features=LocalNetworkAccessChecks,SpareRendererForSitePerProcess"
).split()

#: How many times slower than this machine the pages are made: NOISESCOPE_THROTTLE=6 is about a slow phone.
THROTTLE = float(os.environ.get("NOISESCOPE_THROTTLE", "1"))
PATIENCE = 60_000 * max(1, THROTTLE)  #: milliseconds, of what never comes
LOOK = 100  #: milliseconds from one look whether something has happened to the next: one at every frame paints each


def pytest_collection_modifyitems(items):
    """On a loaded machine a browser may miss what it should not: a test that fails is tried once more, and the summary
    names it (RERUN). Nothing is tried again where such tests are looked for: `make sweep`, NOISESCOPE_THROTTLE."""
    if THROTTLE > 1 or os.environ.get("NOISESCOPE_SWEEP"):
        return
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.flaky(reruns=1))


FAILED = pytest.StashKey[bool]()
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
        from playwright.sync_api import Frame, Page, expect, sync_playwright
    except ImportError:
        _unavailable("Playwright is not installed (pip install -r requirements-dev.txt)")
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        _unavailable(f"none of {', '.join(names)} is on the PATH")
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        expect.set_options(timeout=PATIENCE)
        for kind in (Page, Frame):
            patch.setattr(kind, "wait_for_function", partialmethod(kind.wait_for_function, polling=LOOK))
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture(scope="module", autouse=True)
def small_measures(short_previews, cards_of_few_samples):
    """What a training and a comparison show is walked and measured in little: how well is tested without a page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "clocks", partialmethod(Training.clocks, steps=CLOCK_STEPS))
        patch.setitem(trainings.FLOOR_SAMPLES, "points", 200)
        patch.setitem(comparison.RATED, "points", 200)
        yield


@pytest.fixture(scope="session")
def url():
    """The dashboard's address: one server for all tests of the page."""
    from dashboard.server.serve import serve

    with serve(host="127.0.0.1") as address:
        yield address


@pytest.fixture(scope="session")
def contexts() -> list:
    """Where pages take turns, so that scripts are fetched and compiled once for many."""
    return []


class Pages:
    """Pages, each a visitor of its own, until the block ends. No script of theirs may fail.

    A page is put in a context where no other is open, and nothing of one before is kept; one with options that hold for
    a whole context has that for itself.
    """

    def __init__(self, browser, contexts: list):
        self.browser, self.contexts = browser, contexts
        self.used, self.errors = [], []

    def __enter__(self):
        return self

    def __exit__(self, *failed):
        self.close()
        if not any(failed):
            self.check()

    def check(self) -> None:
        """AssertionError if a script has failed since the last look."""
        errors, self.errors[:] = self.errors[:], []
        assert not errors, f"the page's scripts failed: {errors}"

    def close(self) -> None:
        for context in self.used:
            for closing in context.pages if context in self.contexts else [context]:
                closing.close()
        self.used.clear()

    def _context(self, options: dict):
        if options:
            return self.browser.new_context(**options)
        free = next((context for context in self.contexts if not context.pages), None)
        if free is None:
            self.contexts.append(free := self.browser.new_context())
        return free

    def new(self, before: str = "", viewport: dict[str, int] | None = None, reduced_motion: str | None = None,
            color_scheme: str | None = None, **options):
        """A page with nothing on it. `before` is a script that runs ahead of the page's own."""
        context = self._context(options)
        self.used.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        if viewport:
            page.set_viewport_size(viewport)
        page.emulate_media(reduced_motion=reduced_motion, color_scheme=color_scheme)
        if before:
            page.add_init_script(before)
        session = context.new_cdp_session(page)
        session.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "cookies,local_storage"})
        if THROTTLE > 1:
            session.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
        return page

    def open(self, url: str, width: int = 1280, height: int = 850, theme: str = "light", query: str = "", **options):
        """A page at this address. No film plays by itself, unless `reduced_motion` is "no-preference"."""
        options = {"reduced_motion": "reduce", **options}  # a film that plays is painted all the time
        page = self.new(viewport={"width": width, "height": height}, **options)
        query = "&".join(filter(None, (query, f"__theme={theme}")))
        page.goto(f"{url}?{query}", wait_until="domcontentloaded")
        return page


@pytest.fixture
def new_page(browser, contexts):
    """(before, viewport, reduced_motion, color_scheme, **context options) → a page with nothing on it."""
    with Pages(browser, contexts) as pages:
        yield pages.new


@pytest.fixture
def open_page(browser, contexts):
    """(url, width, height, theme, query, **as `new_page`) → the page, as a visitor of its own sees it."""
    with Pages(browser, contexts) as pages:
        yield pages.open


@pytest.fixture(scope="module")
def open_shared(browser, contexts):
    """As `open_page`, but all tests of a file that ask for the same have the same page: opening one takes seconds."""
    kept = {}
    with Pages(browser, contexts) as pages:
        def shared(url: str, **options):
            key = (url, *sorted(options.items()))
            if key not in kept:
                kept[key] = pages.open(url, **options)
            return kept[key]

        yield shared


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def lasting(browser, contexts):
    """The page that tests of all files share: nothing of it is found again after a test that failed on it."""
    with Pages(browser, contexts) as pages:
        yield pages


@pytest.fixture
def at(lasting, url, request):
    """query → the page that many tests share, gone over to that recipe as Back does, with its film whole.

    Opening a page takes seconds of processor time. A test that chooses panels, or is about opening, has its own page.
    """

    def gone_to(query: str):
        page = lasting.used[0].pages[0] if lasting.used else lasting.open(url)
        page.wait_for_selector("body.ns-ready")
        if "seed=" not in query:
            query += f"&seed={next(SEEDS)}"  # so that its film is another one
        fields = dict(parse_qsl(query))
        tab = fields.get("tab", "denoise")
        page.evaluate(GO_TO, [query, tab])
        page.wait_for_function(GONE_TO, arg=[tab, fields["seed"]])
        return page

    yield gone_to
    if request.node.stash.get(FAILED, False):
        lasting.close()
    lasting.check()
