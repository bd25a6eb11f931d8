"""What the sidebar offers for a recipe follows from its data, its model and the visitor."""

from __future__ import annotations

import gc
import weakref
from functools import partial

import numpy as np
import pytest
import torch

from core.data.datasets import Dataset, load
from core.guidance.classifier_free import condition
from core.metrics.distances import draw_samples
from core.recipe.models import MODELS, MODEL_SETS, USUAL, WORDS, walked_as
from core.recipe.recipe import DEFAULTS, OWN, Recipe
from core.runs.comparison import compare
from core.runs.conditioning import cond_of, guided
from core.runs.interventions import with_interventions
from core.runs.resolve import CannotShow, resolve
from core.runs.trainings import config_of, floor_by_bucket
from core.runs.walks import denoise, forward_film, lens
from core.views import memorization
from core.views.base import STATE_VIEW
from dashboard.server.visitors import Visitors
from dashboard.sidebar.choices import (
    WITH_CHOICES, best_model, choices_for, facts, moved_to, using, without_hidden, without_what_is_not_there,
)
from dashboard.sidebar.controls import PRESET_SETS, label_choices
from dashboard.sidebar.examples import EXAMPLES
from dashboard.tabs.train import training_of
from dashboard.ui import fit

GAUSSIANS = Recipe(data="gaussians8", model="exact", steps=10, samples=40)


def finished(films):
    *_, film = films
    return film


def offered(recipe: Recipe) -> dict[str, list]:
    updates = zip(WITH_CHOICES, choices_for(recipe, None))
    return {name: [value for _, value in update["choices"]] for name, update in updates}


# --- what there is ------------------------------------------------------------------------------------------------


def test_the_menus_offer_the_models_labels_and_layers_that_these_data_have():
    trex, digits, faces = (offered(Recipe(data=name)) for name in ("trex", "digits8", "faces16"))
    assert trex["model"] == ["pretrained", "flow", "reflow", "consistency", "linear", "wiener", "exact"]
    assert trex["label"] == ["any", "each"] and "leave" in trex["layer"]
    assert digits["model"] == ["pretrained", "linear", "wiener", "exact", "memorization"]
    assert digits["label"] == ["any", "each", *map(str, range(10))] and "middle" in digits["layer"]
    assert len(faces["label"]) == 2 + 5 and len(faces["label2"]) == 2 + 6


def test_what_stands_in_for_a_network_that_is_not_shipped_does_not_stick_to_the_next_data():
    there = moved_to(Recipe(), "checkerboard", None)
    assert there.model == "exact" and moved_to(there, "pi", None).model == "exact"
    assert moved_to(there, "moons", None) == Recipe(data="moons")
    assert best_model(Recipe(data="checkerboard"), None) == "exact"  # as a link is read


@pytest.mark.parametrize("model", ["exact", "linear", "wiener"])
def test_a_model_that_was_chosen_goes_along_to_other_data_and_back(model):
    chosen = Recipe(model=model)
    assert moved_to(chosen, "moons", None) == chosen.with_(data="moons")
    assert moved_to(moved_to(chosen, "digits8", None), "trex", None) == chosen


def test_a_model_for_few_steps_that_other_data_lack_leaves_with_its_way_of_walking():
    flow = using(Recipe(), "flow")
    assert moved_to(flow, "checkerboard", None) == Recipe(data="checkerboard", model="exact")


def test_a_value_that_is_not_offered_gives_way_to_the_plain_one():
    updates = dict(zip(WITH_CHOICES, choices_for(Recipe(label="7", layer="middle", model="mine"), None)))
    assert {name: update["value"] for name, update in updates.items()} == {
        "model": "pretrained", "label": "any", "label2": "any", "layer": "", "network": "auto"}
    kept = without_what_is_not_there(Recipe(data="digits8", label="7", label2="3", layer="middle"), None)
    assert (kept.label, kept.label2, kept.layer) == ("7", "any", "middle")


@pytest.mark.parametrize("recipe, holds, fails", [
    (Recipe(), ["points", "network"], ["labels", "classes", "asked", "mine"]),
    (Recipe(data="gaussians8", model="exact"), ["points", "labels", "rows"], ["two", "asked", "network"]),
    (Recipe(data="gaussians8", model="exact", label="2"), ["asked"], []),
    (Recipe(data="faces16", model="exact", label2="2"), ["labels", "two", "asked"], ["points"]),
    (Recipe(data="digits8"), ["labels", "network", "rows"], ["points", "two"]),
    (Recipe(data="own"), [], ["points", "labels"]),
])  # fmt: skip
def test_groups_are_seen_where_they_are_of_use(recipe, holds, fails):
    true = facts(recipe, None)
    assert set(holds) <= set(true) and not set(fails) & set(true)


def test_every_model_has_words_and_those_for_few_steps_a_way_to_be_walked():
    assert set(WORDS) == set(MODELS) and max(map(len, WORDS.values())) <= 16
    assert {name: DEFAULTS[name] for name in USUAL} == USUAL
    for model, sets in MODEL_SETS.items():
        assert walked_as(model, "linear", "ddpm", 700) == sets and Recipe(data="trex", model=model, **sets)
        assert walked_as("exact", **sets) == USUAL
    assert walked_as("exact", "linear", "ddpm", 700) == {"schedule": "linear", "sampler": "ddpm", "steps": 700}


def test_data_without_a_model_for_few_steps_are_not_walked_in_one():
    one_step = Recipe(model="consistency", **MODEL_SETS["consistency"])
    moved = using(one_step.with_(data="digits8"), "pretrained")
    assert (moved.model, moved.sampler, moved.steps) == ("pretrained", USUAL["sampler"], USUAL["steps"])
    own = Recipe(sampler="ddpm", steps=700)
    assert using(own, "exact") == own.with_(model="exact") and using(one_step, "consistency") == one_step
    kept, complaints = fit(one_step.with_(data="gaussians8"), None)
    assert kept.sampler == USUAL["sampler"] and len(complaints) == 1


def test_a_layer_that_a_hidden_control_still_holds_is_not_asked_of_a_model_that_has_none():
    asked = Recipe(data="digits8", label="each", layer="middle")
    assert without_hidden(asked, None) == asked
    assert without_hidden(asked.with_(model="exact"), None) == asked.with_(model="exact", layer="")
    assert without_hidden(Recipe(data=OWN, model="exact", layer="middle"), None).layer == ""


def test_a_room_asks_for_no_schedule_and_pictures_have_no_room():
    assert "noised" not in facts(Recipe(forward="heat"), None)
    assert "noised" in facts(Recipe(), None) and "noised" in facts(Recipe(data="digits8", forward="heat"), None)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_a_comparison_that_can_be_made(name):
    recipe = Recipe().with_(**EXAMPLES[name])
    runs = [recipe, *(recipe.with_(**change.fields) for change in recipe.changes.values())]
    assert len(runs) >= 2
    for run in runs:
        assert with_interventions(resolve(run, None), run)


def test_the_words_of_the_labels_are_their_names():
    assert label_choices(("cat", "dog")) == [("any", "any"), ("each in turn", "each"), ("cat", "0"), ("dog", "1")]
    assert PRESET_SETS["flow"]["schedule"] == "flow"


def test_a_model_without_labels_can_be_asked_through_a_classifier_and_by_itself_it_cannot():
    recipe = Recipe(data="gaussians8", label="2")  # shipped without labels
    assert "labels" in facts(recipe, None)
    assert without_what_is_not_there(recipe, None).label == "any"
    assert without_what_is_not_there(recipe.with_(guidance_method="classifier"), None).label == "2"
    film = finished(denoise(recipe.with_(guidance_method="classifier", guidance_scale=3.0, steps=20, samples=40)))
    data = load("gaussians8")
    assert (data.labels[torch.cdist(film.trace.final, data.x0).argmin(1)] == 2).float().mean() > 0.9


@pytest.mark.parametrize("changes", [dict(data="digits8", train_size=16), dict(data="faces16", model="linear")])
def test_a_link_is_asked_for_no_label_that_its_very_model_does_not_know(changes):
    assert without_what_is_not_there(Recipe(label="1", **changes), None).label == "any"


def test_a_training_of_data_without_labels_learns_none_whatever_the_switch_says():
    assert not config_of(Recipe(labels="learn"), load("trex")).labels
    assert training_of(Recipe(labels="learn", train_steps=5), None)


# --- models solved here and now -----------------------------------------------------------------------------------


def pictures(count: int, side: int, channels: int, labels: int = 0) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    x0 = torch.rand(count, channels, side, side, generator=generator) * 2 - 1
    names = tuple(f"kind {k}" for k in range(labels))
    return Dataset("own", "Your pictures", "images", x0, torch.arange(count) % labels if labels else None, names)


@pytest.fixture
def visitor():
    visitors = Visitors()
    yield visitors.of(visitors.enter())
    visitors.stop()


def test_a_linear_model_is_solved_once_for_all_schedules_and_of_one_s_own_data_too(visitor):
    visitor.data = pictures(30, 8, 1, labels=2)
    for data in ("own", "digits8"):
        recipe = Recipe(data=data, model="linear")
        first = resolve(recipe, visitor)
        other = resolve(recipe.with_(schedule="flow", T=500), visitor)
        assert other.network.network is first.network.network and other.network.schedule.name == "flow"
        fewer = resolve(recipe.with_(train_size=12), visitor)
        assert fewer.network.network is not first.network.network


def test_of_the_solved_models_of_data_only_some_are_kept_and_with_the_data_all_are_let_go(visitor):
    visitor.data = pictures(30, 8, 1)
    networks = [weakref.ref(resolve(Recipe(data="own", model="wiener", train_size=rows), visitor).network.network)
                for rows in range(10, 20)]
    gc.collect()
    assert [network() is not None for network in networks] == [False] * 7 + [True] * 3
    visitor.data = None
    gc.collect()
    assert not any(network() for network in networks)


def test_a_wiener_filter_of_more_numbers_than_anybody_should_wait_for_is_refused(visitor):
    visitor.data = pictures(40, 32, 3, labels=20)
    with pytest.raises(CannotShow, match="3,072 values with 20 labels holds 198,180,864 numbers.*take the linear"):
        resolve(Recipe(data="own", model="wiener"), visitor)


# --- labels -------------------------------------------------------------------------------------------------------


def test_samples_asked_for_a_label_arrive_there_and_each_in_turn_takes_turns():
    data = load("gaussians8")
    places = data.x0[data.labels.argsort()]
    one = finished(denoise(GAUSSIANS.with_(label="3")))
    assert (torch.cdist(one.trace.final, places).argmin(1) == 3).all()
    each = finished(denoise(GAUSSIANS.with_(label="each")))
    assert (torch.cdist(each.trace.final, places).argmin(1) == torch.arange(40) % 8).all()


def test_of_two_conditions_each_of_the_second_comes_for_every_one_of_the_first():
    recipe = Recipe(data="faces16", model="exact", label="each", label2="each")
    cond = cond_of(recipe, resolve(recipe, None), 30)
    assert len({tuple(row) for row in cond.tolist()}) == 30
    kinds = cond_of(recipe.with_(label2="any"), resolve(recipe, None), 5)
    assert kinds[:, 0].tolist() == [0, 1, 2, 3, 4] and (kinds[:, 1] == 6).all()  # 6 is the null label of six


def test_scale_one_is_the_model_told_the_label_and_zero_the_model_told_none():
    subject = resolve(GAUSSIANS, None)
    x, t = torch.randn(6, 2, dtype=torch.float64), torch.tensor(0.4, dtype=torch.float64)
    asked = GAUSSIANS.with_(label="5")
    for scale, cond in ((1.0, torch.full((6,), 5)), (0.0, None)):
        got = guided(subject, asked.with_(guidance_scale=scale)).denoise(x, t)
        assert torch.equal(got.eps, condition(subject.denoise, cond)(x, t).eps)
    never = guided(subject, asked.with_(guidance_scale=7.0, guidance_interval=None)).denoise(x, t)
    assert torch.equal(never.eps, condition(subject.denoise, torch.full((6,), 5))(x, t).eps)


def test_both_kinds_of_guidance_are_one_where_the_classifier_is_exact():
    subject = resolve(GAUSSIANS, None)
    x, t = torch.randn(6, 2, dtype=torch.float64), torch.tensor(0.6, dtype=torch.float64)
    asked = GAUSSIANS.with_(label="each", guidance_scale=2.5)
    free, told = (guided(subject, asked.with_(guidance_method=guide)).denoise(x, t) for guide in ("free", "classifier"))
    torch.testing.assert_close(free.eps, told.eps, rtol=1e-6, atol=1e-6)


def test_the_sharpened_density_is_that_of_the_rows_that_were_asked_for():
    film = finished(denoise(GAUSSIANS.with_(label="2", guidance_scale=4.0)))
    p = film.scene(("tilted_density",)).panel("tilted_density").data[-1]
    row, column = np.unravel_index(p.argmax(), p.shape)
    data = load("gaussians8")
    x, y = data.x0[data.labels == 2].mean(0).tolist()
    at = [(-1 + (2 * column + 1) / p.shape[1]) * STATE_VIEW, (1 - (2 * row + 1) / p.shape[0]) * STATE_VIEW]
    assert np.hypot(at[0] - x, at[1] - y) < 0.1


def test_a_walk_says_which_of_its_samples_are_of_a_pair_that_training_never_had():
    recipe = Recipe(data="faces16", label="1", label2="each", samples=12, steps=2)
    held = resolve(recipe, None).held_out
    titles = [names for _, names in load("faces16").conditions]
    kind, hair = (names.index(name) for names, name in zip(titles, held))
    for label, label2, says in ((str(kind), "each", " 2 of them"), (str(kind), str(hair), " All of them"),
                                (str((kind + 1) % 5), "each", ""), ("any", "any", "")):
        film = finished(denoise(recipe.with_(label=label, label2=label2)))
        sentence = film.scene(()).sentence
        assert (says in sentence and held[0] in sentence and held[1] in sentence) if says else "never" not in sentence


@pytest.mark.parametrize("recipe, says", [
    (Recipe(label="1"), "has no labels to ask for"),
    (Recipe(data="gaussians8", model="exact", label="8"), "0 to 7"),
    (Recipe(data="gaussians8", model="pretrained", label="1"), "knows no labels"),
    (Recipe(data="faces16", model="exact", label="1", label2="1", guidance_method="classifier"), "one kind of label"),
    (Recipe(data="digits8", train_size=5), "4, 16, 64"),
    (Recipe(model="exact", layer="middle"), "no layers to look into"),
])  # fmt: skip
def test_what_cannot_be_asked_for_says_what_can(recipe, says):
    with pytest.raises(CannotShow, match=says):
        finished(denoise(recipe.with_(steps=2, samples=4)))


# --- what is seen -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes, keys", [
    (dict(data="gaussians8", model="exact", label="2", guidance_scale=3.0),
     {"eps_c", "eps_u", "guidance_field", "tilted_density"}),
    (dict(data="digits8", label="each"), {"eps_c", "guidance_delta", "nearest"}),
    (dict(data="digits8", model="linear"), {"weights", "filters"}),
    (dict(data="digits8", layer="middle"), {"inside"}),
    (dict(data="latent_digits", model="exact"), {"decoded_x0", "decoded_x_t", "walkers"}),
    (dict(data="digits8", train_size=16), {"nearest"}),
])  # fmt: skip
def test_a_walk_offers_what_only_it_has_to_show(changes, keys):
    film = finished(denoise(Recipe(steps=3, samples=4).with_(**changes)))
    assert keys <= set(film.offers)
    scene = film.scene(tuple(sorted(keys)))
    assert all(torch.from_numpy(panel.data).isfinite().all() for panel in scene.panels)
    assert len(film.scene(tuple(sorted(keys))).charts) >= 2
    plain = finished(denoise(Recipe(steps=3, samples=4)))
    assert not (keys - {"nearest"}) & set(plain.offers)


@pytest.mark.parametrize("changes, there", [
    (dict(data="gaussians8", model="exact", label="1"), True), (dict(data="creatures"), True),
    (dict(data="creatures", model="exact"), True),
    (dict(data="creatures", label="1", guidance_method="classifier"), False),
    (dict(data="creatures", guidance_method="classifier"), True), (dict(data="latent_digits", model="exact"), False),
    (dict(data="latent_digits", model="exact", train_size=500), True),
])  # fmt: skip
def test_the_density_of_a_model_that_looks_at_every_row_is_worked_out_for_some_rows_only(changes, there):
    film = finished(denoise(Recipe(steps=2, samples=4).with_(**changes)))
    assert ("p_model" in film.offers) == there


def test_fewer_rows_are_fewer_rows_for_everybody():
    film = finished(denoise(Recipe(data="digits8", model="exact", train_size=16, steps=30, samples=8)))
    assert len(film.dataset) == 16
    assert torch.cdist(film.trace.final.flatten(1), load("digits8").x0[:16].flatten(1)).min(1).values.max() < 0.5


def test_the_floor_of_a_training_that_learns_labels_is_that_of_who_is_told_them():
    data = load("gaussians8")
    floors = [floor_by_bucket(data, config_of(Recipe(data="gaussians8", labels=labels), data))[1]
              for labels in ("ignore", "learn")]
    assert (floors[1][4:-1] < 0.9 * floors[0][4:-1]).all()  # one Gaussian, nine times in ten, is easier than eight


def test_latents_are_seen_decoded_in_every_tab():
    recipe = Recipe(data="latent_digits", model="exact", train_size=50, steps=2, samples=20, lens_samples=20,
                    train_steps=4, variants=("steps:1",))
    films = [finished(denoise(recipe)), forward_film(recipe), finished(lens(recipe)), finished(compare(recipe)),
             training_of(recipe, None).film]
    for film in films:
        assert any(key.startswith("decoded_") for key in film.offers), type(film).__name__


def test_a_gan_learns_beside_a_model_of_points_and_of_them_alone():
    kinds = {type(training_of(Recipe(data=data, baseline=beside, train_steps=5), None)).__name__
             for data, beside in (("gaussians8", "plain"), ("gaussians8", "tuned"))}
    assert kinds == {"BaselineTraining"}
    for data, beside in (("gaussians8", "nothing"), ("digits8", "plain")):
        assert type(training_of(Recipe(data=data, baseline=beside, train_steps=5), None)).__name__ == "Training"


def test_the_playhead_can_run_over_the_number_of_training_pictures_from_copies_to_new_ones(monkeypatch):
    monkeypatch.setattr(memorization, "draw_samples", partial(draw_samples, steps=8))
    films = list(denoise(Recipe(data="digits8", model="memorization", samples=16)))
    assert len(films) == films[-1].frames == films[-1].total == 6
    scene = films[-1].scene()
    rows, copies = scene.numbers["rows"], scene.numbers["copies"]
    assert rows.tolist() == [4, 16, 64, 128, 256, 1618]
    assert copies[0] == 100 and copies[-1] == 0 and (copies[:-1] >= copies[1:]).all()
    digits = load("digits8").x0.permute(0, 2, 3, 1).numpy()
    for k, count in enumerate((4, 16, 64)):  # the exact denoiser knows nothing but these rows
        apart = np.abs(scene.panel("exact").data[k][:, None] - digits[None, :count]).max(axis=(2, 3, 4)).min(1)
        assert apart.max() < 0.05
        near = np.abs(scene.panel("nearest").data[k][:, None] - digits[None, :count]).max(axis=(2, 3, 4)).min(1)
        assert near.max() == 0
    assert all(len(chart.cursor) == 6 for chart in scene.charts)
    with pytest.raises(CannotShow, match="in Denoise"):
        finished(lens(Recipe(data="digits8", model="memorization")))


def test_heat_in_a_room_is_shown_for_points_and_for_them_alone():
    assert type(forward_film(Recipe(forward="heat", samples=50))).__name__ == "HeatView"
    assert type(forward_film(Recipe(forward="heat", data="digits8", samples=4))).__name__ == "ForwardView"
