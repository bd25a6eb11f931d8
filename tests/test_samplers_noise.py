"""Rules with fresh noise against closed-form marginals, and the roads without it, which fail as they are told to.

Data N(m, c²) make every rule affine in the state: its mean and its variance after a step follow exactly from what it
does to two states, so there is no sampling error in the moments compared here.
"""

from __future__ import annotations

import math

import pytest
import torch

from core.denoisers.exact import Exact
from core.prediction import Prediction
from core.reverse import start_noise, walk
from core.samplers import (
    FAILING, SAMPLERS, derived_generator, ascent, ddim, ddpm, ddpm_beta, euler_maruyama, langevin, make_sampler,
    predictor_corrector, sde,
)
from core.schedules import make_schedule
from tests.sweep import few

M, C = 0.7, 0.5


def bell(schedule, m: float = M, c: float = C):
    """The exact denoiser of N(m, c²): x0 = m + (alpha·c²/(alpha²c² + sigma²))·(x − alpha·m)."""

    def denoise(x_t, t):
        alpha, sigma = schedule.at(t)
        x0 = m + alpha * c**2 / (alpha**2 * c**2 + sigma**2) * (x_t - alpha * m)
        return Prediction(x0, (x_t - alpha * x0) / sigma, torch.tensor(alpha), torch.tensor(sigma))

    return denoise


def marginal(schedule, t, m: float = M, c: float = C) -> tuple[float, float]:
    alpha, sigma = schedule.at(t)
    return alpha * m, alpha**2 * c**2 + sigma**2


def moments(schedule, rule, times, hidden=None) -> list[tuple[float, float, float]]:
    """(s, mean, variance) of the walk's state after each step, from its start at the marginal.

    hidden(t, s): the variance that noise within the step adds to the state it ends in.
    """
    denoise, (mean, variance), out = bell(schedule), marginal(schedule, times[0]), []
    for t, s in zip(times[:-1], times[1:]):
        two = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
        landed, std = rule(denoise, two, denoise(two, t), t, s)
        offset, slope = float(landed[0, 0]), float(landed[1, 0] - landed[0, 0])
        mean, variance = offset + slope * mean, slope**2 * variance + float(std) ** 2 + (hidden(t, s) if hidden else 0)
        out.append((float(s), mean, variance))
    return out


def worst(schedule, rows) -> tuple[float, float]:
    """The largest error of a mean, in standard deviations, and of a variance, relative, over all times of a walk."""
    errors = []
    for s, mean, variance in rows:
        m, v = marginal(schedule, s)
        errors.append((abs(mean - m) / math.sqrt(v), abs(variance / v - 1)))
    return max(e[0] for e in errors), max(e[1] for e in errors)


@pytest.fixture(params=["linear", "flow", "ve"])
def kind(request):
    """A schedule of each kind: of betas, straight, and exploding. Walks of thousands of steps are made on these."""
    return make_schedule(request.param)


ANCESTRAL = {"ddim, eta 0.5": lambda schedule: ddim(schedule, 0.5), "ddpm": ddpm, "ddpm_beta": ddpm_beta,
             "euler_maruyama": euler_maruyama}


def even(schedule, steps: int) -> torch.Tensor:
    """Times even in log-SNR, from −6, next to no signal, to 8, next to no noise."""
    return schedule.t_at(torch.linspace(-6, 8, steps + 1, dtype=torch.float64))


@pytest.mark.parametrize("road", few(
    [f"{rule} on {name}" for rule in ANCESTRAL for name in ("linear", "flow", "ve")],
    "ddim, eta 0.5 on linear", "ddpm on flow", "ddpm_beta on ve", "euler_maruyama on linear", "euler_maruyama on flow",
    "euler_maruyama on ve"))
def test_mean_and_variance_at_every_time_come_to_the_marginals_with_the_first_power_of_the_step(road):
    rule, name = road.split(" on ")
    make, kind = ANCESTRAL[rule], make_schedule(name)
    coarse, fine = (moments(kind, make(kind), even(kind, steps)) for steps in (75, 300))
    for a, b in zip(worst(kind, coarse), worst(kind, fine)):
        assert b < 0.05 and (a < 1e-9 or 3.2 < a / b < 5), (a, b)
    # Extrapolated from both to endless steps, at every time that both have: nothing is left.
    endless = [(b[0], *(y + (y - x) / 3 for x, y in zip(a[1:], b[1:]))) for a, b in zip(coarse, fine[3::4])]
    assert [a[0] for a in coarse] == pytest.approx([b[0] for b in endless], rel=1e-12)
    assert max(worst(kind, endless)) < 1e-2  # what is of the second power of the step


@pytest.mark.parametrize("steps", [4, 50])
def test_with_beta_as_variance_unit_gaussian_data_are_exact_with_any_steps(steps):
    schedule = make_schedule("cosine")
    denoise, variance = bell(schedule, 0.0, 1.0), 1.0
    for t, s in zip(schedule.times(steps)[:-2], schedule.times(steps)[1:-1]):
        one = torch.ones(1, 1, dtype=torch.float64)
        mean, std = ddpm_beta(schedule)(denoise, one, denoise(one, t), t, s)
        variance = float(mean) ** 2 * variance + float(std) ** 2
        assert variance == pytest.approx(1, rel=1e-9)


def test_the_two_variances_of_ddpm_bound_the_right_one(schedule):
    # Ho et al. 2020, section 3.2: β̃ is right for a point, β for data as wide as the noise; these lie between.
    for t, s in ((1.0, 0.9), (0.5, 0.4), (0.3, 0.1)):
        small, large = (float(rule(schedule).coefficients(t, s)["std"]) for rule in (ddpm, ddpm_beta))
        alpha, sigma = schedule.at(t)
        of_x0 = sigma**2 * C**2 / (alpha**2 * C**2 + sigma**2)  # Var(x0 | x_t)
        weight = (schedule.at(s)[0] - alpha * (schedule.at(s)[1] / sigma) ** 2 * alpha / schedule.at(s)[0]) ** 2
        assert small**2 < small**2 + weight * of_x0
        if schedule.name in ("cosine", "linear", "sigmoid"):
            assert small**2 + weight * of_x0 < large**2


def biased(schedule, size: float):
    """What Langevin dynamics with steps that are not infinitely small makes of a marginal's variance."""
    return lambda s: 1 / (1 - size / 4 * schedule.at(s)[1] ** 2 / marginal(schedule, s)[1])


def test_langevin_dynamics_settle_at_the_marginal_but_for_the_stated_factor(schedule):
    s, size = 0.5, 0.2
    rule, variance, mean = langevin(schedule, torch.Generator(), 1, size), 3.0, -1.0
    two = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    landed, std = rule(bell(schedule), two, None, 0.6, s)
    offset, slope = float(landed[0, 0]), float(landed[1, 0] - landed[0, 0])
    for _ in range(2000):
        mean, variance = offset + slope * mean, slope**2 * variance + float(std) ** 2
    wanted = marginal(schedule, s)
    assert mean == pytest.approx(wanted[0], abs=1e-9)
    assert variance == pytest.approx(wanted[1] * biased(schedule, size)(s), rel=1e-9)
    assert 1.005 < biased(schedule, size)(s) < 1 / (1 - size / 4)


def test_annealed_slowly_langevin_dynamics_follow_the_marginals(kind):
    # They lag behind a changing density: four times as slow, a quarter as much, down to the stated factor.
    lags = []
    for steps in (250, 1000):
        times = kind.t_at(torch.linspace(-6, 3, steps + 1, dtype=torch.float64))
        rows = moments(kind, langevin(kind, torch.Generator(), 1, 0.2), times)
        # The walk starts at the marginal itself, and the factor takes some hundred steps to come about.
        settled = [(s, mean, variance / biased(kind, 0.2)(s)) for s, mean, variance in rows[steps // 4 :]]
        lags.append(worst(kind, settled))
    # (Where alpha = 1, the mean stays, and nothing lags.)
    assert max(lags[1]) < 0.08 and all(a < 1e-9 or 3 < a / b < 5 for a, b in zip(*lags)), lags


def test_several_steps_at_a_level_are_several_times_one(schedule, generator):
    def seeded():
        return torch.Generator().manual_seed(4)

    x = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    denoise, t, s = bell(schedule), 0.6, 0.5
    mean, std = langevin(schedule, seeded(), 3)(denoise, x, None, t, s)
    once, draws = langevin(schedule, generator, 1), seeded()
    for _ in range(2):
        y, spread = once(denoise, x, None, t, s)
        x = y + spread * torch.randn(6, 2, generator=draws, dtype=torch.float64)
    torch.testing.assert_close(mean, once(denoise, x, None, t, s)[0])
    assert float(std) == pytest.approx(math.sqrt(0.2) * schedule.at(s)[1])


@pytest.mark.parametrize("name, size, coarse", [("linear", 0.1, 100), ("flow", 0.01, 500), ("ve", 0.1, 100)])
def test_a_corrected_prediction_comes_to_the_marginals_but_for_the_correctors_factor(name, size, coarse, monkeypatch):
    monkeypatch.setattr(sde, "_normal", lambda x, generator: torch.zeros_like(x))  # its variance is added by hand
    schedule = make_schedule(name)
    rule, left = predictor_corrector(schedule, torch.Generator(), size), []

    def hidden(t, s):
        n, (_, v) = rule.coefficients(t, s), marginal(schedule, s)
        return (1 - n["eps_y"] * schedule.at(s)[1] / v) ** 2 * n["inner_std"] ** 2

    for steps in (coarse, 4 * coarse):
        rows = moments(schedule, rule, even(schedule, steps), hidden)
        for s, mean, variance in rows:
            m, v = marginal(schedule, s)
            assert mean == pytest.approx(m, abs=1e-9)
            assert v * (1 - 6 / steps) < variance < v * (biased(schedule, size)(s) + 6 / steps)
        left.append(abs(rows[steps // 2][2] / marginal(schedule, rows[steps // 2][0])[1]
                        / biased(schedule, size)(rows[steps // 2][0]) - 1))
    assert left[1] < 1 / coarse and left[1] < 0.6 * left[0], left


NOISY = {"ddpm": 0.04, "ddpm_beta": 0.03, "euler_maruyama": 0.05, "langevin": 0.1, "predictor_corrector": 0.04}


@pytest.mark.parametrize("sampler, allowed", NOISY.items())
def test_samples_have_the_marginals_mean_and_covariance_at_every_time(sampler, allowed):
    # Allowed is what steps of this size leave, plus five standard errors: 1/√n of a mean, √(2/n) of a variance, 1/√n of
    # a covariance, n = 1000 samples of 2 coordinates. What is drawn within a step counts here too.
    schedule, n, generator = make_schedule("flow"), 1000, torch.Generator().manual_seed(0)
    times = schedule.t_at(torch.linspace(-6, 6, 251, dtype=torch.float64))
    m, v = marginal(schedule, times[0])
    x = m + math.sqrt(v) * torch.randn(n, 2, generator=generator, dtype=torch.float64)
    for step in walk(bell(schedule), make_sampler(sampler, schedule, generator=generator), x, times, generator):
        m, v = marginal(schedule, step.s)
        z = (step.x_s - m) / math.sqrt(v)
        assert float(z.mean(0).abs().max()) < 5 / n**0.5 + allowed, float(step.s)
        covariance = z.T.cov()
        assert float((covariance.diagonal() - 1).abs().max()) < 5 * (2 / n) ** 0.5 + allowed, float(step.s)
        assert abs(float(covariance[0, 1])) < 5 / n**0.5


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_seed_says_all_and_every_sampler_hears_the_same_noise(name, small_denoiser):
    schedule = make_schedule("cosine")
    denoiser = small_denoiser(schedule, "v")

    def run(sampler, seed):
        g = torch.Generator().manual_seed(seed)
        one = torch.ones((), dtype=torch.float64)
        x = start_noise(schedule, (5, 2), one, g, like=one)
        return list(walk(denoiser, make_sampler(sampler, schedule, 0.5, g), x, schedule.times(4), g))

    once, again, reference = run(name, 7), run(name, 7), run("ddim", 7)
    for a, b, c in zip(once, again, reference, strict=True):
        assert torch.equal(a.x_s, b.x_s) and torch.equal(a.noise, c.noise)
    assert not torch.equal(once[-1].x_s, run(name, 8)[-1].x_s)


def test_the_noise_within_a_step_is_not_the_walks():
    for seed in (0, 1, 12345):
        walks, within = torch.Generator().manual_seed(seed), derived_generator(torch.Generator().manual_seed(seed))
        a, b = (torch.randn(4000, generator=g, dtype=torch.float64) for g in (walks, within))
        for shift in range(-3, 4):
            assert abs(float((a * b.roll(shift)).mean())) < 5 / 4000**0.5
    assert derived_generator(None).initial_seed() == derived_generator(torch.Generator().manual_seed(0)).initial_seed()


# --- roads that fail ----------------------------------------------------------------------------------------------

BLOBS, WEIGHTS, WIDTH = ((0.8, 0.3), (-0.5, 0.6), (-0.1, -0.9)), (1, 1, 4), 0.1


def blobs(name: str):
    """A schedule, the exact denoiser of three Gaussians of different weight on it, and their centres."""
    schedule = make_schedule(name)
    rows = [centre for centre, weight in zip(BLOBS, WEIGHTS) for _ in range(weight)]
    centres, rows = (torch.tensor(places, dtype=torch.float64) for places in (BLOBS, rows))
    return schedule, Exact(rows, schedule, WIDTH), centres


def shares_and_spread(name: str, sampler: str) -> tuple[torch.Tensor, float]:
    """How much of 500 samples lies nearest to each blob, and how wide they lie there, over the blobs' own width."""
    schedule, exact, centres = blobs(name)
    g = torch.Generator().manual_seed(0)
    x = start_noise(schedule, (500, 2), torch.tensor(1.0, dtype=torch.float64), g, centres)
    *_, last = walk(exact, make_sampler(sampler, schedule, generator=g), x, schedule.times(80), g)
    nearest = torch.cdist(last.x_s, centres).argmin(1)
    within = [last.x_s[nearest == k] for k in range(3) if (nearest == k).sum() > 1]
    square = sum(float((x - x.mean(0)).square().sum()) for x in within) / (2 * len(x))
    return torch.bincount(nearest, minlength=3) / len(x), math.sqrt(square) / WIDTH


# That one wants other models.
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "multistep_consistency"])
def test_samples_lie_where_the_data_do_unless_the_road_fails_on_purpose(sampler):
    shares, spread = shares_and_spread("flow", sampler)
    wanted = torch.tensor(WEIGHTS) / sum(WEIGHTS)
    if sampler in FAILING:
        assert spread < 0.05  # piled up on the modes, far below their width
        assert float((shares - wanted).abs().max()) > 0.3  # and most of the data is not there at all
    else:
        assert float((shares - wanted).abs().max()) < 5 * (0.25 / 500) ** 0.5
        assert 0.85 < spread < 1.35


def test_noising_a_guess_afresh_is_no_sampler_for_a_denoiser_whose_guess_is_a_mean():
    _, spread = shares_and_spread("cosine", "multistep_consistency")
    assert spread < 0.75  # of many means of means the width is lost; tests/test_consistency.py has the models it is for


def test_langevin_dynamics_without_its_noise_are_the_ascent(schedule):
    x, t, s = torch.tensor([[0.4, -1.2]], dtype=torch.float64), 0.6, 0.5
    rules = langevin(schedule, torch.Generator(), 1), ascent(schedule, 1)
    pair = [rule(bell(schedule), x, None, t, s)[0] for rule in rules]
    torch.testing.assert_close(*pair, rtol=1e-12, atol=1e-12)
    up = bell(schedule)(x, s).score  # gradient ascent on log p, by ½·size·sigma² times the score
    torch.testing.assert_close(pair[1], x + 0.1 * schedule.at(s)[1] ** 2 * up)


def test_adam_climbs_as_torchs_adam_does(generator):
    schedule = make_schedule("cosine")
    x = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    ours, denoise = make_sampler("ascent_adam", schedule), bell(schedule)
    place = x.clone().requires_grad_()
    adam = torch.optim.Adam([place], betas=(0.9, 0.999), eps=1e-8)
    for t, s in ((0.9, 0.8), (0.8, 0.7), (0.7, 0.6)):
        x = ours(denoise, x, None, t, s)[0]
        adam.param_groups[0]["lr"] = 0.1 * schedule.at(s)[1]
        for _ in range(5):
            place.grad = -denoise(place.detach(), s).score
            adam.step()
        torch.testing.assert_close(x, place.detach(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["dpmpp_2m", "ascent_adam"])
def test_a_rule_that_remembers_a_walk_starts_anew_with_another(name, small_denoiser, generator):
    schedule = make_schedule("cosine")
    denoiser, used = small_denoiser(schedule, "v"), make_sampler(name, schedule)
    x = torch.randn(5, 2, generator=generator, dtype=torch.float64)

    def run(rule, x, times):
        return list(walk(denoiser, rule, x, times, torch.Generator()))[-1].x_s

    run(used, x + 1, schedule.times(5)[:3])  # broken off half-way
    assert torch.equal(run(used, x, schedule.times(5)), run(make_sampler(name, schedule), x, schedule.times(5)))
    assert torch.equal(run(used, x[:2], schedule.times(7)), run(make_sampler(name, schedule), x[:2], schedule.times(7)))
