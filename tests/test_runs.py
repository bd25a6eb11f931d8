"""What a visitor can do: the same recipe gives the same film, edits do what they say, a training gives a model."""

from __future__ import annotations

import base64
import gc
import json
import re
import weakref
import zlib
from itertools import product

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from core.data.datasets import Dataset, load
from core.denoisers.exact import Exact
from core.denoisers.linear import wiener
from core.drawing.export import FORMATS, read_recipe
from core.forward import noised
from core.prediction import target_of
from core.probes.noise_error import eps_errors
from core.recipe.recipe import Recipe
from core.recipe.values import Invalid
from core.runs import resolve as subject, trainings, walks as looks
from core.runs.brought import Brought
from core.runs.resolve import CannotShow, model_choices, resolve
from core.runs.trainings import PREVIEWS, Training, config_of, floor_by_bucket, moments
from core.runs.walks import denoise, forward_film, lens
from core.schedules import make_schedule
from core.trace import Trace
from core.training.presets import TrainingConfig, make_denoiser, preset as training_recipe
from core.training.trainer import BUCKETS, Trainer, TrainingDiverged, draw_times
from core.training.weightings import weight_of, x0_error_per_target_error
from core.views import ForwardView
from core.views.base import FIELD_CELLS, STATE_VIEW, field_points
from core.views.training import LOOK_AT, verdict
from dashboard.server import exports
from dashboard.server.app_state import user_error
from dashboard.server.exports import export_stream, options_of
from dashboard.server.jobs import FINISHED, STOPPED, Pool
from dashboard.server.visitors import Visitor, Visitors
from dashboard.stage.stream import SceneStream
from tests.sweep import few

pytestmark = pytest.mark.usefixtures("short_previews")
EXACT = Recipe(model="exact", steps=12, samples=20)


@pytest.fixture
def visitor():
    visitors = Visitors()
    return visitors.of(visitors.enter())


def finished(films):
    *_, film = films
    return film


def untrained(data="trex", **changes):
    """A denoiser that fits the data and knows nothing."""
    dataset = load(data)
    return make_denoiser(training_recipe("fast", dataset, **changes), dataset).eval()


def has_own(visitor: Visitor, data="trex", **changes) -> Visitor:
    visitor.denoiser = untrained(data, **changes)
    visitor.card = {"data": data, "hash": load(data).hash, "whole": load(data).hash, "steps": 5}
    return visitor


@pytest.fixture
def shipped(monkeypatch):
    """One shipped model: for the T-Rex, trained on the cosine schedule."""
    model = untrained("trex")
    monkeypatch.setattr(subject, "pretrained_for", lambda data: {"diffusion": "trex"} if data == "trex" else {})
    monkeypatch.setattr(subject, "load_pretrained", lambda name: (model, {}))
    return model


# --- walks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [
    dict(), dict(sampler="ddpm", drop_noise=(0.7, 0.3)), dict(sampler="heun", spacing="log_snr"),
    dict(eta=0.5, thresholding="dynamic"),
    dict(schedule="flow", time_shift=0.05), dict(scale_eps=0.9, nudge=0.2),
    dict(data="digits8", samples=3, thresholding="static"),
])  # fmt: skip
def test_a_walk_can_be_made_again_from_its_recipe_alone(changes):
    first = finished(denoise(EXACT.with_(seed=3, **changes)))
    told = json.loads(json.dumps(first.about))
    again = finished(denoise(Recipe.from_dict(told)))
    assert told == first.scene(()).about and Recipe.from_dict(told) == EXACT.with_(seed=3, **changes)
    for name in ("x_t", "x0", "eps", "mean", "noise"):
        assert torch.equal(first.trace[name], again.trace[name])
    assert torch.equal(first.trace.final, again.trace.final)


def test_another_seed_is_another_noise_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    first, other = (finished(denoise(EXACT.with_(seed=seed))) for seed in (0, 1))
    assert not torch.equal(first.trace["x_t"][0], other.trace["x_t"][0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_walk_yields_its_film_after_every_step_and_once_more_when_it_has_arrived():
    frames = [film.frames for film in denoise(EXACT)]
    assert frames == [*range(1, 13), 13]


ROADS = [" ".join(road) for road in product(("ddim", "ddpm", "heun"), ("trailing", "leading", "log_snr"),
                                            ("cosine", "linear", "sigmoid", "flow"))]


@pytest.mark.parametrize("road", few(
    ROADS, "ddim trailing cosine", "ddpm leading cosine", "heun log_snr cosine", "ddpm trailing linear",
    "heun leading linear", "ddim log_snr linear", "heun trailing sigmoid", "ddim leading sigmoid",
    "ddpm log_snr sigmoid", "ddim trailing flow", "ddpm leading flow", "heun log_snr flow"))
def test_every_sampler_grid_and_schedule_arrives_at_the_data(road):
    """In the fast suite every two of them together, in a sweep all three."""
    sampler, spacing, schedule = road.split()
    film = finished(denoise(EXACT.with_(sampler=sampler, spacing=spacing, schedule=schedule, steps=40)))
    assert film.frames == 41 and film.schedule.name == schedule
    away = (film.trace.final[:, None] - load("trex").x0).norm(dim=-1).min(1).values
    assert away.median() < 0.1


LENGTHS = [f"{schedule} {T}" for schedule in ("cosine", "linear", "sigmoid", "flow") for T in (100, 250, 4000)]


@pytest.mark.parametrize("length", few(LENGTHS, "cosine 100", "linear 250", "sigmoid 4000", "flow 100"))
def test_a_schedule_of_another_length_is_walked_on_its_own_timesteps(length):
    schedule, T = length.split()[0], int(length.split()[1])
    film = finished(denoise(EXACT.with_(schedule=schedule, T=T, steps=50, sampler="ddpm")))
    away = (film.trace.final[:, None] - load("trex").x0).norm(dim=-1).min(1).values
    assert film.schedule.T == T and away.median() < 0.1
    torch.testing.assert_close(film.times * T, (film.times * T).round(), rtol=0, atol=1e-9)


def test_pictures_can_be_walked_to():
    film = finished(denoise(EXACT.with_(data="digits8", samples=3)))
    assert film.trace.final.shape == (3, 1, 8, 8)
    apart = (film.trace.final.flatten(1)[:, None] - load("digits8").x0.flatten(1)).norm(dim=-1).min(1).values
    assert apart.max() < 0.5  # the exact denoiser knows nothing but the training pictures


def test_a_long_walk_keeps_every_so_many_steps_within_its_budget(monkeypatch):
    monkeypatch.setattr(looks, "TRACE_BUDGET", 10_000)
    film = finished(denoise(EXACT.with_(steps=100)))
    assert film.trace.nbytes <= 10_000 and film.trace.every == 9
    assert film.frames == film.total == 13 and film.scene(()).numbers["step"].tolist() == [*range(0, 100, 9), 100]


def test_dropped_noise_is_dropped_between_these_times_and_nowhere_else():
    film = finished(denoise(EXACT.with_(eta=1.0, drop_noise=(0.6, 0.3), steps=20)))
    sound = finished(denoise(EXACT.with_(eta=1.0, steps=20)))
    inside = (film.trace.t <= 0.6) & (film.trace.t >= 0.3)
    assert inside.sum() == 7 and not film.trace.std[inside].any()
    torch.testing.assert_close(film.trace.std[~inside], sound.trace.std[~inside])
    assert sound.trace.std[:-1].min() > 0
    before = int((film.trace.t > 0.6).sum())
    assert torch.equal(film.trace["x_t"][: before + 1], sound.trace["x_t"][: before + 1])
    assert not torch.equal(film.trace["x_t"][before + 1], sound.trace["x_t"][before + 1])


def test_a_nudge_pushes_each_step_by_its_share():
    film, sound = (finished(denoise(EXACT.with_(nudge=by))) for by in (0.6, 0.0))
    torch.testing.assert_close(film.trace["mean"][0], sound.trace["mean"][0] + 0.6 / 12)
    assert "+0.0500" in film.scene(()).text(film.scene(()).figures[0], 0)


def test_scaled_noise_is_scaled_and_told_times_are_told():
    changes = dict(), dict(scale_eps=0.5), dict(time_shift=-0.1)
    sound, scaled, told = (finished(denoise(EXACT.with_(**c))) for c in changes)
    torch.testing.assert_close(scaled.trace["eps"][0], 0.5 * sound.trace["eps"][0])
    exact = Exact(load("trex").x0, sound.schedule, load("trex").bandwidth)
    x = told.trace["x_t"][0]
    heard = exact(x, torch.tensor(0.9, dtype=torch.float64))
    p = told.denoise(x, torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(p.velocity, heard.velocity, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("clip", ["static", "dynamic"])
def test_a_clipped_guess_stays_within_the_data_even_after_the_other_edits(clip):
    wild, tame = (finished(denoise(EXACT.with_(thresholding=c, scale_eps=0.5))) for c in ("none", clip))
    assert wild.trace["x0"].abs().max() > 1.5
    assert tame.trace["x0"].abs().max() <= 1 + 1e-6


# --- whom a recipe speaks of ------------------------------------------------------------------------------------


def test_the_models_on_offer_are_those_there_are(shipped, visitor):
    everywhere = ["pretrained", "linear", "wiener", "exact"]
    assert model_choices(Recipe(), None) == model_choices(Recipe(), visitor) == everywhere
    assert model_choices(Recipe(data="rings"), visitor) == ["linear", "wiener", "exact"]
    has_own(visitor)
    assert model_choices(Recipe(), visitor) == ["pretrained", "mine", "linear", "wiener", "exact"]
    assert model_choices(Recipe(data="rings"), visitor) == ["linear", "wiener", "exact"]


def test_a_model_is_asked_through_its_own_schedule(shipped, visitor):
    assert resolve(Recipe(), None).denoise is shipped
    assert resolve(Recipe(model="mine"), has_own(visitor)).denoise is visitor.denoiser
    moved = resolve(Recipe(schedule="linear"), None)
    assert moved.denoise is not shipped and moved.schedule.name == moved.exact.schedule.name == "linear"
    x, t = torch.randn(5, 2), torch.tensor(0.4, dtype=torch.float64)
    twin = shipped.schedule.t_at(moved.schedule.log_snr(t))
    torch.testing.assert_close(moved.denoise(x, t).eps, shipped(x, twin).eps, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("recipe, says", [
    (Recipe(data="rings"), ["No model of that kind is shipped for “", "Train one in the Train tab"]),
    (Recipe(model="mine"), ["No model of yours for “T-Rex”", "Train one in the Train tab"]),
    (Recipe(data="own", model="exact"), ["no data set of your own", "bring one"]),
])  # fmt: skip
def test_what_is_not_there_says_what_to_press(shipped, visitor, recipe, says):
    for who in (visitor, None):
        with pytest.raises(CannotShow) as error:
            list(denoise(recipe, who))
        assert all(words in str(error.value) for words in says)
        assert isinstance(user_error(error.value), gr.Error) and user_error(error.value).message == str(error.value)


def test_what_is_our_own_fault_is_told_without_its_insides():
    assert "secret" not in user_error(RuntimeError("secret path")).message
    invalid = Invalid("steps", 0, "1…1000")
    assert user_error(invalid).message == "steps is 0; it can be 1…1000"


def test_data_of_ones_own_are_walked_to_and_a_model_of_others_does_not_fit_them(visitor):
    x0 = 0.3 * torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    visitor.data = Dataset("own", "Your own", "points", x0, bandwidth=0.02)
    recipe = EXACT.with_(data="own")
    film = finished(denoise(recipe, visitor))
    assert (film.trace.final[:, None] - x0).norm(dim=-1).min(1).values.median() < 0.1
    visitor.denoiser, visitor.card = untrained(), {"data": "own", "hash": visitor.data.hash, "whole": visitor.data.hash}
    assert model_choices(recipe, visitor) == ["mine", "linear", "wiener", "exact"]
    visitor.data = Dataset("own", "Your own", "images", torch.zeros(5, 1, 8, 8))
    assert model_choices(recipe, visitor) == ["linear", "wiener", "exact"]
    with pytest.raises(CannotShow):
        resolve(recipe.with_(model="mine"), visitor)


def test_a_network_that_predicts_eps_starts_where_there_is_signal(visitor):
    has_own(visitor, prediction_type="eps", schedule="flow")
    recipe = EXACT.with_(model="mine", schedule="flow")
    film = finished(denoise(recipe, visitor))
    assert float(film.times[0]) == 0.999
    assert film.trace["x_t"].isfinite().all()
    has_own(visitor, prediction_type="v", schedule="flow")
    assert float(finished(denoise(recipe, visitor)).times[0]) == 1


# --- the forward process and the lens ---------------------------------------------------------------------------


def test_the_forward_film_is_that_of_the_recipe():
    recipe = Recipe(data="moons", schedule="sigmoid", T=200, samples=30, seed=4)
    film = forward_film(recipe)
    again = forward_film(Recipe.from_dict(film.about))
    assert isinstance(film, ForwardView) and film.schedule.T == 200 and film.schedule.name == "sigmoid"
    assert film.x0.shape == (30, 2) and torch.equal(film.jump(0, 5), again.jump(0, 5))
    assert torch.equal(film.stepwise(0, 5), again.stepwise(0, 5))
    assert not torch.equal(film.x0, forward_film(recipe.with_(seed=5)).x0)


@pytest.mark.parametrize("data, counted, shown", [("trex", 500, 20), ("digits8", 32, 20)])
def test_the_lens_counts_more_samples_than_it_shows(data, counted, shown):
    recipe = Recipe(data=data, model="exact", lens_samples=20, T=100, seed=2)
    films = lens(recipe)
    assert next(films).frames == 1
    film = finished(films)
    scene = film.scene(("x_t", "error"))
    assert film.frames == film.total == 60 and scene.panels[0].data.shape[1] == shown
    np.testing.assert_allclose(scene.numbers["mse"], scene.numbers["floor"])  # the exact denoiser is the exact denoiser
    assert not scene.numbers["excess"].any()
    again = finished(lens(Recipe.from_dict(film.about)))
    np.testing.assert_array_equal(again.scene(()).numbers["mse"], scene.numbers["mse"])
    # Which samples are counted: those that the seed draws, data first.
    g = torch.Generator().manual_seed(2)
    x0 = load(data).draw(counted, g)[0]
    eps = torch.randn(x0.shape, generator=g)
    exact, t = Exact(load(data).x0, film.schedule, load(data).bandwidth), film.times[30]
    missed = exact(noised(film.schedule, x0, t, eps).x_t, t).eps - eps
    assert scene.numbers["floor"][30] == pytest.approx(float(missed.square().mean()), rel=1e-5)


def test_the_lens_sees_what_an_edit_does_to_the_model():
    film = finished(lens(Recipe(model="exact", scale_eps=0.0, lens_samples=10)))
    np.testing.assert_allclose(film.scene(()).numbers["mse"], 1, atol=0.15)
    assert film.scene(()).numbers["floor"][5] < 0.1


# --- trainings --------------------------------------------------------------------------------------------------

SHORT = Recipe(train_steps=30, batch=32, seed=1)


@pytest.fixture(scope="module")
def training():
    """A short training, run to its end by itself."""
    training = Training(SHORT)
    for _ in training.run():
        pass
    training.progress(1.0)
    return training


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 60, 800, 10_000])
@pytest.mark.parametrize("count", [6, PREVIEWS])
def test_moments_are_ascending_from_0_to_the_last_step_and_denser_at_the_start(steps, count):
    at = moments(steps, count)
    assert at[0] == 0 and at[-1] == steps and len(at) <= count
    assert at == sorted(set(at)) and all(isinstance(step, int) for step in at)
    if steps >= 800:
        assert len(at) == count or count == PREVIEWS
        assert at[1] - at[0] < at[-1] - at[-2]


def test_a_config_is_the_training_recipe_with_the_visitors_changes():
    trex = load("trex")
    plain = config_of(Recipe(), trex)
    assert plain == training_recipe("fast", trex)
    textbook = config_of(Recipe(preset="textbook", schedule="linear"), trex)
    assert textbook == training_recipe("textbook", trex)
    changed = config_of(Recipe(prediction_type="v", schedule="sigmoid", T=400, seed=9, train_steps=77, batch=13), trex)
    assert (changed.prediction_type, changed.schedule, changed.T, changed.seed) == ("v", "sigmoid", 400, 9)
    assert (changed.steps, changed.batch) == (77, 13)
    assert changed.warmup <= 77 // 4 and (changed.width, changed.lr) == (plain.width, plain.lr)


def test_previews_are_taken_at_their_moments(training):
    film = training.film
    assert [p.step for p in film.previews] == film.moments == training.moments == moments(30, PREVIEWS)
    assert film.frames == film.total and sorted(training.kept) == moments(30, 6)
    assert training.config.to_dict() == config_of(SHORT, load("trex")).to_dict()


def test_a_preview_shows_the_averaged_network_as_it_was(training):
    last, denoiser, t = training.film.previews[-1], training.kept[30], torch.tensor(LOOK_AT, dtype=torch.float64)
    x_t = noised(denoiser.schedule, training._x0, t, training._eps).x_t
    torch.testing.assert_close(last.guess, denoiser(x_t, t).x0)
    field = -denoiser(field_points(STATE_VIEW), t).eps
    torch.testing.assert_close(last.field, field.reshape(FIELD_CELLS, FIELD_CELLS, 2))
    assert not last.samples.requires_grad and not last.guess.requires_grad
    first, middle = training.film.previews[0], training.film.previews[20]
    assert not torch.equal(first.samples, last.samples) and not torch.equal(middle.samples, last.samples)


def test_looking_at_a_training_does_not_change_it(training):
    alone = Trainer(load("trex"), training.config)
    for _ in alone.run():
        pass
    np.testing.assert_array_equal(training.trainer.losses.loss, alone.losses.loss)


def test_before_training_the_film_shows_the_untrained_network_over_the_floor(visitor):
    """Of small pictures it is their Wiener filter at first, which no network that learned something falls short of."""
    training = Training(Recipe(data="digits8", seed=3), visitor)
    *_, film = training.untrained()
    scene = film.scene(None, 0, film.frames)
    assert film.frames == 1 and scene.sentence.startswith("Not trained yet")
    loss, by_t = scene.charts
    assert [float(series.y[-1]) for series in loss.series] == [1, *[pytest.approx(float(scene.numbers["over"][0]))] * 2]
    floor, network = by_t.series
    assert by_t.title.endswith(verdict(training.film.floor, film.progress.bucket_mse.numpy())) and "below" in by_t.title
    assert bool((network.y >= 0.95 * floor.y).all()) and float(network.y[0]) > 2 * float(floor.y[0])
    samples = film.previews[0].samples
    wiener_walk = training._walk(wiener(training.dataset, make_schedule("cosine")), trainings.PREVIEW_STEPS).final
    near = float((samples - wiener_walk).square().mean()), float(wiener_walk.square().mean())
    assert near[0] < 0.1 * near[1]
    assert visitor.denoiser is None


def test_progress_tells_where_a_training_stands(training):
    assert Training(SHORT).progress(0.0).losses.numel() == 0
    progress = training.progress(2.5)
    assert training.film.progress is progress and progress.seconds == 2.5
    np.testing.assert_array_equal(progress.losses, training.trainer.losses.loss)
    assert progress.bucket_t.tolist() == pytest.approx([(k + 0.5) / BUCKETS for k in range(BUCKETS)])
    seen = training.trainer.losses.eps_mse
    np.testing.assert_array_equal(progress.bucket_mse, seen)
    training.trainer.losses.sums.mul_(1)  # what was told is a copy
    assert progress.losses.data_ptr() != training.trainer.losses._both.ctypes.data


def test_all_clocks_start_from_the_same_noise_and_end_elsewhere(training):
    film = training.clocks(steps=10)
    assert film.default == tuple(f"step{step}" for step in moments(30, 6)) and film.frames == 11
    first, *others = film.traces.values()
    for trace in others:
        assert torch.equal(trace["x_t"][0], first["x_t"][0])
        assert not torch.equal(trace.final, first.final)
        assert torch.equal(trace.t, film.times[:-1])
    torch.testing.assert_close(first["x_t"][0], training._noise, rtol=1e-3, atol=1e-3)  # sigma is 1 at t = 1
    assert training.film.previews[-1].samples.shape == first.final.shape


@pytest.mark.parametrize("changes, fails", [
    (dict(prediction_type="eps"), True), (dict(prediction_type="eps", schedule="sigmoid"), True),
    (dict(prediction_type="eps", schedule="linear"), False), (dict(prediction_type="v"), False), ({}, False),
    (dict(preset="textbook", schedule="linear"), False),
])
def test_a_training_that_is_bound_to_fail_says_so_before_it_is_begun(changes, fails):
    film = next(Training(SHORT.with_(data="gaussians8", **changes)).untrained())
    film.progress = trainings.Progress(torch.ones(1), film.floor.t, film.floor.eps, 0.0)
    sentence = film.scene(()).sentence
    assert ("bound to fail" in sentence) == fails and sentence.startswith("Not trained yet")
    if changes == dict(prediction_type="eps"):
        alpha, sigma = make_schedule("cosine").at(1.0)
        assert f"is {sigma / alpha:,.0f} times as large" in sentence


def run_to(training, step=None):
    """Its steps up to that one, or to its end."""
    steps = training.run()
    for _ in steps:
        if step is not None and training.trainer.step >= step:
            return steps
    return steps


def test_a_training_is_turned_by_fields_of_the_recipe_and_its_film_says_what_and_where():
    training = Training(SHORT.with_(lr=2e-3))
    steps = run_to(training, 21)
    training.turn(lr=5e-4, batch=None, weighting="min_snr")
    for _ in steps:
        pass
    training.progress(1.0)
    assert training.recipe == SHORT.with_(lr=5e-4, batch=None, weighting="min_snr")
    assert (training.config.lr, training.config.batch, training.config.weighting) == (5e-4, 256, "min_snr")
    film = training.film
    scene = film.scene(())
    loss = scene.charts[0]
    assert f"E |output − target|² = {scene.numbers['loss'][-1]:.5f}, its floor" in scene.text(scene.figures[0], -1)
    assert loss.marks == ((21.0, "rate 0.002 → 0.0005 · batch 32 → 256 · weighting by target → min-SNR"),)
    assert loss.title.startswith("loss without weights as a multiple of its floor")
    floor = floor_by_bucket(training.dataset, config_of(SHORT, training.dataset)).loss  # of no weighting
    np.testing.assert_allclose(loss.series[1].y, training.trainer.losses.error / floor)
    turned = film.about["turned"]
    assert turned == [{"step": 21, "lr": [2e-3, 5e-4], "batch": [32, 256], "weighting": ["target", "min_snr"]}]
    assert Recipe.from_dict(film.about) == training.recipe  # a film's file opens as its recipe


def test_a_training_goes_on_after_its_end_with_further_previews_and_the_model_is_that_of_its_last_step(visitor):
    training = Training(SHORT, visitor)
    run_to(training)
    before = [preview.step for preview in training.film.previews]
    training.turn(train_steps=50)
    assert training.film.total > len(before) and training.planned == 30
    run_to(training)
    training.progress(1.0)
    at = [preview.step for preview in training.film.previews]
    assert at[: len(before)] == before and at == sorted(set(at)) == training.moments and at[-1] == 50
    assert training.film.frames == training.film.total and visitor.card["steps"] == 50
    assert visitor.card["turned"] == [{"step": 30, "steps": [30, 50]}]
    assert training.film.scene(()).charts[0].marks == ((30.0, "steps 30 → 50"),)
    assert 50 in training.kept and len(training.clocks(steps=2).traces) <= 6


def test_an_end_that_is_turned_to_where_it_stands_is_the_end_with_its_preview():
    training = Training(SHORT)
    steps = run_to(training, 17)
    training.turn(train_steps=17)
    assert list(steps) == [] and training.trainer.step == 17
    assert training.film.previews[-1].step == training.moments[-1] == 17


def test_training_the_same_recipe_again_shows_the_same(training):
    again = Training(Recipe.from_dict(training.film.about))
    for _ in again.run():
        pass
    for a, b in zip(training.film.previews, again.film.previews):
        assert torch.equal(a.samples, b.samples) and torch.equal(a.guess, b.guess) and torch.equal(a.field, b.field)


def test_a_finished_training_gives_its_visitor_a_model(visitor):
    training = Training(SHORT, visitor)
    with Pool(workers=1) as pool:
        job = pool.submit(training.run, lambda job: training.progress(job.seconds), training.config.steps + 1)
        visitor.take_job(job)
        assert job.wait(600) and job.state == FINISHED
    assert visitor.card["data"] == "trex" and visitor.card["steps"] == 30
    assert TrainingConfig.from_dict(visitor.card["training"]) == training.config
    assert not visitor.denoiser.training and visitor.denoiser is not training.trainer.ema
    assert training.film.frames == training.film.total
    assert "mine" in model_choices(Recipe(), visitor)
    film = finished(denoise(EXACT.with_(model="mine"), visitor))
    assert film.trace.final.isfinite().all()


def test_a_training_stopped_on_the_way_leaves_a_usable_model_and_its_clocks(visitor):
    training = Training(SHORT.with_(train_steps=100_000), visitor)
    with Pool(workers=0) as pool:
        job = pool.submit(training.run, lambda job: training.progress(job.seconds), training.config.steps + 1)
        visitor.take_job(job)
        while job.steps_done < 20 and not job.over:
            pool.turn()
        job.stop()
        pool.turn()
        assert job.over and job.state == STOPPED
    taken = training.trainer.step
    assert 19 <= taken < 1000 and visitor.card["steps"] == taken
    assert finished(denoise(EXACT.with_(model="mine"), visitor)).trace.final.isfinite().all()
    assert list(training.clocks(steps=5).traces) == [0, taken]


@pytest.mark.parametrize("how", ["reset", "gone"])
def test_a_training_thrown_away_leaves_no_model(visitor, how):
    training = Training(SHORT.with_(train_steps=100_000), visitor)
    with Pool(workers=0) as pool:
        job = pool.submit(training.run)
        visitor.take_job(job)
        while job.steps_done < 5 and not job.over:
            pool.turn()
        visitor.take_job(None) if how == "reset" else visitor.free()
        pool.turn()
        assert job.over and training.trainer.step
    assert visitor.denoiser is None and visitor.card is None


def test_a_training_that_diverges_leaves_the_model_that_was_there(visitor, monkeypatch):
    has_own(visitor)
    before = visitor.denoiser
    training = Training(SHORT, visitor)
    running = training.run()
    next(running), next(running)
    monkeypatch.setattr(training.trainer, "_take_step", lambda: (_ for _ in ()).throw(TrainingDiverged("NaN")))
    with pytest.raises(TrainingDiverged):
        next(running)
    assert visitor.denoiser is before


def test_pictures_can_be_trained_on(visitor):
    training = Training(Recipe(data="digits8", prediction_type="v", train_steps=3, batch=8), visitor)
    for _ in training.run():
        pass
    training.progress(0.1)
    scene = training.film.scene()
    assert [panel.key for panel in scene.panels] == ["samples", "guess", "data"]
    assert scene.panels[0].data.shape == (4, 16, 8, 8, 1)
    assert training.nbytes > training.film.nbytes > 0
    assert (training._seen_bytes, training.seen.nbytes) == (3 * 8 * 8 * 8, 3 * 8 * 8 * 8 + training.seen.data.nbytes)


def test_the_floor_is_what_the_exact_denoiser_loses_at_the_times_of_the_training():
    dataset = load("trex")
    config = training_recipe("textbook", dataset)
    t, floor, _ = floor_by_bucket(dataset, config)
    schedule = make_schedule("linear")
    exact = Exact(dataset.x0, schedule, dataset.bandwidth)
    assert t.tolist() == pytest.approx([(k + 0.5) / BUCKETS for k in range(BUCKETS)])
    for k in (0, 1, 5, 12):
        timesteps = torch.arange(k * 50 + (k == 0), (k + 1) * 50, dtype=torch.float64) / 1000
        g = torch.Generator().manual_seed(k)
        mean = eps_errors(exact, schedule, dataset.draw, timesteps, 2000, g).mean()
        assert float(floor[k]) == pytest.approx(float(mean), rel=0.1)
    # At the centre of the first interval it is another: most of its timesteps lie where noise hides behind the jitter.
    fast = floor_by_bucket(dataset, training_recipe("fast", dataset))[1]
    assert fast.shape == (BUCKETS,) and fast.isfinite().all() and not torch.equal(fast, floor)


@pytest.mark.parametrize("name, changes", [
    ("fast", {}), ("textbook", {}), ("flow", {}), ("textbook", {"prediction_type": "v"}),
    ("fast", {"prediction_type": "x0", "weighting": "min_snr"}), ("textbook", {"weighting": "min_snr"})])
def test_the_floor_of_the_loss_is_what_the_exact_denoiser_would_lose_in_the_trainers_batches(name, changes):
    dataset = load("moons").first(100)
    config = training_recipe(name, dataset, steps=40, batch=512, **changes)
    trainer = Trainer(dataset, config)
    exact, lost = Exact.of(dataset, trainer.denoiser.schedule), []
    for step in range(config.steps):
        batch = trainer._batches.at(step)
        said = exact(batch.noised.x_t, batch.noised.t.double())
        alpha, sigma = batch.alpha[:, None], batch.sigma[:, None]
        output = target_of(config.prediction_type, said.x0, said.eps, alpha, sigma, trainer.denoiser.sigma_data)
        errors = (output - batch.wanted).square().mean(1)
        lost.append(float((errors if batch.weight is None else batch.weight * errors).mean()))
    assert floor_by_bucket(dataset, config).loss == pytest.approx(np.mean(lost), rel=0.05)


@pytest.mark.parametrize("prediction_type, weighting, turned", [
    ("eps", "target", None), ("v", "min_snr", None), ("edm", "target", "min_snr"), ("eps", "x0", "eps")])
def test_of_a_gaussian_the_floor_is_its_posterior_variance_weighted_as_the_loss_that_is_shown(
        prediction_type, weighting, turned):
    h = 0.5
    data = Dataset("own", "Own", "points", torch.zeros(4, 2), bandwidth=h)
    training = Training(SHORT.with_(data="own", schedule="linear", prediction_type=prediction_type,
                                    weighting=weighting), Brought(data=data))
    run_to(training, 3)
    if turned:
        training.turn(weighting=turned)
        assert "weighting" in training.film.about["made"]
    schedule = make_schedule("linear")
    times = draw_times(200_000, training.config, schedule, data.std, torch.Generator().manual_seed(1))
    alpha, sigma = schedule(times)
    variance = h**2 * sigma**2 / (alpha**2 * h**2 + sigma**2)  # of x0, given x_t
    missed = variance / x0_error_per_target_error(prediction_type, alpha, sigma, data.std) ** 2
    weight = weight_of("target" if turned else weighting, prediction_type, alpha, sigma, data.std)
    assert training.film.floor.loss == pytest.approx(float((weight * missed).mean()), rel=0.03)


def test_no_training_gets_under_the_floor(training):
    floor, lost = floor_by_bucket(load("trex"), training.config)[1], training.progress(0).bucket_mse
    often = training.trainer.losses.sums[1] > 40
    assert often.sum() >= 3 and (lost[often] > 0.9 * floor[often]).all()


def test_a_floor_is_worked_out_once_and_goes_with_its_data():
    x0 = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    data = Dataset("own", "Own", "points", x0, bandwidth=0.1)
    config = training_recipe("fast", data)
    assert floor_by_bucket(data, config) is floor_by_bucket(data, config)
    gone = weakref.ref(data)
    del data
    gc.collect()
    assert gone() is None


# --- exports ----------------------------------------------------------------------------------------------------


def test_an_export_asked_for_with_nothing_has_the_defaults():
    assert options_of({}) == dict(format="gif", pacing="t", panels=(), content="shown", theme="light", size=224,
                                    fps=20, every=1)
    full = dict(format="mp4", size=64.0, fps=1, every=1001, pacing="log_snr", panels=["x_t"], theme="dark", frame=3)
    del full["frame"]
    assert options_of(full | {"frame": 3}) == full | {"panels": ("x_t",), "content": "shown", "size": 64}


@pytest.mark.parametrize("wish", [
    None, [], "gif", 7, *({"format": f} for f in ("exe", "../../x", None, 5, ["gif"], "GIF", "")),
    *({name: value} for name in ("size", "fps", "every")
      for value in (0, -1, 1e9, float("nan"), float("inf"), "224", None, True, [64], {"a": 1})),
    {"size": 63}, {"size": 513}, {"fps": 51}, {"every": 1002},
    {"content": "all"}, {"content": None}, *({"content": value, "format": "html"} for value in ("none", ["all"])),
    {"pacing": "random"}, {"pacing": None}, {"pacing": ["t"]},
    {"panels": "x_t"}, {"panels": ["x"] * 7}, {"panels": [1]}, {"panels": [["x_t"]]}, {"panels": {"x_t": 1}},
])  # fmt: skip
def test_hostile_wishes_are_refused_in_one_plain_line(wish):
    with pytest.raises(ValueError) as error:
        options_of(wish)
    assert 10 < len(str(error.value)) < 200 and "\n" not in str(error.value)


def test_a_long_value_does_not_fill_the_message():
    for wish in ({"format": "x" * 10**6}, {"size": "9" * 10**6}, {"pacing": "y" * 10**6}):
        with pytest.raises(ValueError) as error:
            options_of(wish)
        assert len(str(error.value)) < 200


@pytest.fixture
def here(tmp_path):
    """The folder that an export is given for its own."""
    folder = tmp_path / "export"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def stream():
    return SceneStream(finished(denoise(EXACT.with_(samples=5))))


@pytest.mark.parametrize("kind", FORMATS)
def test_what_stands_on_a_stage_becomes_a_file_with_its_recipe(stream, here, kind):
    told = list(export_stream(stream, {"format": kind, "size": 64, "panels": ["x_t", "x0"]}, here, "a/../b c"))
    *shares, (done, path) = told
    assert done == 1 and path.parent == here and path.name == f"a----b-c.{kind}" and path.stat().st_size > 100
    assert all(0 <= share < 1 and nothing is None for share, nothing in shares)
    assert [share for share, _ in shares] == sorted(share for share, _ in shares)
    assert read_recipe(path)["seed"] == 0 and read_recipe(path)["model"] == "exact"


def test_an_html_film_can_hold_every_panel_and_opens_with_those_that_were_on(stream, here, coarse_density):
    *_, (_, path) = export_stream(stream, {"format": "html", "content": "all", "panels": ["eps", "x_t"]}, here)
    text = path.read_text("utf-8")
    packed = zlib.decompress(base64.b64decode(re.search(r'id="part0">([^<]*)<', text)[1]))
    assert all(f'"{key}"'.encode() in packed for key in stream.film.offers)
    assert '"shown":["eps","x_t"]' in text


def test_a_trace_is_exported_whole_and_only_where_there_is_one(stream, here, training):
    (done, path), = export_stream(stream, {"format": "trace"}, here)
    loaded = Trace.load(path)
    assert done == 1 and torch.equal(loaded.final, stream.film.trace.final)
    assert Recipe.from_dict(loaded.about) == EXACT.with_(samples=5)
    with pytest.raises(CannotShow, match="Denoise tab"):
        list(export_stream(SceneStream(training.film), {"format": "trace"}, here))


def test_heat_that_spreads_and_comes_back_is_exported_frame_by_frame(here):
    film = forward_film(Recipe(data="heart", forward="heat", samples=20))
    *_, (_, path) = export_stream(SceneStream(film), {"size": 64, "panels": ["heat"], "every": 10}, here)
    with Image.open(path) as picture:
        assert picture.n_frames > 5


def test_a_training_is_exported_moment_by_moment_since_it_has_no_t_to_be_even_in(training, here):
    *_, (_, path) = export_stream(SceneStream(training.film), {"size": 64, "panels": ["samples"], "pacing": "t"}, here)
    with Image.open(path) as picture:
        assert picture.n_frames == training.film.frames


def test_an_unknown_panel_is_refused_and_leaves_nothing_behind(stream, here):
    with pytest.raises(ValueError, match="no panel 'nonsense' here"):
        list(export_stream(stream, {"panels": ["nonsense"]}, here))
    assert not here.exists()


def test_an_export_that_is_stopped_leaves_nothing_behind(stream, here):
    running = export_stream(stream, {"size": 512}, here)
    share, path = next(running)
    assert share < 1 and path is None
    running.close()
    assert not here.exists()


def test_an_export_that_fails_tells_why_and_leaves_nothing_behind(stream, here, monkeypatch):
    def broken(*args, **options):
        raise ValueError("the disk is full")

    monkeypatch.setattr(exports, "export", broken)
    with pytest.raises(ValueError, match="the disk is full"):
        list(export_stream(stream, {}, here))
    assert not here.exists()
