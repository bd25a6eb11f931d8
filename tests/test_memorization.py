"""What is a copy and what is new, and which models remember."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from core.checkpoints.models import load_checkpoint, load_pretrained, pretrained
from core.cli import parser as cli
from core.data.datasets import Dataset, load, save_dataset
from core.denoisers.exact import Exact
from core.metrics.distances import draw_samples, nearest_rows
from core.metrics.memorization import (
    COPY, LEVEL, copied, memorization_rate, distinct, guess_errors, memorization_card, memorization_figures, share,
)
from core.prediction import Prediction
from core.reverse import start_noise, walk
from core.samplers import ddim
from core.schedules import make_schedule
from core.trace import Trace
from core.views import TraceView
from core.views.nearest import memorization_cards, memory_charts, offer_nearest


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
    torch.testing.assert_close(by_hand.gather(1, indices), distances)


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
    assert memorization_rate(torch.tensor([[0.1, 0.0]]), rows).value == 1


def test_copies_of_a_single_row_cannot_be_told():
    with pytest.raises(ValueError, match="there are 1; take 2 or more"):
        memorization_rate(torch.zeros(4, 2), torch.ones(5, 2))


def test_in_the_plane_one_in_nine_is_called_a_copy_by_chance(generator):
    rows, samples = torch.rand(6_000, 2, generator=generator), torch.rand(4_000, 2, generator=generator)
    found = memorization_rate(samples, rows)
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
    assert memorization_rate(samples, data.x0).value == 1
    assert nearest_rows(samples, data.x0)[0].max() < 0.02


def test_digits_never_seen_are_no_copies(digits):
    assert memorization_rate(digits.held_out, digits.x0).value == 0


def test_figures_of_copies_and_of_new_digits_differ_as_they_should(digits):
    few = digits.first(4)
    drawn = few.draw(128, torch.Generator().manual_seed(0))[0]
    learned, unseen = memorization_figures(drawn, few), memorization_figures(digits.x0[-128:], few)
    assert learned["rate"] == 1 and unseen["rate"] == 0
    assert learned["sliced_wasserstein"] > 1.5 * unseen["sliced_wasserstein"] > 0


def test_the_card_holds_a_model_against_the_exact_denoiser(digits, generator):
    data = Dataset("some", "", "images", digits.x0[:6], held_out=digits.held_out[:20])
    denoiser = Exact(digits.x0[100:110], make_schedule("cosine"))
    card = memorization_card(denoiser, data)
    assert card["samples"] == 20 and card["exact"]["rate"] == 1
    assert card["network"]["rate"] == card["unseen_rate"] == 0


def test_an_exact_denoiser_guesses_its_own_rows_and_not_others(digits):
    few, many = (digits.first(n) for n in (8, 800))
    of_few, of_many = (guess_errors(Exact(data.x0, make_schedule("cosine")), data, 100) for data in (few, many))
    assert of_few["seen"] < 1e-3 < of_many["seen"] < 0.1 * of_many["unseen"] < 0.1 * of_few["unseen"]


def test_guesses_of_the_mean_are_wrong_by_the_variance(digits):
    class Mean:
        schedule = make_schedule("linear")

        def __call__(self, x_t, t):
            alpha, sigma = (a.to(x_t) for a in self.schedule(t))
            assert float(sigma / alpha) == pytest.approx(LEVEL, rel=0.01)
            return Prediction.from_x0(digits.x0.mean(0).expand_as(x_t), x_t, alpha, sigma)

    errors = guess_errors(Mean(), digits, 179)
    spread = float((digits.held_out[:179] - digits.x0.mean(0)).square().mean())
    assert errors["unseen"] == pytest.approx(spread, abs=1e-5) and errors["seen"] == pytest.approx(spread, rel=0.1)


def test_without_held_out_data_there_is_nothing_to_hold_a_model_against():
    assert memorization_card(None, load("moons").first(8)) == {}


# At the playhead

def film_of(data: Dataset, denoise=None, n: int = 6, steps: int = 12) -> TraceView:
    schedule, g = make_schedule("cosine"), torch.Generator().manual_seed(0)
    times, trace = schedule.times(steps, "log_snr"), Trace()
    film = TraceView(trace, times, data, schedule, denoise or Exact(data.x0, schedule, data.bandwidth), ddim(schedule))
    start = start_noise(schedule, (n, *data.shape), times[0], g)
    for step in walk(film.denoise, ddim(schedule), start, times, g):
        trace.add(step)
    film.finish()
    offer_nearest(film)
    return film


def charts(film: TraceView):
    return film.more_charts[0]()


def test_the_panel_shows_the_training_picture_nearest_to_each_guess(digits):
    data = digits.first(20)
    film = film_of(data)
    panel = film.scene(("nearest",)).panel("nearest")
    assert panel.data.shape == (13, 6, 8, 8, 1) and panel.caption == "of 20"
    for k in (0, 6, 11):
        guess = film.trace["x0"][k].flatten(1)
        nearest = data.x0[torch.cdist(guess, data.x0.flatten(1)).argmin(1)]
        assert np.array_equal(panel.data[k, ..., 0], nearest[:, 0])
    assert np.array_equal(panel.data[-1], panel.data[-2])


def test_a_part_of_the_film_asks_for_no_more_than_that_part(digits):
    film = film_of(digits.first(20))
    assert charts(film) == ()
    part = film.scene(("nearest",), 3, 6).panel("nearest")
    over_t = charts(film)[0]
    assert over_t.series[0].x.tolist() == film.kept[3:6].tolist()
    assert np.array_equal(part.data, film.scene(("nearest",)).panel("nearest").data[3:6])


def test_the_exact_denoisers_guesses_end_as_copies_and_stay_with_their_picture(digits):
    film = film_of(digits.first(20))
    film.scene(("nearest",))
    copied_share, found = (series.y for series in charts(film)[0].series)
    assert copied_share[0] == 0 and copied_share[-1] == found[-1] == 1
    assert (np.diff(found) >= 0).all() and found[0] < 1


def test_of_points_the_chart_says_since_when_they_know_their_row_and_calls_nothing_a_copy():
    film = film_of(load("moons").first(9), n=40)
    panel = film.scene(("nearest",)).panel("nearest")
    assert panel.kind == "points" and panel.data.shape == (13, 40, 2)
    (chart,) = charts(film)
    assert [series.label for series in chart.series] == ["found"]


def test_one_row_alone_is_nearest_to_all_and_nothing_is_called_a_copy(digits):
    film = film_of(digits.first(1))
    panel = film.scene(("nearest",)).panel("nearest")
    assert (panel.data == digits.x0[0].numpy()[0, :, :, None]).all()
    assert [series.label for series in charts(film)[0].series] == ["found"]


def test_the_chart_over_rows_has_the_cards_figures_and_a_dot_for_this_walk(digits):
    cards = memorization_cards("digits8")
    film = film_of(digits.first(16))
    film.scene(("nearest",))
    _, over_rows, errors = charts(film)
    assert [chart.title for chart in film.scene(()).charts[-3:]] == [chart.title for chart in charts(film)]
    exact, network, here = over_rows.series
    assert network.x.tolist() == [math.log2(n) for n in cards] == errors.series[0].x.tolist()
    assert errors.series[1].y.tolist() == [card["network"]["unseen"] for card in cards.values()]
    assert network.y.tolist() == [card["network"]["rate"] for card in cards.values()]
    assert exact.y.tolist() == [1] * len(cards)
    assert (here.style, here.x.tolist(), here.y.tolist()) == ("dots", [4], [1])


def test_there_is_no_chart_over_rows_for_data_without_such_models():
    assert memorization_cards("faces16") == {}
    assert memory_charts("faces16", (9, share(torch.ones(3, dtype=torch.bool)))) == ()


# The shipped models

def test_from_few_rows_the_network_gives_copies_and_from_many_it_draws_anew():
    cards = memorization_cards("digits8")
    few, many = (cards[n]["network"] for n in (4, len(load("digits8"))))
    assert few["rate"] > 0.95 and many["rate"] < 0.02
    shares = [card["network"]["rate"] for card in cards.values()]
    assert all(b <= a + 0.05 for a, b in zip(shares, shares[1:]))
    assert few["sliced_wasserstein"] > 2 * many["sliced_wasserstein"]
    assert all(card["exact"]["rate"] == 1 and card["unseen_rate"] < 0.02 for card in cards.values())


def test_a_network_of_many_rows_guesses_unseen_pictures_as_well_as_its_own_and_better_than_the_exact_denoiser():
    cards = memorization_cards("digits8")
    few, many = (cards[n] for n in (4, len(load("digits8"))))
    assert few["network"]["unseen"] > 50 * few["network"]["seen"]
    assert many["network"]["unseen"] < 1.2 * many["network"]["seen"]
    assert many["network"]["unseen"] < 0.8 * many["exact"]["unseen"]


def test_the_networks_of_the_series_differ_in_nothing_but_their_rows():
    of = [card for card in pretrained().values() if "memorization" in card and card["data"] == "digits8"]
    same = {json.dumps([card[name] for name in ("architecture", "training", "schedule", "prediction_type")])
            for card in of}
    assert len(same) == 1 and len({card["train_size"] for card in of}) == len(of) >= 5


@pytest.mark.parametrize("rows", [16, 1618])
def test_what_the_card_says_of_memory_is_what_the_model_does(digits, rows):
    denoiser, card = load_pretrained(f"digits8-rows{rows}")
    samples = draw_samples(denoiser, digits.shape, 24, seed=1)
    found = memorization_rate(samples, digits.x0[:rows])
    assert abs(found.value - card["memorization"]["network"]["rate"]) < 4 * found.error


# On the command line

def test_a_model_is_trained_on_the_first_rows_and_its_card_says_what_it_remembers(tmp_path, digits):
    path = tmp_path / "few.safetensors"
    few = Dataset("some", "", "images", digits.x0[:9], held_out=digits.held_out[:16])
    words = ["--network", "unet", "--train-size", "5", "--set", "width=8", "--set", "depth=1", "--steps", "2"]
    words += ["--save", str(path)]
    assert cli.main(["train", "--data", str(save_dataset(few, tmp_path / "some.npz")), *words]) == 0
    denoiser, card = load_checkpoint(path)
    assert (card["data"], card["data_hash"]) == ("some", few.first(5).hash)
    assert (card["role"], card["train_size"], denoiser.sigma_data) == ("rows5", 5, few.first(5).std)
    assert card["memorization"]["exact"]["rate"] == 1 and card["memorization"]["network"]["rate"] == 0


def test_the_exact_denoiser_of_the_first_rows_draws_those(tmp_path, digits):
    path = tmp_path / "drawn.npz"
    words = ["sample", "--model", "exact", "--data", "digits8", "--train-size", "3", "--n", "8", "--steps", "40"]
    assert cli.main([*words, "--out", str(path)]) == 0
    drawn = torch.from_numpy(np.load(path)["x0"])
    assert nearest_rows(drawn, digits.x0[:3])[0].max() < 0.05


@pytest.mark.parametrize("words, told", [
    (("--data", "digits8", "--train-size", "1619"), "rows"),
    (("--train-size", "9"), "--train-size says how to take --data"),
])
def test_rows_that_there_are_not_and_rows_of_nothing_are_told(tmp_path, capsys, words, told):
    out = tmp_path / "x.npz"
    assert cli.main(["sample", "--model", "exact", *words, "--out", str(out)]) == 2
    assert told in capsys.readouterr().err and not out.exists()
