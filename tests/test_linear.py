"""Linear diffusion: it is the least squares it claims to be, the best of its kind, and it draws Gaussians."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch.testing import assert_close

from core.checkpoints.models import load_checkpoint, load_pretrained, pretrained, save_checkpoint
from core.cli.parser import main
from core.data.datasets import Dataset, load
from core.denoisers.exact import Exact
from core.denoisers.linear import linear, wiener
from core.denoisers.wrappers import reschedule
from core.forward import noised
from core.guidance.classifier_free import classifier_free, condition
from core.metrics.distances import agreement
from core.reverse import start_noise, walk
from core.samplers import ddim, heun
from core.schedules import make_schedule
from core.trace import Trace
from core.views import TraceView
from core.views.base import STATE_VIEW, field_points
from core.views.linear import offer_weights

COSINE = make_schedule("cosine")
DIGITS = load("digits8")
TIMES = (0.02, 0.3, 0.6, 0.95)


@cache
def digits(components):
    """The linear denoiser of the digits, solved once; with all 64 components it is the Wiener filter."""
    return linear(DIGITS, COSINE, components)


def doubles(n, *shape, seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def at(t):
    return torch.tensor(t, dtype=torch.float64)


def small():
    """Pictures of 2×2 pixels that are correlated, in unequal classes that differ in mean and in covariance."""
    label = torch.arange(30) * 7 % 10 // 4
    x0 = doubles(30, 1, 2, 2) @ doubles(3, 2, 2, seed=1)[label][:, None] + label[:, None, None, None] / 4
    return Dataset("small", "Small", "images", x0.float(), label, tuple("abc"), bandwidth=0.1)


def error(denoise, dataset, t):
    """E|x0 − x̂0|² an entry, over every row of the data equally often and with the same noise for every denoiser."""
    x0 = torch.cat([dataset.x0.double()] * (40_000 // dataset.x0.numel() + 1))
    x0 = x0 + dataset.bandwidth * doubles(*x0.shape, seed=1)
    event = noised(COSINE, x0, at(t), doubles(*x0.shape))
    return float((denoise(event.x_t, event.t).x0 - x0).square().mean())


def arrive(denoiser, shape, n, cond=None, scale=1.0, steps=25):
    """Where the probability flow of the denoiser, guided if need be, carries n noises."""
    generator, times = torch.Generator().manual_seed(0), denoiser.schedule.times(steps, "log_snr")
    x = start_noise(denoiser.schedule, (n, *shape), times[0], generator)
    denoise = classifier_free(denoiser, cond, scale) if scale != 1 else condition(denoiser, cond)
    return deque(walk(denoise, heun(denoiser.schedule), x, times, generator), maxlen=1)[0].x_s


def moments(x):
    x = x.flatten(1).double()
    return x.mean(0), (x - x.mean(0)).T @ (x - x.mean(0)) / len(x)


# What it says


@pytest.mark.parametrize("t", TIMES)
def test_it_is_the_wiener_filter_of_the_mean_and_the_covariance(t, schedule):
    x_t, data = doubles(5, 1, 2, 2), small()
    alpha, sigma = schedule(at(t))
    mu, covariance = moments(data.x0)
    eye = torch.eye(4, dtype=torch.float64)
    covariance = covariance + data.bandwidth**2 * eye
    seen = alpha**2 * covariance + sigma**2 * eye
    x0 = mu + (x_t.flatten(1) - alpha * mu) @ torch.linalg.solve(seen, alpha * covariance)
    assert_close(wiener(data, schedule)(x_t, at(t)).x0, x0.reshape(x_t.shape), atol=1e-12, rtol=0)


@pytest.mark.parametrize("t", TIMES[:3])
@pytest.mark.parametrize("components", [2, 4])
def test_it_is_what_least_squares_over_sampled_noise_comes_to(t, components):
    """Features [code, 1, label, label × code], the more noises the closer."""
    data = small()
    x0 = data.x0.double().flatten(1)
    encoder = torch.linalg.svd(x0 - x0.mean(0), full_matrices=False)[2][:components]
    alpha, sigma = COSINE(at(t))

    def features(x, label):
        code, one_hot = x @ encoder.T, torch.nn.functional.one_hot(label, 3).double()
        interactions = (one_hot[:, :, None] * code[:, None, :]).flatten(1)
        return torch.cat([code, torch.ones(len(x), 1), one_hot, interactions], 1)

    def off(noises):
        many, label = x0.repeat(noises, 1), data.labels.repeat(noises)
        many = many + data.bandwidth * doubles(*many.shape, seed=3)
        x_t = alpha * many + sigma * doubles(*many.shape, seed=2)
        # The features are dependent on purpose (the one-hot label adds up to 1): lstsq takes the shortest solution.
        found = torch.linalg.lstsq(features(x_t, label), (many - x0.mean(0)) @ encoder.T, driver="gelsd").solution
        asked = doubles(40, 4, seed=4)
        told = torch.arange(40) % 3
        guess = x0.mean(0) + features(asked, told) @ found @ encoder
        ours = linear(data, COSINE, components)(asked.reshape(-1, 1, 2, 2), at(t), told).x0
        return float((ours.flatten(1) - guess).square().mean().sqrt())

    few, lots = off(20), off(4000)
    assert lots < 0.03 and lots < few / 4


@pytest.mark.parametrize("t", TIMES)
def test_for_one_gaussian_it_is_the_exact_denoiser(t, schedule):
    data = Dataset("one", "One", "points", torch.tensor([[0.3, -0.2]]), bandwidth=0.5)
    exact, x_t = Exact(data.x0, schedule, data.bandwidth), doubles(50, 2)
    ours, best = wiener(data, schedule)(x_t, at(t)), exact(x_t, at(t))
    assert_close(ours.x0, best.x0, atol=1e-8, rtol=0)
    assert_close(ours.eps, best.eps, atol=1e-6, rtol=0)


@pytest.mark.parametrize("t", TIMES)
def test_with_a_label_it_is_the_wiener_filter_of_that_label_alone(t):
    x_t = doubles(4, 1, 8, 8)
    of_all = digits(64)
    threes = replace(DIGITS, x0=DIGITS.x0[DIGITS.labels == 3], labels=None, label_names=(), held_out_labels=None)
    told = of_all(x_t, at(t), torch.full((4,), 3)).x0
    assert_close(told, wiener(threes, COSINE)(x_t, at(t)).x0, atol=1e-8, rtol=0)
    assert_close(of_all(x_t, at(t), torch.full((4,), 10)).x0, of_all(x_t, at(t)).x0)


@pytest.mark.parametrize("label", [None, 5])
def test_fewer_components_are_the_wiener_filter_of_the_data_seen_through_the_encoder(label):
    x0 = DIGITS.x0.double().flatten(1)
    v = torch.linalg.svd(x0 - x0.mean(0), full_matrices=False)[2][:12]
    seen = replace(DIGITS, x0=(x0.mean(0) + (x0 - x0.mean(0)) @ v.T @ v).reshape(DIGITS.x0.shape).float())
    cond = None if label is None else torch.full((4,), label)
    x_t = doubles(4, 1, 8, 8)
    for t in TIMES:  # the pictures were rounded to float32
        assert_close(digits(12)(x_t, at(t), cond).x0, wiener(seen, COSINE)(x_t, at(t), cond).x0,
                     atol=1e-4, rtol=0)


def test_each_row_of_a_batch_is_answered_by_its_own_label_and_time():
    denoiser, x_t = digits(30), doubles(6, 1, 8, 8)
    t, cond = torch.linspace(0.1, 0.9, 6, dtype=torch.float64), torch.tensor([3, 10, 0, 3, 9, 10])
    alone = [denoiser(x_t[i : i + 1], t[i], cond[i : i + 1]).x0 for i in range(6)]
    assert_close(denoiser(x_t, t, cond).x0, torch.cat(alone))


def test_it_is_affine():
    denoiser, a, b = digits(30), doubles(4, 1, 8, 8), doubles(4, 1, 8, 8, seed=1)
    x0 = [denoiser(x, at(0.4), torch.arange(4)).x0 for x in (a, b, 0.3 * a + 0.7 * b)]
    assert_close(x0[2], 0.3 * x0[0] + 0.7 * x0[1])


def test_it_answers_for_any_schedule_at_once():
    flow, x_t = make_schedule("flow"), doubles(4, 2)
    data = load("moons")
    moved = reschedule(wiener(data, COSINE), COSINE, flow)
    for t in (0.1, 0.5, 0.9):
        assert_close(moved(x_t, at(t)).x0, wiener(data, flow)(x_t, at(t)).x0, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["flow", "ve", "zero_snr", "cosine"])
def test_at_the_ends_of_time_it_says_the_mean_and_what_it_sees(name):
    denoiser = wiener(load("moons"), make_schedule(name))
    x_t, zero, one = doubles(5, 2), at(0.0), at(1.0)
    alpha = denoiser.schedule(zero)[0]
    assert_close(denoiser(x_t, zero).x0, x_t / alpha, atol=1e-3, rtol=1e-3)
    if float(denoiser.schedule(one)[0]) < 1e-3:
        mean = load("moons").x0.double().mean(0).expand(5, 2)
        assert_close(denoiser(x_t, one).x0, mean, atol=1e-2, rtol=0)


# How good it is


@pytest.mark.parametrize("t", TIMES[:3])  # later the three are closer to each other than such a sample can tell
@pytest.mark.parametrize("name", ["trex", "digits8"])
def test_exact_beats_wiener_and_wiener_beats_a_filter_of_each_pixel_by_itself(name, t):
    data = load(name)
    alpha, sigma = COSINE(at(t))
    mean = data.x0.double().mean(0)
    variance = (data.x0.double() - mean).square().mean(0) + data.bandwidth**2
    by_itself = (variance * sigma**2 / (alpha**2 * variance + sigma**2)).mean()
    best = error(Exact(data.x0, COSINE, data.bandwidth), data, t)
    ours = error(wiener(data, COSINE), data, t)
    assert best < ours < 1.02 * by_itself


@pytest.mark.parametrize("t", TIMES)
def test_its_error_is_what_is_left_of_each_component_and_all_of_those_left_out(t):
    """E|x0 − x̂0|² = Σ_{i≤k} λ_i·(1 − share_i) + Σ_{i>k} λ_i: more components, less error."""
    everything = digits(64).network.std[-1] ** 2
    before = torch.inf
    for k in (5, 20, 64):
        denoiser = digits(k)
        share = denoiser.network.shares(COSINE.snr(at(t)))
        expected = float((everything[:k] * (1 - share)).sum() + everything[k:].sum()) / 64
        assert error(denoiser, DIGITS, t) == pytest.approx(expected, rel=0.03)
        assert expected < before
        before = expected


def test_coarse_components_come_out_of_the_noise_before_fine_ones():
    shares = digits(64).network.shares(COSINE.snr(torch.tensor([0.99, 0.6, 0.2, 0.0], dtype=torch.float64)))
    assert (shares.diff(dim=1) <= 1e-12).all() and (shares.diff(dim=0) >= 0).all()
    assert shares[1, 0] > 0.5 and shares[1, 30] < 0.05
    assert_close(shares[3], (digits(64).network.std[-1] > 0).double())


# What it draws


def test_its_walk_ends_in_the_gaussian_of_the_data():
    data = load("trex")
    mean, covariance = moments(arrive(wiener(data, COSINE), (2,), 20_000))
    mu, sigma = moments(data.x0)
    assert_close(mean, mu, atol=0.015, rtol=0)
    assert_close(covariance, sigma + data.bandwidth**2 * torch.eye(2), atol=0.01, rtol=0)


def test_asked_for_a_digit_it_draws_about_the_mean_of_that_digit():
    cond = torch.arange(10).repeat_interleave(50)
    drawn = arrive(digits(40), (1, 8, 8), 500, cond).double()
    means = torch.stack([DIGITS.x0[DIGITS.labels == c].double().mean(0) for c in range(10)])
    assert_close(drawn.reshape(10, 50, 1, 8, 8).mean(1), means, atol=0.25, rtol=0)


def test_its_digits_are_of_the_kind_asked_for_and_guidance_makes_them_plainer():
    cond = torch.arange(10).repeat(15)
    plain, guided = (agreement(arrive(digits(30), (1, 8, 8), 150, cond, scale), cond, DIGITS)
                     for scale in (1.0, 2.0))
    assert 0.9 < plain < guided and guided > 0.99


# What it is made of


def test_the_fit_knows_no_chance():
    a, b = (linear(DIGITS, COSINE, 40).state_dict() for _ in range(2))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_its_directions_are_orthonormal_and_fall_in_variance():
    network = digits(40).network
    assert_close(network.directions @ network.directions.mT, torch.eye(40, dtype=torch.float64).expand(11, 40, 40))
    assert (network.std.diff(dim=1) <= 1e-9).all()


def test_saved_and_loaded_it_says_the_same(tmp_path):
    denoiser = digits(40)
    save_checkpoint(tmp_path / "linear.safetensors", denoiser)
    loaded, card = load_checkpoint(tmp_path / "linear.safetensors")
    x_t, cond = doubles(10, 1, 8, 8), torch.arange(10)
    for t in TIMES:
        assert_close(loaded(x_t, at(t), cond).x0, denoiser(x_t, at(t), cond).x0, atol=5e-3, rtol=0)
    assert (card["labels"], card["parameters"]) == (10, 11 * (64 + 40 * 64 + 40))


def test_a_label_that_no_row_has_is_answered_as_no_label():
    data = replace(small(), label_names=("a", "b", "c", "never"))
    denoiser, x_t = wiener(data, COSINE), doubles(3, 1, 2, 2)
    assert_close(denoiser(x_t, at(0.5), torch.full((3,), 3)).x0, denoiser(x_t, at(0.5)).x0)


@pytest.mark.parametrize("components", [0, 65])
def test_the_number_of_components_is_within_the_dimensions(components):
    with pytest.raises(ValueError, match="1 to 64"):
        linear(DIGITS, COSINE, components)


def test_a_label_it_does_not_know_is_named():
    with pytest.raises(ValueError, match="label 11.*0 to 9"):
        digits(64)(doubles(2, 1, 8, 8), at(0.5), torch.tensor([0, 11]))


# What is seen of its weights


def film_of(denoiser, data, label=None, schedule=COSINE, steps=12):
    """The film of a walk with its weights on offer."""
    generator, times = torch.Generator().manual_seed(0), schedule.times(steps)
    cond = None if label is None else torch.full((2,), label)
    trace = Trace()
    asked = reschedule(condition(denoiser, cond), denoiser.schedule, schedule)
    film = TraceView(trace, times, data, schedule, asked, ddim(schedule))
    film.more_charts = []
    offer_weights(film, denoiser, label)
    x = start_noise(schedule, (2, *data.shape), times[0], generator)
    for step in walk(film.denoise, heun(schedule), x, times, generator):
        trace.add(step)
    film.finish()
    return film


@pytest.mark.parametrize("label", [None, 3])
def test_filters_are_how_a_pixel_of_the_guess_answers_to_those_of_the_state(label):
    denoiser = digits(20)
    film = film_of(denoiser, DIGITS, label)
    filters = film.scene(("filters",)).panel("filters").data[..., 0]
    unit = torch.eye(64, dtype=torch.float64).reshape(64, 1, 8, 8)
    cond = None if label is None else torch.full((64,), 3)
    for k in (2, 6, 11):
        t = film.kept[k]
        answer = denoiser(unit, t, cond).x0 - denoiser(0 * unit, t, cond).x0
        of_pixel = answer[:, 0, 3, 4].reshape(8, 8)  # the second and third of four places from 1 to 6
        assert_close(torch.from_numpy(filters[k, 4 + 2]).double(), of_pixel / of_pixel.abs().max(), atol=1e-5, rtol=0)


def test_directions_are_as_strong_as_the_share_of_them_that_is_believed():
    denoiser = digits(40)
    film = film_of(denoiser, DIGITS, 3)
    shown = torch.from_numpy(film.scene(("weights",)).panel("weights").data).abs().amax((2, 3, 4))
    shares = denoiser.network.shares(COSINE.snr(film.kept), 3)[:, :16]
    assert_close(shown[:-1].double(), shares, atol=1e-6, rtol=0)
    assert (shown.diff(dim=0) >= 0).all()


def test_for_points_the_weights_are_where_a_grid_of_states_is_sent_on_the_films_own_schedule():
    data, flow = load("moons"), make_schedule("flow")
    film = film_of(wiener(data, COSINE), data, 1, schedule=flow)
    panel = film.scene(("weights",)).panel("weights")
    cond = torch.ones(len(field_points(STATE_VIEW)), dtype=torch.int64)
    for k in (1, 6, 11):
        sent = wiener(data, flow)(field_points(STATE_VIEW), film.kept[k], cond).x0
        assert_close(torch.from_numpy(panel.data[k]), sent, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("label", [None, 3])
def test_the_chart_of_errors_has_the_exact_denoiser_below_the_best_linear_and_that_below_the_model(label):
    film = film_of(digits(20), DIGITS, label)
    believed, errors = film.more_charts[0]()
    exact, best, ours = errors.series
    assert (ours.y >= best.y - 1e-9).all() and (exact.y <= 1.01 * ours.y[: len(exact.y)]).all()
    assert ours.y[-1] > 1.2 * best.y[-1] and exact.y[-1] < 0.1 * best.y[-1]
    own = DIGITS if label is None else replace(DIGITS, x0=DIGITS.x0[DIGITS.labels == 3], labels=None, label_names=(),
                                               held_out_labels=None)
    cond = lambda x: None if label is None else torch.full((len(x),), 3)  # noqa: E731
    denoiser = digits(20)
    for k in (3, 9):
        found = error(lambda x, t: denoiser(x, t, cond(x)), own, float(film.kept[k]))
        assert ours.y[k] == pytest.approx(found**0.5, rel=0.03)
    assert len(believed.series) == 3


def test_what_a_walk_must_be_over_for_has_a_chart_that_stands_empty_until_then():
    film = film_of(wiener(load("trex"), COSINE), load("trex"))
    assert [s.label for s in film.more_charts[0]()[0].series] == ["direction 1", "direction 2"]
    film.finished = False
    believed, errors = film.more_charts[0]()
    assert believed.series and not errors.series and "ended" in errors.ends[0]


def test_weights_of_another_kind_of_model_are_refused(small_denoiser):
    data = load("trex")
    film = film_of(wiener(data, COSINE), data)
    with pytest.raises(ValueError, match="SmallNetwork.*linear"):
        offer_weights(film, small_denoiser(COSINE))


def test_of_data_with_several_kinds_of_labels_it_knows_none():
    faces = load("faces16")
    assert isinstance(faces.classes, tuple) and linear(faces, COSINE, 3).labels == 0


def test_labels_come_one_a_sample():
    with pytest.raises(ValueError, match=r"\(2, 2\) for 2 samples"):
        digits(64)(doubles(2, 1, 8, 8), at(0.5), torch.zeros(2, 2, dtype=torch.int64))


# What is shipped


@pytest.mark.parametrize("name", [name for name, card in pretrained().items() if card.get("role") == "linear"])
def test_shipped_models_are_what_the_data_give_and_their_digits_are_nearest_to_digits_of_that_kind(name):
    shipped, card = load_pretrained(name)
    data = load(card["data"])
    again = linear(data, shipped.schedule, card["architecture"]["components"])
    x_t, cond = doubles(10, *data.shape), torch.arange(10)
    for t in TIMES:
        assert_close(shipped(x_t, at(t), cond).x0, again(x_t, at(t), cond).x0, atol=0.01, rtol=0)
    assert card["quality"]["agreement"] > card["quality"]["real_agreement"] - 0.06


def test_one_command_solves_and_saves_a_model_that_can_be_asked_for_a_label(tmp_path, capsys):
    path, arrays = tmp_path / "linear.safetensors", tmp_path / "threes.npz"
    assert main(["linear", "--data", "digits8", "--components", "12", "--save", str(path)]) == 0
    assert "solved in" in capsys.readouterr().out
    card = load_checkpoint(path)[1]
    assert (card["role"], card["data_hash"], card["parameters"]) == ("linear", DIGITS.hash, 11 * (64 + 12 * 64 + 12))
    assert main(["sample", "--model", str(path), "--label", "3", "--steps", "8", "--out", str(arrays)]) == 0
    assert main(["linear", "--data", "digits8", "--components", "65", "--save", str(path)]) == 2
    assert "1 to 64" in capsys.readouterr().err
