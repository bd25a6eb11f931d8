"""Trajectories against diffusers' schedulers: the same network, noise and timesteps, in double precision."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import (DDPMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler,
                       FlowMatchEulerDiscreteScheduler, HeunDiscreteScheduler)
from diffusers.schedulers import (scheduling_ddpm, scheduling_dpmsolver_multistep, scheduling_euler_discrete,
                                  scheduling_flow_match_euler_discrete)

from core.reverse import walk
from core.samplers import ddim, ddpm_beta, dpmpp_2m, heun_edm
from core.schedules import make_schedule
from tests.sweep import SWEEP

CLOSE = dict(rtol=1e-5, atol=1e-5)
VP = ("cosine", "linear", "sigmoid")


class Double:
    """torch, as a module that computes in single precision sees it when it is to compute in double."""

    float32 = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


@pytest.fixture
def doubled(monkeypatch):
    """Several schedulers cast the state to float32; this makes their module cast it to float64."""
    return lambda module: monkeypatch.setattr(module, "torch", Double())


@pytest.fixture
def start(generator):
    return torch.randn(4, 2, generator=generator, dtype=torch.float64)


def walked(denoiser, update, x, times) -> list:
    return list(walk(denoiser, update, x, times, torch.Generator().manual_seed(5)))


def eps_at(denoiser, schedule, x, j: float):
    """What an eps network says at diffusers' timestep j."""
    t = torch.tensor((j + 1) / schedule.T, dtype=torch.float64)
    alpha, sigma = (a.expand(len(x)) for a in schedule(t))
    return denoiser.output(x, t.expand(len(x)), alpha, sigma)


def ratios(schedule, times) -> torch.Tensor:
    """sigma/alpha at the times: what these schedulers call sigmas."""
    alpha, sigma = schedule(times)
    return sigma / alpha


def large_variance(schedule, spacing: str, steps: int):
    theirs = {"trailing": "trailing", "leading": "leading"}[spacing]
    scheduler = DDPMScheduler(schedule.T, trained_betas=schedule.betas.tolist(), clip_sample=False,
                              timestep_spacing=theirs, variance_type="fixed_large")
    scheduler.alphas_cumprod = torch.cumprod(1 - schedule.betas, 0)
    scheduler.set_timesteps(steps)
    return scheduler


@pytest.mark.parametrize("name, steps, spacing", [
    *((name, steps, spacing) for name in VP for steps, spacing in ((20, "trailing"), (20, "leading"))),
    ("linear", 50, "leading"), ("linear", 1000 if SWEEP else 200, "trailing"),
])  # fmt: skip
def test_ddpm_with_the_large_variance_walks_as_diffusers_does(name, steps, spacing, small_denoiser, start,
                                                              monkeypatch):
    schedule = make_schedule(name)
    denoiser = small_denoiser(schedule)
    scheduler, x = large_variance(schedule, spacing, steps), start
    ours = walked(denoiser, ddpm_beta(schedule), x, schedule.times(steps, spacing))
    pairs = list(zip(ours, scheduler.timesteps.tolist(), strict=True))
    if pairs[-1][1] > 0:
        pairs.pop()  # their last step then adds noise: see the next test
    for step, j in pairs:
        torch.testing.assert_close(step.x_t, x, **CLOSE)
        monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, noise=step.noise, **__: noise)
        x = scheduler.step(eps_at(denoiser, schedule, x, j), j, x).prev_sample
        torch.testing.assert_close(step.x_s, x, **CLOSE)


def test_the_last_step_adds_no_noise_where_diffusers_does(small_denoiser, start, monkeypatch):
    # Algorithm 2 of Ho et al. 2020 draws z for t > 1 and lands on the mean at t = 1. diffusers asks for the timestep,
    # not the step, and with few trailing steps the last begins at 49, not 0: fixed_large then returns data + √β·z.
    schedule = make_schedule("linear")
    denoiser, scheduler = small_denoiser(schedule), large_variance(schedule, "trailing", 20)
    last = walked(denoiser, ddpm_beta(schedule), start, schedule.times(20))[-1]
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, **__: last.noise)
    j = int(scheduler.timesteps[-1])
    theirs = scheduler.step(eps_at(denoiser, schedule, last.x_t, j), j, last.x_t).prev_sample
    assert j == 49 and float(last.std) == 0
    torch.testing.assert_close(theirs, last.x_s + schedule.at(0.05)[1] * last.noise, **CLOSE)


@pytest.mark.parametrize("name", VP)
@pytest.mark.parametrize("spacing, theirs", [("trailing", "trailing"), ("leading", "leading")])
def test_ddim_walks_as_diffusers_euler_discrete_does(name, spacing, theirs, small_denoiser, start, doubled):
    doubled(scheduling_euler_discrete)
    schedule = make_schedule(name)
    denoiser, times = small_denoiser(schedule), schedule.times(25, spacing)
    scheduler = EulerDiscreteScheduler(1000, trained_betas=schedule.betas.tolist(), timestep_spacing=theirs)
    scheduler.set_timesteps(25)
    torch.testing.assert_close(scheduler.sigmas.double(), ratios(schedule, times), rtol=1e-3, atol=0)  # float32 inside
    scheduler.sigmas = ratios(schedule, times)
    y = start / schedule.at(times[0])[0]  # their state is x/alpha
    for step, j in zip(walked(denoiser, ddim(schedule), start, times), scheduler.timesteps, strict=True):
        torch.testing.assert_close(step.x_t, y * schedule.at(step.t)[0], **CLOSE)
        given = scheduler.scale_model_input(y, j)
        y = scheduler.step(eps_at(denoiser, schedule, given, float(j)), j, y).prev_sample
    torch.testing.assert_close(step.x_s, y, **CLOSE)


@pytest.mark.parametrize("name", VP)
@pytest.mark.parametrize("spacing, theirs", [("trailing", "trailing"), ("leading", "leading")])
def test_heun_in_edms_coordinate_walks_as_diffusers_heun_discrete_does(name, spacing, theirs, small_denoiser, start):
    schedule = make_schedule(name)
    denoiser, times = small_denoiser(schedule), schedule.times(25, spacing)
    scheduler = HeunDiscreteScheduler(1000, trained_betas=schedule.betas.tolist(), timestep_spacing=theirs)
    scheduler.set_timesteps(25)
    r = ratios(schedule, times)
    scheduler.sigmas = torch.cat([r[:1], r[1:-1].repeat_interleave(2), r[-1:]])
    y, asked = start / schedule.at(times[0])[0], iter(scheduler.timesteps)
    for step in walked(denoiser, heun_edm(schedule), start, times):
        torch.testing.assert_close(step.x_t, y * schedule.at(step.t)[0], **CLOSE)
        for _ in range(1 if step.s == 0 else 2):  # theirs is called once for each evaluation of the network
            j = next(asked)
            given = scheduler.scale_model_input(y, j)
            y = scheduler.step(eps_at(denoiser, schedule, given, float(j)), j, y).prev_sample
    torch.testing.assert_close(step.x_s, y, **CLOSE)
    assert next(asked, None) is None


@pytest.mark.parametrize("name", VP)
@pytest.mark.parametrize("spacing, theirs", [("trailing", "trailing"), ("leading", "leading")])
@pytest.mark.parametrize("steps", [8, 25])
def test_dpm_solver_2m_walks_as_diffusers_does(name, spacing, theirs, steps, small_denoiser, start, doubled):
    doubled(scheduling_dpmsolver_multistep)
    schedule = make_schedule(name)
    denoiser, times = small_denoiser(schedule), schedule.times(steps, spacing)
    scheduler = DPMSolverMultistepScheduler(1000, trained_betas=schedule.betas.tolist(), timestep_spacing=theirs,
                                            algorithm_type="dpmsolver++", solver_order=2, solver_type="midpoint",
                                            lower_order_final=True, final_sigmas_type="zero")
    scheduler.set_timesteps(steps)
    # Its own "leading" strides T // (steps + 1); the times are ours, and so the same on both sides.
    scheduler.timesteps = (times[:-1] * 1000 - 1).round().long()
    scheduler.sigmas = ratios(schedule, times)
    x = start
    for step, j in zip(walked(denoiser, dpmpp_2m(schedule), start, times), scheduler.timesteps, strict=True):
        torch.testing.assert_close(step.x_t, x, **CLOSE)
        x = scheduler.step(eps_at(denoiser, schedule, x, float(j)), j, x).prev_sample
    torch.testing.assert_close(step.x_s, x, **CLOSE)


def test_ddim_on_the_flow_walks_as_diffusers_flow_match_euler_does(small_denoiser, start, doubled):
    doubled(scheduling_flow_match_euler_discrete)
    schedule = make_schedule("flow")
    denoiser, times = small_denoiser(schedule, "velocity"), schedule.times(20)
    scheduler, x = FlowMatchEulerDiscreteScheduler(1000), start
    scheduler.set_timesteps(sigmas=times[:-1].tolist())
    torch.testing.assert_close(scheduler.sigmas.double(), times, rtol=0, atol=1e-7)
    scheduler.sigmas = times
    for step, j in zip(walked(denoiser, ddim(schedule), start, times), scheduler.timesteps, strict=True):
        torch.testing.assert_close(step.x_t, x, **CLOSE)
        t = step.t.expand(len(x))
        x = scheduler.step(denoiser.output(x, t, 1 - t, t), j, x).prev_sample
    torch.testing.assert_close(step.x_s, x, **CLOSE)


def test_edms_grid_is_diffusers_karras_grid_between_the_same_ends():
    schedule = make_schedule("linear")
    times = schedule.times(12, "edm")
    scheduler = EulerDiscreteScheduler(1000, trained_betas=schedule.betas.tolist(), use_karras_sigmas=True)
    scheduler.set_timesteps(12)
    torch.testing.assert_close(ratios(schedule, times), scheduler.sigmas.double(), rtol=2e-4, atol=0)
    assert math.isclose(float(times[0]), 1.0)
