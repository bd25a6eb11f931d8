"""The noise lens: what it calls error, floor and excess is what the mathematics calls so."""

from __future__ import annotations

import pytest
import torch

from core.denoisers.exact import Exact
from core.prediction import Prediction
from core.probes.noise_error import cosine, lens_times, eps_errors, measure, mse
from core.schedules import make_schedule

B = 2000
TIMES = torch.tensor([0.9, 0.6, 0.3, 0.1, 0.02], dtype=torch.float64)
H = 0.05


@pytest.fixture(scope="module")
def data():
    """(the mixture's rows, samples of it, noise): a lopsided data set, in float64."""
    g = torch.Generator().manual_seed(3)
    rows = 0.6 * torch.randn(30, 2, generator=g, dtype=torch.float64) + torch.tensor([0.3, -0.1])
    x0 = rows[torch.randint(30, (B,), generator=g)] + H * torch.randn(B, 2, generator=g, dtype=torch.float64)
    return rows, x0, torch.randn(B, 2, generator=g, dtype=torch.float64)


def scaled(denoise, factor):
    def changed(x_t, t):
        p = denoise(x_t, t)
        return Prediction.from_eps(factor * p.eps, x_t, p.alpha, p.sigma)
    return changed


def late(denoise, shift):
    return lambda x_t, t: Prediction.from_eps(denoise(x_t, t + shift).eps, x_t, *denoise.schedule(t))


def wrong(rows, schedule):
    """Denoisers that know something, but not all."""
    exact = Exact(rows, schedule, H)
    return {
        "half the data": Exact(rows[:15], schedule, H),
        "data moved by 0.05": Exact(rows + 0.05, schedule, H),
        "too narrow": Exact(rows, schedule, H / 3),
        "too wide": Exact(rows, schedule, 3 * H),
        "too little": scaled(exact, 0.9),
        "another time": late(exact, 0.05),
        "silent": scaled(exact, 0.0),
    }


def glances(data, schedule, denoise, exact=None):
    rows, x0, eps = data
    return list(measure(denoise, exact or Exact(rows, schedule, H), schedule, x0, eps, TIMES))


def test_mean_squared_error_and_cosine_are_those_of_pen_and_paper():
    a, b = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[4.0, 3.0], [0.0, -2.0]])
    assert mse(a, b) == pytest.approx((1 + 1 + 1 + 4) / 4)
    assert cosine(a, b) == pytest.approx((24 / 25 + 0) / 2)
    assert cosine(a, -5 * a) == pytest.approx(-1)


def test_the_cosine_takes_each_sample_of_any_shape_as_one_vector(generator):
    a, b = torch.randn(2, 3, 2, 4, 4, generator=generator)
    by_hand = [float((x * y).sum() / (x.norm() * y.norm())) for x, y in zip(a, b)]
    assert cosine(a, b) == pytest.approx(sum(by_hand) / 3, rel=1e-5)


def test_every_glance_sees_the_same_data_through_the_same_noise(data, schedule):
    rows, x0, eps = data
    seen = glances(data, schedule, Exact(rows, schedule, H))
    assert [g.index for g in seen] == list(range(len(TIMES)))
    for glance, t in zip(seen, TIMES):
        alpha, sigma = schedule.at(t)
        assert glance.t == t and glance.noised.x0 is x0 and glance.noised.eps is eps
        torch.testing.assert_close(glance.noised.x_t, alpha * x0 + sigma * eps, rtol=1e-9, atol=1e-9)


def test_the_figures_of_a_glance_are_what_their_names_say(data, schedule):
    rows, x0, eps = data
    for glance in glances(data, schedule, wrong(rows, schedule)["too little"]):
        said, best = glance.predicted.eps, glance.exact.eps
        assert glance.mse == pytest.approx(float(((said - eps) ** 2).sum()) / (2 * B))
        assert glance.floor == pytest.approx(float(((best - eps) ** 2).sum()) / (2 * B))
        assert glance.excess == pytest.approx(float(((said - best) ** 2).sum()) / (2 * B))
        assert glance.cosine == pytest.approx(glance.exact_cosine) == pytest.approx(cosine(best, eps))


def test_a_network_that_says_nothing_has_error_one(data):
    schedule = make_schedule("cosine")
    for glance in glances(data, schedule, wrong(data[0], schedule)["silent"]):
        assert glance.mse == pytest.approx(1, abs=4 * (2 / (2 * B)) ** 0.5)


@pytest.mark.parametrize("name", wrong(torch.zeros(30, 2), make_schedule("cosine")))
def test_no_denoiser_has_a_smaller_error_than_the_exact_one(data, schedule, name):
    for glance in glances(data, schedule, wrong(data[0], schedule)[name]):
        # Their difference, sample by sample: chance moves both alike.
        apart = (glance.predicted.eps - glance.noised.eps) ** 2 - (glance.exact.eps - glance.noised.eps) ** 2
        error = float(apart.mean(1).std()) / B**0.5
        assert glance.mse - glance.floor == pytest.approx(float(apart.mean()), abs=1e-9)
        assert glance.mse - glance.floor > -4 * error  # where the data drown, all know alike
        if glance.excess > 4 * error:
            assert glance.mse > glance.floor


@pytest.mark.parametrize("name", wrong(torch.zeros(30, 2), make_schedule("cosine")))
def test_error_is_floor_plus_excess(data, schedule, name):
    # The exact denoiser is a conditional mean, so its own error is at right angles to anything that x_t can say.
    for glance in glances(data, schedule, wrong(data[0], schedule)[name]):
        cross = 2 * (glance.predicted.eps - glance.exact.eps) * (glance.exact.eps - glance.noised.eps)
        error = float(cross.mean(1).std()) / B**0.5
        assert abs(glance.mse - glance.floor - glance.excess) < 4 * error + 1e-12


def test_error_is_not_floor_plus_excess_if_the_truth_is_not_the_truth(data):
    schedule = make_schedule("cosine")
    rows = data[0]
    off = [abs(g.mse - g.floor - g.excess) / g.floor
           for g in glances(data, schedule, Exact(rows, schedule, H), Exact(rows + 0.1, schedule, H))]
    assert max(off) > 0.2


def test_excess_is_sigma_squared_times_the_error_of_the_score(data, schedule):
    for glance in glances(data, schedule, wrong(data[0], schedule)["too wide"]):
        sigma = float(schedule.at(glance.t)[1])
        of_score = mse(glance.predicted.score, glance.exact.score)
        assert glance.excess == pytest.approx(sigma**2 * of_score, rel=1e-6)


def test_looking_asks_for_no_gradients_whoever_asks_on(data):
    schedule = make_schedule("cosine")
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    exact = Exact(data[0], schedule, H)

    def learning(x_t, t):
        return Prediction.from_eps(weight * x_t, x_t, *schedule(t))

    with torch.enable_grad():
        for glance in measure(learning, exact, schedule, data[1][:5], data[2][:5], TIMES):
            assert torch.is_grad_enabled() and not glance.predicted.eps.requires_grad


def test_the_lens_looks_at_timesteps_from_the_noise_to_the_first(schedule):
    t = lens_times(schedule, 60)
    assert len(t) == 60 and (t.diff() < 0).all()
    assert float(t[-1]) == pytest.approx(1 / schedule.T)
    # No x0 follows from eps where no signal is left.
    assert float(t[0]) == (0.999 if schedule.name in ("flow", "zero_snr") else 1.0)
    if schedule.discrete:
        torch.testing.assert_close(t * schedule.T, (t * schedule.T).round(), rtol=0, atol=1e-9)
    assert float(t.diff().std()) < 1 / schedule.T


@pytest.mark.parametrize("T", [21, 100, 437])
def test_the_lens_can_look_at_every_timestep_there_is(T):
    t = lens_times(make_schedule("cosine", T), T)
    torch.testing.assert_close(t, torch.arange(T, 0, -1, dtype=torch.float64) / T)


@pytest.mark.parametrize("count", [-1, 0, 1, 101])
def test_as_many_timesteps_as_there_are_not_are_refused(count):
    with pytest.raises(ValueError, match=rf"^{count} timesteps.*between 2 and T = 100"):
        lens_times(make_schedule("cosine", 100), count)


@pytest.mark.parametrize("c", [0.0, 0.3, 1.0])
def test_the_floor_of_a_gaussian_is_the_signals_share_of_the_variance(schedule, gaussian, generator, c):
    def draw(n, g):
        return c * torch.randn(n, 2, generator=g, dtype=torch.float64), None

    floor = eps_errors(gaussian(schedule, c), schedule, draw, TIMES, B, generator)
    alpha, sigma = schedule(TIMES)
    wanted = alpha**2 * c**2 / (alpha**2 * c**2 + sigma**2)
    # ε − ε_exact is normal with that variance, so its mean square has the relative standard error √(2/2B).
    torch.testing.assert_close(floor.double(), wanted, rtol=4 / B**0.5, atol=1e-9)


def test_the_floor_can_have_times_of_its_own_for_each_sample(gaussian):
    schedule = make_schedule("cosine")

    def draw(n, g):
        return 0.5 * torch.randn(n, 2, generator=g, dtype=torch.float64), None

    def floor(times):
        return eps_errors(gaussian(schedule, 0.5), schedule, draw, times, B, torch.Generator().manual_seed(1))

    torch.testing.assert_close(floor(TIMES[:, None].expand(-1, B)), floor(TIMES))
    mixed = torch.cat([TIMES[:1].expand(B // 2), TIMES[2:3].expand(B // 2)])[None]
    halves = floor(TIMES[[0, 2]])
    assert float(floor(mixed)[0]) == pytest.approx(float(halves.mean()), rel=0.1)
    assert halves[1] > 2 * halves[0]
