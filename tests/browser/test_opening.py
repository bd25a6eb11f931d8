"""What a visitor does while the page opens, or while it works, in a real browser: nothing of it is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.drawing.stage import link
from tests.browser.test_page import SHIFTS
from tests.sweep import few

CLONES = Path(__file__).parents[2] / "dashboard" / "page" / "clones.js"
STAGE = "window.Noisescope && Noisescope.stageOf && Noisescope.stageOf('stage-{0}')"

#: The page is up and its arrival, which says what stands in the sidebar, waits until it is let go.
HELD = """{
    const ask = window.fetch.bind(window);
    const gate = new Promise(go => { window.arrive = go; });
    window.fetch = async (input, init) => {
        if (new URL(input.url || input, location.href).pathname.endsWith('/queue/join')) await gate;
        return ask(input, init);
    };
}"""

#: The server ends the stream of answers; this page, busy with other things, hears of it when `late.go` is called.
LATE = """{
    const ask = window.fetch.bind(window);
    window.late = { wanted: false, held: 0, sent: 0, open: 0 };
    late.hold = () => { late.wanted = true; late.held = 0; late.over = new Promise(go => { late.go = go; }); };
    window.fetch = async (input, init) => {
        const answer = await ask(input, init);
        const { pathname } = new URL(input.url || input, location.href);
        if (pathname.endsWith('/queue/join')) late.sent++;
        if (!pathname.endsWith('/queue/data')) return answer;
        late.open++;
        const read = new TransformStream({
            transform: async (part, out) => {
                const text = new TextDecoder('latin1').decode(part);  // a letter a byte
                if (!late.wanted || !text.includes('close_stream')) return out.enqueue(part);
                const end = text.lastIndexOf('data:', text.indexOf('close_stream'));
                out.enqueue(part.slice(0, end));  // what came with it is an answer yet
                late.held++;
                await late.over;
                late.wanted = false;
                out.enqueue(part.slice(end));
            },
            flush: () => { late.open--; },
        });
        return new Response(answer.body.pipeThrough(read), answer);
    };
}"""

#: Answers reach the page when `answers.go` is called.
WITHHELD = """{
    const ask = window.fetch.bind(window);
    window.answers = { held: false, sent: 0 };
    answers.hold = () => { answers.held = true; answers.over = new Promise(go => { answers.go = go; }); };
    window.fetch = async (input, init) => {
        const answer = await ask(input, init), { pathname } = new URL(input.url || input, location.href);
        if (pathname.endsWith('/queue/join')) answers.sent++;
        if (!pathname.endsWith('/queue/data')) return answer;
        const read = new TransformStream({ transform: async (part, out) => {
            if (answers.held) await answers.over;
            answers.held = false;
            out.enqueue(part);
        } });
        return new Response(answer.body.pipeThrough(read), answer);
    };
}"""

#: How often anything asks for a frame.
FRAMES = """{
    const ask = window.requestAnimationFrame.bind(window);
    window.frames = { asked: 0, ask };
    window.requestAnimationFrame = paint => { frames.asked++; return ask(paint); };
}"""


@pytest.fixture
def arriving(open_shared, url):
    """The page that waits, as it opens and whenever it is told to."""
    page = open_shared(url, before=HELD + LATE + WITHHELD + FRAMES, query="seed=3&samples=50&steps=5")
    if page.query_selector("body.ns-ready"):  # another test has been here
        page.reload(wait_until="domcontentloaded")
    return page


@pytest.fixture
def slow(open_shared, url):
    """The same page when it has opened, at Denoise."""
    page = open_shared(url, before=HELD + LATE + WITHHELD + FRAMES, query="seed=3&samples=50&steps=5")
    page.evaluate("arrive()")
    page.wait_for_selector("body.ns-ready")
    page.click("button[role=tab]:has-text('Denoise')")
    page.wait_for_function("!location.search.includes('tab=')")
    return page


def number(page, field: str, value) -> None:
    page.fill(f"#field-{field} input", str(value))
    page.press(f"#field-{field} input", "Enter")


def test_nothing_can_be_turned_before_it_would_be_kept_and_the_page_says_so(arriving):
    page = arriving
    page.wait_for_selector("#field-steps input")
    assert page.inner_text(".ns-opening") == "opening …"
    assert not page.is_visible("#stage-denoise .ns-empty span")  # what to press is no word of now
    for inside in ("#field-steps input", "#field-variants select", "button[role=tab]:has-text('Forward')"):
        page.locator(inside).first.evaluate("node => node.focus()")
        assert page.evaluate("document.activeElement === document.body"), inside
    box = page.locator("button[role=tab]:has-text('Forward')").bounding_box()
    page.mouse.click(box["x"] + 5, box["y"] + 5)
    page.evaluate("arrive()")
    page.wait_for_selector("body.ns-ready")
    assert not page.is_visible(".ns-opening")
    assert page.input_value("#field-seed input") == "3"
    assert page.get_attribute("button[role=tab]:has-text('Denoise')", "aria-selected") == "true"
    number(page, "steps", 20)
    page.wait_for_function("location.search.includes('seed=3') && location.search.includes('steps=20')")
    page.click("button[role=tab]:has-text('Forward')")
    page.wait_for_function("location.search.includes('tab=forward')")


#: When the page is put up.
PUT_UP = ("new MutationObserver(() => { if (document.querySelector('#tabs')) window.up ??= performance.now(); })"
          ".observe(document, { childList: true, subtree: true });")


#: Where what greets stands, and how large it is.
PLACES = """['.ns-brand .ns-name', '.ns-greeting', '.ns-stage', '.ns-stage canvas', '.ns-transport'].map(which => {
    const { x, y, width, height } = document.querySelector(which).getBoundingClientRect();
    return [x, y, width, height].map(Math.round);
})"""
INK = "getComputedStyle(document.querySelector('.ns-ways b')).color"


def withheld(page, url):
    """The page before Gradio's scripts have come, and a function that lets them."""
    held, gone = [], False
    page.route("**/assets/*.js", lambda route: route.continue_() if gone else held.append(route))

    def let_go():
        nonlocal gone
        gone = True
        for route in held:
            route.continue_()

    page.goto(url, wait_until="commit")
    page.wait_for_selector("#ns-early .ns-begun")
    assert page.query_selector("#tabs") is None
    return page, let_go


@pytest.mark.parametrize("how", few(["1280 light", "390 dark"], "390 dark"))
def test_the_film_that_greets_stands_there_before_gradio_and_goes_on_in_its_place(new_page, url, how):
    """Gradio's scripts are withheld: the film is there all the same, fetched once, and answered is what was asked when
    they come."""
    width, theme = how.split()
    page = new_page(SHIFTS + PUT_UP, viewport={"width": int(width), "height": 850}, color_scheme=theme)
    page, let_go = withheld(page, url)
    page.wait_for_function(f"({STAGE.format('denoise')}).painted > 1")
    assert page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
    assert page.evaluate("(bar => bar.scrollWidth <= bar.clientWidth)(document.querySelector('.ns-brand'))")
    before, film = page.evaluate(f"[{PLACES}, {INK}]"), page.evaluate(f"({STAGE.format('denoise')}).film.id")
    page.click("#ns-early .ns-chip[data-key=eps]")
    let_go()
    page.wait_for_selector("body.ns-ready")
    page.wait_for_selector("#ns-early", state="detached")
    page.wait_for_function(f"({STAGE.format('denoise')}).film.panels.has('eps')")
    page.wait_for_function("location.search.includes('panels=') && location.search.includes('eps')")
    files = page.evaluate("performance.getEntriesByType('resource').filter(file => file.name.endsWith('.deflate'))"
                          ".map(file => [file.name, file.startTime < up])")
    assert [ahead for _, ahead in files] == [True, False]  # the film, and what was asked for
    assert files[0][0] != files[1][0]
    page.click("#stage-denoise .ns-chip[data-key=eps]")
    assert page.evaluate(f"({STAGE.format('denoise')}).film.id") == film
    page.wait_for_function(f"before => JSON.stringify([{PLACES}, {INK}]) === JSON.stringify(before)", arg=before)
    assert page.evaluate("shifts") < 0.05
    assert page.query_selector("[data-testid=toast-body]") is None


def test_draw_pressed_before_gradio_has_come_opens_the_pad_when_it_has(new_page, url):
    page, let_go = withheld(new_page(reduced_motion="reduce"), url)
    page.click("#ns-early [data-ns=draw]")
    let_go()
    page.wait_for_selector("body.ns-ready")
    page.wait_for_selector("#own-pad .ns-pad:focus")


def test_a_page_at_rest_asks_for_no_frames(slow):
    page = slow
    page.wait_for_function(f"(stage => stage.done && !stage.playing)({STAGE.format('denoise')} || {{}})")
    page.wait_for_function("late.open === 0")
    assert page.evaluate("""async () => {
        frames.asked = 0;
        for (let k = 0; k < 30; k++) await new Promise(frames.ask);
        return frames.asked;
    }""") < 15


def test_a_change_while_the_stream_of_answers_ends_is_answered(slow):
    page = slow
    number(page, "seed", 5)
    page.wait_for_function("location.search.includes('seed=5') && late.open === 0")
    page.evaluate("late.hold()")
    number(page, "seed", 6)
    page.wait_for_function("location.search.includes('seed=6') && late.held")  # it is answered, and the end on its way
    sent = page.evaluate("late.sent")
    number(page, "seed", 7)
    page.wait_for_function(f"late.sent > {sent}")
    page.evaluate("late.go()")
    page.wait_for_function("location.search.includes('seed=7')")


def test_what_is_turned_while_an_answer_is_on_its_way_stays_and_so_does_the_answer(slow):
    page = slow
    number(page, "seed", 5)
    page.wait_for_function("location.search.includes('seed=5')")
    page.evaluate("answers.hold()")
    sent = page.evaluate("answers.sent")
    page.click("#field-model input")
    page.click("ul[role=listbox] li:has-text('one step')")  # brings a sampler and one step with it
    number(page, "steps", 4)
    number(page, "seed", 7)
    page.wait_for_function(f"answers.sent >= {sent} + 3")
    page.evaluate("answers.go()")
    page.wait_for_function("['model=consistency', 'sampler=multistep_consistency', 'steps=4', 'seed=7']"
                           ".every(part => location.search.includes(part))")
    page.wait_for_function("document.querySelector('#field-steps input').value === '4'")
    page.wait_for_function("['sampler', 'seed'].map(name => document.querySelector(`#field-${name} input`).value)"
                           ".join() === 'consistency,7'")
    assert page.query_selector("[data-testid=toast-body]") is None


def test_panels_that_are_wished_for_while_another_is_on_its_way_come_all(slow):
    page, stage, chip = slow, f"({STAGE.format('denoise')})", "#stage-denoise .ns-chip[data-key={}]"
    page.wait_for_function(f"{stage}.done")
    before = page.evaluate(f"{stage}.keys")
    page.evaluate("answers.hold()")
    for key in ("eps", "removed"):
        sent = page.evaluate("answers.sent")
        page.click(chip.format(key))
        page.wait_for_function(f"answers.sent > {sent}")
    page.click(chip.format("density"))
    assert page.inner_text("#stage-denoise .ns-status") == "6 panels are the most: switch one off first."
    page.click(chip.format(before[0]))
    page.evaluate("answers.go()")
    page.wait_for_function(f"wanted => {stage}.keys.join() === wanted", arg=",".join([*before[1:], "eps", "removed"]))
    assert page.locator("#stage-denoise .ns-pending").count() == 0


#: Of what type is each thing that a browser is asked to copy.
COPIED = """
    const copy = window.structuredClone.bind(window);
    window.copied = [];
    window.structuredClone = (...told) => { copied.push(typeof told[0]); return copy(...told); };
"""


def test_what_is_its_own_copy_is_not_copied_and_all_else_is_as_ever(new_page):
    page = new_page()
    page.evaluate(COPIED)
    page.add_script_tag(content=link(CLONES, "Clones"))
    assert page.evaluate("""() => {
        const values = [undefined, null, true, -0, NaN, 7n, 'ε'], before = copied.length;
        return values.every(value => Object.is(structuredClone(value), value)) && copied.length === before;
    }""")
    assert page.evaluate("""() => {
        const told = { list: [1, { deep: new Date(0) }] }, made = structuredClone(told);
        told.list[1].deep.setTime(5);
        return made !== told && made.list.length === 2 && made.list[1].deep.getTime() === 0;
    }""")
    assert page.evaluate("""() => {
        const given = new ArrayBuffer(8), taken = structuredClone(given, { transfer: [given] });
        return [given.byteLength, taken.byteLength];
    }""") == [0, 8]
    refused = "told => { try { structuredClone(...eval(told)); } catch (error) { return error.name; } }"
    assert page.evaluate(refused, "[() => 1]") == page.evaluate(refused, "[Symbol()]") == "DataCloneError"
    assert page.evaluate(refused, "[]") == page.evaluate(refused, "[1, { transfer: [1] }]") == "TypeError"


def test_what_gradio_does_that_nobody_sees_is_left_out(at):
    """Its tree of components is not put up again as soon as it is up, and no event tells how it stands to what it
    only reads."""
    page = at("steps=5&samples=50")
    assert page.evaluate("""async () => {
        const [core, tracker] = await Promise.all([/\\/core-[^/]*js$/, /\\/statustracker-[^/]*js$/].map(file =>
            import(performance.getEntriesByType('resource').find(({ name }) => file.test(name)).name)));
        const Statuses = Object.values(tracker).find(made => made.prototype?.resolve_args), statuses = new Statuses();
        statuses.register(7, [1], [2, 3], 'full');
        for (const status of ['pending', 'complete']) statuses.update({ fn_index: 7, status, stream_state: 'closed' });
        const root = {}, tree = Object.create(core.AppTree.prototype, { root: { value: root },
                                                                        root_untracked: { value: root } });
        tree.reload([], { children: [] }, [], {});  // of what has just been made: it is as it was
        let again;
        try { tree.reload([], { children: [] }, [], {}); } catch (error) { again = error.name; }
        return [Object.keys(statuses.current), again];  // any other is done, which what is no tree inside refuses
    }""") == [["1"], "TypeError"]
