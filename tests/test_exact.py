"""The exact denoiser against brute force and closed forms, and within its memory."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from core import buffers
from core.data.datasets import load
from core.denoisers.exact import Exact
from core.schedules import make_schedule

TIMES = (0.02, 0.3, 0.7, 0.99)


def scalar(t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=torch.float64)


@pytest.fixture
def three():
    return torch.tensor([[0.0, 1.0], [-1.0, 0.5], [0.7, -0.8]], dtype=torch.float64)


def by_hand(x, points, alpha, sigma, h):
    """E[x0 | x_t = x] as the sum over components of weight × the Gaussian posterior's mean, in plain numbers."""
    variance = alpha**2 * h**2 + sigma**2
    weights = [math.exp(-sum((a - alpha * b) ** 2 for a, b in zip(x, y)) / (2 * variance)) for y in points]
    means = [[b + alpha * h**2 / variance * (a - alpha * b) for a, b in zip(x, y)] for y in points]
    return [sum(w * m[i] for w, m in zip(weights, means)) / sum(weights) for i in range(len(x))]


@pytest.mark.parametrize("bandwidth", [0.0, 0.2])
@pytest.mark.parametrize("t", TIMES)
def test_three_points_by_hand(schedule, three, bandwidth, t, generator):
    alpha, sigma = schedule.at(t)
    x = alpha * three[[0, 1, 2, 0]] + sigma * torch.randn(4, 2, generator=generator, dtype=torch.float64)
    wanted = [by_hand(row, three.tolist(), alpha, sigma, bandwidth) for row in x.tolist()]
    p = Exact(three, schedule, bandwidth)(x, scalar(t))
    torch.testing.assert_close(p.x0, torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(alpha * p.x0 + sigma * p.eps, x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t", TIMES)
def test_gaussian_data_have_the_posterior_mean_of_two_gaussians(schedule, gaussian, t, generator):
    # x0 ~ N(0, c²): E[x0 | x] = alpha·c²/(alpha²c² + sigma²)·x.
    c, x = 0.4, torch.randn(6, 2, generator=generator, dtype=torch.float64)
    alpha, sigma = schedule.at(t)
    p = gaussian(schedule, c)(x, scalar(t))
    torch.testing.assert_close(p.x0, alpha * c**2 / (alpha**2 * c**2 + sigma**2) * x, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(p.eps, sigma / (alpha**2 * c**2 + sigma**2) * x, rtol=1e-9, atol=1e-12)


def test_many_draws_of_the_forward_process_average_to_it(schedule, generator):
    # The exact x0 is the conditional mean, so its error has nothing in common with any function of x_t.
    points = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    n = 50_000
    x0 = points[torch.randint(5, (n,), generator=generator)]
    alpha, sigma = schedule.at(0.5)
    x_t = alpha * x0 + sigma * torch.randn(n, 2, generator=generator, dtype=torch.float64)
    left = x0 - Exact(points, schedule)(x_t, scalar(0.5)).x0
    for probe in (torch.ones(n, 1).double(), x_t, torch.tanh(3 * x_t)):
        products = left * probe
        assert (products.mean(0).abs() < 5 * products.std(0) / n**0.5).all()


def test_at_little_noise_it_names_the_nearest_point(schedule, three):
    exact = Exact(three, schedule)
    x = three + torch.tensor([0.01, -0.02], dtype=torch.float64)
    for t in (0.0, 1e-6):
        torch.testing.assert_close(exact(x, scalar(t)).x0, three, rtol=0, atol=1e-9)
    assert all(view.isfinite().all() for view in (exact(three, scalar(0.0)).eps, exact(three, scalar(0.0)).score))


def test_at_pure_noise_it_names_the_mean(three):
    x = torch.tensor([[3.0, -2.0]], dtype=torch.float64)
    x0 = Exact(three, make_schedule("flow"))(x, scalar(1.0)).x0
    torch.testing.assert_close(x0[0], three.mean(0))


def test_data_far_from_the_origin_lose_no_digits(three, generator):
    schedule = make_schedule("flow")
    far = torch.tensor([1e4, -1e4], dtype=torch.float64)
    noise = 0.01 * torch.randn(3, 2, generator=generator, dtype=torch.float64)
    near = Exact(three, schedule)(0.99 * three + noise, scalar(0.01)).x0
    moved = Exact(three + far, schedule)(0.99 * (three + far) + noise, scalar(0.01)).x0
    torch.testing.assert_close(moved - far, near, rtol=0, atol=1e-8)


def test_one_time_a_sample_is_each_sample_alone(schedule, three, generator):
    exact = Exact(three, schedule, 0.1)
    x = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    p = exact(x, t)
    for i in range(3):
        alone = exact(x[i : i + 1], t[i])
        torch.testing.assert_close(p.x0[i : i + 1], alone.x0, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(p.eps[i : i + 1], alone.eps, rtol=1e-12, atol=1e-12)


def test_images_are_points_of_many_dimensions(schedule, generator):
    images = torch.randn(9, 3, 4, 4, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64)
    p = Exact(images, schedule)(x, scalar(0.6))
    flat = Exact(images.flatten(1), schedule)(x.flatten(1), scalar(0.6))
    assert p.x0.shape == p.eps.shape == x.shape
    torch.testing.assert_close(p.x0.flatten(1), flat.x0)


def test_it_answers_in_the_precision_it_is_asked_in(schedule, three):
    p = Exact(three, schedule)(torch.zeros(1, 2), torch.tensor(0.5))
    assert p.x0.dtype == p.eps.dtype == p.alpha.dtype == torch.float32


@pytest.mark.parametrize("held", [1, 700, 1000])
def test_working_in_chunks_changes_nothing(monkeypatch, generator, held):
    schedule = make_schedule("cosine")
    points = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    x = torch.randn(23, 3, generator=generator, dtype=torch.float64)
    t = torch.rand(23, generator=generator, dtype=torch.float64)
    exact = Exact(points, schedule, 0.05)
    whole, density = exact(x, t), exact.log_density(x, t)
    monkeypatch.setattr(buffers, "AT_ONCE", held)
    parts = exact(x, t)
    for one, other in ((whole.x0, parts.x0), (whole.eps, parts.eps), (density, exact.log_density(x, t))):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("t", [0.1, 0.5])
def test_the_density_integrates_to_1(schedule, three, t):
    axis = max(1, schedule.at(t)[1]) * torch.linspace(-6, 6, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    exact = Exact(three, schedule, bandwidth=0.15)
    mass = exact.log_density(grid, scalar(t)).exp().sum() * (axis[1] - axis[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=1e-4)


def test_the_density_of_one_blurred_point_is_the_normal_density(schedule, gaussian):
    x = torch.tensor([[0.3, -1.0], [0.0, 0.0]], dtype=torch.float64)
    alpha, sigma = schedule.at(0.4)
    variance = alpha**2 * 0.25 + sigma**2
    normal = torch.distributions.Normal(0.0, variance**0.5)
    torch.testing.assert_close(gaussian(schedule, 0.5).log_density(x, scalar(0.4)), normal.log_prob(x).sum(1))


def test_what_it_cannot_do_is_refused(schedule, three):
    with pytest.raises(ValueError, match="at least 1 data point"):
        Exact(three[:0], schedule)
    with pytest.raises(ValueError, match="bandwidth -0.1"):
        Exact(three, schedule, -0.1)
    with pytest.raises(ValueError, match="knows no labels"):
        Exact(three, schedule)(three, scalar(0.5), torch.zeros(3, dtype=torch.long))


# With labels


@pytest.fixture
def labelled(generator):
    """Twelve points with two conditions: (points, cond (12, 2), labels)."""
    points = torch.randn(12, 2, generator=generator, dtype=torch.float64)
    return points, torch.tensor([[i % 2, i % 3] for i in range(12)]), (2, 3)


@pytest.mark.parametrize("asked, rows", [
    ((0, 3), lambda cond: cond[:, 0] == 0), ((2, 1), lambda cond: cond[:, 1] == 1),
    ((1, 2), lambda cond: (cond == torch.tensor([1, 2])).all(1)), ((2, 3), lambda cond: cond[:, 0] >= 0),
])  # fmt: skip
def test_a_label_asks_for_its_points_alone_and_a_null_label_for_all(schedule, labelled, generator, asked, rows):
    points, cond, labels = labelled
    exact, alone = Exact(points, schedule, 0.1, cond, labels), Exact(points[rows(cond)], schedule, 0.1)
    x, t = torch.randn(5, 2, generator=generator, dtype=torch.float64), scalar(0.5)
    asked = torch.tensor([asked]).expand(5, 2)
    for given, wanted in ((exact(x, t, asked), alone(x, t)), (exact(x, t), Exact(points, schedule, 0.1)(x, t))):
        torch.testing.assert_close(given.x0, wanted.x0, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(given.eps, wanted.eps, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(exact.log_density(x, t, asked), alone.log_density(x, t), rtol=1e-12, atol=1e-12)


def test_every_sample_is_asked_for_its_own_label_also_in_chunks(monkeypatch, labelled, generator):
    points, cond, labels = labelled
    schedule = make_schedule("cosine")
    x, asked = torch.randn(12, 2, generator=generator, dtype=torch.float64), cond.flip(0)
    whole = Exact(points, schedule, 0.1, cond, labels)(x, scalar(0.4), asked).x0
    alone = [Exact(points[(cond == label).all(1)], schedule, 0.1)(x[i : i + 1], scalar(0.4)).x0
             for i, label in enumerate(asked)]
    torch.testing.assert_close(whole, torch.cat(alone), rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(buffers, "AT_ONCE", 30)
    again = Exact(points, schedule, 0.1, cond, labels)(x, scalar(0.4), asked).x0
    torch.testing.assert_close(again, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("held", [1, 40, 1_000_000])
def test_its_derivatives_in_closed_form_are_those_of_small_differences(monkeypatch, labelled, generator, held):
    monkeypatch.setattr(buffers, "AT_ONCE", held)
    points, cond, labels = labelled
    exact = Exact(points, make_schedule("cosine"), 0.2, cond, labels)
    x, v = (torch.randn(6, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    t, asked, h = scalar(0.5), cond[:6], 1e-5
    for guess in (lambda x: exact(x, t).x0, lambda x: exact(x, t, asked).x0, lambda x: exact(x, t).eps,
                  lambda x: exact.posterior_slope(x, t, asked)):
        slope = torch.autograd.functional.vjp(guess, x, v)[1]
        small = [(v * (guess(x + h * axis) - guess(x - h * axis)) / (2 * h)).sum(1) for axis in torch.eye(2)]
        torch.testing.assert_close(slope, torch.stack(small, 1), rtol=1e-6, atol=1e-8)
    for condition in (0, 1):
        assert torch.autograd.gradcheck(partial(exact.log_posterior, t=t, condition=condition), x.requires_grad_())


def test_a_class_far_away_has_a_log_probability_and_not_minus_infinity(schedule):
    points, cond = torch.tensor([[0.0, 0.0], [1000.0, 0.0]], dtype=torch.float64), torch.tensor([0, 1])
    found = Exact(points, schedule, 0.1, cond, 2).log_posterior(torch.zeros(1, 2, dtype=torch.float64), scalar(0.3))
    alpha, sigma = schedule.at(0.3)
    far = -((alpha * 1000) ** 2) / (2 * (alpha**2 * 0.01 + sigma**2))
    torch.testing.assert_close(found, torch.tensor([[0.0, far]], dtype=torch.float64), rtol=1e-9, atol=1e-9)


def test_the_posterior_is_bayes_rule_and_its_gradient_the_difference_of_scores(schedule, labelled, generator):
    points, cond, labels = labelled
    exact = Exact(points, schedule, 0.2, cond, labels)
    x, t = torch.randn(6, 2, generator=generator, dtype=torch.float64), scalar(0.5)
    for condition, classes in enumerate(labels):
        x.requires_grad_()
        found = exact.log_posterior(x, t, condition)
        assert found.shape == (6, classes)
        torch.testing.assert_close(found.exp().sum(1), torch.ones(6).double())
        for c in range(classes):
            asked = torch.tensor([[c if k == condition else n for k, n in enumerate(labels)]] * 6)
            prior = math.log(float((cond[:, condition] == c).double().mean()))
            bayes = exact.log_density(x, t, asked) + prior - exact.log_density(x, t)
            torch.testing.assert_close(found[:, c], bayes, rtol=1e-9, atol=1e-9)
            slope = torch.autograd.grad(found[:, c].sum(), x, retain_graph=True)[0]
            scores = exact(x, t, asked).score - exact(x, t).score
            torch.testing.assert_close(slope, scores, rtol=1e-7, atol=1e-7)


def test_all_exact_denoisers_of_a_data_set_share_its_rows_and_say_what_one_of_their_own_says(generator):
    data = load("digits8").first(50)
    one, other = (Exact.of(data, make_schedule(name)) for name in ("cosine", "flow"))
    assert one._flat.data_ptr() == other._flat.data_ptr() == data.centred.rows.data_ptr()
    x, alone = torch.randn(4, 1, 8, 8, generator=generator), Exact(data.x0, make_schedule("flow"), data.bandwidth)
    assert torch.equal(other(x, scalar(0.4)).x0, alone(x, scalar(0.4)).x0)


def test_a_data_set_brings_its_labels_and_what_no_point_is_called_is_refused():
    faces, schedule = load("faces16"), make_schedule("cosine")
    exact = Exact.of(faces.without("hat", "green"), schedule)
    assert exact.labels == (5, 6) and Exact.of(load("trex"), schedule).labels == 0
    with pytest.raises(ValueError, match="no data point is called 2, 5"):
        exact(torch.zeros(2, 3, 16, 16), scalar(0.5), faces.cond_of("hat", "green").expand(2, 2))
    with pytest.raises(ValueError, match="labels for 1 conditions; these data have 2"):
        exact(torch.zeros(2, 3, 16, 16), scalar(0.5), torch.tensor([1, 1]))
    with pytest.raises(ValueError, match="condition 2; the data have 2"):
        exact.log_posterior(torch.zeros(2, 3, 16, 16), scalar(0.5), 2)
