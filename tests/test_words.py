"""A recipe in words: what a film was made from, held against what the recipe says now."""

from __future__ import annotations

from core.data.datasets import load
from core.recipe.recipe import SPECS, TABS, Recipe
from core.recipe.words import TRAINING, VIEW, film_of, uses, words


def test_every_field_that_makes_something_is_said_and_each_value_in_words_of_its_own():
    said = words(Recipe().to_dict())
    assert said.keys() == SPECS.keys() - {*VIEW}
    assert all(isinstance(text, str) and text.strip() for text in said.values())
    assert said["data"] == "T-Rex" and said["steps"] == "steps 100" and said["sampler"] == "sampler DDIM"
    assert words(Recipe(data="own", model="exact").to_dict())["data"] == "your own data"


def test_two_recipes_differ_in_words_where_they_differ():
    a = Recipe()
    changes = dict(data="moons", steps=20, drop_noise=(0.5, 0.0), train_size=16, variants=("steps:5",), train_steps=9,
                   eta=0.5)
    for name, value in changes.items():
        b = a.with_(**{name: value})
        differing = {field for field, text in words(a.to_dict()).items() if words(b.to_dict())[field] != text}
        assert differing == {name}


def test_what_a_tab_is_made_from_is_never_how_one_looks_at_it_and_training_is_of_its_own_tab_alone():
    for tab in TABS:
        assert "data" in uses(tab) and not {*VIEW} & {*uses(tab)}
        assert ({*TRAINING} <= {*uses(tab)}) == (tab == "train") and ("variants" in uses(tab)) == (tab == "compare")
    assert {*SPECS} == {*VIEW}.union(*map(uses, TABS))


def test_a_film_says_its_data_its_model_and_its_sampler_and_what_is_not_as_usual():
    def made(kind: str, **changes) -> str:
        recipe = Recipe(**changes)
        return film_of(recipe, kind, load(recipe.data))["made"]

    assert made("denoise") == "T-Rex · model pretrained · sampler DDIM · steps 100"
    asked = made("compare", data="gaussians8", model="exact", label="2", guidance_scale=3.0, steps=20, seed=4)
    assert asked == "Eight Gaussians · model exact · sampler DDIM · steps 20 · label 90° · guidance scale w 3 · seed 4"
    assert made("forward", sampler="ddpm") == "T-Rex · schedule cosine"
    assert made("heat", data="cat", forward="heat") == "Cat · process heat in a room"
    assert made("lens", time_shift=0.05, steps=20) == "T-Rex · model pretrained · time shift 0.05"
    assert made("train", prediction_type="eps", sampler="ddpm") == "T-Rex · preset fast · prediction type ε, the noise"
    told = film_of(Recipe(steps=20), "denoise", load("trex"))
    assert Recipe.from_dict(told) == Recipe(steps=20)
