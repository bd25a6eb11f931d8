"""One jump and many small steps lead to the same distribution."""

from __future__ import annotations

import pytest
import torch

from core.forward import expand, forward_walk, noised, transition
from core.schedules import make_schedule


def test_one_jump_is_alpha_x0_plus_sigma_eps_sample_by_sample(schedule, generator):
    x0, eps = torch.randn(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64)
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    together = noised(schedule, x0, t, eps)
    assert together.x0 is x0 and together.eps is eps and together.t is t
    for i, time in enumerate(t):
        alpha, sigma = schedule.at(time)
        torch.testing.assert_close(together.x_t[i], alpha * x0[i] + sigma * eps[i], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(noised(schedule, x0[i : i + 1], time, eps[i : i + 1]).x_t[0], together.x_t[i])


def test_at_time_0_nothing_has_happened(schedule, generator):
    x0, eps = torch.randn(2, 5, 2, generator=generator)
    assert torch.equal(noised(schedule, x0, torch.zeros(5), eps).x_t, x0)


def test_float32_data_stay_float32_when_time_is_float64(schedule, generator):
    x0, eps = torch.randn(2, 5, 2, generator=generator)
    assert noised(schedule, x0, torch.full((5,), 0.3, dtype=torch.float64), eps).x_t.dtype == torch.float32


@pytest.mark.parametrize("steps", [10, 60])
def test_small_steps_compose_to_the_jump_exactly(schedule, steps):
    # x_{k+1} = a·x_k + b·noise: the mean is the product of the a, the variance obeys var ← a²·var + b².
    mean, variance = torch.tensor([1.0, 0.0], dtype=torch.float64)
    times = schedule.times(steps).flip(0)
    for s, t in zip(times[:-1], times[1:]):
        a, b = transition(schedule, s, t)
        mean, variance = a * mean, a**2 * variance + b**2
        alpha, sigma = schedule(t)
        torch.testing.assert_close(mean, alpha, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(variance, sigma**2, rtol=1e-11, atol=1e-12)


def test_one_timestep_is_the_kernel_of_ddpm():
    schedule = make_schedule("linear")
    k = torch.tensor([1.0, 2, 500, 1000], dtype=torch.float64)
    a, b = transition(schedule, (k - 1) / 1000, k / 1000)
    betas = schedule.betas[k.long() - 1]
    torch.testing.assert_close(a, (1 - betas).sqrt(), rtol=1e-9, atol=0)
    torch.testing.assert_close(b, betas.sqrt(), rtol=1e-6, atol=0)


def test_walking_in_small_steps_has_the_mean_and_the_spread_of_the_jump(schedule, generator):
    n, x0 = 20_000, 1.5
    times = schedule.times(20).flip(0)[1:]
    for t, x in zip(times, forward_walk(schedule, torch.full((n, 1), x0, dtype=torch.float64), times, generator)):
        alpha, sigma = schedule.at(t)
        # Standard errors of a mean, σ/√n, and of a standard deviation, σ/√(2n). Five of them: one seed in a million.
        assert abs(float(x.mean()) - alpha * x0) < 5 * sigma / n**0.5
        assert abs(float(x.std()) - sigma) < 5 * sigma / (2 * n) ** 0.5


def test_a_walk_adds_fresh_noise_at_every_step(generator):
    schedule = make_schedule("linear")
    times = torch.tensor([0.5, 1.0], dtype=torch.float64)
    early, late = forward_walk(schedule, torch.zeros(20_000, 1, dtype=torch.float64), times, generator)
    a, _ = transition(schedule, *times)
    # Correlation of the two noises is a·sigma_s/sigma_t by the kernel; the same noise twice would give 1.
    wanted = float(a) * schedule.at(0.5)[1] / schedule.at(1.0)[1]
    assert float(torch.corrcoef(torch.stack([early[:, 0], late[:, 0]]))[0, 1]) == pytest.approx(wanted, abs=0.035)


def test_a_number_a_sample_is_shaped_for_any_rank():
    a = torch.tensor([2.0, 3.0])
    assert expand(a, torch.ones(2, 5)).shape == (2, 1)
    assert expand(a, torch.ones(2, 1, 8, 8)).shape == (2, 1, 1, 1)
    assert expand(torch.tensor(2.0), torch.ones(2, 5)).shape == ()
    assert (expand(a, torch.ones(2, 5)) * torch.ones(2, 5)).tolist() == [[2.0] * 5, [3.0] * 5]


@pytest.mark.parametrize("shape", [(4, 1), (1,), (5,), (4, 4)])
def test_a_shape_that_would_broadcast_samples_against_each_other_is_refused(shape):
    with pytest.raises(ValueError) as error:
        expand(torch.ones(shape), torch.ones(4, 2))
    assert str(shape) in str(error.value) and "(4,)" in str(error.value) and "(4, 2)" in str(error.value)
