"""Comparing and branching in a real browser."""

from __future__ import annotations

from PIL import Image

from core.drawing.export import read_recipe

STAGE = "window.Noisescope && Noisescope.stageOf && Noisescope.stageOf('stage-{0}')"

#: The film is of the seed that the address asks for.
OWN = "s.from.seed === `seed ${new URLSearchParams(location.search).get('seed')}` && s.film.ready === s.total"


def whole(page, tab: str = "compare", condition: str = "true") -> dict:
    """The stage when all its frames are there."""
    page.wait_for_function(f"(() => {{ const s = {STAGE.format(tab)}; "
                           f"return s && s.done && s.total > 1 && s.keys.length && ({condition}); }})()")
    return page.evaluate(f"(() => {{ const s = {STAGE.format(tab)}; return {{ total: s.total, keys: s.keys, "
                         "film: s.film.id, charts: s.film.charts.map(c => c.series.map(l => l.label)) }; })()")


def titled(page, *titles: str) -> None:
    """Until these are the titles of the first panels: they are set after the film has come."""
    page.wait_for_function("titles => titles.every((title, k) => document.querySelectorAll("
                           "'#stage-compare .ns-panel-title')[k]?.innerText === title)", arg=list(titles))


def rated(page, tab: str = "compare") -> list[list[str]]:
    """The labels of each chart when the quality is known too, of every run: they are rated one after another."""
    runs = "[...s.film.panels.keys()].filter(key => /^x_/.test(key)).length"
    return whole(page, tab, f"s.film.charts[1].series.filter(c => c.label.includes(', ')).length === {runs}")["charts"]


def row(page, letter: str, which: int = 0):
    return page.locator(f"#field-variants [data-run={letter}] select").nth(which)


def test_two_panels_a_difference_and_the_curve_of_their_distance(at):
    page = at("steps=20&samples=100")
    page.click("button[role=tab]:has-text('Compare')")
    now = whole(page, condition=OWN)  # another test's film may stand there till then
    assert now["keys"] == ["x_a", "x_b", "less_b", "shift_b"]
    titled(page, "A · DDIM", "B · DDPM")
    distance, quality = rated(page)
    assert distance == ["5 % of std", "B", ""] and quality == ["real data", "", "A, 20", "", "B, 20"]
    page.locator("#stage-compare .ns-sentence").filter(has_text="away from A").wait_for()
    assert page.is_visible("#compare") and not page.is_visible("#denoise") and not page.is_visible("#train")


def test_a_row_changed_by_hand_makes_another_film_and_a_link_that_restores_it(at):
    page = at("tab=compare&steps=10&samples=50")
    first = whole(page)["film"]
    row(page, "C").select_option("steps")
    now = whole(page, condition=f"s.film.id !== '{first}'")
    assert now["keys"] == ["x_a", "x_b", "x_c", "less_b"]
    page.fill("#field-variants [data-run=C] input", "5")
    page.press("#field-variants [data-run=C] input", "Enter")
    page.wait_for_function("location.search.includes('variants=sampler:ddpm,steps:5')")
    link = page.url.partition("?")[2]
    at("tab=compare&steps=9&samples=20")
    assert whole(at(link))["keys"] == ["x_a", "x_b", "x_c", "less_b"]
    page.wait_for_function("""() => {
        const [what, how] = ['select', 'input'].map(at => document.querySelector(`#field-variants [data-run=C] ${at}`));
        return what?.value === 'steps' && how?.value === '5';
    }""")
    titled(page, "A · DDIM", "B · DDPM", "C · 5 steps")


def test_what_no_run_can_change_is_said_and_the_film_stays(at):
    page = at("tab=compare&steps=10&samples=50&variants=steps:9")
    before = whole(page)["film"]
    page.fill("#field-variants [data-run=B] input", "5000")
    page.press("#field-variants [data-run=B] input", "Enter")
    said = page.wait_for_selector("[data-testid=toast-body]").inner_text()
    assert "steps that is out of 1…1000" in said and whole(page)["film"] == before


def test_branch_here_goes_on_from_the_playhead_beside_its_parent_and_takes_a_change_of_the_sidebar_with_it(at):
    page = at("steps=20&samples=50")
    before = whole(page, "denoise")["film"]
    page.click("#field-sampler input")
    page.click("ul[role=listbox] li:text-is('DDPM')")
    whole(page, "denoise", f"s.film.id !== '{before}'")
    page.evaluate(f"(() => {{ const s = {STAGE.format('denoise')}; s.pause(); s.seek(8); }})()")
    page.click("#branch")
    titled(page, "A · DDPM", "B · no noise from step 8")  # of its first frame; a film may have stood there before
    now = whole(page)
    assert now["keys"][:2] == ["x_a", "x_b"] and "B" in now["charts"][0]
    for part in ("variants=drop_noise:on@8", "tab=compare"):
        page.wait_for_function(f"location.search.includes('{part}')")
    away = page.evaluate(f"[...{STAGE.format('compare')}.film.numbers.away_b]")
    assert away[:9] == [0] * 9 and min(away[9:]) > 0
    page.wait_for_function("""document.querySelector(
        "#field-variants [aria-label='the step at which B leaves A']")?.value === '8'""")


def test_a_comparison_exports_as_one_gif(at, tmp_path):
    page = at("tab=compare&steps=10&samples=50&variants=steps:4")
    whole(page)
    page.click("#stage-compare .ns-export > button")
    with page.expect_download() as download:
        page.click("#stage-compare .ns-popover .ns-primary")
    path = tmp_path / "film.gif"
    download.value.save_as(path)
    with Image.open(path) as gif:
        assert gif.n_frames >= 11
    assert read_recipe(path)["variants"] == ["steps:4"]


def test_a_phone_never_scrolls_sideways_with_four_runs(at):
    page = at("tab=compare&steps=10&samples=50&variants=sampler:ddpm,steps:4+eta:1,drop_noise:on@4")
    wide = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    try:
        page.wait_for_selector(".ns-recipe-button")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.locator("#compare").bounding_box()
        assert box and box["y"] + box["height"] <= 844
        page.click(".ns-recipe-button")
        row(page, "D").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        page.set_viewport_size(wide)
