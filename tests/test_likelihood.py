"""The model's log-density against closed forms, and as what it claims to be: a density, of the order it claims."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from core.checkpoints.models import load_pretrained
from core.data.datasets import load
from core.denoisers.exact import Exact
from core.denoisers.wrappers import clip_x0
from core.metrics.distances import draw_samples
from core.metrics.likelihood import density_grid, log_density
from core.schedules import make_schedule
from tests.sweep import few


def scalar(t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=torch.float64)


def noised(points, schedule, t, n, generator, bandwidth=0.0):
    """n draws of x_t, float64."""
    rows = points[torch.randint(len(points), (n,), generator=generator)].double()
    alpha, sigma = schedule.at(t)
    eps = torch.randn(rows.shape, generator=generator, dtype=torch.float64)
    return alpha * rows + math.hypot(alpha * bandwidth, sigma) * eps


def lattice(view, cells):
    """Cell centres of [−view, view]² and a cell's area."""
    axis = torch.linspace(-1, 1, cells) * view * (1 - 1 / cells)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1), (2 * view / cells) ** 2


@pytest.mark.parametrize("t, steps", [(None, 16), (0.2, 8), (0.9, 2)])
def test_of_one_gaussian_it_is_the_closed_form(schedule, bell, t, steps, generator):
    c = 0.4
    alpha, sigma = schedule.at(t or 1 / schedule.T)
    variance = alpha**2 * c**2 + sigma**2
    x = 1.5 * math.sqrt(variance) * torch.randn(50, 2, generator=generator, dtype=torch.float64)
    wanted = -(x**2).sum(1) / (2 * variance) - math.log(2 * math.pi * variance)
    assert_close(log_density(bell(schedule, c), schedule, x, t, steps), wanted, atol=1e-3, rtol=0)


@pytest.mark.parametrize("t, steps", [(0.05, 30), (0.6, 4)])
@pytest.mark.parametrize("name", ["linear", "flow", "ve"])
def test_of_a_mixture_it_is_the_exact_log_density(name, t, steps, generator):
    schedule = make_schedule(name)
    points = torch.tensor([[0.0, 0.8], [-0.7, -0.5], [0.7, -0.3]], dtype=torch.float64)
    exact = Exact(points, schedule, 0.1)
    x = noised(points, schedule, t, 60, generator, 0.1)
    got = log_density(exact, schedule, x, t, steps)
    # What the linear schedule leaves of the data at t = 1, a walk from pure noise does not know: see the module.
    left = schedule.at(1.0)[0] * 0.8 * 3.5 / schedule.at(1.0)[1]
    assert_close(got, exact.log_density(x, scalar(t)), atol=1e-3 + left, rtol=0)


def test_its_order_of_convergence_is_four(schedule, bell, generator):
    # The Gaussian's own ODE in closed form: z is stretched by the quotient of its standard deviations.
    c, t = 0.3, 0.02
    x = 0.3 * torch.randn(20, 2, generator=generator, dtype=torch.float64)
    (alpha, sigma), (alpha_1, sigma_1) = schedule.at(t), schedule.at(1.0)
    stretch = math.hypot(alpha_1 * c, sigma_1) / math.hypot(alpha * c, sigma)
    truth = -((stretch * x / sigma_1) ** 2).sum(1) / 2 - 2 * math.log(sigma_1 * math.sqrt(2 * math.pi) / stretch)
    coarse, fine = ((log_density(bell(schedule, c), schedule, x, t, n) - truth).abs().mean() for n in (6, 12))
    assert 3.7 < math.log2(coarse / fine) < 4.5


@pytest.mark.parametrize("name", few(("cosine", "linear", "sigmoid", "flow", "ve", "zero_snr"), "linear", "flow", "ve"))
def test_the_exact_denoisers_density_integrates_to_one(name):
    data, schedule = load("gaussians8"), make_schedule(name)
    x, area = lattice(1.3, 40)
    total = log_density(Exact(data.x0, schedule, data.bandwidth), schedule, x, steps=12).double().exp().sum() * area
    assert abs(total - 1) < 0.02


@pytest.mark.parametrize("name", few(("cosine", "linear", "sigmoid", "flow", "ve", "zero_snr"), "cosine", "flow", "ve"))
def test_any_networks_density_integrates_to_one(name, small_denoiser):
    # Whatever it says: its flow moves probability, and makes and loses none.
    schedule = make_schedule(name)
    x, area = lattice(5.0, 40)
    total = log_density(small_denoiser(schedule, "velocity"), schedule, x.double(), 0.2, steps=8).exp().sum() * area
    assert abs(total - 1) < 1e-3


def test_a_trained_models_density_integrates_to_one():
    # A network's density is finer than its noise, so this takes 64 × 64 cells even where the noise is 5 cells wide.
    denoiser, _ = load_pretrained("moons")
    x, area = lattice(1.3, 64)
    total = log_density(denoiser, denoiser.schedule, x, 0.15, steps=4).double().exp().sum() * area
    assert abs(total - 1) < 0.02


def test_as_many_samples_lie_where_the_model_says():
    denoiser, _ = load_pretrained("moons")
    grid = density_grid(denoiser, denoiser.schedule, 1.2, 40, 8)
    blocks = grid.reshape(8, 5, 8, 5).sum((1, 3)) * (2.4 / 40) ** 2
    n = 3000
    x = draw_samples(denoiser, (2,), n)
    column, row = (((x[:, 0] + 1.2) / 0.3).floor().long(), ((1.2 - x[:, 1]) / 0.3).floor().long())
    inside = (column.clamp(0, 7) == column) & (row.clamp(0, 7) == row)
    shares = torch.zeros(8, 8).index_put_((row[inside], column[inside]), torch.tensor(1.0), accumulate=True) / n
    # Samples vary by √(p/n), at most 0.006 here; the density is blurred by half a cell, and taken at its centres.
    assert (shares - blocks).abs().max() < 0.02
    assert shares.max() > 0.06


def test_a_model_asked_through_a_wrapper_has_a_density_too(gaussian, generator):
    schedule, x = make_schedule("cosine"), 0.1 * torch.randn(4, 2, generator=generator, dtype=torch.float64)
    denoise = gaussian(schedule, 0.1)
    # Nothing is clipped this far inside, so the density is the same.
    clipped = log_density(clip_x0(denoise, "static", 50.0), schedule, x, 0.1, 4)
    assert_close(clipped, log_density(denoise, schedule, x, 0.1, 4))


def test_no_gradients_are_left_behind(small_denoiser):
    denoiser = small_denoiser(make_schedule("flow"))
    denoiser.network.first.requires_grad_()
    x = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    assert not density_grid(denoiser.float(), denoiser.schedule, 1.0, 4, 2).requires_grad
    assert log_density(denoiser.double(), denoiser.schedule, x.detach(), steps=2).dtype == torch.float64


def test_the_grids_first_row_is_the_top_and_its_density_that_of_a_blurred_point():
    schedule, cells, view = make_schedule("cosine"), 32, 1.0
    grid = density_grid(Exact(torch.tensor([[-0.5, 0.5]]), schedule), schedule, view, cells, 12)
    assert grid.shape == (cells, cells)
    row, column = divmod(int(grid.argmax()), cells)
    assert (row, column) in {(7, 7), (7, 8), (8, 7), (8, 8)}  # upper left, at a corner of four cells
    axis = torch.linspace(-1, 1, cells) * view * (1 - 1 / cells)
    width = view / cells
    wanted = torch.exp(-((axis[None] + 0.5) ** 2 + (axis.flip(0)[:, None] - 0.5) ** 2) / (2 * width**2))
    assert_close(grid, wanted / (2 * math.pi * width**2), rtol=0.03, atol=0.1)
    assert abs(grid.sum() * (2 * view / cells) ** 2 - 1) < 0.03


@pytest.mark.parametrize("change, says", [
    ({"x_t": torch.zeros(2, 1, 8, 8)}, r"\(2, 1, 8, 8\)"), ({"t": 0.0}, "0.0.*1/T = 0.001"), ({"t": 1.0}, "1.0"),
    ({"steps": 0}, "0 steps"),
])  # fmt: skip
def test_what_has_no_density_is_named(gaussian, change, says):
    schedule = make_schedule("cosine")
    with pytest.raises(ValueError, match=says):
        log_density(**{"denoise": gaussian(schedule, 1.0), "schedule": schedule, "x_t": torch.zeros(2, 2)} | change)


@pytest.mark.parametrize("view, cells", [(0.0, 64), (-1.0, 64), (1.0, 1)])
def test_a_grid_that_cannot_be_is_named(gaussian, view, cells):
    schedule = make_schedule("cosine")
    with pytest.raises(ValueError, match=f"half-width {view} in {cells}"):
        density_grid(gaussian(schedule, 1.0), schedule, view, cells)
