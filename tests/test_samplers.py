"""Samplers against diffusers step by step, the textbook's posterior, and closed-form solutions with their orders."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers import scheduling_ddpm

from core.reverse import walk
from core.samplers import SAMPLERS, ddim, ddpm, heun, make_sampler, posterior_std
from core.schedules import Discrete, linear_betas, make_schedule
from tests.sweep import few

VP = ("cosine", "linear", "sigmoid")
#: our target → what diffusers calls it
THEIRS = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}


def peer(kind, schedule, spacing: str, target: str):
    """A scheduler of diffusers on the same betas, with its table in double precision: it computes in single."""
    theirs = {"trailing": "trailing", "leading": "leading"}[spacing]
    scheduler = kind(schedule.T, trained_betas=schedule.betas.tolist(), clip_sample=False, timestep_spacing=theirs,
                     prediction_type=THEIRS[target])
    scheduler.alphas_cumprod = torch.cumprod(1 - schedule.betas, 0)
    return scheduler


def ours(denoiser, update, schedule, x, steps, spacing):
    g = torch.Generator().manual_seed(5)
    return list(walk(denoiser, update, x, schedule.times(steps, spacing), g))


def network_output(denoiser, schedule, x_t, j: int):
    """What the network itself says at diffusers' timestep j."""
    t = torch.tensor((j + 1) / schedule.T, dtype=torch.float64)
    alpha, sigma = (a.expand(len(x_t)) for a in schedule(t))
    return denoiser.output(x_t, t.expand(len(x_t)), alpha, sigma)


@pytest.mark.parametrize("target", THEIRS)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_walks_as_diffusers_does(target, eta, small_denoiser, generator):
    start = torch.randn(4, 1, 3, 3, generator=generator, dtype=torch.float64)
    for name, spacing in product(VP, ("trailing", "leading")):
        schedule, x = make_schedule(name), start
        denoiser = small_denoiser(schedule, target, (1, 3, 3))
        steps = ours(denoiser, ddim(schedule, eta), schedule, x, 5, spacing)
        scheduler = peer(DDIMScheduler, schedule, spacing, target)
        scheduler.set_timesteps(5)
        for step, j in zip(steps, scheduler.timesteps.tolist(), strict=True):
            torch.testing.assert_close(step.x_t, x, rtol=1e-5, atol=1e-5)
            output = network_output(denoiser, schedule, x, j)
            x = scheduler.step(output, j, x, eta=eta, variance_noise=step.noise if eta else None).prev_sample
        torch.testing.assert_close(steps[-1].x_s, x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", VP)
@pytest.mark.parametrize("target", THEIRS)
@pytest.mark.parametrize("grid", few(("10 trailing", "10 leading", "50 leading"), "10 trailing", "10 leading"))
def test_ddpm_walks_as_diffusers_does(name, target, grid, small_denoiser, generator, monkeypatch):
    schedule, (count, spacing) = make_schedule(name), grid.split()
    denoiser, steps = small_denoiser(schedule, target), int(count)
    x = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    walked = ours(denoiser, ddpm(schedule), schedule, x, steps, spacing)
    scheduler = peer(DDPMScheduler, schedule, spacing, target)
    scheduler.set_timesteps(steps)
    for step, j in zip(walked, scheduler.timesteps.tolist(), strict=True):
        torch.testing.assert_close(step.x_t, x, rtol=1e-5, atol=1e-5)
        monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, noise=step.noise, **__: noise)
        x = scheduler.step(network_output(denoiser, schedule, x, j), j, x).prev_sample
    torch.testing.assert_close(walked[-1].x_s, x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", VP)
def test_at_eta_1_a_step_is_the_posterior_of_the_ddpm_paper(name, small_denoiser, generator):
    # Ho et al. 2020, eq. 7, for one timestep k.
    schedule = make_schedule(name)
    alpha_bar = torch.cumprod(1 - schedule.betas, 0)
    denoiser = small_denoiser(schedule)
    x = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    for k in (2, 10, 500, 999, 1000):
        t, s = (torch.tensor(i / 1000, dtype=torch.float64) for i in (k, k - 1))
        p = denoiser(x, t)
        mean, std = ddim(schedule, 1.0)(denoiser, x, p, t, s)
        beta, now, before = schedule.betas[k - 1], alpha_bar[k - 1], alpha_bar[k - 2]
        wanted = before.sqrt() * beta / (1 - now) * p.x0 + (1 - beta).sqrt() * (1 - before) / (1 - now) * x
        torch.testing.assert_close(mean, wanted, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(std, ((1 - before) / (1 - now) * beta).sqrt(), rtol=1e-7, atol=0)


def test_ddpm_is_ddim_at_eta_1_bit_for_bit(schedule, small_denoiser, generator):
    denoiser = small_denoiser(schedule, "v")
    x = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    ends = [ours(denoiser, update, schedule, x, 10, "trailing")[-1].x_s
            for update in (ddpm(schedule), ddim(schedule, 1.0), make_sampler("ddpm", schedule, eta=0.3))]
    assert torch.equal(ends[0], ends[1]) and torch.equal(ends[0], ends[2])


def test_eta_scales_the_standard_deviation(schedule, small_denoiser, generator):
    denoiser, x = small_denoiser(schedule, "v"), torch.randn(4, 2, generator=generator, dtype=torch.float64)
    t, s = torch.tensor([0.6, 0.5], dtype=torch.float64)
    whole = posterior_std(schedule, t, s)
    for eta in (0.0, 0.25, 1.0):
        _, std = ddim(schedule, eta)(denoiser, x, denoiser(x, t), t, s)
        assert float(std) == pytest.approx(eta * whole, rel=1e-12)


def test_the_last_step_lands_on_the_predicted_data(schedule, small_denoiser, generator):
    denoiser, x = small_denoiser(schedule, "v"), torch.randn(4, 2, generator=generator, dtype=torch.float64)
    for update in (ddim(schedule), ddpm(schedule), heun(schedule)):
        last = ours(denoiser, update, schedule, x, 5, "trailing")[-1]
        assert float(last.std) == 0
        torch.testing.assert_close(last.x_s, last.prediction.x0, rtol=1e-12, atol=1e-12)


def test_on_the_flow_ddim_is_eulers_method(small_denoiser, generator):
    schedule = make_schedule("flow")
    denoiser, x = small_denoiser(schedule, "velocity"), torch.randn(4, 2, generator=generator, dtype=torch.float64)
    for step in ours(denoiser, ddim(schedule), schedule, x, 8, "trailing"):
        euler = step.x_t + (step.s - step.t) * step.prediction.velocity
        torch.testing.assert_close(step.x_s, euler, rtol=1e-12, atol=1e-12)


def ode_error(schedule, update, gaussian, times, c: float = 0.5) -> float:
    """How far from the ODE's solution a walk ends, data being N(0, c²): x(t)/√(alpha²c² + sigma²) never changes."""
    alpha, sigma = schedule.at(times[0])
    x = torch.full((1, 2), 1.3, dtype=torch.float64)
    wanted = x * c / math.sqrt(alpha**2 * c**2 + sigma**2)
    *_, last = walk(gaussian(schedule, c), update, x, times, torch.Generator())
    return float((last.x_s - wanted).abs().max())


def test_heun_comes_closer_than_ddim_with_twice_the_steps(schedule, gaussian):
    errors = [ode_error(schedule, update, gaussian, schedule.times(steps, "log_snr", start=0.96))
              for update, steps in ((heun(schedule), 20), (ddim(schedule), 40))]
    assert errors[0] < errors[1] / 3


def test_heun_asks_the_model_twice_a_step_and_once_at_the_last(schedule, small_denoiser, generator):
    denoiser, asked = small_denoiser(schedule, "v"), []

    def counting(x_t, t):
        asked.append(float(t))
        return denoiser(x_t, t)

    times = schedule.times(3)
    x = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    list(walk(counting, heun(schedule), x, times, generator))
    t = times.tolist()
    assert asked == [t[0], t[1], t[1], t[2], t[2]]


@torch.no_grad()
def variances(schedule, update, denoise, steps: int, start: float) -> list[float]:
    """The exact variance of a walk's state at each time, data being a zero-mean Gaussian: every rule is linear in x."""
    times, one = schedule.times(steps), torch.ones(1, 2, dtype=torch.float64)
    variance, out = start, []
    for t, s in zip(times[:-1], times[1:]):
        mean, std = update(denoise, one, denoise(one, t), t, s)
        variance = float(mean[0, 0]) ** 2 * variance + float(std) ** 2
        out.append(variance)
    return out


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [10, 30])
def test_a_single_point_keeps_the_forward_process_variance_with_any_steps_and_any_eta(schedule, bell, eta, steps):
    # With x0 known for certain the posterior is exact: nothing is left to approximate.
    got = variances(schedule, ddim(schedule, eta), bell(schedule, 0.0), steps, schedule.at(1.0)[1] ** 2)
    wanted = [schedule.at(s)[1] ** 2 for s in schedule.times(steps)[1:]]
    torch.testing.assert_close(torch.tensor(got), torch.tensor(wanted), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [*VP, "flow"])
def test_ancestral_sampling_has_the_marginal_variance_at_every_time_up_to_its_step(name, bell):
    c, errors = 0.5, []
    for T in (125, 250):
        schedule = make_schedule(name, T)
        alpha, sigma = schedule.at(1.0)
        got = variances(schedule, ddpm(schedule), bell(schedule, c), T, alpha**2 * c**2 + sigma**2)
        wanted = [a**2 * c**2 + b**2 for a, b in map(schedule.at, schedule.times(T)[1:])]
        errors.append(max(abs(g / w - 1) for g, w in zip(got, wanted)))
    assert errors[1] < 15 / T
    assert errors[1] < 0.65 * errors[0]  # the posterior's variance leaves out Var(x0 | x_t): an error of order 1/T


def test_ancestral_samples_of_a_gaussian_have_its_spread(schedule, bell, generator):
    c, n = 0.5, 4000
    x = schedule.at(1.0)[1] * torch.randn(n, 2, generator=generator, dtype=torch.float64)
    *_, last = walk(bell(schedule, c), ddpm(schedule), x, schedule.times(100), generator)
    # Five standard errors of a standard deviation over 2n numbers, and 4% for 100 steps instead of infinitely many.
    assert float(last.x_s.std()) == pytest.approx(c, rel=0.04 + 5 / (4 * n) ** 0.5)


def test_a_step_of_nothing_but_noise_is_finite_where_no_signal_is_left(small_denoiser, generator):
    schedule = make_schedule("flow")
    x = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    for target in ("v", "velocity", "edm", "x0"):
        for update in (ddim(schedule, 1.0), ddim(schedule), heun(schedule)):
            first = next(walk(small_denoiser(schedule, target), update, x, schedule.times(4), generator))
            assert first.x_s.isfinite().all()


def test_a_schedule_with_other_betas_works_as_well(small_denoiser, generator):
    schedule = Discrete("mine", linear_betas(1000).flip(0))
    x = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    *_, last = walk(small_denoiser(schedule), ddpm(schedule), x, schedule.times(10), generator)
    assert last.x_s.isfinite().all()


@pytest.mark.parametrize("eta", [-0.1, 1.1, math.nan])
def test_an_eta_that_cannot_be_is_refused(schedule, eta):
    with pytest.raises(ValueError, match=f"eta is {eta}.*0 .DDIM. to 1"):
        make_sampler("ddim", schedule, eta)


def test_an_unknown_sampler_is_refused_naming_those_there_are(schedule):
    with pytest.raises(ValueError) as error:
        make_sampler("euler", schedule)
    assert all(name in str(error.value) for name in ("'euler'", *SAMPLERS))
