"""Measured orders of convergence of the rules without noise: against closed forms, and against the exact denoiser."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch

from core.denoisers.exact import Exact
from core.reverse import walk
from core.samplers import SAMPLERS, ddim, dpmpp_2m, heun, heun_edm, make_sampler
from core.schedules import make_schedule


def euler(schedule):
    """Euler's method in EDM's coordinate: x_s = alpha_s·[ x_t/alpha_t + (sigma_s/alpha_s − sigma_t/alpha_t)·eps ]."""
    def update(denoise, x_t, prediction, t, s):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule.at(t), schedule.at(s)
        slope = sigma_s / alpha_s - sigma_t / alpha_t
        return alpha_s * (x_t / alpha_t + slope * prediction.eps), x_t.new_full((), 0.0)

    return update


#: rule → the order it claims
CLAIMS = {ddim: 1, euler: 1, heun: 2, heun_edm: 2, dpmpp_2m: 2}
#: The noise-to-signal ratios sigma/alpha between which errors are measured: a method's order is that of smooth flows,
#: and there is neither an infinite slope at the start nor a last step of another order within them.
FROM, TO = 12.0, 0.05


def inner_times(schedule, steps: int) -> torch.Tensor:
    """Even in log-SNR, from sigma/alpha = FROM to TO."""
    ends = [-2 * math.log(FROM), -2 * math.log(TO)]
    return schedule.t_at(torch.linspace(*ends, steps + 1, dtype=torch.float64))


def places(schedule, times) -> torch.Tensor:
    """Some places to start from, always the same, of the state's size there."""
    normal = torch.randn(40, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return math.hypot(*schedule.at(times[0])) * normal


def arrives(schedule, make, denoise, times) -> torch.Tensor:
    """Where walks from those places end; over √(alpha² + sigma²)."""
    *_, last = walk(denoise, make(schedule), places(schedule, times), times, torch.Generator())
    return last.x_s / math.hypot(*schedule.at(times[-1]))


@pytest.fixture(params=["linear", "flow", "ve"])
def kind(request):
    """A schedule of each kind: of betas, straight, and exploding."""
    return make_schedule(request.param)


def orders(errors: list[float]) -> list[float]:
    return [math.log2(a / b) for a, b in zip(errors, errors[1:])]


@pytest.mark.parametrize("make", CLAIMS, ids=lambda make: make.__name__)
def test_against_a_gaussians_closed_form_the_order_is_the_claimed_one(make, kind, bell):
    schedule, c, errors = kind, 0.5, []
    for steps in (40, 80):
        times = inner_times(schedule, steps)
        first, last = schedule.at(times[0]), schedule.at(times[-1])
        # x/√(alpha²c² + sigma²) never changes along the ODE.
        kept = math.hypot(last[0] * c, last[1]) / math.hypot(first[0] * c, first[1])
        wanted = places(schedule, times) * kept / math.hypot(*last)
        errors.append(float((arrives(schedule, make, bell(schedule, c), times) - wanted).abs().max()))
    assert orders(errors)[-1] == pytest.approx(CLAIMS[make], abs=0.1), (errors, orders(errors))


@cache
def three_blobs() -> tuple:
    """A schedule, a mixture's exact denoiser on it, and where its ODE leads."""
    schedule = make_schedule("flow")
    points = torch.tensor([[0.8, 0.3], [-0.5, 0.6], [-0.1, -0.9]], dtype=torch.float64)
    exact = Exact(points, schedule, bandwidth=0.25)
    # Extrapolated to endless steps: what is of the second power of the step is gone.
    coarse, fine = (arrives(schedule, heun, exact, inner_times(schedule, steps)) for steps in (96, 192))
    return schedule, exact, fine + (fine - coarse) / 3


@pytest.mark.parametrize("make", CLAIMS, ids=lambda make: make.__name__)
def test_against_where_the_exact_denoisers_ode_leads_the_measured_order_is_the_claimed_one(make):
    schedule, exact, end = three_blobs()
    errors = [float((arrives(schedule, make, exact, inner_times(schedule, steps)) - end).square().mean().sqrt())
              for steps in (48, 96)]
    assert orders(errors)[-1] == pytest.approx(CLAIMS[make], abs=0.15), (errors, orders(errors))


@pytest.mark.parametrize("make, lowest, highest", [(heun, 1.9, 2.1), (heun_edm, 1.85, 2.1), (dpmpp_2m, 1.6, 2.0)])
def test_to_the_data_itself_a_second_order_rule_stays_of_second_order(make, lowest, highest, kind, bell):
    # The last step, to sigma = 0, is Euler's, and its error goes with sigma²: even strides of sigma shrink it in time.
    # A multistep rule in log-SNR meets strides of 1, 1/2, 1/3, … there: its error is log N/N², 1.78 from 64 to 128.
    schedule, errors = kind, []
    for steps in (64, 128):
        r = torch.linspace(0.9, 0, steps + 1, dtype=torch.float64)[:-1]
        times = torch.cat([schedule.t_at(2 * torch.log((1 - r) / r)), r.new_zeros(1)])
        alpha, sigma = schedule.at(times[0])
        x = torch.full((1, 2), 1.3, dtype=torch.float64)
        *_, last = walk(bell(schedule, 0.5), make(schedule), x, times, torch.Generator())
        errors.append(float((last.x_s - x * 0.5 / math.hypot(alpha * 0.5, sigma)).abs().max()))
    assert lowest < orders(errors)[-1] < highest, (errors, orders(errors))


def test_euler_in_edms_coordinate_is_ddim(schedule, small_denoiser, generator):
    denoiser, times = small_denoiser(schedule, "v"), schedule.times(10, start=0.9)
    x = schedule.at(0.9)[1] * torch.randn(4, 2, generator=generator, dtype=torch.float64)
    pair = [list(walk(denoiser, make(schedule), x, times, torch.Generator())) for make in (euler, ddim)]
    for a, b in zip(*pair, strict=True):
        torch.testing.assert_close(a.x_s, b.x_s, rtol=1e-10, atol=1e-10)


def test_the_two_coordinates_of_heun_differ_by_what_the_method_leaves_out(small_denoiser, generator):
    schedule = make_schedule("cosine")
    x, apart = torch.randn(4, 2, generator=generator, dtype=torch.float64), []
    for steps in (16, 32):
        times = inner_times(schedule, steps)
        a, b = ([*walk(small_denoiser(schedule, "v"), make(schedule), x, times, torch.Generator())][-1].x_s
                for make in (heun, heun_edm))
        apart.append(float((a - b).abs().max()))
    assert apart[0] > 1e-4 and 3 < apart[0] / apart[1] < 5.5


def test_heun_in_edms_coordinate_takes_eulers_step_where_no_signal_is_left(small_denoiser, generator):
    schedule = make_schedule("flow")
    x = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    first = [next(walk(small_denoiser(schedule, "velocity"), make(schedule), x, schedule.times(4), torch.Generator()))
             for make in (heun_edm, ddim)]
    torch.testing.assert_close(first[0].x_s, first[1].x_s, rtol=1e-12, atol=1e-12)


#: sampler → evaluations of the network in a step; in the last, to the data, it is one with all of them.
EVALUATIONS = {"ddim": 1, "ddpm": 1, "ddpm_beta": 1, "heun": 2, "heun_edm": 2, "dpmpp_2m": 1, "euler_maruyama": 1,
               "langevin": 6, "predictor_corrector": 2, "multistep_consistency": 1, "ascent": 6, "ascent_adam": 6}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_step_asks_the_network_as_often_as_it_says(name, small_denoiser, generator):
    schedule, asked = make_schedule("cosine"), []
    denoiser = small_denoiser(schedule, "v")

    def counting(x_t, t):
        asked.append(float(t))
        return denoiser(x_t, t)

    x, counts = torch.randn(4, 2, generator=generator, dtype=torch.float64), []
    for step in walk(counting, make_sampler(name, schedule), x, schedule.times(4), generator):
        # The walk asks at t first, and a rule that asks again does so at s: no other time is ever told to the network.
        assert asked[0] == float(step.t) and {*asked[1:]} <= {float(step.s)}
        counts.append(len(asked))
        asked.clear()
    assert counts == [EVALUATIONS[name]] * 3 + [1]
