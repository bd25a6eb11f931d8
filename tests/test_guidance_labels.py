"""Classifier-free guidance: against closed forms, and bit for bit where it is none."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from core.denoisers.base import Denoiser
from core.denoisers.embeddings import null_labels
from core.denoisers.exact import Exact
from core.denoisers.mlp import MLP
from core.denoisers.wrappers import reschedule
from core.guidance.classifier_free import both, classifier_free, condition
from core.reverse import start_noise, walk
from core.samplers import ddim
from core.schedules import make_schedule

NOW = torch.tensor(0.6, dtype=torch.float64)
MEANS, H = torch.tensor([[-0.5, 0.1], [0.4, -0.2]], dtype=torch.float64), 0.3


def two(schedule) -> Exact:
    """Two Gaussians of equal weight, each a class."""
    return Exact(MEANS, schedule, H, torch.tensor([0, 1]), 2)


@pytest.fixture
def network():
    """An MLP with two conditions on the cosine schedule."""
    torch.manual_seed(3)
    return Denoiser(MLP(width=16, labels=(2, 3)), make_schedule("cosine"), "v", labels=(2, 3)).eval()


@pytest.fixture
def x(generator):
    return torch.randn(6, 2, generator=generator)


def logs(schedule, x, t):
    """(log p(x), log p(c = 1 | x)) of the two noised Gaussians, written out."""
    alpha, sigma = schedule.at(t)
    variance = alpha**2 * H**2 + sigma**2
    each = [-((x - alpha * mean) ** 2).sum(1) / (2 * variance) for mean in MEANS]
    total = torch.logaddexp(*each)
    return total - math.log(4 * math.pi * variance), each[1] - total


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5, 7.0, -1.0])
@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_the_guided_score_is_that_of_p_times_the_classifier_to_the_power_of_the_scale(schedule, generator, scale, t):
    x = torch.randn(5, 2, generator=generator, dtype=torch.float64).requires_grad_()
    log_p, log_c = logs(schedule, x, t)
    wanted = torch.autograd.grad((log_p + scale * log_c).sum(), x)[0]
    guided = classifier_free(two(schedule), torch.tensor([1]), scale)
    found = guided(x.detach(), torch.tensor(t, dtype=torch.float64))
    assert_close(found.score, wanted, rtol=1e-10, atol=1e-10)
    assert_close(found.alpha * found.x0 + found.sigma * found.eps, x.detach(), rtol=1e-9, atol=1e-9)


def arrives(denoise, cond_count=6):
    schedule, generator = make_schedule("cosine"), torch.Generator().manual_seed(5)
    times = schedule.times(12)
    x = start_noise(schedule, (cond_count, 2), times[0], generator)
    return [step.x_s for step in walk(denoise, ddim(schedule, 0.5), x, times, generator)]


@pytest.mark.parametrize("scale, same", [(1.0, True), (0.0, False)])
def test_scales_1_and_0_are_the_conditional_and_the_unconditional_walk_to_the_bit(network, scale, same):
    cond = torch.tensor([[1, 2]])
    guided = arrives(classifier_free(network, cond, scale))
    plain = arrives(condition(network, cond if same else None))
    assert all(torch.equal(a, b) for a, b in zip(guided, plain))


def test_guidance_is_linear_in_the_scale(network, x):
    cond = torch.tensor([[0, 1]] * 6)
    at = {w: classifier_free(network, cond, w)(x, NOW) for w in (0.0, 1.0, 3.0, -2.0)}
    for w in (3.0, -2.0):
        for name in ("x0", "eps", "v", "score"):
            u, c = (getattr(at[k], name) for k in (0.0, 1.0))
            assert_close(getattr(at[w], name), u + w * (c - u), rtol=1e-4, atol=1e-5)


def test_both_are_what_two_calls_say_also_at_a_time_for_each_sample(network, x):
    cond = torch.tensor([[0, 1], [1, 2], [2, 0], [1, 3], [0, 0], [1, 1]])
    for t in (NOW, torch.linspace(0.1, 0.9, 6, dtype=torch.float64)):
        for found, wanted in zip(both(network, cond)(x, t), (network(x, t, cond), network(x, t))):
            for name in ("x0", "eps", "alpha", "sigma"):
                assert_close(getattr(found, name).expand(6, -1), getattr(wanted, name).expand(6, -1))


def counting(denoiser):
    """The denoiser, and a list that grows by the number of samples at each call."""
    calls = []

    def asked(x_t, t, cond=None):
        calls.append(len(x_t))
        return denoiser(x_t, t, cond)

    asked.labels = denoiser.labels
    return asked, calls


@pytest.mark.parametrize("scale, calls", [(0.0, [6]), (1.0, [6]), (4.0, [12])])
def test_one_call_is_enough_for_any_scale(network, x, scale, calls):
    asked, made = counting(network)
    classifier_free(asked, torch.tensor([[1, 1]]), scale)(x, NOW)
    assert made == calls


def test_guidance_is_on_within_its_interval_ends_included_and_off_outside(network, x):
    cond = torch.tensor([[1, 0]])
    on, off = classifier_free(network, cond, 5.0), condition(network, cond)
    guided = classifier_free(network, cond, 5.0, between=(0.7, 0.3))
    for t in (0.3, 0.31, 0.69, 0.7):
        assert torch.equal(guided(x, torch.tensor(t).double()).eps, on(x, torch.tensor(t).double()).eps)
    asked, made = counting(network)
    for t in (0.0, 0.29, 0.71, 1.0):
        t = torch.tensor(t).double()
        assert torch.equal(guided(x, t).eps, off(x, t).eps)
        classifier_free(asked, cond, 5.0, between=(0.7, 0.3))(x, t)
    assert made == [6] * 4  # outside nothing is asked for twice
    times = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.71, 0.9], dtype=torch.float64)
    inside = (times >= 0.3) & (times <= 0.7)
    wanted = torch.where(inside[:, None], on(x, times).eps, off(x, times).eps)
    assert_close(guided(x, times).eps, wanted)


def test_one_label_does_for_any_number_of_samples_and_another_number_is_refused(network, x):
    one, each = condition(network, torch.tensor([[1, 2]])), condition(network, torch.tensor([[1, 2]] * 6))
    assert torch.equal(one(x, NOW).x0, each(x, NOW).x0)
    assert one(x[:4], NOW).x0.shape == (4, 2)
    with pytest.raises(ValueError, match="6 labels for 4 samples"):
        each(x[:4], NOW)


def test_a_null_label_in_one_column_guides_towards_the_other_condition_alone(network, x):
    cond = torch.tensor([[1, 3]])
    found = classifier_free(network, cond, 2.0)(x, NOW)
    any_, hair = network(x, NOW, null_labels((2, 3), 6)), network(x, NOW, cond.expand(6, 2))
    assert_close(found.eps, any_.eps + 2 * (hair.eps - any_.eps))


def test_a_model_walked_along_another_schedule_can_be_guided_at_the_times_of_that_walk(network, x):
    flow, cond = make_schedule("flow"), torch.tensor([[1, 2]])
    moved = reschedule(network, network.schedule, flow)
    for t, scale in ((0.5, 3.0), (0.9, 1.0)):
        t = torch.tensor(t, dtype=torch.float64)
        found = classifier_free(moved, cond, 3.0, between=(0.6, 0.2))(x, t)
        wanted = reschedule(classifier_free(network, cond, scale), network.schedule, flow)(x, t)
        assert_close(found.eps, wanted.eps, rtol=1e-4, atol=1e-5)


def test_what_cannot_guide_is_refused_naming_what_can(network):
    cond = torch.tensor([[0, 0]])
    with pytest.raises(ValueError, match="knows no labels"):
        classifier_free(Denoiser(MLP(width=16), make_schedule("cosine"), "v"), cond, 2.0)
    with pytest.raises(ValueError, match="scale of guidance is nan"):
        classifier_free(network, cond, math.nan)
    for between in ((0.2, 0.8), (1.2, 0.0), (1.0, -0.1)):
        with pytest.raises(ValueError, match="from 1 down to 0"):
            classifier_free(network, cond, 2.0, between)
