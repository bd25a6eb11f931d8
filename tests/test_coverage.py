"""How much of the data samples cover."""

from __future__ import annotations

import math

import pytest
import torch

from core.data.datasets import Dataset, load, names
from core.metrics.coverage import FEWEST, NEAR, QUARTER, SMALLEST, Modes

EIGHT = load("gaussians8")


def around(rows, n, generator, bandwidth=EIGHT.bandwidth):
    """n samples of a mixture of these rows alone."""
    return Dataset("some", "", "points", rows, bandwidth=bandwidth).draw(n, generator)[0]


def test_every_one_of_eight_centres_is_a_mode_of_an_eighth():
    modes = Modes.of(EIGHT)
    assert modes.count == 8 and modes.word == "modes" and sorted(modes.of_row.tolist()) == list(range(8))
    torch.testing.assert_close(modes.fair, torch.full((8,), 1 / 8, dtype=torch.float64))


def test_exact_samples_cover_all_modes_and_are_good_as_often_as_a_normal_says(generator):
    n = 20_000
    coverage = Modes.of(EIGHT).look(EIGHT.draw(n, generator)[0])
    share = 1 - math.exp(-(NEAR**2) / 2)
    assert coverage.covered == coverage.count == 8
    assert abs(coverage.good - share) < 4 * math.sqrt(share * (1 - share) / n)
    torch.testing.assert_close(coverage.shares, torch.full((8,), share / 8, dtype=torch.float64), atol=0.01, rtol=0)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_samples_of_some_centres_cover_as_many(k, generator):
    coverage = Modes.of(EIGHT).look(around(EIGHT.x0[:k], 600, generator))
    assert coverage.covered == k and coverage.good > 0.97 and int((coverage.shares > 0).sum()) == k


def test_between_the_modes_nothing_is_good(generator):
    coverage = Modes.of(EIGHT).look(around(torch.zeros(1, 2), 600, generator))
    assert (coverage.covered, coverage.good) == (0, 0.0)


@pytest.mark.parametrize("of_fair, covered", [(0.8 * QUARTER, 7), (1.25 * QUARTER, 8)])
def test_a_mode_needs_a_quarter_of_its_fair_share(of_fair, covered):
    n = 8000
    few = round(n * of_fair / 8)
    samples = torch.cat([EIGHT.x0[:1].repeat(few, 1), EIGHT.x0[1:].repeat_interleave((n - few) // 7 + 1, 0)])[:n]
    assert Modes.of(EIGHT).look(samples).covered == covered


@pytest.mark.parametrize("name", names("points"))
def test_of_every_shape_exact_samples_cover_all_parts(name, generator):
    data = load(name)
    modes = Modes.of(data)
    assert modes.count in (8, 16) and float(modes.fair.sum()) == pytest.approx(1) and modes.fair.min() >= SMALLEST
    coverage = modes.look(data.draw(max(600, modes.least), generator)[0])
    assert coverage.covered == modes.count and coverage.good > 0.97


def test_a_curve_is_cut_into_parts_of_equal_weight_that_half_of_it_covers_by_half():
    heart = load("heart")
    modes = Modes.of(heart)
    assert modes.word == "parts" and modes.count == 16
    torch.testing.assert_close(modes.fair, torch.full((16,), 1 / 16, dtype=torch.float64))
    assert modes.look(heart.x0[heart.x0[:, 0] < 0]).covered == 8


def test_a_row_given_often_counts_as_often_and_rare_ones_are_no_modes_of_their_own():
    rows = torch.tensor([[0.0, 0.0]] * 3 + [[1.0, 0.0]])
    modes = Modes.of(Dataset("uneven", "", "points", rows, bandwidth=0.1))
    assert sorted(modes.fair.tolist()) == [0.25, 0.75] and modes.least == 4 * FEWEST
    rare = Modes.of(Dataset("rare", "", "points", torch.tensor([[0.0, 0.0]] * 999 + [[1.0, 0.0]]), bandwidth=0.1))
    assert rare.count == 1 and rare.fair.tolist() == [1.0]


def test_what_cannot_be_counted_is_refused(generator):
    modes = Modes.of(EIGHT)
    with pytest.raises(ValueError, match="n = 128 or more"):
        modes.look(torch.zeros(127, 2))
    with pytest.raises(ValueError, match="NaN or infinite"):
        modes.look(torch.full((600, 2), math.nan))
    with pytest.raises(ValueError, match="holds images"):
        Modes.of(load("digits8"))
    with pytest.raises(ValueError, match="bandwidth of 0"):
        Modes.of(Dataset("bare", "", "points", torch.zeros(2, 2)))
