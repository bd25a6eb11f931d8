"""What a visitor does while the page opens, or while it works, in a real browser: nothing of it is lost."""

from __future__ import annotations

STAGE = "window.Noisescope && Noisescope.stageOf && Noisescope.stageOf('stage-{0}')"

#: The server ends the stream of answers; this page, busy with other things, hears of it when `late.go` is called.
LATE = """
    const ask = window.fetch.bind(window);
    window.late = { wanted: false, held: 0, sent: 0, open: 0 };
    window.late.over = new Promise(go => { window.late.go = go; });
    window.fetch = async (input, init) => {
        const answer = await ask(input, init);
        const { pathname } = new URL(input.url || input, location.href);
        if (pathname.endsWith('/queue/join')) late.sent++;
        if (!pathname.endsWith('/queue/data')) return answer;
        late.open++;
        const read = new TransformStream({
            transform: async (part, out) => {
                const end = new TextDecoder().decode(part).includes('close_stream');
                if (end && late.wanted) { late.held++; await late.over; }
                out.enqueue(part);
            },
            flush: () => { late.open--; },
        });
        return new Response(answer.body.pipeThrough(read), answer);
    };
"""

#: The page is up and its arrival, which says what stands in the sidebar, waits until it is let go.
HELD = """
    const ask = window.fetch.bind(window);
    const gate = new Promise(go => { window.arrive = go; });
    window.fetch = async (input, init) => {
        if (new URL(input.url || input, location.href).pathname.endsWith('/queue/join')) await gate;
        return ask(input, init);
    };
"""


def number(page, field: str, value) -> None:
    page.fill(f"#field-{field} input", str(value))
    page.press(f"#field-{field} input", "Enter")


def test_nothing_can_be_turned_before_it_would_be_kept_and_the_page_says_so(open_page, url):
    page = open_page(url, before=HELD, query="seed=3")
    page.wait_for_selector("#field-steps input")
    assert page.inner_text(".ns-opening") == "opening …"
    for inside in ("#field-steps input", "#field-versus select", "button[role=tab]:has-text('Forward')"):
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


def test_the_film_that_greets_can_be_asked_for_more_before_the_page_has_arrived(open_page, url):
    page = open_page(url)
    page.click("#stage-denoise .ns-chip[data-key=eps]")
    page.wait_for_function(f"({STAGE.format('denoise')}).keys.includes('eps')")
    page.wait_for_selector("body.ns-ready")
    page.wait_for_function("location.search.includes('panels=') && location.search.includes('eps')")
    assert page.query_selector("[data-testid=toast-body]") is None


def test_a_change_while_the_stream_of_answers_ends_is_answered(open_page, url):
    page = open_page(url, before=LATE)
    page.wait_for_selector("body.ns-ready")
    number(page, "seed", 5)
    page.wait_for_function("location.search.includes('seed=5') && late.open === 0")
    page.evaluate("late.wanted = true")
    number(page, "seed", 6)
    page.wait_for_function("location.search.includes('seed=6') && late.held")  # it is answered, and the end on its way
    sent = page.evaluate("late.sent")
    number(page, "seed", 7)
    page.wait_for_function(f"late.sent > {sent}")
    page.evaluate("late.go()")
    page.wait_for_function("location.search.includes('seed=7')")
