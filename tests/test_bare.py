"""A trace that shows itself, of which no schedule is known: states larger than the view are shown by their own size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.prediction import Prediction
from core.reverse import Step
from core.trace import Trace
from core.views.bare import bare_scene
from core.views.base import STATE_VIEW

SHAPES = {"points": (50, 2), "images": (6, 3, 4, 4)}


def walk_of_sizes(shape: tuple[int, ...], sizes: list[float]) -> tuple[Trace, np.ndarray]:
    """(a trace whose states have these root mean squares, the last of them where it arrives; the states as panels)."""
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(shape, generator=generator) for _ in sizes]
    states = [size * x / x.square().mean().sqrt() for size, x in zip(sizes, rows)]
    t = torch.linspace(1, 0, len(sizes), dtype=torch.float64)
    trace = Trace.record(
        Step(k, t[k], t[k + 1], states[k], Prediction(rows[k], rows[k], 1 - t[k], t[k]), states[k + 1], torch.zeros(()),
             rows[k])
        for k in range(len(sizes) - 1))
    seen = torch.stack(states)
    return trace, (seen if seen.ndim == 3 else seen.permute(0, 1, 3, 4, 2)).numpy()


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


def test_states_that_fit_the_view_are_shown_as_they_are(shape):
    trace, states = walk_of_sizes(shape, [1.8, 1.0, 0.4])
    panel = bare_scene(trace).panel("x_t")
    np.testing.assert_array_equal(panel.data, states)
    assert panel.caption == ""


def test_states_larger_than_the_view_are_shown_frame_by_frame_over_their_size_and_the_caption_says_so(shape):
    trace, states = walk_of_sizes(shape, [80.0, 3.0, 1.4, 0.5])
    panel = bare_scene(trace).panel("x_t")
    for k, size in enumerate([80.0, 3.0, 1.4, 1.0]):  # a frame below 1 stays as it is
        np.testing.assert_allclose(panel.data[k], states[k] / size, rtol=1e-4, atol=1e-5)
    assert panel.caption == ("±1.9 · ÷max(1, rms)" if len(shape) == 2 else "±1 · ÷max(1, rms)")


def test_guesses_are_shown_as_they_are_whatever_the_states_are(shape):
    trace, _ = walk_of_sizes(shape, [80.0, 3.0, 0.5])
    panel, small = bare_scene(trace).panel("x0"), bare_scene(walk_of_sizes(shape, [1.0, 1.0, 0.5])[0]).panel("x0")
    np.testing.assert_array_equal(panel.data, small.data)
    assert panel.caption == ""


def test_a_value_that_is_no_number_leaves_the_others_where_they_are():
    trace, states = walk_of_sizes((50, 2), [80.0, 1.0])
    trace.final[0] = torch.tensor([torch.nan, torch.inf])
    data = bare_scene(trace).panel("x_t").data
    assert not np.isfinite(data[-1, 0]).any()
    np.testing.assert_allclose(data[-1, 1:], states[-1, 1:], rtol=0.1)
    assert np.abs(data[0]).max() < 2.5 * STATE_VIEW
