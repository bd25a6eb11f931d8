"""What the panels, texts and charts of a film say is what was computed, frame by frame."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch

from core.data.datasets import Dataset
from core.denoisers.exact import Exact
from core.denoisers.wrappers import scale_eps
from core.drawing.stage import pack
from core.edits import drop_noise, during, nudge
from core.metrics.likelihood import density_grid
from core.prediction import Prediction
from core.probes.noise_error import lens_times, measure
from core.reverse import Step, start_noise, walk
from core.samplers import ddim, make_sampler
from core.schedules import Schedule, make_schedule
from core.trace import Trace
from core.training.presets import preset as training_recipe
from core.views import trace as trace_view
from core.views import ClocksView, ForwardView, NoiseErrorView, TraceView, TrainingView
from core.views.base import (
    DENSITY_CELLS, FIELD_CELLS, STATE_VIEW, density, field_points, spread, vector_field,
)
from core.views.trace import PEAK
from core.views.training import Floor, Preview, Progress, smooth, thin, verdict

ROOT = Path(__file__).parents[1]


def points_data(bandwidth=0.05) -> Dataset:
    g = torch.Generator().manual_seed(1)
    x0 = 0.4 * torch.randn(40, 2, generator=g) + torch.tensor([0.2, -0.1])
    return Dataset("toy", "Toy", "points", x0, bandwidth=bandwidth)


def pictures_data(channels=3) -> Dataset:
    g = torch.Generator().manual_seed(2)
    return Dataset("toys", "Toys", "images", torch.rand(12, channels, 8, 8, generator=g) * 2 - 1)


DATA = {"points": points_data(), "images": pictures_data()}


def walked(dataset, sampler="ddim", eta=0.0, steps=12, every=1, edit=None, denoise=None, schedule=None, count=7,
           seed=0, finished=True, push=0.0) -> TraceView:  # fmt: skip
    schedule = schedule or make_schedule("cosine")
    generator = torch.Generator().manual_seed(seed)
    exact = Exact(dataset.x0, schedule, dataset.bandwidth)
    denoise = denoise(exact) if denoise else exact
    times = schedule.times(steps)
    x = start_noise(schedule, (count, *dataset.shape), times[0], generator)
    rule = make_sampler(sampler, schedule, eta)
    trace = Trace.record(walk(denoise, rule, x, times, generator, edit), every=every)
    film = TraceView(trace, times, dataset, schedule, denoise, rule, push=push, about={"seed": seed})
    if finished:
        film.finish()
    return film


def looked(dataset, denoise=None, count=30, shown=6, frames=8) -> tuple[NoiseErrorView, list]:
    schedule = make_schedule("cosine")
    exact = Exact(dataset.x0, schedule, dataset.bandwidth)
    generator = torch.Generator().manual_seed(4)
    x0 = dataset.draw(count, generator)[0]
    eps = torch.randn(x0.shape, generator=generator)
    times = lens_times(schedule, frames)
    model = denoise or scale_eps(exact, 0.8)
    film, seen = NoiseErrorView(dataset, schedule, model, exact, times, shown), []
    for glance in measure(model, exact, schedule, x0, eps, times):
        film.add(glance)
        seen.append(glance)
    return film, seen


def trained(dataset, steps=200) -> TrainingView:
    g = torch.Generator().manual_seed(6)
    moments = [0, 10, 40, 90, 200]
    t = (torch.arange(20, dtype=torch.float64) + 0.5) / 20
    config = training_recipe("fast", dataset, prediction_type="eps", steps=steps)
    film = TrainingView(dataset, config, moments, Floor(t, 1 - t, 0.25))
    for step in moments:
        x = torch.randn(5, *dataset.shape, generator=g)
        field = torch.randn(FIELD_CELLS, FIELD_CELLS, 2, generator=g) if dataset.kind == "points" else None
        film.add(Preview(step, x, 2 * x, field))
    mse = torch.linspace(1, 0, 20, dtype=torch.float64)
    mse[3] = torch.nan
    film.progress = Progress(torch.rand(steps, generator=g, dtype=torch.float64), t, mse, 1.0)
    return film


def clocked(dataset, name: str = "cosine") -> ClocksView:
    schedule = make_schedule(name)
    exact, times = Exact(dataset.x0, schedule, dataset.bandwidth), schedule.times(9)
    noise = schedule.at(1.0)[1] * torch.randn(5, *dataset.shape, generator=torch.Generator().manual_seed(3))

    def record(factor):
        steps = walk(scale_eps(exact, factor), ddim(schedule), noise, times, torch.Generator())
        return Trace.record(steps, ("x_t", "x0"))

    return ClocksView(dataset, {0: record(0.0), 50: record(0.7), 100: record(1.0)}, times, schedule)


MAKERS = {
    "forward": lambda data: ForwardView(data, make_schedule("cosine"), 9, 0, frames=12),
    "walk": lambda data: walked(data, eta=0.5),
    "sparse walk": lambda data: walked(data, "ddpm", every=5),
    "heun": lambda data: walked(data, "heun"),
    "lens": lambda data: looked(data)[0],
    "training": trained,
    "clocks": clocked,
}


@pytest.fixture(scope="module", params=DATA)
def data(request):
    return DATA[request.param]


@pytest.fixture(scope="module", params=MAKERS)
def film(request, data):
    return MAKERS[request.param](data)


@pytest.fixture(scope="module")
def whole(film):
    """The scene of all its panels, which takes longer than all else; the model's density, a coarse one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace_view, "density_grid", partial(density_grid, steps=1))
        return film.scene(tuple(film.offers))


def shown(film, key, first=0, end=None) -> np.ndarray:
    return film.scene((key,), first, end).panels[0].data


def as_panel(x: torch.Tensor) -> np.ndarray:
    """Samples (F, N, ...) as the panels hold them."""
    return x.numpy() if x.ndim == 3 else x.permute(0, 1, 3, 4, 2).numpy()


def grey(x: torch.Tensor) -> np.ndarray:
    """Signed samples as the panels hold them: pictures by the mean of their channels."""
    return x.numpy() if x.ndim == 3 else x.mean(2)[..., None].numpy()


def figure(text: str) -> list[float]:
    """The decimal numbers of a formula."""
    return [float(number) for number in re.findall(r"[+-]?\d+\.\d+", text)]


# --- every film -------------------------------------------------------------------------------------------------


def test_parts_of_a_film_in_a_row_are_the_whole_film(film, whole):
    cuts = [0, 1, 2, film.frames - 2, film.frames - 1, film.frames]
    keys = tuple(key for key, offer in film.offers.items() if not offer.still)
    parts = [film.scene(keys, first, end) for first, end in zip(cuts, cuts[1:]) if end > first]
    for i, key in enumerate(keys):
        np.testing.assert_array_equal(np.concatenate([part.panels[i].data for part in parts]), whole.panel(key).data)
    for name, values in whole.numbers.items():
        np.testing.assert_array_equal(np.concatenate([part.numbers[name] for part in parts]), values)
    for i, chart in enumerate(whole.charts):
        assert {part.charts[i].title for part in parts} == {chart.title}
        if chart.cursor is not None:
            assert [len(part.charts[i].cursor) for part in parts] == [part.frames for part in parts]
            np.testing.assert_array_equal(np.concatenate([part.charts[i].cursor for part in parts]), chart.cursor)


def test_a_panel_that_stands_still_is_the_same_in_every_part_of_a_film(film):
    still = tuple(key for key, offer in film.offers.items() if offer.still and key != "p_model")  # takes seconds
    first, last = film.scene(still, 0, 1), film.scene(still, film.frames - 1, film.frames)
    for one, other in zip(first.panels, last.panels, strict=True):
        assert one.frames == 1 and np.array_equal(one.data, other.data)


def test_every_panel_on_offer_can_be_sent_and_holds_numbers_only(film, whole):
    assert pack(whole)
    for panel, offer in zip(whole.panels, film.offers.values(), strict=True):
        assert np.isfinite(panel.data).all() and panel.data.dtype == np.float32
        assert (panel.key, panel.title, panel.note) == (offer.key, offer.title, offer.note) and panel.note
    assert 1 <= len(film.default) <= 6 and set(film.default) <= set(film.offers)
    assert [panel.key for panel in film.scene().panels] == list(film.default)


def test_what_is_said_to_stand_still_has_one_frame_and_the_rest_one_a_frame(film, whole):
    for key, offer in film.offers.items():
        assert whole.panel(key).frames == (1 if offer.still else film.frames), key


def test_every_text_of_a_film_can_be_filled_at_every_frame(film):
    scene = film.scene(())
    for template in (scene.clock, scene.sentence, *scene.figures):
        for k in range(film.frames):
            assert "nan" not in scene.text(template, k) and "{" not in scene.text(template, k)
    assert scene.formula and scene.about == film.about


def test_the_line_of_code_that_is_named_is_there(film):
    file, _, code = film.scene(()).source.partition(" · ")
    assert code in (ROOT / file).read_text("utf-8")


def test_a_panel_that_there_is_not_is_refused_naming_those_there_are(film):
    with pytest.raises(ValueError, match="no panel 'nonsense' here") as error:
        film.scene((film.default[0], "nonsense"))
    assert all(key in str(error.value) for key in film.offers)


def test_charts_are_drawn_with_numbers_and_cursors_inside_them(film):
    for chart in film.scene(()).charts:
        for series in chart.series:
            assert len(series.x) == len(series.y) and np.isfinite(series.x).all() and np.isfinite(series.y).all()
            assert series.low is None or (series.low <= series.y).all()


# --- a walk -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 5])
def test_the_state_panel_is_the_trace_and_then_where_it_arrived_bit_for_bit(data, every):
    film = walked(data, eta=1.0, every=every)
    assert film.frames == film.total == len(film.trace) + 1
    panel = shown(film, "x_t")
    np.testing.assert_array_equal(panel[:-1], as_panel(film.trace["x_t"]))
    np.testing.assert_array_equal(panel[-1:], as_panel(film.trace.final[None]))
    scene = film.scene(())
    assert scene.numbers["t"][-1] == 0 and scene.numbers["step"][-1] == scene.numbers["steps"][-1] == 12
    np.testing.assert_array_equal(scene.numbers["t"][:-1], film.trace.t.numpy())
    np.testing.assert_array_equal(scene.numbers["s"][:-1], film.trace.s.numpy())


def test_predictions_are_those_of_the_trace_and_the_last_one_stays(data):
    film = walked(data, eta=0.3)
    np.testing.assert_array_equal(shown(film, "x0")[:-1], as_panel(film.trace["x0"]))
    np.testing.assert_array_equal(shown(film, "eps")[:-1], grey(film.trace["eps"]))
    for key in ("x0", "eps"):
        np.testing.assert_array_equal(shown(film, key)[-1], shown(film, key)[-2])


@pytest.mark.parametrize("sampler, eta", [("ddim", 0.0), ("ddim", 0.7), ("ddpm", 0.0), ("heun", 0.0)])
def test_each_state_less_what_was_removed_plus_what_was_added_is_the_next(data, sampler, eta):
    film = walked(data, sampler, eta)
    x, removed, added = (torch.from_numpy(a) for a in (
        grey(torch.cat([film.trace["x_t"], film.trace.final[None]])), shown(film, "removed"), shown(film, "added")))
    torch.testing.assert_close(x[:-1] - removed[:-1] + added[:-1], x[1:], rtol=1e-5, atol=1e-5)
    assert not removed[-1].any() and not added[-1].any()
    if sampler == "ddpm" or eta:
        assert added[:-2].abs().max() > 0.01
    else:
        assert not added.any()


def test_at_the_end_of_a_walk_of_which_some_steps_are_kept_nothing_more_is_removed_or_added(data):
    film = walked(data, "ddpm", every=5)
    assert len(film.trace) == 3 and shown(film, "removed")[-2].any() and shown(film, "added")[-2].any()
    assert not shown(film, "removed")[-1].any() and not shown(film, "added")[-1].any()


def test_what_is_removed_and_added_stays_within_the_panels_range(data):
    film = walked(data, "ddpm", steps=30, count=50)
    for key in ("removed", "added"):
        panel = film.scene((key,)).panels[0]
        assert (np.abs(panel.data) <= panel.range[1]).mean() > 0.98
        assert np.abs(panel.data).max() > panel.range[1] / 10


def test_the_error_panel_is_the_models_noise_less_the_exact_ones(data):
    film = walked(data, denoise=lambda exact: scale_eps(exact, 0.9), eta=0.5)
    exact = Exact(data.x0, film.schedule, data.bandwidth)
    wanted = [eps - exact(x, t).eps for x, eps, t in zip(film.trace["x_t"], film.trace["eps"], film.trace.t)]
    np.testing.assert_allclose(shown(film, "error")[:-1], grey(torch.stack(wanted)), rtol=1e-5, atol=1e-5)
    assert not shown(walked(data), "error").any()


def test_looking_at_the_last_frame_alone_changes_nothing_of_the_trace(data, coarse_density):
    film = walked(data, eta=0.5)
    before = film.trace.final.clone()
    for key in film.offers:
        shown(film, key, film.frames - 1, film.frames)
    assert torch.equal(film.trace.final, before)


@pytest.mark.parametrize("key", ["field", "field_exact"])
def test_an_arrow_is_what_the_denoiser_says_at_the_centre_of_its_cell(key):
    film = walked(points_data(), denoise=lambda exact: scale_eps(exact, 0.9))
    arrows, side = shown(film, key), 2 * STATE_VIEW / FIELD_CELLS
    denoise = film.denoise if key == "field" else film.exact
    for k, row, column in ((0, 0, 0), (3, 2, 15), (11, 17, 4)):
        centre = torch.tensor([[-STATE_VIEW + (column + 0.5) * side, -STATE_VIEW + (row + 0.5) * side]])
        wanted = -denoise(centre, film.trace.t[k]).eps[0].numpy()
        np.testing.assert_allclose(arrows[k, row, column], wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(arrows[-1], arrows[-2])


def test_row_0_of_a_field_is_at_the_bottom_and_column_0_at_the_left():
    here = vector_field(lambda x, t: Prediction(x, x, t, t), torch.ones(1), 1.0, lambda p: p.x0)[0]
    assert here[0, 0].tolist() == pytest.approx([-17 / 18, -17 / 18])
    assert here[0, -1].tolist() == pytest.approx([17 / 18, -17 / 18])
    assert torch.equal(here.reshape(-1, 2), field_points(1.0))


class Blurred(Schedule):
    """Another schedule with more noise: variances add."""

    name, T = "blurred", 1000

    def __init__(self, schedule, width):
        self.schedule, self.width = schedule, width

    def __call__(self, t):
        alpha, sigma = self.schedule(t)
        return alpha, (sigma**2 + self.width**2).sqrt()


def test_the_density_is_that_of_the_exact_mixture_at_the_cells_centres_blurred_by_half_a_cell(schedule):
    data = points_data()
    film = walked(data, schedule=schedule)
    half = STATE_VIEW / DENSITY_CELLS
    axis = -STATE_VIEW + (2 * torch.arange(DENSITY_CELLS, dtype=torch.float64) + 1) * half
    cells = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).flip(0)  # row 0 at the top: y is up
    heat = shown(film, "density")
    for k in (0, 4, 8, film.frames - 1):
        t = torch.tensor(film.scene(()).numbers["t"][k])
        size = max(1, math.hypot(*schedule.at(t)))  # what is larger than the view is shown divided by its size
        truth = Exact(data.x0, Blurred(schedule, size * half), data.bandwidth)
        p = truth.log_density(size * cells.reshape(-1, 2), t).reshape(DENSITY_CELLS, DENSITY_CELLS).exp()
        np.testing.assert_allclose(heat[k], (p / p.max()).numpy(), atol=2e-4)


def test_up_is_up_in_a_density():
    heat = density(torch.tensor([[0.5, 0.8]]), 0.0, torch.ones(1), torch.zeros(1), 1.0)[0]
    row, column = divmod(int(heat.argmax()), DENSITY_CELLS)
    assert row < DENSITY_CELLS / 5 and column > DENSITY_CELLS * 0.7
    assert float(heat.max()) == 1


@pytest.mark.parametrize("name", ["cosine", "linear", "flow"])
@pytest.mark.parametrize("sampler, eta", [("ddim", 0.0), ("ddim", 0.6), ("ddpm", 0.0)])
def test_the_equation_with_its_numbers_gives_the_next_state_to_the_digits_shown(data, name, sampler, eta):
    film = walked(data, sampler, eta, schedule=make_schedule(name))
    scene, trace = film.scene(()), film.trace
    after = torch.cat([trace["x_t"][1:], trace.final[None]])
    for k in range(len(trace)):
        alpha, direction, std = figure(scene.text(scene.figures[0], k))
        x0, eps, z = trace["x0"][k], trace["eps"][k], trace["noise"][k]
        rounding = 0.0005 * (x0.abs() + eps.abs() + z.abs()) + 1e-5
        assert ((alpha * x0 + direction * eps + std * z - after[k]).abs() <= rounding).all()
        t, s = figure(scene.text(scene.figures[1], k))
        assert abs(t - trace.t[k]) <= 0.0005 and abs(s - trace.s[k]) <= 0.0005


def test_heuns_equation_with_its_numbers_gives_the_next_state_to_the_digits_shown():
    film = walked(points_data(), "heun", schedule=make_schedule("flow"))
    scene, trace = film.scene(()), film.trace
    after = torch.cat([trace["x_t"][1:], trace.final[None]])
    for k in range(len(trace)):
        out, into, dr = figure(scene.text(scene.figures[0], k))
        x, u = trace["x_t"][k], trace["eps"][k] - trace["x0"][k]
        if trace.s[k] > 0:  # the last step takes uₜ alone, as the figures say
            euler = out * (into * x + dr * u)
            u = (u + film.denoise(euler, trace.s[k]).velocity) / 2
        rounding = 0.0005 * (x.abs() * 1.5 + u.abs() + 1) * 2
        assert ((out * (into * x + dr * u) - after[k]).abs() <= rounding).all()
    assert "uₜ alone" in scene.figures[1] and "½" in scene.formula


def test_where_noise_is_dropped_the_equation_says_so():
    film = walked(points_data(), "ddpm", edit=during(drop_noise, 0.5, 0.0))
    scene = film.scene(())
    for k, t in enumerate(film.trace.t):
        std = figure(scene.text(scene.figures[0], k))[2]
        assert std == (0 if t <= 0.5 else pytest.approx(float(film.trace.std[k]), abs=0.0005))
    assert scene.numbers["std"].max() > 0.1
    after = torch.cat([film.trace["x_t"][1:], film.trace.final[None]])
    numbers = scene.numbers
    for k in range(len(film.trace)):  # the weight of the predicted noise is still the rule's
        made = numbers["x0"][k] * film.trace["x0"][k] + numbers["eps"][k] * film.trace["eps"][k]
        made = made + numbers["std"][k] * film.trace["noise"][k]
        torch.testing.assert_close(made, after[k], rtol=1e-5, atol=1e-5, check_dtype=False)


def test_a_push_stands_in_the_equation():
    film = walked(points_data(), eta=0.6, edit=nudge(-0.025), push=-0.025)
    scene, trace = film.scene(()), film.trace
    alpha, direction, std, push = figure(scene.text(scene.figures[0], 5))
    assert push == -0.025 and "nudge" in scene.formula
    made = alpha * trace["x0"][5] + direction * trace["eps"][5] + std * trace["noise"][5] + push
    torch.testing.assert_close(made, trace["x_t"][6], rtol=0, atol=0.003)
    assert "nudge" not in walked(points_data()).scene(()).formula


def test_a_growing_walk_shows_what_it_has_and_says_what_is_to_come():
    film = walked(points_data(), finished=False)
    assert film.frames == 12 and film.total == 13
    assert shown(film, "x_t").shape[0] == 12 and [len(c.series) for c in film.scene(()).charts] == [2, 0]
    film.finish()
    assert film.frames == 13 and [len(c.series) for c in film.scene(()).charts] == [2, 1]


def test_the_share_of_noise_in_the_variance_is_that_of_the_forward_process(schedule):
    data = points_data()
    numbers = walked(data, schedule=schedule).scene(()).numbers
    g = torch.Generator().manual_seed(0)
    x0, eps = data.draw(40_000, g)[0].double(), torch.randn(40_000, 2, generator=g, dtype=torch.float64)
    for k in (1, 6, 11):
        alpha, sigma = schedule.at(numbers["t"][k])
        share = sigma**2 / float((alpha * x0 + sigma * eps).var(0).mean())
        assert numbers["left"][k] / 100 == pytest.approx(share, rel=0.02)


def test_the_spread_of_a_data_set_is_that_of_what_it_draws(data):
    mean, square, variance, d = spread(data)
    n = 40_000
    a = data.draw(n, torch.Generator().manual_seed(5))[0].flatten(1).double()
    torch.testing.assert_close(a.mean(0), mean, rtol=0, atol=5 / n**0.5)
    drawn = (a - mean).square().sum(1)
    assert d == a.shape[1]
    assert square == pytest.approx(float(drawn.mean()), abs=5 * float(drawn.std()) / n**0.5)
    assert variance == pytest.approx(float(drawn.var()), rel=0.05)


def in_band(film) -> np.ndarray:
    _, ratio, error = film.band()
    return np.abs(ratio - 1) <= error


def in_groups(film: TraceView, count: int) -> list[TraceView]:
    """Films of each `count` of its samples in turn, which do not know each other."""
    trace, films = film.trace, []
    for ends in trace.final.split(count):
        first = len(films) * count
        walk = [*trace["x_t"][:, first : first + count], ends]
        steps = (Step(k, t, s, x, Prediction(x, x, t, t), arrived, torch.zeros(()), torch.zeros_like(x))
                 for k, (t, s, x, arrived) in enumerate(zip(trace.t, trace.s, walk, walk[1:])))
        films.append(TraceView(Trace.record(steps, ("x_t",)), film.times, film.dataset, film.schedule, film.denoise,
                               make_sampler("ddpm", film.schedule)))
        films[-1].finish()
    return films


def gaussian_data(std=0.5) -> Dataset:
    return Dataset("gauss", "Gauss", "points", torch.zeros(1, 2), bandwidth=std)


def test_the_band_is_two_standard_errors_of_samples_of_the_forward_process():
    data, schedule, count = points_data(0.2), make_schedule("cosine"), 50
    film = walked(data, count=count, steps=4)
    t, _, error = film.band()
    mean = data.x0.double().mean(0)
    g = torch.Generator().manual_seed(8)
    for k in (1, 2, 3, 4):
        alpha, sigma = schedule.at(t[k])
        x0 = data.draw(4000 * count, g)[0].double()
        x = alpha * x0 + sigma * torch.randn(x0.shape, generator=g, dtype=torch.float64)
        size = (x - alpha * mean).square().reshape(4000, -1).mean(1)
        ratio = (size / size.mean()).sqrt()
        assert error[k] == pytest.approx(2 * float(ratio.std()), rel=0.07)


def test_exact_walks_of_a_gaussian_stay_in_the_band_as_often_as_two_standard_errors_say():
    films = in_groups(walked(gaussian_data(), "ddpm", steps=200, count=8 * 250), 250)
    share = np.mean([in_band(film).mean() for film in films])
    assert 0.89 < share < 0.99  # 0.954 of independent frames; those of one walk resemble each other
    ratios = np.mean([film.band()[1] for film in films], 0)
    assert np.abs(ratios - 1).max() < 0.03  # DDPM's posterior std is that of known x0: 200 steps lose 2 % of the spread


def as_if_variance(step):
    return replace(step, std=step.std**2)


@cache
def sound_walk(sampler: str) -> TraceView:
    return walked(gaussian_data(), sampler, steps=150, count=1000)


@pytest.mark.parametrize("sampler, bug", [
    ("ddpm", dict(edit=drop_noise)), ("ddpm", dict(edit=as_if_variance)),
    ("ddim", dict(denoise=lambda exact: scale_eps(exact, 0.98)))],
    ids=["noise dropped", "variance for standard deviation", "eps scaled by 0.98"])  # fmt: skip
def test_a_broken_walk_leaves_the_band(sampler, bug):
    sound, broken = sound_walk(sampler), walked(gaussian_data(), sampler, steps=150, count=1000, **bug)
    assert in_band(sound).mean() > 0.9 and in_band(sound)[-10:].all()
    assert in_band(broken).mean() < 0.1 and not in_band(broken)[-10:].any()


def test_how_far_the_guess_is_from_its_end_is_a_root_mean_square(data):
    film = walked(data)
    settle = film.scene(()).charts[1]
    away = (film.trace["x0"][3] - film.trace.final).square().mean().sqrt()
    assert settle.series[0].y[3] == pytest.approx(float(away), rel=1e-5)
    assert settle.series[0].y[-1] == pytest.approx(0, abs=1e-6)  # the last step of DDIM goes to the guess itself


# --- the forward process ----------------------------------------------------------------------------------------


def test_one_jump_is_the_closed_form_with_the_same_noise_at_every_time(data, schedule):
    film = ForwardView(data, schedule, 9, 0, frames=12)
    assert film.t[0] == 0 and film.t[-1] == 1 and film.frames == 12
    x = as_panel(film.x0[None])[0]
    np.testing.assert_array_equal(shown(film, "x_t")[0], x)
    eps = as_panel(film.eps[None])[0]
    for k, t in enumerate(film.t):
        alpha, sigma = schedule.at(t)
        size = max(1, math.hypot(alpha, sigma))
        np.testing.assert_allclose(shown(film, "x_t")[k], (alpha * x + sigma * eps) / size, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(shown(film, "x0")[0], x)


def test_step_by_step_has_the_jumps_mean_and_variance_at_every_time(schedule):
    data, n = points_data(), 4000
    film = ForwardView(data, schedule, n, 0, frames=30)
    mean, square, variance, d = spread(data)
    for x in (film.stepwise(0, 30).double(), film.jump(0, 30).double()):
        for k in (0, 5, 15, 29):
            alpha, sigma = film.alpha[k], film.sigma[k]
            size = alpha**2 * square / d + sigma**2
            assert ((x[k].mean(0) - alpha * mean).abs() < 4 * (size / n * 1.5).sqrt()).all()
            error = (alpha**4 * variance + 4 * alpha**2 * sigma**2 * square + 2 * d * sigma**4).div(n).sqrt() / d
            assert abs(float((x[k] - alpha * mean).square().mean() - size)) < 4 * float(error) + 1e-9


def test_step_by_step_draws_fresh_noise_and_one_jump_does_not():
    film = ForwardView(gaussian_data(), make_schedule("cosine"), 3000, 0, frames=30)

    def alike(x):  # of the noise at t and some steps before it: 1 if it is the same
        noise = [(x[k] - film.alpha[k] * film.x0) / film.sigma[k] for k in (5, 20)]
        return float((noise[0] * noise[1]).mean())

    assert alike(film.jump(0, 30)) == pytest.approx(1, abs=0.05)
    a = film.alpha[20] / film.alpha[5] * film.sigma[5] / film.sigma[20]
    assert alike(film.stepwise(0, 30)) == pytest.approx(float(a), abs=0.06) and a < 0.3


@pytest.mark.parametrize("T, frames", [(1000, 101), (100, 101), (21, 22)])
def test_the_forward_film_of_a_discrete_schedule_stops_at_timesteps(T, frames):
    schedule = make_schedule("linear", T)
    film = ForwardView(points_data(), schedule, 5, 0)
    numbers = film.scene(()).numbers
    assert film.frames == frames
    np.testing.assert_allclose(numbers["k"], np.rint(numbers["k"]), atol=1e-9)
    inner = numbers["k"].round().astype(int)[1:]
    np.testing.assert_allclose(numbers["beta"][1:], schedule.betas[inner - 1], rtol=1e-6)
    assert numbers["beta"][0] == 0


def test_the_forward_equation_with_its_numbers_gives_the_state_to_the_digits_shown(data):
    film = ForwardView(data, make_schedule("linear"), 9, 0, frames=12)
    scene = film.scene(())
    for k in range(12):
        alpha, sigma = figure(scene.text(scene.figures[0], k))
        rounding = 0.00005 * (film.x0.abs() + film.eps.abs()) + 1e-5
        assert ((alpha * film.x0 + sigma * film.eps - film.jump(k, k + 1)[0]).abs() <= rounding).all()


def test_what_is_wrong_with_a_schedule_stands_under_its_film():
    bad, good = make_schedule("drawn:0,8;1,-1"), make_schedule("drawn:0,8;0.5,0;1,-9")
    figures = ForwardView(points_data(), bad, 5, 0).scene(()).figures
    assert figures[2:] == tuple(f"! {problem}" for problem in bad.check()) and "! terminal SNR is 0.368" in figures[2]
    assert len(ForwardView(points_data(), good, 5, 0).scene(()).figures) == 2


def test_schedule_charts_are_the_schedule(schedule):
    film = ForwardView(points_data(), schedule, 5, 0)
    curves = {series.label: series for chart in film.scene(()).charts for series in chart.series}
    t = torch.from_numpy(curves["α"].x)
    np.testing.assert_allclose(curves["α"].y, schedule(t)[0])
    np.testing.assert_allclose(curves["σ"].y, schedule(t)[1])
    t = torch.from_numpy(curves["log SNR"].x)
    np.testing.assert_allclose(curves["log SNR"].y, schedule.log_snr(t))
    assert t.min() > 0


def test_the_width_of_the_cloud_is_that_of_its_points_and_shown_at_its_true_size_where_that_grows(schedule):
    film = ForwardView(points_data(), schedule, 4000, 0, frames=6)
    width = film.scene(()).charts[3].series[1].y
    np.testing.assert_allclose(width, [x.std(0).square().mean().sqrt() for x in film.jump(0, 6)], rtol=0.05)
    assert ("true_size" in film.offers) == (schedule.name == "ve")
    if schedule.name == "ve":
        np.testing.assert_array_equal(shown(film, "true_size"), film.jump(0, 6))


# --- the lens ---------------------------------------------------------------------------------------------------


def test_the_lens_panels_are_what_the_glances_saw_of_the_first_samples(data):
    film, seen = looked(data)
    exact = [g.exact for g in seen]
    for k, g in enumerate(seen):
        for key, value, view in (
            ("x_t", g.noised.x_t, as_panel), ("x0", g.predicted.x0, as_panel), ("eps_hat", g.predicted.eps, grey),
            ("eps_exact", exact[k].eps, grey), ("error", g.predicted.eps - g.noised.eps, grey),
            ("excess", g.predicted.eps - exact[k].eps, grey),
        ):  # fmt: skip
            np.testing.assert_allclose(shown(film, key)[k], view(value[None, :6])[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(shown(film, "eps"), grey(seen[0].noised.eps[None, :6]))


def test_the_lens_figures_count_all_samples_and_stand_in_text_and_charts(data):
    film, seen = looked(data)
    scene = film.scene(())
    for k, g in enumerate(seen):
        for line, wanted in ((1, [g.mse, g.floor]), (2, [g.cosine, g.exact_cosine])):
            assert figure(scene.text(scene.figures[line], k)) == pytest.approx(wanted, abs=0.00006)
        assert figure(scene.text(scene.figures[3], k)) == pytest.approx([g.excess], abs=0.000006)
        _, explained, possible = figure(scene.text(scene.sentence, k))
        assert [explained, possible] == pytest.approx([100 * (1 - g.mse), 100 * (1 - g.floor)], abs=0.06)
        assert scene.text(scene.clock, k) == f"t = {round(1000 * float(g.t))} / 1000"
    errors, cosines, left, harder = scene.charts
    np.testing.assert_allclose(errors.series[0].y, [g.floor for g in seen])
    np.testing.assert_allclose(errors.series[1].y, [g.mse for g in seen])
    np.testing.assert_allclose(cosines.series[1].y, [g.cosine for g in seen])
    np.testing.assert_allclose(left.series[0].y, [g.excess for g in seen])
    # In one currency: the share of its own variance that is missed, which 1.5 stands for where it is more.
    missed = [float((g.predicted.x0 - g.noised.x0).square().mean()) / film.variance for g in seen]
    np.testing.assert_allclose(harder.series[0].y, np.minimum(missed, 1.5), rtol=1e-2, atol=1e-5)
    np.testing.assert_allclose(harder.series[1].y, np.minimum([g.mse for g in seen], 1.5))


def test_the_difference_of_the_score_fields_is_their_difference():
    film, _ = looked(points_data())
    apart = shown(film, "score") - shown(film, "score_exact")
    np.testing.assert_allclose(apart, shown(film, "score_error"), rtol=1e-5, atol=1e-6 * np.abs(apart).max())
    truth = film.exact(field_points(STATE_VIEW), film.times[3])
    score = float(truth.sigma) * truth.score.reshape(FIELD_CELLS, FIELD_CELLS, 2).numpy()
    np.testing.assert_allclose(shown(film, "score_exact")[3], score, rtol=1e-4, atol=1e-5)


# --- a training, and its two clocks -----------------------------------------------------------------------------


def test_thinning_takes_means_of_equal_groups():
    at, mean = thin(np.array([1.0, 3.0, 10.0, 20.0, 7.0]), 3)
    assert at.tolist() == [0.5, 2.5, 4] and mean.tolist() == [2, 15, 7]
    at, mean = thin(np.array([1.0, 3.0]), 400)
    assert at.tolist() == [0, 1] and mean.tolist() == [1, 3]


def test_smoothing_is_the_mean_of_the_last_share_and_of_at_least_a_few():
    assert smooth(np.array([4.0, 2.0, 6.0, 0.0]), 0.1, 2).tolist() == [4, 3, 4, 3]
    assert smooth(np.array([4.0, 2.0, 6.0, 0.0]), 0.75, 1).tolist() == [4, 3, 4, 8 / 3]
    assert smooth(np.empty(0)).tolist() == []


def test_previews_are_shown_as_soon_as_the_loss_beside_them_is_known():
    film = trained(points_data())
    losses, done = film.progress.losses, film.progress
    for known, frames in ((0, 0), (1, 1), (9, 1), (10, 2), (89, 3), (200, 5)):
        film.progress = replace(done, losses=losses[:known])
        assert film.frames == frames
    film.progress = None
    assert film.frames == 0 and film.total == 5


def test_the_loss_beside_a_preview_is_the_mean_of_the_steps_before_it_whenever_it_is_told():
    film = trained(points_data())
    losses = film.progress.losses
    film.progress = replace(film.progress, losses=losses[:40])
    early = film.scene(()).numbers["loss"]
    film.progress = replace(film.progress, losses=losses)
    late = film.scene(()).numbers["loss"]
    np.testing.assert_array_equal(early, late[:3])
    wanted = [losses[0], losses[:10].mean(), losses[30:40].mean(), losses[80:90].mean(), losses[180:200].mean()]
    np.testing.assert_allclose(late, wanted)
    assert "mean over the last tenth" in film.scene(()).figures[0]


COLOURS = {"x_t": "ink", "paths": "ink", "x0": "accent", "eps": "noise", "eps_hat": "noise", "score": "noise",
           "score_exact": "ink", "field": "noise", "field_exact": "ink", "samples": "accent", "guess": "accent",
           "data": "ink"}


def test_a_quantity_has_one_colour_in_every_view_and_the_legend_says_which(film, whole):
    said = {palette for palette, _ in whole.legend}
    colours = COLOURS | {ForwardView: {"x0": "ink", "eps": "ink"}, NoiseErrorView: {"eps": "ink"}}.get(type(film), {})
    for panel in (panel for panel in whole.panels if panel.kind in ("points", "paths", "field")):
        assert panel.palette == colours.get(panel.key, panel.palette), panel.key
        assert panel.palette in said
    for series in (series for chart in whole.charts for series in chart.series):
        wanted = {"x̂₀": "accent", "ε̂": "noise", "x_{t}": "ink", "exact denoiser": "ink", "expected": "ink",
                  "floor": "ink"}.get(series.label, series.palette)
        assert series.palette == wanted and wanted in said, series.label


def test_training_panels_are_the_previews(data):
    film = trained(data)
    np.testing.assert_array_equal(shown(film, "samples"), as_panel(torch.stack([p.samples for p in film.previews])))
    np.testing.assert_array_equal(shown(film, "guess"), as_panel(torch.stack([p.guess for p in film.previews])))
    if data.kind == "points":
        np.testing.assert_array_equal(shown(film, "field"), torch.stack([p.field for p in film.previews]).numpy())
    assert shown(film, "data").shape[:2] == (1, 5)
    assert film.scene(()).numbers["step"].tolist() == film.moments


def test_training_charts_hold_the_loss_against_the_floor_and_leave_out_what_nobody_saw():
    film = trained(points_data())
    loss, by_t = film.scene(()).charts
    lowest, raw, _ = loss.series
    assert lowest.y.tolist() == [1, 1] and lowest.style == "dashed"
    np.testing.assert_allclose(raw.y, film.progress.losses / film.floor.loss)
    assert loss.log and loss.cursor.tolist() == film.moments and loss.ends == ("step 0", "200")
    floor, network = by_t.series
    np.testing.assert_allclose(floor.y, film.floor[1])
    assert len(network.x) == 19 and network.x[3] == pytest.approx(0.225)


def test_before_a_training_its_loss_has_one_value_and_an_axis_as_long_as_its_plan_to_draw_a_guess_on():
    film = trained(points_data())
    assert film.scene(()).charts[0].guess == "smoothed"
    film.progress = Progress(torch.tensor([2.0]), *film.floor[:2], 0.0)
    loss = film.scene(()).charts[0]
    floor, _, smoothed = loss.series
    assert (loss.guess, loss.ends, floor.x.tolist(), len(smoothed.x)) == ("smoothed", ("step 0", "200"), [0, 199], 1)


@pytest.mark.parametrize("above, said", [
    ((), "at the floor"), (range(6), "still learning below t = 0.3, 2 × the floor"),
    (range(15, 20), "still learning above t = 0.75, 2 × the floor"),
    (range(20), "still learning at every t, 2 × the floor"),
    ((4, 6), "still learning from t = 0.2 to 0.35, 1.67 × the floor")])
def test_the_verdict_on_a_training_names_the_times_at_which_its_error_is_above_the_floor(above, said):
    t = (torch.arange(20, dtype=torch.float64) + 0.5) / 20
    error = torch.full((20,), 0.5).where(t < 2, t)
    learned = 1.1 * error.numpy()  # within what is told apart
    learned[list(above)] = 2 * 0.5
    if above == (4, 6):
        learned[5] = 0.5
    learned[12] = np.nan if 12 not in above else learned[12]
    assert verdict(Floor(t, error, 0.5), learned) == said


def test_where_next_to_nothing_can_be_missed_a_multiple_of_it_is_no_matter():
    t, best = (torch.arange(20) + 0.5) / 20, torch.full((20,), 1e-4)
    assert verdict(Floor(t, best, 1e-4), 10 * best.numpy()) == "at the floor"


def test_clocks_show_each_walk_and_its_end(data):
    film = clocked(data)
    assert film.default == ("step0", "step50", "step100") and film.frames == 10
    for step, trace in film.traces.items():
        np.testing.assert_array_equal(shown(film, f"step{step}")[:-1], as_panel(trace["x_t"]))
        np.testing.assert_array_equal(shown(film, f"step{step}")[-1:], as_panel(trace.final[None]))
        np.testing.assert_array_equal(shown(film, f"guess{step}")[:-1], as_panel(trace["x0"]))


def test_the_clocks_chart_is_the_distance_from_the_last_walk():
    film = clocked(points_data())
    chart, = film.scene(()).charts
    assert [s.label for s in chart.series] == ["step 0", "step 50"]
    apart = film.traces[50]["x_t"][4] - film.traces[100]["x_t"][4]
    assert chart.series[1].y[4] == pytest.approx(float(apart.square().mean().sqrt()), rel=1e-5)
    assert chart.series[1].y[0] == 0  # all begin at the same noise
    alone = ClocksView(film.dataset, {100: film.traces[100]}, film.times, make_schedule("cosine"))
    assert alone.scene().charts == ()


# --- states larger than the data ----------------------------------------------------------------------------------


def test_states_of_an_exploding_schedule_are_shown_divided_by_their_size_and_the_caption_says_so(data):
    film = walked(data, "ddpm", schedule=make_schedule("ve"))
    t, trace = film.scene(()).numbers["t"], film.trace
    size = torch.tensor([math.hypot(1, film.schedule.at(time)[1]) for time in t])
    assert size[0] > 79 and size[-1] == 1
    after = torch.cat([trace["x_t"], trace.final[None]])
    shaped = size.reshape(-1, *[1] * (after.ndim - 1))
    np.testing.assert_allclose(shown(film, "x_t"), as_panel(after / shaped), rtol=1e-5, atol=1e-5)
    rows = {"removed": trace["x_t"] - trace["mean"], "added": trace.std.reshape(shaped[:-1].shape) * trace["noise"]}
    for key, row in rows.items():
        np.testing.assert_allclose(shown(film, key)[:-1], grey(row / shaped[:-1]), rtol=1e-5, atol=1e-5)
        low, high = film.scene((key,)).panels[0].range
        assert np.quantile(np.abs(shown(film, key)), 0.99) < 1.5 * high
    for key in ("x_t", "removed", "added", *(("paths", "density", "field") if data.kind == "points" else ())):
        assert "÷√(α²+σ²)" in film.scene((key,)).panels[0].caption
        assert "÷" not in walked(data, "ddpm").scene((key,)).panels[0].caption


def test_clocks_of_an_exploding_schedule_show_the_states_divided_by_their_size_too(data):
    film = clocked(data, "ve")
    sigma = make_schedule("ve")(film.times)[1].float()
    assert sigma[0] > 79
    for step, trace in film.traces.items():
        after = torch.cat([trace["x_t"], trace.final[None]])
        size = (1 + sigma**2).sqrt().reshape(-1, *[1] * (after.ndim - 1))
        np.testing.assert_allclose(shown(film, f"step{step}"), as_panel(after / size), rtol=1e-5, atol=1e-5)
        assert "÷√(α²+σ²)" in film.scene((f"step{step}",)).panels[0].caption
        np.testing.assert_array_equal(shown(film, f"guess{step}")[:-1], as_panel(trace["x0"]))
        assert film.scene((f"guess{step}",)).panels[0].caption == ""
    assert clocked(data).scene(("step0",)).panels[0].caption == ""


def test_a_field_of_an_exploding_schedule_is_asked_where_the_states_shown_are():
    film = walked(points_data(), schedule=make_schedule("ve"))
    t = torch.tensor(film.scene(()).numbers["t"][:3])
    places = field_points(STATE_VIEW)
    for k, time in enumerate(t):
        asked = film.denoise(math.hypot(1, film.schedule.at(time)[1]) * places, time)
        np.testing.assert_allclose(shown(film, "field")[k].reshape(-1, 2), -asked.eps, rtol=1e-4, atol=1e-5)


def test_the_models_density_stands_still_and_is_that_of_its_probability_flow():
    film = walked(points_data())
    panel = film.scene(("p_model",)).panel("p_model")
    wanted = density_grid(film.denoise, film.schedule, STATE_VIEW, DENSITY_CELLS)
    np.testing.assert_allclose(panel.data, (wanted / torch.quantile(wanted, PEAK))[None].numpy(), rtol=1e-4)
    assert panel.frames == 1 and (panel.data <= 1).mean() == pytest.approx(PEAK, abs=1e-3)
    # Beside the data's own, in the same window: the exact denoiser's is the same.
    np.testing.assert_allclose(panel.data[0] / panel.data.max(), shown(film, "density")[-1], atol=0.02)
