"""Names that have changed: what was handed out under a former one still opens, and nothing writes it any more."""

import json
from dataclasses import fields

import gradio as gr
import pytest
import torch

from core.checkpoints.models import load_checkpoint, load_pretrained, save_checkpoint
from core.cli.parser import main
from core.data.datasets import load
from core.denoisers.base import Denoiser
from core.drawing.export import export, read_recipe
from core.former import FIELDS, OPTIONS, PANELS, VALUES
from core.recipe.handed_back import recipe_in, recipe_of
from core.recipe.recipe import DEFAULTS, SPECS, Recipe
from core.reverse import walk
from core.runs.walks import denoise
from core.samplers import make_sampler
from core.schedules import make_schedule
from core.trace import Trace
from core.training.presets import TrainingConfig, preset
from dashboard.sidebar.controls import build_controls

#: A value of each field that was called otherwise, none of them its default, as in a link; old spelling and new.
LINKS = [
    ("guide=classifier", "guidance_method=classifier"), ("guidance=3", "guidance_scale=3"),
    ("guide_when=0.8-0.2", "guidance_interval=0.8-0.2"), ("tell=0.05", "time_shift=0.05"),
    ("versus=clip:static%2Bguidance:3,rows:16,tell:0.1@4",
     "variants=guidance_scale:3%2Bthresholding:static,train_size:16,time_shift:0.1@4"),
    ("rows=16", "train_size=16"), ("recipe=flow", "preset=flow"), ("beside=plain", "baseline=plain"),
    ("clip=static", "thresholding=static"), ("target=velocity", "prediction_type=velocity"),
    ("spacing=uniform&steps=7", "steps=7"), ("guide=free&seed=1", "seed=1"),
    ("sampler=renoise", "sampler=multistep_consistency"), ("forward=room", "forward=heat"),
    ("model=memory", "model=memorization"),
    ("versus=sampler:renoise,spacing:uniform", "variants=sampler:multistep_consistency,spacing:trailing"),
    ("panels=eps_pull,field_pull,p_sharp,x_t", "panels=guidance_delta,guidance_field,tilted_density,x_t"),
]


def test_every_former_name_is_of_something_there_is_and_no_longer_in_use():
    known = {f.name for f in fields(Recipe)}
    assert {*FIELDS.values()} <= known and not FIELDS.keys() & known
    for field, values in VALUES.items():
        for old, new in values.items():
            assert SPECS[field].check(new) == new
            with pytest.raises(ValueError):
                SPECS[field].check(old)
    opened = " ".join(old for old, _ in LINKS)
    assert all(f"{name}=" in opened for name in FIELDS) and all(name in opened for name in PANELS)
    assert all(old in opened for values in VALUES.values() for old in values)


@pytest.mark.parametrize("old, new", LINKS)
def test_an_old_link_opens_and_the_address_is_then_written_in_todays_names(old, new):
    recipe, complaints = Recipe.from_query(old)
    assert complaints == [] and recipe.to_query() == new
    assert Recipe.from_query(new) == (recipe, [])


def test_an_old_and_a_new_name_of_one_field_in_a_link_are_that_field_twice():
    recipe, [complaint] = Recipe.from_query("guidance=3&guidance_scale=4")
    assert recipe.guidance_scale == 3 and "guidance_scale is in the link more than once" in complaint


def old_about(**changes) -> dict:
    """What a film of before the change holds: every field, under its former name."""
    former = {new: old for old, new in FIELDS.items()}
    return {former.get(name, name): value for name, value in Recipe().to_dict().items()} | changes


OLD = dict(guide="free", guidance=2.5, guide_when=[0.8, 0.2], tell=0.05, rows=16, recipe="flow", beside="plain",
           clip="static", target="v", spacing="uniform", sampler="renoise", forward="room", data="moons",
           versus=["clip:dynamic", "guidance:3@5"], panels=["p_sharp", "x_t"])
NOW = Recipe(guidance_scale=2.5, guidance_interval=(0.8, 0.2), time_shift=0.05, train_size=16, preset="flow",
             baseline="plain", thresholding="static", prediction_type="v", sampler="multistep_consistency",
             forward="heat", data="moons", variants=("thresholding:dynamic", "guidance_scale:3@5"),
             panels=("tilted_density", "x_t"))


def test_what_an_old_film_says_of_itself_is_the_same_recipe():
    assert Recipe.from_dict(old_about(**OLD)) == NOW
    assert recipe_of(old_about(**OLD)) == (NOW, [])
    assert recipe_of({"made with": "noisescope", "recipe": old_about(**OLD)}) == (NOW, [])


@pytest.mark.parametrize("suffix", ["gif", "png", "json"])
def test_an_old_film_opens(suffix, tmp_path):
    path = tmp_path / f"film.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps({"made with": "noisescope", "recipe": old_about(**OLD)}))
    else:
        *_, film = denoise(Recipe(data="moons", model="exact", steps=2, samples=8))
        film.about = old_about(**OLD)
        export(film.scene(("x_t",)), path, size=32)
    assert recipe_in(path) == (NOW, [])


def test_an_old_trace_opens(tmp_path):
    schedule = make_schedule("cosine")
    denoiser, _ = load_pretrained("moons")
    steps = walk(denoiser, make_sampler("ddim", schedule), torch.zeros(3, 2), schedule.times(2),
                 torch.Generator())
    path = Trace.record(steps, about=old_about(**OLD)).save(tmp_path / "trace.safetensors")
    assert recipe_in(path) == (NOW, [])


def test_an_old_card_opens_and_its_training_can_be_gone_on_from(tmp_path):
    denoiser, card = load_pretrained("moons")
    path = save_checkpoint(tmp_path / "old.safetensors", Denoiser(denoiser.network, denoiser.schedule, "edm", 0.5), {
        **{name: card[name] for name in ("data", "data_hash", "shape")},
        "preset": "fast", "train_size": 40, "training": preset("fast", load("moons"), steps=3).to_dict()})
    place = path.with_suffix(".json")
    text = place.read_text()
    for old, new in FIELDS.items():
        text = text.replace(f'"{new}"', f'"{old}"')
    place.write_text(text)
    assert all(f'"{name}"' in text for name in ("target", "recipe", "rows"))
    again, card = load_checkpoint(path)
    assert (again.prediction_type, card["preset"], card["train_size"]) == ("edm", "fast", 40)
    assert TrainingConfig.from_dict(json.loads(text)["training"]).prediction_type == "edm"
    assert not card.keys() & FIELDS.keys()


#: Options as they were, beside those of today that say the same.
COMMANDS = [
    ("--guidance 3 --label 2 --between 0.8,0.2", "--guidance-scale 3 --label 2 --guidance-interval 0.8,0.2"),
    ("--tell=0.05 --clip static --spacing uniform", "--time-shift 0.05 --thresholding static --spacing trailing"),
    ("--rows 5 --sampler renoise", "--train-size 5 --sampler multistep_consistency"),
    ("--versus clip:static --versus sampler:renoise", "--variants thresholding:static,sampler:multistep_consistency"),
]


@pytest.mark.parametrize("old, new", COMMANDS)
def test_an_old_option_does_what_it_did(old, new, tmp_path):
    kept = []
    for words in (old, new):
        path = tmp_path / f"{len(kept)}.gif"
        assert main(["gif", "--model", "exact", "--data", "gaussians8", "--n", "4", "--steps", "3", "--size", "32",
                     *words.split(), "--out", str(path)]) == 0
        kept.append(read_recipe(path))
        kept[-1].pop("command")
    assert kept[0] == kept[1] and not kept[0].keys() & FIELDS.keys()


def test_old_options_of_a_training_do_what_they_did(tmp_path, cards_of_few_samples):
    trained = []
    for k, words in enumerate(("--recipe textbook --target v --rows 40", "--preset textbook --set target=v --rows=40",
                               "--preset textbook --prediction-type v --train-size 40")):
        path = tmp_path / f"{k}.safetensors"
        assert main(["train", "--data", "moons", "--steps", "2", "--set", "width=8", *words.split(),
                     "--save", str(path)]) == 0
        card = json.loads(path.with_suffix(".json").read_text())
        trained.append((card["training"], card["preset"], card["train_size"], card["sha256"]))
    assert trained[0] == trained[1] == trained[2] and trained[0][0]["prediction_type"] == "v"


def test_help_and_page_speak_in_todays_names_alone(capsys):
    for command in ("train", "sample", "gif"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
    told = capsys.readouterr().out.split()
    assert not {f"--{name}" for name in FIELDS} & {*told} and not OPTIONS.keys() & {*told}
    assert not PANELS.keys() & {word.strip(",.") for word in told}
    with gr.Blocks():
        controls = build_controls()
    assert not controls.fields.keys() & FIELDS.keys() and controls.fields.keys() <= DEFAULTS.keys()
