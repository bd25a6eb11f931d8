"""Comparisons: the same noise for all, distances as by hand, branches that are their parent until they leave it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.data.datasets import Dataset, load
from core.drawing.export import read_recipe
from core.drawing.stage import pack
from core.edits import drop_noise, during
from core.metrics.distances import BLOCKS, Estimate, estimated, nearest, sliced_wasserstein
from core.prediction import Prediction
from core.recipe.recipe import Recipe
from core.reverse import Step, start_noise, walk
from core.runs import comparison as action
from core.runs.comparison import Asked, branched, compare, first_label, held_against, plans_of, together
from core.runs.resolve import CannotShow
from core.runs.trainings import Training
from core.runs.walks import denoise
from core.samplers import SAMPLERS
from core.schedules import make_schedule
from core.trace import Trace
from core.views import CompareView
from core.views.compare import (
    MOST_FRAMES, OTHER_NOISE, OTHER_STEPS, PARTED, Run, common_grid, displacement, latest,
)
from dashboard.server.exports import export_stream
from dashboard.server.visitors import Visitors
from dashboard.stage.stream import SceneStream, play
from tests.sweep import few

ROOT = Path(__file__).parents[1]
EXACT = Recipe(model="exact", steps=12, samples=20, data="gaussians8")


@pytest.fixture(scope="module", autouse=True)
def unrated():
    """No more samples than are shown: what they cost is of no interest here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(action, "RATED", {"points": 16, "images": 16})
        yield


@pytest.fixture
def visitor():
    visitors = Visitors()
    return visitors.of(visitors.enter())


def finished(films):
    *_, film = films
    return film


def compared(*variants: str, visitor=None, **changes) -> CompareView:
    return finished(compare(EXACT.with_(variants=variants, **changes), visitor))


def walked(**changes) -> Trace:
    """The same walk as the Denoise tab makes it."""
    return finished(denoise(EXACT.with_(**changes))).trace


def states(trace: Trace) -> torch.Tensor:
    return torch.cat([trace["x_t"], trace.final[None]])


def toy(*shifts: list[float], dataset=None) -> CompareView:
    """Runs on one grid; each state of run i is that of A, moved by shifts[i] at that step."""
    dataset = dataset or load("gaussians8")
    x = torch.randn(5, *dataset.shape, generator=torch.Generator().manual_seed(0))
    times, runs = torch.linspace(1, 0, len(shifts[0]), dtype=torch.float64), []
    for letter, by in zip("ABCD", ([0.0] * len(times), *shifts)):
        trace = Trace(("x_t", "x0"))
        for k, (t, s) in enumerate(zip(times, times[1:])):
            one, none = torch.ones(()), torch.zeros(())
            trace.add(Step(k, t, s, x + by[k], Prediction(x, x, one, none), x + by[k + 1], none, x))
        runs.append(Run(letter, "toy", trace, times, make_schedule("cosine"), finished=True))
    return CompareView(runs, dataset)


# --- the same noise ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", few(
    SAMPLERS, "ddim", "ddpm", "heun", "dpmpp_2m", "predictor_corrector", "ascent_adam"))
def test_a_run_that_changes_nothing_is_run_a_bit_for_bit(sampler):
    film = compared(f"sampler:{sampler}", sampler=sampler, eta=0.5)
    a, b = film.runs
    assert torch.equal(states(a.trace), states(b.trace)) and a.calls == b.calls
    assert film.away(b).max() == 0 and film.parted(b) is None


@pytest.mark.parametrize("changes", [
    dict(), dict(sampler="ddpm"), dict(steps=5), dict(schedule="flow"), dict(thresholding="static"),
])  # fmt: skip
def test_every_run_is_the_walk_that_the_denoise_tab_makes_of_its_recipe(changes):
    text = "+".join(f"{name}:{value}" for name, value in changes.items()) or "eta:0"
    film = compared(text)
    assert torch.equal(states(film.runs[0].trace), states(walked()))
    assert torch.equal(states(film.runs[1].trace), states(walked(**changes)))


@pytest.mark.parametrize("change, why", [("eta:0", set()), ("steps:5", {OTHER_STEPS}), ("eta:0.5", {OTHER_NOISE}),
                                         ("sampler:ddpm+steps:5", {OTHER_STEPS, OTHER_NOISE})])
def test_why_runs_differ_is_said_where_they_take_other_steps_or_add_noise(change, why):
    sentence = compared(change).scene(()).sentence
    assert {words for words in (OTHER_STEPS, OTHER_NOISE) if words in sentence} == why


def test_the_kth_step_of_every_run_is_given_the_same_noise():
    plans = plans_of(EXACT.with_(variants=("sampler:ddpm", "steps:5", "nudge:0.2@3")), None)
    noise = {}
    for _, step in together(plans, [Asked(plan.resolved.denoise) for plan in plans], 6, 9):
        noise.setdefault(step.index, []).append(step.noise)
    assert len(noise) == 12 and [len(noise[k]) for k in (0, 4, 5, 11)] == [4, 4, 3, 3]
    assert all(torch.equal(z, rows[0]) for rows in noise.values() for z in rows)


def test_all_runs_begin_with_the_same_noise_at_the_size_of_their_schedule():
    plans = plans_of(EXACT.with_(variants=("schedule:flow", "schedule:linear"), steps=3), None)
    first = {}
    for i, step in together(plans, [Asked(plan.resolved.denoise) for plan in plans], 6, 9):
        first.setdefault(i, step.x_t / plans[i].resolved.schedule(step.t)[1])
    assert torch.allclose(first[0], first[1]) and torch.allclose(first[0], first[2])


# --- distances and where they part ------------------------------------------------------------------------------


def test_the_distance_curve_is_the_root_mean_square_over_samples_and_coordinates():
    film = compared("sampler:ddpm", "nudge:0.3")
    reference = states(walked())
    for run, changes in zip(film.others, (dict(sampler="ddpm"), dict(nudge=0.3))):
        apart = (states(walked(**changes)) - reference).numpy()
        by_hand = [np.sqrt(np.mean(frame**2)) for frame in apart]
        np.testing.assert_allclose(film.away(run), by_hand, rtol=1e-5)
        np.testing.assert_allclose(film.scene(()).numbers[f"away_{run.key}"], by_hand, rtol=1e-5)


def test_runs_of_different_schedules_are_held_together_by_their_guesses_and_their_ends():
    film = compared("schedule:linear")
    a, b = (run.trace for run in film.runs)
    guesses = [torch.cat([trace["x0"], trace.final[None]]) for trace in (a, b)]
    by_hand = (guesses[1] - guesses[0]).flatten(1).square().mean(1).sqrt()
    assert film.quantity == "x0" and "guesses" in film.scene(()).sentence
    np.testing.assert_allclose(film.away(film.runs[1]), by_hand, rtol=1e-5)


def test_states_of_an_exploding_schedule_are_shown_and_compared_at_the_size_of_the_data():
    film = compared("sampler:ddpm", schedule="ve", spacing="edm")
    a, b = (states(run.trace) for run in film.runs)
    size = (1 + film.runs[0].schedule(film.times)[1] ** 2).sqrt().float()[:, None, None]
    np.testing.assert_allclose(film.scene(("x_b",)).panels[0].data, b / size, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(film.away(film.runs[1]), ((b - a) / size).square().mean((1, 2)).sqrt(), rtol=1e-4)
    assert all("÷√(α²+σ²)" in panel.caption for panel in film.scene().panels)
    assert "÷√(α²+σ²)" in film.scene(()).charts[0].title and a[0].abs().max() > 50


def test_a_run_has_one_colour_in_its_panels_and_in_all_charts_and_no_other_run_has_it():
    film = toy([0.0, 0.5, 0.5, 0.5], [0.0, 0.2, 0.2, 0.2], [0.0, 0.1, 0.1, 0.1])
    for k, run in enumerate(film.runs):
        run.calls, run.quality = 3, Estimate(0.1 * (k + 1), 0.01)
    scene = film.scene(tuple(film.offers))
    legend = {words[0]: palette for palette, words in scene.legend}
    assert list(legend) == [*"ABCD"] and len({*legend.values()}) == 4
    assert all(panel.palette == legend[panel.key[-1].upper()] for panel in scene.panels)
    named = [series for chart in scene.charts for series in chart.series if series.label[:1] in legend and series.label]
    assert len(named) == 3 + 4 and all(series.palette == legend[series.label[0]] for series in named)
    bars = [series for series in scene.charts[1].series if not series.label]
    assert [series.palette for series in bars] == [*legend.values()]


def test_runs_part_at_the_first_frame_beyond_the_stated_share_of_the_datas_std():
    limit = PARTED * load("gaussians8").std
    film = toy([0, 0, 0.9 * limit, 1.1 * limit, 0], [0, 0, 0, 0, 0.99 * limit])
    assert film.parted(film.runs[1]) == 3 and film.parted(film.runs[2]) is None
    scene = film.scene(())
    assert "part at t = 0.25" in scene.sentence and "have not parted" in scene.sentence
    dots = [s for s in scene.charts[0].series if s.style == "dots"]
    assert len(dots) == 1 and dots[0].x == pytest.approx([0.25]) and dots[0].y == pytest.approx([1.1 * limit], rel=1e-4)
    assert "5 % of the data's std" in scene.charts[0].title


def test_a_run_shows_the_latest_state_that_it_has():
    film = compared("steps:3")
    a, b = film.runs
    np.testing.assert_allclose(film.times, np.linspace(1, 0, 13), atol=2e-3)
    frames = film.scene(("x_a", "x_b")).panels[1].data
    of_b = states(b.trace).numpy()
    shown = [int(np.flatnonzero([np.array_equal(frame, x) for x in of_b])[0]) for frame in frames]
    assert shown == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert np.array_equal(film.scene(("x_a",)).panels[0].data, states(a.trace).numpy())
    assert film.offers["x_b"].make(0, 1).caption == "3 steps" and "latest" in film.offers["x_b"].note


def test_a_common_grid_holds_every_time_once_and_both_ends_when_it_is_thinned():
    fine, coarse = torch.linspace(1, 0, 11), torch.linspace(1, 0, 6)
    assert torch.equal(common_grid([fine, coarse]), fine)
    grids = [torch.linspace(1, 0, 1001, dtype=torch.float64), torch.linspace(1, 0, 700, dtype=torch.float64)]
    thinned = common_grid(grids)
    assert len(thinned) == MOST_FRAMES and thinned[0] == 1 and thinned[-1] == 0 and (thinned.diff() < 0).all()
    assert latest(coarse, fine).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert latest(torch.tensor([0.9, 0.5, 0.0]), torch.tensor([1.0, 0.9, 0.6, 0.5])).tolist() == [0, 0, 0, 1]


def test_displacement_is_the_mean_way_of_the_points_in_a_cell():
    a = torch.tensor([[[-0.99, -0.99], [-0.98, -0.99], [0.99, 0.99], [5.0, 0.0]]])
    b = a + torch.tensor([[[0.1, 0.0], [0.3, 0.2], [0.0, -1.0], [9.0, 9.0]]])
    field = displacement(a, b, 1.0)
    torch.testing.assert_close(field[0, 0, 0], torch.tensor([0.2, 0.1]))
    torch.testing.assert_close(field[0, -1, -1], torch.tensor([0.0, -1.0]))
    assert field.count_nonzero() == 3, "a point outside of the view is in no cell"


# --- branches ---------------------------------------------------------------------------------------------------


BRANCHES = [f"{sampler} {step}" for sampler in SAMPLERS for step in (0, 5, 11)]


@pytest.mark.parametrize("branch", few(BRANCHES, "ddim 0", "ddim 11", "dpmpp_2m 0", "dpmpp_2m 11",
                                       *(f"{sampler} 5" for sampler in SAMPLERS)))
def test_a_branch_that_changes_nothing_is_its_parent_bit_for_bit(branch):
    sampler, step = branch.split()
    film = compared(f"sampler:{sampler}@{step}", sampler=sampler)
    a, b = film.runs
    assert torch.equal(states(a.trace), states(b.trace)) and torch.equal(a.trace["x0"], b.trace["x0"])
    assert torch.equal(states(b.trace), states(walked(sampler=sampler)))


@pytest.mark.parametrize("change", [
    "sampler:ddpm", "drop_noise:on", "nudge:0.3", "time_shift:0.1", "scale_eps:0.5", "thresholding:static",
])  # fmt: skip
def test_a_branch_is_its_parent_until_it_leaves_it(change):
    film = compared(f"{change}@5", eta=0.7)
    a, b = (states(run.trace) for run in film.runs)
    assert torch.equal(a[:6], b[:6]) and not torch.equal(a[-1], b[-1])
    assert film.runs[1].label.endswith("from step 5")


def test_noise_dropped_from_a_step_on_is_the_walk_with_that_edit():
    film = compared("drop_noise:on@5", sampler="ddpm")
    times = film.runs[0].times
    edit = during(drop_noise, float(times[5]), 0.0)
    plan = plans_of(EXACT.with_(sampler="ddpm"), None)[0]
    generator = torch.Generator().manual_seed(EXACT.seed)
    x = start_noise(plan.resolved.schedule, (20, 2), times[0], generator)
    by_hand = Trace.record(walk(plan.resolved.denoise, plan.rule(generator), x, times, generator, edit))
    assert torch.equal(states(film.runs[1].trace), states(by_hand))
    assert film.runs[1].trace.std[5:].abs().max() == 0 < film.runs[0].trace.std[5:].max()


def test_a_branch_asks_the_network_only_after_it_has_left():
    plans = plans_of(EXACT.with_(sampler="heun", variants=("sampler:ddim@5",)), None)
    really = []

    def counting(x, t, denoise=plans[0].resolved.denoise):
        really.append(float(t))
        return denoise(x, t)

    plans = [replace(plan, resolved=replace(plan.resolved, denoise=counting)) for plan in plans]
    plans[1] = replace(plans[1], parent=plans[0])
    asked = [Asked(counting) for _ in plans]
    for _ in together(plans, asked, 4, 0):
        pass
    assert [a.calls for a in asked] == [23, 10 + 7], "Heun asks twice a step, and once in the last"
    assert len(really) == 23 + 7 and not asked[0].tapes


@pytest.mark.parametrize("sampler, calls", [("ddim", 12), ("ddpm", 12), ("heun", 23), ("dpmpp_2m", 12)])
def test_network_evaluations_are_counted_where_they_happen(sampler, calls):
    assert [run.calls for run in compared(f"sampler:{sampler}", "steps:4").runs] == [12, calls, 4]


def test_branch_here_takes_what_differs_from_the_walk_into_run_b():
    walk_of = EXACT.with_(seed=4, frame=7, panels=("x_t",))
    wanted = walk_of.with_(sampler="ddpm", time_shift=0.05, lens_samples=9, train_steps=7, tab="lens")
    branch = branched(walk_of, wanted, 7, noisy=False)
    assert branch == walk_of.with_(variants=("sampler:ddpm+time_shift:0.05@7",), tab="compare", panels=(), frame=0)


def test_branch_here_with_nothing_changed_drops_the_noise_or_draws_it_where_there_is_none():
    assert branched(EXACT, EXACT, 3, noisy=True).variants == ("drop_noise:on@3",)
    assert branched(EXACT, EXACT, 3, noisy=False).variants == ("sampler:ddpm@3",)


@pytest.mark.parametrize("changes, words", [
    (dict(steps=20), "so steps cannot change there"), (dict(seed=9, data="moons"), "so data, seed cannot change there"),
    (dict(sampler="ddpm", eta=1.0, thresholding="static", time_shift=0.1, nudge=0.1), "can change 4 things at once"),
])  # fmt: skip
def test_what_cannot_change_on_the_way_is_said(changes, words):
    with pytest.raises(CannotShow, match=words):
        branched(EXACT, EXACT.with_(**changes), 3, noisy=True)


# --- quality ----------------------------------------------------------------------------------------------------


def test_the_exact_denoiser_is_at_the_floor_of_real_data_and_one_step_is_not(monkeypatch):
    monkeypatch.setattr(action, "RATED", {"points": 400, "images": 16})
    film = compared("sampler:ddpm", "steps:1", steps=40, samples=10)
    a, b, one = (run.quality for run in film.runs)
    for quality in (a, b):
        assert quality.value < film.real.value + 4 * (film.real.error + quality.error)
    assert one.value > film.real.value + 10 * (film.real.error + one.error)


def test_the_error_of_an_estimate_is_how_much_it_varies_from_set_to_set():
    data, g = load("gaussians8"), torch.Generator().manual_seed(1)

    def measure(a, b):
        return sliced_wasserstein(a, b, directions=32)

    drawn = [estimated(measure, data.draw(200, g)[0], data.draw(200, g)[0], pairs=True) for _ in range(50)]
    spread = np.std([estimate.value for estimate in drawn])
    assert 0.5 < np.mean([estimate.error for estimate in drawn]) / spread < 2


def test_an_estimate_of_the_whole_and_of_its_blocks_is_as_by_hand():
    a = torch.arange(32.0)[:, None]
    b = torch.zeros(3, 1)
    blocks = [float(part.median()) for part in a.split(4)]
    estimate = estimated(nearest, a, b, pairs=False)
    assert estimate == Estimate(15.0, pytest.approx(np.std(blocks, ddof=1) / np.sqrt(BLOCKS)))
    with pytest.raises(ValueError, match="sets of 15 and 3 samples; take 16 or more"):
        estimated(nearest, a[:15], b, pairs=False)
    with pytest.raises(ValueError, match="as many of each"):
        estimated(nearest, a, b, pairs=True)


def test_real_data_are_held_against_data_that_they_are_not():
    unseen, real = held_against(load("digits8"), 30)
    assert torch.equal(unseen, load("digits8").held_out[: len(unseen)]) and len(real) == 30
    few = Dataset("few", "Few", "images", torch.rand(40, 1, 8, 8))
    halves = held_against(few, 50)
    assert torch.equal(halves[0], few.x0[::2]) and torch.equal(halves[1], few.x0[1::2])


def test_pictures_too_few_to_tell_have_no_quality_and_all_else(visitor):
    visitor.data = Dataset("few", "Few", "images", torch.rand(9, 1, 8, 8) * 2 - 1)
    film = compared("sampler:ddpm", visitor=visitor, data="own", samples=2, steps=3)
    assert film.real is None and all(run.quality is None for run in film.runs)
    assert film.frames == film.total == 4 and pack(film.scene())


def test_the_chart_of_quality_says_what_was_counted_and_measured():
    film = compared("steps:4", "sampler:heun")
    chart = film.scene(()).charts[1]
    assert "sliced Wasserstein" in chart.title and "±2 s.e." in chart.title
    dots = {s.label: s for s in chart.series if s.style == "dots"}
    bars = [s for s in chart.series if not s.label]
    assert list(dots) == ["A, 12", "B, 4", "C, 23"] and "real data" in [s.label for s in chart.series]
    for run, dot, bar in zip(film.runs, dots.values(), bars):
        assert (dot.x[0], dot.y[0]) == (run.calls, run.quality.value)
        assert bar.y[1] - dot.y[0] == pytest.approx(2 * run.quality.error)


# --- what cannot be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe, words", [
    (EXACT.with_(variants=()), "Nothing is compared yet"),
    (EXACT.with_(variants=("eta:1@12",)), "Run B cannot be made: it leaves at step 12, and A has the steps 0 to 11"),
    (EXACT.with_(variants=("", "steps:900"), T=100), "Run C cannot be made: steps is 900; it can be 1…100"),
    (EXACT.with_(variants=("model:mine",)), "Run B cannot be made: No model of yours"),
    (EXACT.with_(variants=("weights:raw",)), "Run B cannot be made: Raw and earlier weights are there of a model of"),
])  # fmt: skip
def test_a_run_that_cannot_be_is_named_with_the_reason(recipe, words):
    with pytest.raises(CannotShow, match=words):
        finished(compare(recipe))


def test_raw_weights_and_those_of_a_moment_of_a_training_can_be_compared(visitor, short_previews):
    training = Training(Recipe(data="gaussians8", train_steps=30, batch=32), visitor)
    for _ in training.run():
        pass
    visitor.keep("training", training)
    middle = sorted(training.kept)[2]
    film = compared("weights:raw", f"weights:{middle}", "weights:30", visitor=visitor, model="mine", steps=4)
    a, raw, earlier, last = (run.trace.final for run in film.runs)
    assert torch.equal(a, last) and not torch.equal(a, raw) and not torch.equal(a, earlier)
    with pytest.raises(CannotShow, match="No weights were kept after step 17; they were after the steps 0, "):
        compared("weights:17", visitor=visitor, model="mine")
    visitor.keep("training", None)
    with pytest.raises(CannotShow, match="are not kept any more"):
        compared("weights:raw", visitor=visitor, model="mine")


# --- the film ---------------------------------------------------------------------------------------------------

FILMS = [
    dict(variants=("sampler:ddpm",)), dict(variants=("steps:5", "", "drop_noise:on@4"), eta=1.0),
    dict(variants=("schedule:linear", "model:exact", "thresholding:static")),
    dict(variants=("schedule:ve", "spacing:edm")),
    dict(variants=("sampler:heun", "steps:3"), data="digits8", samples=3, steps=6),
]  # fmt: skip


@pytest.fixture(scope="module", params=FILMS)
def film(request, unrated):
    """A film of each kind. No test changes it."""
    return finished(compare(EXACT.with_(**request.param)))


def test_parts_of_the_film_in_a_row_are_the_whole_film(film):
    keys, cuts = tuple(film.offers), [0, 1, film.frames - 1, film.frames]
    whole = film.scene(keys)
    parts = [film.scene(keys, first, end) for first, end in zip(cuts, cuts[1:])]
    for i, panel in enumerate(whole.panels):
        np.testing.assert_array_equal(np.concatenate([part.panels[i].data for part in parts]), panel.data)
        assert np.isfinite(panel.data).all() and len(panel.data) == film.frames
    for name, values in whole.numbers.items():
        np.testing.assert_array_equal(np.concatenate([part.numbers[name] for part in parts]), values)
    assert pack(whole) and set(film.default) <= set(film.offers) and len(film.default) <= 6


def test_texts_can_be_filled_and_the_line_of_code_is_there(film):
    scene = film.scene(())
    for k in range(film.frames):
        for template in (scene.clock, scene.sentence, *scene.figures):
            assert "nan" not in scene.text(template, k) and "{" not in scene.text(template, k)
    file, _, code = scene.source.partition(" · ")
    assert code in (ROOT / file).read_text("utf-8")
    assert all(f"{run.letter} is " in scene.sentence for run in film.others)


def test_a_comparison_can_be_made_again_from_what_its_film_says(film):
    again = finished(compare(Recipe.from_dict(film.about)))
    for one, other in zip(film.runs, again.runs):
        assert torch.equal(one.trace["x_t"], other.trace["x_t"])


def test_the_film_grows_and_its_last_words_are_the_quality():
    recipe, seen, quality = EXACT.with_(variants=("sampler:ddpm", "steps:3")), [], []
    for growing in compare(recipe):
        seen.append(growing.frames)
        quality.append([run.quality is not None for run in growing.runs].count(True))
        if growing.frames:
            growing.scene(tuple(growing.offers))
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == 13 and quality[-1] == 3
    assert quality[seen.index(13)] == 0, "nobody waits for the quality to see the walks"


def test_the_stage_is_told_the_quality_after_the_last_frame():
    *_, (stream, value) = play(compare(EXACT.with_(variants=("sampler:ddpm",))))
    assert value["done"] and stream.latest or stream.sent == stream.film.frames
    assert any(run.quality for run in stream.film.runs)


def test_a_run_more_is_shown_whatever_was_on_and_otherwise_the_choice_stays():
    first, same, more = (finished(play(compare(EXACT.with_(steps=3, variants=variants)), before=None))[0]
                         for variants in (("eta:1",), ("eta:0.5",), ("eta:1", "thresholding:static")))
    for film, shown in ((same.film, None), (more.film, ["x_a", "x_b", "x_c", "less_b"])):
        *_, (stream, value) = play([film], before=first)
        assert value.get("shown") == shown and set(first.keys) <= set(stream.keys)


def test_panels_say_what_differs():
    variants = ("sampler:ddpm+thresholding:static", "drop_noise:0.5-0@4", "time_shift:-0.05")
    film = finished(compare(EXACT.with_(eta=0.5, variants=variants)))
    assert [film.offers[f"x_{key}"].title for key in "abcd"] == [
        "A · DDIM, η = 0.5", "B · DDPM, static thresholding", "C · no noise 0.5-0 from step 4", "D · time shift -0.05"]


@pytest.mark.parametrize("variants, title", [
    (("model:wiener", "steps:5"), "A · exact"), (("steps:5", "steps:3"), "A · 12 steps"),
    (("drop_noise:on@2",), "A · DDIM"), (("sampler:ddpm",), "A · DDIM")])
def test_the_first_run_is_named_by_what_the_others_change(variants, title):
    assert first_label(EXACT.with_(steps=12, variants=variants)) == title.removeprefix("A · ")


def test_a_comparison_exports_as_one_gif_that_knows_its_recipe(tmp_path):
    recipe = EXACT.with_(variants=("sampler:ddpm", "eta:1@6"), seed=3)
    *_, (done, path) = export_stream(SceneStream(finished(compare(recipe))), {"size": 96}, tmp_path)
    assert done == 1.0 and Recipe.from_dict(read_recipe(path)) == recipe


def test_where_a_label_is_asked_for_all_data_stand_behind_the_points():
    short = dict(samples=8, steps=2)
    asked = compared("guidance_scale:8", data="gaussians8", model="exact", label="2", guidance_scale=1.0, **short)
    for panel in asked.scene(("x_a", "x_b")).panels:
        assert len({tuple(np.sign(np.round(place, 1))) for place in panel.backdrop}) == 8  # all eight heaps
    assert compared("eta:1", **short).scene(("x_a",)).panels[0].backdrop is None
