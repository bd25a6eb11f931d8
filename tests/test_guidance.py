"""Wrappers of denoise: clipping, a swapped time, ablated noise, fixed labels."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from core.denoisers.base import Denoiser
from core.denoisers.exact import Exact
from core.denoisers.wrappers import THRESHOLDINGS, clip_x0, reschedule, scale_eps, shift_time
from core.guidance.classifier_free import condition
from core.prediction import Prediction
from core.reverse import walk
from core.samplers import ddim, make_sampler
from core.schedules import SCHEDULES, make_schedule
from tests.sweep import SWEEP, few

#: Schedules of fewer timesteps than those that models are trained on.
OTHERS = {name: make_schedule(name, 400) for name in SCHEDULES}
NOW = torch.tensor(0.6, dtype=torch.float64)


def others_for(schedule) -> list:
    """Those of OTHERS that a model of a schedule is asked along: the three before it, all in turn, and its own kind."""
    if SWEEP:
        return [*OTHERS.values()]
    names = [*SCHEDULES, *SCHEDULES]
    at = names.index(schedule.name) + len(SCHEDULES)
    return [OTHERS[name] for name in (*names[at - 3:at], schedule.name)]


@pytest.fixture
def far(schedule, generator):
    """A denoiser whose x̂0 reaches far outside [-1, 1], for images."""
    x0 = 3 * torch.randn(4, 1, 5, 5, generator=generator, dtype=torch.float64)
    x0[0] *= 0.1
    return lambda x_t, t: Prediction.from_x0(x0, x_t, *schedule(t))


@pytest.fixture
def x(generator):
    return torch.randn(4, 1, 5, 5, generator=generator, dtype=torch.float64)


def on_the_path(p, x_t) -> bool:
    return torch.allclose(p.alpha * p.x0 + p.sigma * p.eps, x_t, rtol=1e-9, atol=1e-9)


def test_static_clipping_clamps_x0_and_eps_follows(far, x):
    p, q = clip_x0(far, "static", limit=0.8)(x, NOW), far(x, NOW)
    assert torch.equal(p.x0, q.x0.clamp(-0.8, 0.8))
    assert on_the_path(p, x)


def test_dynamic_clipping_brings_each_samples_quantile_to_the_limit(far, x):
    p, q = clip_x0(far, "dynamic", quantile=0.9)(x, NOW), far(x, NOW)
    assert on_the_path(p, x) and float(p.x0.abs().max()) <= 1 + 1e-6
    for mine, theirs in zip(p.x0, q.x0):
        s = max(1.0, float(torch.quantile(theirs.abs().flatten(), 0.9)))
        torch.testing.assert_close(mine, theirs.clamp(-s, s) / s, rtol=1e-6, atol=1e-6)


def test_dynamic_clipping_keeps_what_static_flattens(far, x):
    static, dynamic = (clip_x0(far, mode)(x, NOW).x0[1] for mode in ("static", "dynamic"))
    assert (static.abs() == 1).sum() > (dynamic.abs() > 1 - 1e-6).sum()


def test_a_sample_within_the_limit_is_not_touched_by_either(far, x):
    x0 = far(x, NOW).x0[0]
    assert float(x0.abs().max()) < 1
    for mode in ("static", "dynamic"):
        torch.testing.assert_close(clip_x0(far, mode)(x, NOW).x0[0], x0, rtol=0, atol=0)


def test_no_clipping_is_the_denoiser_itself(far):
    assert clip_x0(far, "none") is far


def test_a_told_time_is_what_the_model_hears_and_the_true_one_what_its_answer_is_read_with(schedule, small_denoiser, x):
    denoiser = small_denoiser(schedule, "v", (1, 5, 5))
    p, heard = shift_time(denoiser, schedule, 0.2)(x, NOW), denoiser(x, torch.tensor(0.8, dtype=torch.float64))
    torch.testing.assert_close(p.velocity, heard.velocity)
    alpha, sigma = schedule.at(0.6)
    torch.testing.assert_close(alpha * p.x0 + sigma * p.eps, x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("target", ["v", "eps", "edm"])
def test_telling_the_true_time_changes_nothing(schedule, small_denoiser, target, generator):
    denoiser = small_denoiser(schedule, target)
    x = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    for t in (0.002, 0.5, 0.999):
        t = torch.tensor(t, dtype=torch.float64)
        p, q = shift_time(denoiser, schedule, 0.0)(x, t), denoiser(x, t)
        torch.testing.assert_close(p.eps, q.eps, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(p.x0, q.x0, rtol=1e-9, atol=1e-9)


def test_a_wrong_time_stays_finite_where_no_signal_is_left(schedule, small_denoiser, generator):
    told = shift_time(small_denoiser(schedule, "velocity"), schedule, -0.3)
    x = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    p = told(x, torch.tensor(1.0, dtype=torch.float64))
    assert float(p.x0.abs().max()) < 10 and float(p.eps.abs().max()) < 10


def test_a_told_time_stays_within_the_models_range(schedule):
    heard = []

    def listening(x_t, t):
        heard.append(float(t))
        return Prediction(x_t, x_t, *schedule(t))

    for shift in (1.0, -1.0):
        shift_time(listening, schedule, shift)(torch.zeros(1, 2), NOW)
    assert heard == [1.0, 1 / schedule.T]


def test_a_wrong_time_makes_the_exact_denoiser_miss(gaussian, generator):
    schedule = make_schedule("cosine")
    x = torch.randn(500, 2, generator=generator, dtype=torch.float64)
    spread = {}
    for shift in (-0.2, 0.0, 0.2):
        told = shift_time(gaussian(schedule, 0.5), schedule, shift)
        *_, last = walk(told, ddim(schedule), x, schedule.times(100), generator)
        spread[shift] = float(last.x_s.std())
    assert spread[0.0] == pytest.approx(0.5, rel=0.1)
    # Told of less noise than there is, it removes too little; told of more, too much.
    assert spread[-0.2] > 1.2 * spread[0.0] and spread[0.2] < 0.8 * spread[0.0]


def test_walking_on_another_schedule_asks_the_model_at_the_same_noise(schedule, generator):
    # The exact denoiser of one schedule, asked along another, must say what that one's own exact denoiser says.
    points = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    x = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    for walked, t in product(SCHEDULES, (0.05, 0.3, 0.8)):
        other = make_schedule(walked)
        asked = reschedule(Exact(points, schedule, 0.1), schedule, other)
        t = torch.tensor(t, dtype=torch.float64)
        if other.log_snr(t) < schedule.log_snr(torch.ones_like(t)):
            continue  # more noise than the model knows: see the next test
        p, truth = asked(x, t), Exact(points, other, 0.1)(x, t)
        torch.testing.assert_close(p.x0, truth.x0, rtol=1e-3, atol=1e-3)  # the inverse of the log-SNR is interpolated
        torch.testing.assert_close(p.eps, truth.eps, rtol=1e-3, atol=1e-3)
        assert p.alpha == other(t)[0]


@pytest.mark.parametrize("shape", [(2,), (3, 4, 4)])
def test_where_both_schedules_reach_a_noise_level_nothing_is_lost_between_them(schedule, shape, generator):
    points = 0.5 * torch.randn(6, *shape, generator=generator, dtype=torch.float64)
    eps = torch.randn(6, *shape, generator=generator, dtype=torch.float64)
    ends = schedule.log_snr(torch.tensor([1.0, 1 / schedule.T], dtype=torch.float64))
    own = Exact(points, schedule, 0.1)
    for other, t in product(others_for(schedule), (0.999, 0.99, 0.8, 0.3, 0.05, 0.01, 0.0025)):
        asked, truth = reschedule(own, schedule, other), Exact(points, other, 0.1)
        t = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = other.at(t)
        p, q = (denoise(alpha * points + sigma * eps, t) for denoise in (asked, truth))
        within = ends[0] <= other.log_snr(t) <= ends[1]
        beyond = 0.05 if schedule.name == "ve" else 0.02  # it knows no more noise than 80 times the data
        torch.testing.assert_close(p.x0, q.x0, rtol=0, atol=1e-6 if within else beyond)
        torch.testing.assert_close(p.eps, q.eps, rtol=0, atol=1e-5 if within else beyond)
        assert (p.alpha, p.sigma) == (alpha, sigma)


@pytest.mark.parametrize("sampler", few(("ddim", "ddpm", "heun"), "ddim"))
def test_a_walk_along_another_schedule_arrives_where_that_ones_own_model_does(schedule, sampler, generator):
    points = 0.5 * torch.randn(6, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(20, 2, generator=generator, dtype=torch.float64)

    def arrives(denoise, other):
        x, seeded = other.at(1.0)[1] * noise, torch.Generator().manual_seed(1)
        *_, last = walk(denoise, make_sampler(sampler, other), x, other.times(10), seeded)
        return last.x_s

    # The few levels that one schedule has and the other has not, at the very start, move a sample by less than this.
    moved = 0.02 if schedule.name == "ve" else 5e-3  # it has none of the levels beyond sigma = 80
    # What a model is asked does not depend on the sampler: its own and three others with one, one with each other one.
    for other in others_for(schedule) if sampler == "ddim" else others_for(schedule)[:1]:
        walked, own = other.name, Exact(points, schedule, 0.1)
        there = arrives(reschedule(own, schedule, other), other)
        torch.testing.assert_close(there, arrives(Exact(points, other, 0.1), other), rtol=0, atol=moved)
        assert (arrives(own, other) - there).abs().max() > 1e-3 or schedule.name == walked


def test_each_sample_can_have_a_time_of_its_own_on_another_schedule(schedule, generator):
    other = make_schedule("flow")
    asked = reschedule(Exact(torch.eye(2, dtype=torch.float64), schedule, 0.1), schedule, other)
    x = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    t = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)
    together = asked(x, t)
    for k in range(3):
        torch.testing.assert_close(together.eps[k], asked(x[k : k + 1], t[k]).eps[0], rtol=1e-9, atol=1e-9)


def test_on_its_own_schedule_a_model_is_asked_as_it_is(schedule, far):
    assert reschedule(far, schedule, make_schedule(schedule.name)) is far


@pytest.mark.parametrize("factor", [1.0, 0.0, 0.5, -1.0])
def test_ablated_noise_is_scaled_and_x0_follows(far, x, factor):
    p, q = scale_eps(far, factor)(x, NOW), far(x, NOW)
    torch.testing.assert_close(p.eps, factor * q.eps, rtol=1e-12, atol=1e-12)
    assert on_the_path(p, x)
    if factor == 1:
        torch.testing.assert_close(p.x0, q.x0, rtol=1e-9, atol=1e-9)
    if factor == 0:
        torch.testing.assert_close(p.x0, x / p.alpha, rtol=1e-9, atol=1e-9)


def test_wrappers_stack_in_the_order_they_are_put_on(far, x):
    clipped_last = clip_x0(scale_eps(far, -1.0), "static")(x, NOW)
    assert float(clipped_last.x0.abs().max()) <= 1
    scaled_last = scale_eps(clip_x0(far, "static"), -1.0)(x, NOW)
    assert float(scaled_last.x0.abs().max()) > 1
    assert on_the_path(clipped_last, x) and on_the_path(scaled_last, x)


class Listening(torch.nn.Module):
    def forward(self, x, t, noise_level, cond):
        self.heard = cond
        return x


def test_labels_reach_the_network_only_where_it_has_labels():
    schedule, network = make_schedule("cosine"), Listening()
    x, labels = torch.zeros(3, 2), torch.tensor([0, 2, 1])
    condition(Denoiser(network, schedule, "v", labels=3), labels)(x, NOW)
    assert network.heard is labels
    condition(Denoiser(network, schedule, "v", labels=3), None)(x, NOW)
    assert network.heard is None
    with pytest.raises(ValueError, match="without labels"):
        condition(Denoiser(network, schedule, "v"), labels)(x, NOW)


def test_what_a_network_sees_has_unit_variance_and_finite_noise_level(schedule, generator):
    seen = {}

    def network(x, t, noise_level, cond):
        seen.update(x=x, t=t, level=noise_level)
        return x

    denoiser = Denoiser(torch.nn.Identity(), schedule, "v", sigma_data=0.3)
    denoiser.network = torch.nn.Module()
    denoiser.network.forward = network
    n = 20_000
    for t in (0.0, 0.3, 0.8, 1.0):
        t = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = schedule(t)
        data, eps = torch.randn(2, n, 2, generator=generator, dtype=torch.float64)
        denoiser(0.3 * alpha * data + sigma * eps, t)
        assert float(seen["x"].std()) == pytest.approx(1, abs=5 / (4 * n) ** 0.5)
        assert seen["t"].shape == seen["level"].shape == (n,) and seen["level"].isfinite().all()


def test_what_cannot_be_is_refused_naming_what_can(far, schedule):
    with pytest.raises(ValueError) as error:
        clip_x0(far, "hard")
    assert all(name in str(error.value) for name in ("'hard'", *THRESHOLDINGS))
    with pytest.raises(ValueError, match=r"shift of the told time is 1.5.*\[-1, 1\]"):
        shift_time(far, schedule, 1.5)
    with pytest.raises(ValueError, match="prediction type 'noise'.*eps"):
        Denoiser(torch.nn.Identity(), schedule, "noise")
