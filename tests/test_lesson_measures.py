"""What lessons measure, held against closed forms: of points laid by hand, of schedules, of data of one place."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from core.data.datasets import Dataset, load
from core.debug.places import Place
from core.denoisers.exact import Exact
from core.lessons.evidence import Evidence, Walk
from core.lessons.measures import MEASURES
from core.prediction import Prediction
from core.recipe.recipe import Recipe
from core.reverse import Step
from core.runs.comparison import DATA_SEED
from core.runs.trainings import Training
from core.runs.walks import denoise, forward_film, lens
from core.schedules import make_schedule
from core.trace import Trace
from core.views import HeatView, MemorizationView, View
from core.views.base import FIELD_CELLS, STATE_VIEW, field_points
from core.views.training import LOOK_AT, Preview, Progress

CORNERS = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])


def measured(name: str, *given):
    return MEASURES[name].ask(*given)


def dataset(rows=CORNERS, bandwidth: float = 0.0, **more) -> Dataset:
    return Dataset("made", "made", "points", rows, bandwidth=bandwidth, **more)


def walk_through(states, guesses=None, data: Dataset | None = None, query: str = "") -> Walk:
    """A walk through these states, (B, 2) each, at t = 1 … 0 by equal steps; its guesses are where it ends, unless
    given."""
    schedule, K, trace = make_schedule("flow"), len(states) - 1, Trace()
    times = torch.linspace(1, 0, K + 1, dtype=torch.float64)
    for k in range(K):
        x = states[k]
        alpha, sigma = (torch.tensor(a) for a in schedule.at(times[k]))
        prediction = Prediction.from_x0(states[-1] if guesses is None else guesses[k], x, alpha, sigma)
        trace.add(Step(k, times[k], times[k + 1], x, prediction, states[k + 1], torch.zeros(()), torch.zeros_like(x)))
    return Walk(Recipe.from_query(query)[0], trace, times, schedule, data or dataset())


def test_points_are_alike_to_rows_as_they_lie_on_them_and_cover_them():
    far = torch.full((4, 2), 9.0)
    of = lambda *states: walk_through(states)  # noqa: E731
    one, half = CORNERS[:1].expand(4, 2), torch.cat([CORNERS[:2], far[:2]])
    assert measured("likeness", of(far, CORNERS)) == 1
    assert measured("likeness", of(far, one)) == pytest.approx(2 * 1 * 0.25 / 1.25)  # one corner of four
    assert measured("likeness", of(far, half)) == pytest.approx(0.5)  # half of them on half of it
    assert measured("likeness", of(CORNERS, far)) == 0 and measured("likeness", of(CORNERS, far), 1) == 1


def test_a_shape_is_seen_from_where_it_stays_seen():
    far = torch.full((4, 2), 9.0)
    walk = walk_through([far, CORNERS, far, CORNERS, CORNERS], [far, far, CORNERS, CORNERS])
    assert measured("seen_at", walk, 0.9) == 0.25  # it was there at 0.75 too, and went away again
    assert measured("guess_seen_at", walk, 0.9) == 0.5
    assert measured("likeness_of_guess", walk, 0.5) == 1
    assert measured("spread_of_guess", walk, 0.5) == pytest.approx(1)  # corners of a square of side 2
    assert measured("spread_of_guess", walk, 1) == 0


def test_a_room_has_forgotten_when_its_heat_is_even_and_remembers_by_the_slope():
    heat = HeatView(dataset(), walkers=400, half=30)
    assert measured("forgotten", heat) == pytest.approx(1, abs=0.01)
    assert measured("likeness_halfway", heat) < 0.1 < 0.6 < measured("returned", heat)
    # Where a walker ends says nothing of where it began: in three of four cases in another corner, two away or 2√2.
    assert 1.9 < measured("astray", heat) < 2.1
    assert MEASURES["alpha_as"].ask(make_schedule("flow", 50), "linear", 0.5) == make_schedule("linear", 50).at(0.5)[0]


def test_crowds_are_as_far_apart_as_one_is_pushed_however_its_points_are_numbered():
    start = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    one = walk_through([start, start])
    assert measured("crowds_apart", one, walk_through([start.flip(0), start.flip(0)])) == pytest.approx(0, abs=1e-6)
    # A shift by d is seen as |d·cos| in each direction, 2/π of it in the mean.
    pushed = measured("crowds_apart", one, walk_through([start, start + torch.tensor([0.3, 0.0])]))
    assert pushed == pytest.approx(0.3 * 2 / math.pi, rel=0.15)


def test_what_chance_makes_of_a_distance_goes_with_the_width_of_the_data():
    of = lambda h: measured("distance_by_chance", walk_through([CORNERS, CORNERS], data=dataset(CORNERS[:1], h)))  # noqa: E731
    assert of(0.0) == 0 and of(0.2) == pytest.approx(2 * of(0.1), rel=1e-3) and of(0.1) > 0


def test_one_jump_and_many_steps_are_two_draws_of_one_noise():
    film = forward_film(Recipe(tab="forward", samples=2000))
    sigma = film.schedule.at(0.5)[1]
    # alpha·x0 is the same in both; of the noise there are two independent draws.
    assert measured("jump_apart", film, 0.5) == pytest.approx(math.sqrt(2) * sigma, rel=0.05)
    assert measured("jump_distance", film, 0.5) < 3 * measured("chance_distance", film, 0.5) < 0.2
    assert measured("jump_apart", film, 0) == 0


def test_a_jump_goes_straight_where_the_schedule_does_and_small_steps_go_a_long_way_round():
    film = forward_film(Recipe(tab="forward", schedule="flow", samples=100))
    assert measured("detour_of_jump", film) == pytest.approx(1, abs=1e-3)
    assert measured("detour_of_steps", film) > 5


def test_noise_and_data_are_equally_hard_where_there_is_as_much_of_either():
    recipe = Recipe(data="gaussians8", model="exact", tab="lens", schedule="flow", lens_samples=50)
    *_, film = lens(recipe)
    std = load("gaussians8").std
    crossing = measured("as_hard_at", film)
    assert crossing == pytest.approx(std / (1 + std), abs=0.01)  # t = (1 − t)·std; the variance is that of each axis
    t = float(film.times[film.index(0.4)])
    assert measured("missed_of_x0", film, 0.4) * (1 - t) ** 2 * std**2 == pytest.approx(
        measured("eps_error", film, 0.4) * t**2, rel=1e-3)
    by_hand = (measured("state_of_first", film, 0.4) - t * measured("eps_of_first", film, 0.4)) / (1 - t)
    assert measured("x0_of_first", film, 0.4) == pytest.approx(by_hand, abs=1e-4)


def test_copies_are_read_at_the_nearest_number_of_pictures():
    film = MemorizationView(load("digits8"), {})
    rates = [measured("copies_of_network", film, rows) for rows in (4, 70, 60, 1618)]
    assert rates[0] > rates[1] == rates[2] > rates[3] and measured("copies_of_exact", film, 256) == 1
    assert measured("worse_on_unseen", film, 4) > 10 * measured("worse_on_unseen", film, 1618) > 10
    film.rows, film.copies = [4, 64], [1.0, 0.5]
    film._made = [{}, {}]
    assert measured("copies_shown", film, 60) == 0.5


LABELLED = {"labels": torch.tensor([0, 0, 1, 1]), "label_names": ("left", "right")}


def test_samples_are_called_as_the_rows_they_are_nearest_to():
    data = dataset(**LABELLED)
    walk = walk_through([CORNERS, torch.tensor([[0.9, 0.8], [0.9, -0.8], [0.7, 0.0], [-0.9, 0.9]])], data=data)
    assert measured("called", walk, 1) == 0.75 and measured("called", walk, 0) == 0.25
    assert measured("middle_of_label", data, 1) == (1, 0) and measured("width_of_label", data, 1) == 1
    assert measured("abs_place", (3.0, 4.0)) == 5
    assert measured("numbers_in_latent", data) == measured("numbers_in_picture", data) == 2
    assert measured("numbers_in_picture", load("latent_digits")) == 16 * 16
    for name, given in (("called", (walk_through([CORNERS, CORNERS]), 1)), ("middle_of_label", (data, 7))):
        with pytest.raises(ValueError):
            measured(name, *given)


def test_as_asked_is_the_share_of_samples_that_were_given_what_they_were_asked_for():
    *_, film = denoise(Recipe(data="gaussians8", model="exact", label="2", samples=40, steps=20))
    walk = Evidence.of(film).names["A"]
    assert measured("as_asked", walk) == 1  # the exact denoiser makes nothing else
    *_, film = denoise(Recipe(data="gaussians8", model="exact", samples=5, steps=2))
    with pytest.raises(ValueError, match="nothing was asked for"):
        measured("as_asked", Evidence.of(film).names["A"])


def test_arrows_point_to_the_middle_in_much_noise_and_to_the_nearest_row_in_little():
    walk = Walk(Recipe(data="gaussians8", model="exact"), Trace(), torch.linspace(1, 0, 3), make_schedule("cosine"),
                load("gaussians8"))
    assert measured("towards_middle", walk, 0.99) == pytest.approx(1, abs=1e-3)
    assert measured("towards_nearest", walk, 0.02) == pytest.approx(1, abs=0.02)
    assert measured("towards_middle", walk, 0.02) < 0.7
    assert measured("arrows_right", walk, 0.3) == pytest.approx(1)  # the exact denoiser's own


def test_a_learned_field_agrees_with_itself_and_not_with_its_opposite():
    film = Training(Recipe(tab="train", data="gaussians8", train_steps=2)).film
    schedule = make_schedule(film.config.schedule, film.config.T)
    exact = Exact.of(film.dataset, schedule)(field_points(STATE_VIEW), torch.tensor(LOOK_AT, dtype=torch.float64)).eps
    for sign in (1, -1):
        field = (-sign * exact).reshape(FIELD_CELLS, FIELD_CELLS, 2)
        film.previews[:] = [Preview(2, film.dataset.x0, film.dataset.x0, field)]
        assert measured("field_cosine", film) == pytest.approx(sign)
        assert measured("likeness_trained", film) == 1
    drawn = film.dataset.draw(8, torch.Generator().manual_seed(DATA_SEED))[0]
    film.previews[:] = [Preview(0, torch.zeros(8, 2), drawn, field), Preview(2, drawn, drawn, field)]
    film.progress = Progress(torch.tensor([4.0, 2.0]), torch.zeros(20), torch.zeros(20), 0.0)
    assert measured("distance_at", film, 2) == 0 < 0.5 < measured("distance_at", film, 0)
    assert (measured("loss_at", film, 1), measured("loss_at", film, 2)) == (4, 3)  # the mean of the last ten at least


def test_who_stands_on_a_summit_stands_denser_than_all_data_and_a_sample_than_half_of_them():
    data = load("gaussians8")
    walk = lambda end: Walk(Recipe(data="gaussians8", model="exact"), walk_through([end, end]).trace,  # noqa: E731
                            torch.linspace(1, 0, 2), make_schedule("cosine"), data)
    drawn = data.draw(4000, torch.Generator().manual_seed(1))[0]
    assert measured("denser_than_data", walk(data.x0)) == 1
    assert measured("denser_than_data", walk(drawn)) == pytest.approx(0.5, abs=0.06)
    assert measured("denser_than_data", walk(torch.full((4, 2), 5.0))) == 0


def test_the_first_point_is_read_with_its_step():
    *_, film = denoise(Recipe(data="gaussians8", model="exact", samples=2, steps=4, sampler="ddpm"))
    walk, schedule = Evidence.of(film).names["A"], film.schedule
    (a, s), (b, r) = schedule.at(0.5), schedule.at(0.25)
    assert measured("next_time", walk, 0.5) == 0.25
    assert measured("step_std", walk, 0.5) == pytest.approx(math.sqrt((r / s) ** 2 * (1 - (a / b) ** 2)))
    assert measured("place_of_first", walk, 0.5) == tuple(walk.trace["x_t"][2][0].double().tolist())
    assert measured("across_of_first", walk, 0.5) == measured("place_of_first", walk, 0.5)[0]
    assert measured("guess_across_of_first", walk, 0.5) == float(walk.trace["x0"][2][0][0])


def test_what_the_doctor_found_is_the_place_of_its_first_cause():
    view = View()
    assert (measured("found", view), measured("said_of", view)) == ("", "")
    view.findings = {"causes": [{"place": Place.STEP_NOISE}, {"place": Place.START}], "headline": "No noise."}
    assert (measured("found", view), measured("said_of", view)) == ("step_noise", "No noise.")


def test_samples_that_stay_have_not_wandered():
    looks = [torch.zeros(3, 2), torch.ones(3, 2), torch.ones(3, 2), 3 * torch.ones(3, 2)]
    film = SimpleNamespace(previews=[SimpleNamespace(drawn=x, samples=looks[0]) for x in looks])
    assert (measured("gan_wandered", film), measured("diffusion_wandered", film)) == (2, 0)


def test_the_numbers_that_questions_give_in_words_are_those_of_their_schedules():
    # A question cannot show figures of the run: they would be the answer.
    alpha, sigma = make_schedule("cosine").at(0.5)
    assert (f"{alpha:.2f}", f"{sigma:.2f}") == ("0.70", "0.71")  # of the step by hand
    assert make_schedule("unscaled", 3).betas.tolist() == pytest.approx([0.0001, 0.01005, 0.02])  # of the three steps
