import math
from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

from core.checkpoints.models import load_pretrained
from core.data.datasets import Dataset, load
from core.denoisers.exact import Exact
from core.metrics.distances import agreement, draw_samples, nearest_distances, sample_quality, sliced_wasserstein
from core.schedules import make_schedule


def normal(n, seed):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_shift_by_d_is_a_sliced_wasserstein_distance_of_d_times_the_mean_of_the_absolute_cosine():
    x = normal(50, 0)
    d = torch.tensor([0.3, 0.4], dtype=torch.float64)
    assert sliced_wasserstein(x, x) == 0
    assert sliced_wasserstein(x, x + d, directions=20_000) == pytest.approx(0.5 * 2 / math.pi, rel=0.02)


def test_sliced_wasserstein_does_not_depend_on_the_order_and_needs_equal_numbers():
    x, y = normal(100, 0), normal(100, 1)
    assert sliced_wasserstein(x.flip(0), y) == pytest.approx(sliced_wasserstein(x, y))
    with pytest.raises(ValueError, match=r"\(100, 2\) and \(99, 2\)"):
        sliced_wasserstein(x, y[1:])


def test_nearest_distances_are_those_of_a_loop_for_any_rank():
    a, b = normal(600, 0).float().reshape(300, 1, 2, 2), normal(40, 1).float().reshape(20, 1, 2, 2)
    expected = torch.tensor([min(float((x - y).square().sum().sqrt()) for y in b) for x in a])
    assert_close(nearest_distances(a, b), expected)


def test_an_outlier_is_farther_than_four_and_a_half_bandwidths_from_every_row():
    rows = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    data = Dataset("two", "Two", "points", rows, bandwidth=0.02, licence="", description="")
    away = torch.tensor([[0.0, 4.4], [0.0, 4.6], [4.6, 0.0], [-4.4, 0.0]]) * data.bandwidth
    figures = sample_quality(SimpleNamespace(labels=0), data, n=8, draw=lambda *_, **__: torch.cat([rows[:1] + away,
                                                                                                  rows[1:] + away]))
    assert figures["outlier_rate"] == 0.5 and figures["nearest"] > 0 and figures["samples"] == 8


def test_samples_of_the_exact_denoiser_are_as_good_as_data():
    data = load("moons")
    exact = Exact(data.x0, make_schedule("cosine"), data.bandwidth)
    figures = sample_quality(exact, data, n=200)
    assert figures["nearest"] < 1.2 * figures["real_nearest"]
    assert figures["sliced_wasserstein"] < 2.5 * figures["real_sliced_wasserstein"] and figures["outlier_rate"] < 0.01


def test_the_same_seed_gives_the_same_samples_and_another_seed_others():
    denoiser, _ = load_pretrained("trex")
    a, b, c = (draw_samples(denoiser, (2,), 8, steps=4, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.allclose(a, c)


def test_a_model_with_labels_is_asked_for_them_as_often_as_they_are_in_the_data_and_it_is_told_whether_it_obeys():
    data, asked = load("gaussians8"), []
    centre = data.labels.argsort()

    def obey(denoiser, shape, n, seed, cond):
        asked.append(cond)
        return data.x0[centre[cond]]

    def defy(denoiser, shape, n, seed, cond):
        return data.x0[centre[(cond + 1) % 8]]

    exact = Exact(data.x0, make_schedule("cosine"), data.bandwidth, data.cond, data.classes)
    figures = sample_quality(exact, data, n=400, draw=obey)
    assert figures["agreement"] == figures["real_agreement"] == 1
    assert (asked[0].bincount(minlength=8) > 25).all()
    assert sample_quality(exact, data, n=400, draw=defy)["agreement"] == 0
    assert sample_quality(exact, data, n=200)["agreement"] == 1  # a walk, told what each sample shall be
    assert "agreement" not in sample_quality(Exact(data.x0, make_schedule("cosine"), data.bandwidth), data, n=20)


def test_agreement_of_rows_with_their_data_is_that_with_their_nearest_neighbour():
    x0, labels = torch.tensor([[0.0, 0], [0.1, 0], [5, 0], [5.1, 0], [5.3, 0]]), torch.tensor([0, 0, 1, 0, 1])
    data = Dataset("five", "", "points", x0, labels, ("a", "b"))
    assert agreement(x0, labels, data) == 1 and agreement(x0, labels, data, skip=1) == pytest.approx(0.4)


def test_a_model_that_repeats_its_pictures_is_seen_to():
    g = torch.Generator().manual_seed(0)
    pictures = torch.rand(60, 1, 8, 8, generator=g) * 2 - 1
    data = Dataset("noise", "", "images", pictures[:40], held_out=pictures[40:])
    assert sample_quality(Exact(data.x0, make_schedule("cosine")), data)["nearest_ratio"] < 0.05
    assert sample_quality(Exact(data.held_out, make_schedule("cosine")), data)["nearest_ratio"] > 0.9


def test_pictures_without_any_held_out_have_no_figures():
    data = Dataset("few", "", "images", torch.zeros(2, 1, 8, 8))
    assert sample_quality(Exact(data.x0, make_schedule("cosine")), data) == {}
