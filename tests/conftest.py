"""What all tests share: one thread, a seeded generator, every schedule, and small denoisers to walk with."""

from __future__ import annotations

import gc
import os
import random
import socket
from contextlib import suppress
from functools import partial

import pytest

# ruff: noqa: E402
# What is imported is there to stay: to look through it for garbage takes a tenth of the time.
gc.disable()

import torch
from torch import nn

import dashboard  # noqa: F401  before Gradio, which then writes no stubs
from core.denoisers.base import Denoiser
from core.denoisers.exact import Exact
from core.metrics.distances import draw_samples
from core.prediction import Prediction
from core.runs import trainings
from core.schedules import SCHEDULES, make_schedule
from core.training import trainer
from core.views import trace as trace_view
from core.zoo import roles

# No test keeps anything in the folder of whoever runs it, and none asks Gradio's makers for its newest version.
os.environ["NOISESCOPE_KEEP"] = ""
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

# Tests are small: threads would only wait for each other. `make sweep` takes more, as a machine might.
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))

# So are their trainings, most of which take fewer steps than the 2,000 that are drawn at once.
trainer.BULK = 2**13


def pytest_collection_modifyitems(items):
    """The tests of the page come last: as long as Playwright is there, its event loop runs in this thread, and no
    other test could start one of its own."""
    items.sort(key=lambda item: item.path.parent.name == "browser")


def pytest_collection_finish():
    """What was loaded by now stays to the end, so no look for garbage need go over it; and looks are rarer, as what
    tests leave behind is little."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


@pytest.fixture(scope="module")
def short_previews():
    """A preview of a training is a walk in two steps as in twenty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainings, "PREVIEW_STEPS", 2)
        yield


@pytest.fixture(scope="module")
def cards_of_few_samples():
    """What a card measures is tested with the measures, and takes longer than a little training."""
    def few(model, dataset, draw, measure=roles.sample_quality):
        return measure(model, dataset, n=50, draw=partial(draw, steps=2) if draw is draw_samples else draw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roles, "sample_quality", few)
        yield


@pytest.fixture
def coarse_density(monkeypatch):
    """The panel of a model's density is held to that of its flow in tests/test_views.py, and takes longer than all
    others together."""
    monkeypatch.setattr(trace_view, "density_grid", partial(trace_view.density_grid, steps=1))


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on: two servers that look for one at once may find the same.

    It is none of those that a system gives to whoever connects: one of these can be taken at any time.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(params=[name for name in SCHEDULES if name not in ("unscaled", "reversed")])  # the betas of "linear"
def schedule(request):
    return make_schedule(request.param)


class SmallNetwork(nn.Module):
    """Fixed random weights, float64, samples of any shape: it talks nonsense, and the same nonsense each time."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        g = torch.Generator().manual_seed(7)
        size = torch.Size(shape).numel()
        self.register_buffer("first", torch.randn(size + 2, 16, generator=g, dtype=torch.float64) / (size + 2) ** 0.5)
        self.register_buffer("last", torch.randn(16, size, generator=g, dtype=torch.float64) / 4)

    def forward(self, x, t, noise_level, cond):
        told = torch.cat([x.flatten(1), t[:, None], noise_level[:, None]], 1)
        return (torch.tanh(told @ self.first) @ self.last).reshape(x.shape)


@pytest.fixture
def small_denoiser():
    """(schedule, target, shape of a sample) → a Denoiser in float64."""
    return lambda schedule, target="eps", shape=(2,): Denoiser(SmallNetwork(shape), schedule, target)


@pytest.fixture
def gaussian():
    """(schedule, c) → the exact denoiser of N(0, c²·I) in two dimensions."""
    return lambda schedule, c: Exact(torch.zeros(1, 2, dtype=torch.float64), schedule, bandwidth=c)


@pytest.fixture
def bell():
    """(schedule, c) → the same in closed form, for those who ask it often: it takes a fifth of the time."""

    def make(schedule, c):
        def denoise(x_t, t):
            alpha, sigma = schedule.at(t)
            variance = alpha**2 * c**2 + sigma**2
            return Prediction(alpha * c**2 / variance * x_t, sigma / variance * x_t, *x_t.new_tensor([alpha, sigma]))

        return denoise

    return make
