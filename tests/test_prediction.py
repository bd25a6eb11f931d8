"""One output seen as any of x0, eps, v, score, velocity: round trips, stability at both ends, and derivatives."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from core.denoisers.exact import Exact
from core.forward import expand
from core.prediction import PREDICTION_TYPES, Prediction, eps_error_per_target_error, target_of
from core.schedules import make_schedule

ENDS = (0.0, 1e-9, 1e-4, 0.001, 0.999, 1 - 1e-9, 1.0)


def at(schedule, t: float):
    return (a.clone() for a in schedule(torch.tensor(t, dtype=torch.float64)))


@pytest.fixture
def pair(generator):
    return torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("target", PREDICTION_TYPES)
def test_the_target_of_a_pair_gives_the_pair_back(schedule, target, pair):
    x0, eps = pair
    for t, sigma_data in product((0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99), (1.0, 0.4)):
        alpha, sigma = at(schedule, t)
        output = target_of(target, x0, eps, alpha, sigma, sigma_data)
        p = Prediction.of(target, output, alpha * x0 + sigma * eps, alpha, sigma, sigma_data)
        torch.testing.assert_close(p.x0, x0, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(p.eps, eps, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("target", ["v", "velocity", "edm"])
def test_targets_that_divide_by_nothing_small_are_exact_at_both_ends_of_time(schedule, target, pair):
    x0, eps = pair
    for t in ENDS:
        alpha, sigma = at(schedule, t)
        output = target_of(target, x0, eps, alpha, sigma, 0.7)
        p = Prediction.of(target, output, alpha * x0 + sigma * eps, alpha, sigma, 0.7)
        torch.testing.assert_close(p.x0, x0, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(p.eps, eps, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target", PREDICTION_TYPES)
def test_every_view_is_finite_at_both_ends_of_time(schedule, target, pair):
    for t, dtype in product(ENDS, (torch.float32, torch.float64)):
        x0, output = (a.to(dtype) for a in pair)
        alpha, sigma = (a.to(dtype) for a in at(schedule, t))
        p = Prediction.of(target, output, alpha * x0 + sigma * output, alpha, sigma)
        for view in ("x0", "eps", "v", "velocity", "score"):
            assert getattr(p, view).isfinite().all(), (view, t, dtype)


def test_what_a_network_says_of_eps_is_kept_at_the_data_and_of_x0_at_pure_noise(schedule, pair):
    x0, eps = pair
    for t, target, said in ((0.0, "eps", eps), (1.0, "x0", x0)):
        alpha, sigma = at(schedule, t)
        p = Prediction.of(target, said, alpha * x0 + sigma * eps, alpha, sigma)
        torch.testing.assert_close(p.x0, x0, rtol=1e-9, atol=1e-9)
        if target == "eps":
            assert p.eps is eps
        else:
            torch.testing.assert_close(p.eps, eps, rtol=1e-9, atol=1e-9)


def test_the_views_are_their_formulas(schedule, pair):
    x0, eps = pair
    alpha, sigma = at(schedule, 0.4)
    p = Prediction(x0, eps, alpha, sigma)
    torch.testing.assert_close(p.v, alpha * eps - sigma * x0)
    torch.testing.assert_close(p.velocity, eps - x0)
    torch.testing.assert_close(p.score, -eps / sigma)


def test_v_is_the_derivative_along_the_angle(pair):
    # Salimans & Ho 2022: with alpha = cos φ and sigma = sin φ, v = dx_t/dφ.
    x0, eps = pair
    phi, h = torch.tensor(0.8, dtype=torch.float64), 1e-5

    def x_t(angle):
        return torch.cos(angle) * x0 + torch.sin(angle) * eps

    slope = (x_t(phi + h) - x_t(phi - h)) / (2 * h)
    torch.testing.assert_close(Prediction(x0, eps, torch.cos(phi), torch.sin(phi)).v, slope, rtol=1e-8, atol=1e-8)


def test_edm_at_unit_scale_is_minus_v_where_the_variance_is_kept(pair):
    x0, eps = pair
    for name in ("cosine", "linear", "sigmoid"):
        alpha, sigma = at(make_schedule(name), 0.6)
        torch.testing.assert_close(
            target_of("edm", x0, eps, alpha, sigma, 1.0), -target_of("v", x0, eps, alpha, sigma), rtol=1e-10, atol=1e-10
        )


def test_edm_is_the_preconditioning_of_karras(pair):
    # Their alpha is 1: D = c_skip·x + c_out·F with c_skip = s²/(σ²+s²), c_out = σ·s/√(σ²+s²) (table 1).
    _, output = pair
    x, sigma, s = pair[0], torch.tensor(2.5, dtype=torch.float64), 0.5
    wanted = s**2 / (sigma**2 + s**2) * x + sigma * s / (sigma**2 + s**2) ** 0.5 * output
    p = Prediction.of("edm", output, x, torch.ones_like(sigma), sigma, s)
    torch.testing.assert_close(p.x0, wanted)
    torch.testing.assert_close(p.eps, (x - wanted) / sigma)


def test_edm_targets_of_data_at_their_scale_have_unit_variance(schedule, generator):
    s, n = 0.3, 200_000
    x0 = s * torch.randn(n, generator=generator, dtype=torch.float64)
    eps = torch.randn(n, generator=generator, dtype=torch.float64)
    for t in (0.01, 0.3, 0.8):
        alpha, sigma = at(schedule, t)
        # Five standard errors of a standard deviation, 1/√(2n).
        assert float(target_of("edm", x0, eps, alpha, sigma, s).std()) == pytest.approx(1, abs=5 / (2 * n) ** 0.5)


@pytest.mark.parametrize("target", PREDICTION_TYPES)
def test_an_error_of_the_output_shows_in_eps_by_the_stated_factor(schedule, target, pair):
    for t in (0.02, 0.5, 0.97):
        x_t, output = (a[:1, :1].clone() for a in pair)
        alpha, sigma = at(schedule, t)
        output.requires_grad_()
        eps = Prediction.of(target, output, x_t, alpha, sigma, 0.6).eps
        slope, = torch.autograd.grad(eps.sum(), output)
        stated = eps_error_per_target_error(target, alpha, sigma, 0.6)
        torch.testing.assert_close(slope.abs().squeeze(), stated, rtol=1e-10, atol=1e-10)


def test_the_score_is_the_gradient_of_the_log_density(schedule, generator):
    points = torch.randn(7, 2, generator=generator, dtype=torch.float64)
    exact = Exact(points, schedule, bandwidth=0.1)
    x = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    h = 1e-5
    for t in (0.05, 0.4, 0.9):
        time = torch.tensor(t, dtype=torch.float64)
        gradient = torch.stack([
            (exact.log_density(x + h * axis, time) - exact.log_density(x - h * axis, time)) / (2 * h)
            for axis in torch.eye(2, dtype=torch.float64)
        ], 1)
        torch.testing.assert_close(exact(x, time).score, gradient, rtol=1e-5, atol=1e-6)


def test_one_noise_level_a_sample_works_for_images(schedule, generator):
    x0, eps = torch.randn(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64)
    alpha, sigma = (expand(a, x0) for a in schedule(torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)))
    for target in PREDICTION_TYPES:
        output = target_of(target, x0, eps, alpha, sigma)
        p = Prediction.of(target, output, alpha * x0 + sigma * eps, alpha, sigma)
        torch.testing.assert_close(p.x0, x0, rtol=1e-9, atol=1e-9)
        assert p.score.shape == p.v.shape == x0.shape


def test_an_unknown_target_is_refused_naming_those_there_are():
    one = torch.ones(1)
    for call in (
        lambda: Prediction.of("epsilon", one, one, one, one),
        lambda: target_of("epsilon", one, one, one, one),
        lambda: eps_error_per_target_error("epsilon", one, one),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert all(name in str(error.value) for name in ("'epsilon'", *PREDICTION_TYPES))
