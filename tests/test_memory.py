"""What is a copy and what is new, and which models remember."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core import __main__ as cli
from core.checkpoints import load_checkpoint
from core.datasets import Dataset, load, save_dataset
from core.denoisers.exact import Exact
from core.memory import COPY, copied, copies, distinct, memory_card, memory_figures, nearest_rows, share
from core.metrics import draw_samples
from core.schedules import make_schedule


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits8")


def exact_samples(data: Dataset, n: int) -> torch.Tensor:
    return draw_samples(Exact(data.x0, make_schedule("cosine"), data.bandwidth), data.shape, n, steps=12)


# The first rows of a data set

def test_the_first_rows_are_those_with_their_labels_and_nothing_else_changes():
    faces = load("faces16")
    few = faces.first(7)
    assert len(few) == 7 and torch.equal(few.x0, faces.x0[:7]) and torch.equal(few.labels, faces.labels[:7])
    (hair, names), (all_hair, all_names) = few.extra["hair"], faces.extra["hair"]
    assert torch.equal(hair, all_hair[:7]) and names == all_names
    assert torch.equal(few.held_out, faces.held_out) and few.name == faces.name
    assert few.title == "Faces 16×16, 7 of 4,536"


def test_other_rows_are_other_data(digits):
    assert len({digits.hash, digits.first(8).hash, digits.first(9).hash}) == 3
    assert digits.first(8).std == pytest.approx(float(digits.x0[:8].std(correction=0)), rel=1e-6) != digits.std


def test_all_rows_are_the_data_set_itself(digits):
    assert digits.first(len(digits)) is digits


@pytest.mark.parametrize("n", [0, -1, 1619])
def test_rows_that_there_are_not_cannot_be_taken(digits, n):
    with pytest.raises(ValueError, match=f"first {n} rows.*1 to 1618"):
        digits.first(n)


# Nearest rows and copies

def test_nearest_rows_are_those_that_a_search_by_hand_finds(generator):
    rows, samples = torch.randn(700, 3, 2, generator=generator), torch.randn(300, 3, 2, generator=generator)
    by_hand = (samples.flatten(1)[:, None] - rows.flatten(1)).norm(dim=2)
    distances, indices = nearest_rows(samples, rows, 3)
    torch.testing.assert_close(distances, by_hand.sort(1)[0][:, :3])
    assert torch.equal(indices, by_hand.sort(1)[1][:, :3])


def test_small_distances_between_large_numbers_are_not_lost(generator):
    rows = 1000 + torch.randn(50, 8, generator=generator).round(decimals=2)
    distances, indices = nearest_rows(rows + 1 / 64, rows)
    assert torch.equal(indices[:, 0], torch.arange(50))
    torch.testing.assert_close(distances[:, 0], torch.full((50,), math.sqrt(8) / 64), rtol=0.02, atol=0)


@pytest.mark.parametrize("count", [0, 4])
def test_more_neighbours_than_rows_are_refused(count):
    with pytest.raises(ValueError, match=f"the {count} nearest of 3 rows"):
        nearest_rows(torch.zeros(1, 2), torch.zeros(3, 2), count)


def test_a_copy_is_nearer_to_one_row_than_a_third_of_the_way_to_the_next():
    rows = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    just, not_quite = 4 * COPY / (1 + COPY) - 1e-3, 4 * COPY / (1 + COPY) + 1e-3
    samples = torch.tensor([[0.0, 0.0], [just, 0.0], [not_quite, 0.0], [2.0, 5.0]])
    assert copied(samples, rows).tolist() == [True, True, False, False]


def test_a_row_that_is_there_twice_does_not_hide_its_copies():
    rows = torch.tensor([[0.0, 0.0], [0.0, 0.0], [4.0, 0.0]])
    assert len(distinct(rows)) == 2
    assert copies(torch.tensor([[0.1, 0.0]]), rows).value == 1


def test_copies_of_a_single_row_cannot_be_told():
    with pytest.raises(ValueError, match="there are 1; take 2 or more"):
        copies(torch.zeros(4, 2), torch.ones(5, 2))


def test_in_the_plane_one_in_nine_is_called_a_copy_by_chance(generator):
    rows, samples = torch.rand(6_000, 2, generator=generator), torch.rand(4_000, 2, generator=generator)
    found = copies(samples, rows)
    assert abs(found.value - COPY**2) < 4 * found.error


def test_the_error_of_a_share_is_that_of_independent_samples_and_never_none(generator):
    half = share(torch.rand(4000, generator=generator) < 0.5)
    assert half.error == pytest.approx(math.sqrt(0.25 / 4000), rel=0.01)
    assert 0 < share(torch.ones(20, dtype=torch.bool)).error < 0.1
    with pytest.raises(ValueError, match="no samples"):
        share(torch.ones(0, dtype=torch.bool))


# Who remembers

@pytest.mark.parametrize("rows", [4, 64, 1618])
def test_the_exact_denoiser_gives_its_rows_back(digits, rows):
    data = digits.first(rows)
    samples = exact_samples(data, 32)
    assert copies(samples, data.x0).value == 1
    assert nearest_rows(samples, data.x0)[0].max() < 0.02


def test_digits_never_seen_are_no_copies(digits):
    assert copies(digits.held_out, digits.x0).value == 0


def test_figures_of_copies_and_of_new_digits_differ_as_they_should(digits):
    few = digits.first(4)
    drawn = few.draw(128, torch.Generator().manual_seed(0))[0]
    learned, unseen = memory_figures(drawn, few), memory_figures(digits.x0[-128:], few)
    assert learned["copies"] == 1 and unseen["copies"] == 0
    assert learned["sliced_wasserstein"] > 1.5 * unseen["sliced_wasserstein"] > 0


def test_the_card_holds_a_model_against_the_exact_denoiser(digits, generator):
    data = Dataset("some", "", "images", digits.x0[:6], held_out=digits.held_out[:20])
    denoiser = Exact(digits.x0[100:110], make_schedule("cosine"))
    card = memory_card(denoiser, data)
    assert card["samples"] == 20 and card["exact"]["copies"] == 1 and card["network"]["copies"] == card["unseen"] == 0
    assert memory_card(denoiser, data.first(6).first(3)).keys() == card.keys()


def test_without_held_out_data_there_is_nothing_to_hold_a_model_against():
    assert memory_card(None, load("moons").first(8)) == {}


# On the command line

def test_a_model_is_trained_on_the_first_rows_and_its_card_says_what_it_remembers(tmp_path, digits):
    path = tmp_path / "few.safetensors"
    few = Dataset("some", "", "images", digits.x0[:9], held_out=digits.held_out[:16])
    words = ["--rows", "5", "--set", "width=8", "--set", "depth=1", "--steps", "2", "--save", str(path)]
    assert cli.main(["train", "--data", str(save_dataset(few, tmp_path / "some.npz")), *words]) == 0
    denoiser, card = load_checkpoint(path)
    assert (card["data"], card["data_hash"]) == ("some", few.first(5).hash)
    assert (card["role"], card["rows"], denoiser.sigma_data) == ("rows5", 5, few.first(5).std)
    assert card["memory"]["exact"]["copies"] == 1 and card["memory"]["network"]["copies"] == 0


def test_the_exact_denoiser_of_the_first_rows_draws_those(tmp_path, digits):
    path = tmp_path / "drawn.npz"
    words = ["sample", "--model", "exact", "--data", "digits8", "--rows", "3", "--n", "8", "--steps", "40"]
    assert cli.main([*words, "--out", str(path)]) == 0
    drawn = torch.from_numpy(np.load(path)["x0"])
    assert nearest_rows(drawn, digits.x0[:3])[0].max() < 0.05


@pytest.mark.parametrize("words", [
    ("--data", "digits8", "--rows", "1619"),
    ("--rows", "9"),
])
def test_rows_that_there_are_not_and_rows_of_nothing_are_told(tmp_path, capsys, words):
    out = tmp_path / "x.npz"
    assert cli.main(["sample", "--model", "exact", *words, "--out", str(out)]) == 2
    assert "rows" in capsys.readouterr().err and not out.exists()
