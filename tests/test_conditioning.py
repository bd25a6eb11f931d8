"""The panels and the chart of guidance are what both denoisers say at the states of the walk."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.data.datasets import Dataset
from core.denoisers.exact import Exact
from core.guidance.classifier import ExactClassifier, classifier_guidance
from core.guidance.classifier_free import classifier_free, condition
from core.reverse import start_noise, walk
from core.samplers import ddim
from core.schedules import make_schedule
from core.trace import Trace
from core.views import TraceView
from core.views.base import DENSITY_CELLS, FIELD_CELLS, STATE_VIEW, field_points
from core.views.guided import offer_guidance


def labelled(kind="points") -> Dataset:
    g, labels = torch.Generator().manual_seed(1), torch.tensor([0, 0, 1, 1, 1, 0])
    if kind == "points":
        x0 = torch.tensor([[-0.5, 0.1], [0.5, 0.0]])[labels] + 0.2 * torch.randn(6, 2, generator=g)
        return Dataset("two", "", kind, x0, labels, ("left", "right"), 0.15)
    return Dataset("pictures", "", kind, torch.rand(6, 3, 8, 8, generator=g) * 2 - 1, labels, ("a", "b"))


ASKED = torch.tensor([1])


def guided(kind="points", scale=3.0, between=(1.0, 0.0), schedule="cosine", every=1, finished=True):
    """(film of a guided walk with its panels offered, the conditional, the unconditional denoiser, calls to either)."""
    data, schedule = labelled(kind), make_schedule(schedule)
    exact, generator, calls = Exact.of(data, schedule), torch.Generator().manual_seed(0), []
    denoise, times = classifier_free(exact, ASKED, scale, between), schedule.times(10)
    x = start_noise(schedule, (5, *data.shape), times[0], generator)
    trace = Trace.record(walk(denoise, ddim(schedule), x, times, generator), every=every)
    film = TraceView(trace, times, data, schedule, denoise, ddim(schedule))
    film.more_charts = []
    if finished:
        film.finish()

    def counted(denoise):
        def asked(x_t, t):
            calls.append(float(t))
            return denoise(x_t, t)

        return asked

    both = condition(exact, ASKED), condition(exact, None)
    offer_guidance(film, *map(counted, both), scale, between, data.rows_of("1"))
    return film, *both, calls


def shown(film, key, first=0, end=None) -> np.ndarray:
    return film.scene((key,), first, end).panels[0].data


@pytest.mark.parametrize("kind", ["points", "images"])
@pytest.mark.parametrize("every", [1, 3])
def test_noises_are_those_at_the_states_of_the_walk_and_the_last_frame_holds_the_last(kind, every):
    film, conditional, unconditional, _ = guided(kind, every=every)
    kept = range(len(film.trace))
    c, u = (torch.stack([denoise(film.trace["x_t"][k], film.kept[k]).eps for k in kept])
            for denoise in (conditional, unconditional))
    for key, wanted in (("eps_c", c), ("eps_u", u), ("guidance_delta", c - u)):
        found = shown(film, key)
        if kind == "images":
            wanted = wanted.mean(2)[..., None]
        np.testing.assert_allclose(found[:-1], wanted.numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found[-1], found[-2])


def test_the_walk_itself_is_what_guidance_makes_of_the_two():
    film, *_ = guided(scale=3.0)
    u, pull = shown(film, "eps_u"), shown(film, "guidance_delta")
    np.testing.assert_allclose(shown(film, "eps"), u + 3 * pull, rtol=1e-3, atol=1e-4)


def test_nothing_is_asked_before_somebody_looks_and_three_panels_of_the_same_frames_ask_once():
    film, _, _, calls = guided()
    film.scene()
    assert calls == []
    film.scene(("eps_c", "eps_u", "guidance_delta"), 2, 5)
    assert len(calls) == 2 * 3


@pytest.mark.parametrize("schedule", ["cosine", "ve"])
def test_fields_are_the_scores_over_the_plane_and_what_guidance_adds_is_the_slope_of_the_classifier(schedule):
    film, conditional, unconditional, _ = guided(schedule=schedule)
    t, size = film.kept[4], film.scale[4]
    at = size * field_points(STATE_VIEW)
    for key, denoise in (("field_c", conditional), ("field_u", unconditional)):
        wanted = -denoise(at, t).eps.reshape(FIELD_CELLS, FIELD_CELLS, 2)
        np.testing.assert_allclose(shown(film, key, 4, 5)[0], wanted.numpy(), rtol=1e-4, atol=1e-5)
    exact = Exact.of(film.dataset, film.schedule)
    x = at.double().requires_grad_()
    slope = torch.autograd.grad(ExactClassifier(exact)(x, t)[:, 1].sum(), x)[0]
    wanted = (film.schedule.at(t)[1] * slope).reshape(FIELD_CELLS, FIELD_CELLS, 2)
    np.testing.assert_allclose(shown(film, "guidance_field", 4, 5)[0], wanted.numpy(), rtol=1e-2, atol=1e-4)


def log_normal(x, mean, variance):
    return -((x - mean) ** 2).sum(-1) / (2 * variance) - math.log(2 * math.pi * variance)


@pytest.mark.parametrize("scale", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("frame", [3, 8, 10])
def test_the_sharpened_density_is_p_times_the_share_of_the_label_to_the_power_of_the_scale(scale, frame):
    film, *_ = guided(scale=scale)
    data, t = film.dataset, torch.cat([film.kept, film.times[-1:]])[frame]
    alpha, sigma = film.schedule.at(t)
    cell = STATE_VIEW / DENSITY_CELLS
    variance = alpha**2 * data.bandwidth**2 + sigma**2 + cell**2
    axis = torch.linspace(cell - STATE_VIEW, STATE_VIEW - cell, DENSITY_CELLS, dtype=torch.float64)
    y, x = torch.meshgrid(axis.flip(0), axis, indexing="ij")
    each = log_normal(torch.stack([x, y], -1)[..., None, :], alpha * data.x0.double(), variance)
    log_p = torch.logsumexp(each, -1)
    log_q = log_p + scale * (torch.logsumexp(each[..., data.labels == 1], -1) - log_p)
    wanted = (log_q - log_q.max()).exp()
    np.testing.assert_allclose(shown(film, "tilted_density", frame, frame + 1)[0], wanted.numpy(), rtol=1e-4, atol=1e-6)


def test_outside_the_interval_the_sharpened_density_is_that_of_the_label():
    inside, plain = guided(scale=6.0, between=(0.55, 0.25))[0], guided(scale=1.0)[0]
    frames = zip(shown(inside, "tilted_density"), shown(plain, "tilted_density"))
    differs = [not np.allclose(one, other) for one, other in frames]
    assert differs == [0.25 <= float(t) <= 0.55 for t in inside.times]


def test_outside_the_interval_a_classifier_does_not_guide_and_the_density_is_that_of_the_data():
    film, conditional, unconditional, _ = guided()
    rows, plain = film.dataset.rows_of("1"), guided(scale=0.0)[0]
    offer_guidance(film, conditional, unconditional, 1.0, (0.55, 0.25), rows, outside=0.0)
    frames = zip(shown(film, "tilted_density"), shown(plain, "tilted_density"))
    differs = [not np.allclose(one, other) for one, other in frames]
    assert differs == [0.25 <= float(t) <= 0.55 for t in film.times]
    assert film.more_charts[-1]() == ()
    shown(film, "guidance_delta")
    assert [series.style for series in film.more_charts[-1]()[0].series] == ["band", "line"]  # a scale of 1 does guide


def test_a_density_is_finite_also_where_points_are_far_away_and_thin():
    film, *_ = guided(scale=9.0)
    film.dataset = Dataset("far", "", "points", film.dataset.x0 * 1e-3 - 1.5, film.dataset.labels, ("l", "r"), 1e-4)
    p = shown(film, "tilted_density")
    assert np.isfinite(p).all() and (p.max((1, 2)) == 1).all()


def test_a_scale_below_0_and_pictures_have_no_sharpened_density():
    assert "tilted_density" not in guided(scale=-1.0)[0].offers
    assert {"tilted_density", "guidance_field"}.isdisjoint(guided("images")[0].offers)


def test_the_chart_is_the_size_of_the_difference_at_the_frames_that_were_looked_at():
    film, conditional, unconditional, _ = guided(between=(0.7, 0.3))
    chart = film.more_charts[0]
    assert chart() == ()
    shown(film, "eps_c", 2, 5)
    (found,) = chart()
    band, curve = found.series
    assert curve.x.tolist() == pytest.approx(film.kept[2:5].tolist())
    for y, k in zip(curve.y, range(2, 5)):
        x_t, t = film.trace["x_t"][k], film.kept[k]
        difference = conditional(x_t, t).eps - unconditional(x_t, t).eps
        assert y == pytest.approx(float(difference.norm(dim=1).mean()) / 2**0.5, rel=1e-4)
    assert (band.style, band.x.tolist(), band.y.max()) == ("band", [0.7, 0.3], curve.y.max())
    assert len(found.cursor) == film.total and found.flip
    shown(film, "guidance_delta")
    assert len(chart()[0].series[-1].x) == film.total
    assert len(guided()[0].more_charts) == 1


def test_without_an_interval_nothing_is_marked_in_the_chart():
    film, *_ = guided()
    shown(film, "eps_u")
    assert [series.style for series in film.more_charts[0]()[0].series] == ["line"]


def test_a_walk_under_way_shows_as_much_as_there_is():
    film, *_ = guided(finished=False)
    assert shown(film, "guidance_delta").shape == (10, 5, 2)


def test_guidance_by_a_classifier_has_the_same_panels():
    film, conditional, _, _ = guided()
    exact = Exact.of(film.dataset, film.schedule)
    unlabelled = condition(exact, None)
    other, *_ = guided()
    offer_guidance(other, classifier_guidance(unlabelled, ExactClassifier(exact), ASKED), unlabelled)
    for key in ("eps_c", "eps_u", "guidance_delta"):
        np.testing.assert_allclose(shown(other, key), shown(film, key), rtol=1e-3, atol=1e-3)
