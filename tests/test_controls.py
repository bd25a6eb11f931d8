"""The sidebar and the recipe say the same, and what a hand gets wrong is named."""

from __future__ import annotations

import base64
import io

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from core.data.datasets import load, names
from core.recipe.recipe import DEFAULTS, FIELDS, HELP, SPECS, WORDS, Recipe
from core.recipe.values import Choice, Curve, Invalid, Whole
from core.training.presets import PRESETS, preset as training_recipe
from dashboard.sidebar.choices import facts
from dashboard.sidebar.controls import FOLDS, PRESET_SETS, build_controls
from dashboard.sidebar.picker import picture_of

#: Fields of the recipe that are set elsewhere: by the tabs, the chips and the playhead, or by a link alone.
ELSEWHERE = {"tab", "panels", "frame"}

SOME = [
    Recipe(),
    Recipe(data="digits8", model="exact", schedule="flow", T=500, sampler="heun", steps=30, samples=9, seed=7),
    Recipe(spacing="log_snr", batch=4096, sampler="ddpm"),
    Recipe(eta=0.25, thresholding="dynamic", drop_noise=(0.5, 0.0), time_shift=-0.05, nudge=0.3, scale_eps=-1.0,
           lens_samples=50),
    Recipe(variants=("steps:10+eta:1", "", "drop_noise:on@40")),
    Recipe(schedule="drawn:0,8;0.25,3.5;1,-9"),
    Recipe(preset="textbook", prediction_type="eps", train_steps=500, batch=64, drop_noise=True),
]


@pytest.fixture(scope="module")
def controls():
    with gr.Blocks():
        return build_controls()


def changed(controls, **changes) -> list:
    """The values of the sidebar, some of them set by hand."""
    values = dict(zip(controls.fields, controls.show(Recipe())))
    return list((values | changes).values())


@pytest.mark.parametrize("recipe", SOME)
def test_a_recipe_shown_and_read_again_is_the_same(controls, recipe):
    assert controls.recipe(controls.show(recipe)) == recipe


def test_untouched_controls_are_the_default_recipe(controls):
    assert controls.recipe([component.value for component in controls.inputs]) == Recipe()


def test_every_setting_has_one_control_and_a_tooltip(controls):
    assert set(controls.fields) == set(SPECS) - ELSEWHERE
    assert all(HELP[name] for name in controls.fields)
    ids = [component.elem_id for component in controls.inputs]
    assert ids == [f"field-{name}" for name in controls.fields]
    assert len(controls.inputs) == len(controls.fields)


def test_a_control_offers_what_its_field_allows_and_nothing_else(controls):
    for name, component in controls.fields.items():
        spec = SPECS[name]
        if isinstance(spec, Curve):
            assert tuple(choice["value"] for choice in component.props["choices"]) == spec.choices
            assert spec.check(component.props["first"]) == component.props["first"]
            assert set(WORDS[name]) <= set(spec.choices)
        elif isinstance(spec, Choice) and name != "data":
            assert tuple(value for _, value in component.choices) == spec.choices
            assert set(WORDS.get(name, {})) <= set(spec.choices)
        if isinstance(component, gr.Slider):
            assert (component.minimum, component.maximum) == (spec.low, spec.high)
    for text in FIELDS["drop_noise"].suggest:
        assert controls.recipe(changed(controls, drop_noise=text)).to_query() in ("", f"drop_noise={text}")


def test_what_is_folded_is_a_setting_and_the_default_recipe_opens_no_fold(controls):
    folded = [name for fields in FOLDS.values() for name in fields]
    assert len(set(folded)) == len(folded) and set(folded) <= set(controls.fields)
    assert not [fact for fact in facts(Recipe(), None) if fact.startswith("sets-")]
    for fold, fields in FOLDS.items():
        for name in fields:
            changed = {"drop_noise": (1.0, 0.0), "guidance_interval": (0.8, 0.2), "layer": "x"}.get(
                name, FIELDS[name].varied or getattr(SPECS[name], "choices", ("", ""))[-1])
            other = Recipe(**{name: SPECS[name].parse(changed) if isinstance(changed, str) else changed})
            assert f"sets-{fold}" in facts(other, None), name


WHOLE = [name for name, spec in SPECS.items() if isinstance(spec, Whole) and name not in ELSEWHERE]


@pytest.mark.parametrize("name", WHOLE)
def test_an_emptied_number_is_its_default(controls, name):
    for nothing in (None, ""):
        assert getattr(controls.recipe(changed(controls, **{name: nothing})), name) == DEFAULTS[name]


@pytest.mark.parametrize("name, value", [
    ("steps", 0), ("steps", 1001), ("steps", 2.5), ("T", 1), ("seed", -1), ("samples", 0), ("batch", 0), ("eta", 1.5),
    ("eta", None), ("data", "nothing"), ("data", None), ("sampler", "euler"), ("train_steps", 10**9),
    ("drop_noise", "sometimes"), ("drop_noise", "0.2-0.8"), ("drop_noise", 3), ("drop_noise", "<b>"),
])  # fmt: skip
def test_what_cannot_be_is_named_with_what_can(controls, name, value):
    with pytest.raises(Invalid) as error:
        controls.recipe(changed(controls, **{name: value}))
    assert error.value.field == name
    assert str(error.value) == f"{name} is {str(value).replace('<b>', '·b·')}; it can be {SPECS[name].allowed}"


def test_more_steps_than_timesteps_are_refused(controls):
    with pytest.raises(Invalid, match="steps is 500; it can be 1…100, the T of the schedule"):
        controls.recipe(changed(controls, T=100, steps=500))


def test_what_a_run_cannot_change_is_named(controls):
    with pytest.raises(ValueError, match="what B, C or D does differently has a value of steps that is out of 1…1000"):
        controls.recipe(changed(controls, variants="steps:5000"))
    assert controls.recipe(changed(controls, variants=None)).variants == ()


def test_rows_of_a_comparison_start_with_values_that_can_be(controls):
    rows = controls.fields["variants"].props
    assert [field["name"] for field in rows["fields"]] == list(SPECS["variants"].varied)
    for field in rows["fields"]:
        for value in (field["first"], *field["suggest"], *(choice["value"] for choice in field["choices"] or ())):
            assert SPECS["variants"].check([f"{field['name']}:{value}"])


def test_a_custom_range_of_times_can_be_typed(controls):
    assert controls.recipe(changed(controls, drop_noise="0.75-0.5")).drop_noise == (0.75, 0.5)
    assert controls.recipe(changed(controls, drop_noise=None)).drop_noise is None


def test_every_control_without_a_handler_of_its_own_says_when_a_hand_has_come_to_rest(controls):
    settled = controls.settled()
    assert len(settled) == len({id(event) for event in settled}) > 0
    quiet = {"data", "preset", "model"}
    numbers = [name for name, c in controls.fields.items() if isinstance(c, gr.Number) and name not in quiet]
    assert len(settled) == len(controls.fields) - len(quiet) + len(numbers)  # Enter, and leaving the field


def test_a_training_recipe_one_click_away_is_the_papers_or_the_tuned_one_for_points():
    assert set(PRESET_SETS) == set(PRESETS)
    for name, sets in PRESET_SETS.items():
        config = training_recipe(name, load("trex"))
        assert sets == {"prediction_type": "auto", "schedule": config.schedule}
        assert SPECS["prediction_type"].check(sets["prediction_type"]) and SPECS["schedule"].check(sets["schedule"])
    assert PRESET_SETS[DEFAULTS["preset"]] == {name: DEFAULTS[name] for name in ("prediction_type", "schedule")}


def test_the_picker_has_a_picture_of_every_data_set(controls):
    items = controls.fields["data"].props["items"]
    assert [item["name"] for item in items] == list(names())
    assert all(item["image"].startswith("data:image/png;base64,") and item["title"] for item in items)


def test_points_with_labels_have_a_colour_for_each_in_the_picker():
    def colours(name):
        with Image.open(io.BytesIO(base64.b64decode(picture_of(load(name)).partition(",")[2]))) as image:
            pixels = np.asarray(image).reshape(-1, 4).astype(int)
        return pixels[pixels[:, 3] > 0][:, :3]

    grey, two = colours("trex"), colours("moons")
    assert (grey == 128).all()
    assert len(np.unique(two, axis=0)) == 2 and (np.ptp(two, axis=1) > 50).all()
