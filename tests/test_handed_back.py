"""What was handed out can be handed back as it came, and what only looks like it is refused in words."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile
from safetensors.torch import save_file

from core.cli.parser import main
from core.data.datasets import load, load_dataset
from core.data.readers import READABLE, read_data
from core.drawing.export import FORMATS, export
from core.recipe.handed_back import HANDED_OUT, recipe_from_json, recipe_in, recipe_of
from core.recipe.recipe import Recipe
from core.runs.walks import denoise
from core.trace import Trace
from dashboard.api import recipe_of as recipe_of_call
from dashboard.sidebar.own import read_file

RECIPE = Recipe(data="moons", model="exact", steps=3, samples=20, seed=7, sampler="ddpm", guidance_interval=(0.8, 0.2),
                drop_noise=(0.5, 0.0), variants=("steps:4", "sampler:heun"))


@pytest.fixture(scope="module")
def film():
    *_, made = denoise(RECIPE)
    return made


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_film_brings_its_recipe_back_by_whatever_name(film, suffix, tmp_path):
    path = export(film.scene(("x_t",)), tmp_path / f"film.{suffix}", size=48, captions=False)
    assert recipe_in(path) == (RECIPE, [])
    assert read_file(str(path), 16).recipe == RECIPE
    assert recipe_in(path.rename(tmp_path / "renamed.bin")) == (RECIPE, [])


def test_a_trace_brings_its_recipe_and_every_step_back(film, tmp_path):
    path = film.trace.save(tmp_path / "trace.safetensors")
    assert recipe_in(path) == (RECIPE, []) and read_file(str(path), 16).recipe == RECIPE
    again = Trace.load(path)
    assert torch.equal(again["x_t"], film.trace["x_t"]) and torch.equal(again.t, film.trace.t)


def test_json_of_a_recipe_comes_back_from_a_file_and_to_a_program(tmp_path):
    path = tmp_path / "recipe.json"
    for text in (json.dumps(RECIPE.to_dict()), json.dumps({"made with": "noisescope", "recipe": RECIPE.to_dict()})):
        path.write_text(text)
        assert recipe_in(path) == recipe_from_json(text) == (RECIPE, [])
        assert read_file(str(path), 16).recipe == recipe_of_call(text) == RECIPE


def test_a_data_set_is_saved_as_it_was_read_and_comes_back(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{k % 7};{k % 5},5;{'ab'[k % 2]}\n" for k in range(30))
    (tmp_path / "mine.csv").write_text("x;y;label\n" + rows)
    assert main(["data", "mine.csv", "--save", "mine.npz"]) == 0
    first, again = read_data("mine.csv"), read_data("mine.npz")
    assert torch.equal(first.x0, again.x0) and torch.equal(first.labels, again.labels)
    assert (first.hash, first.label_names, first.reading) == (again.hash, again.label_names, again.reading)
    assert torch.equal(read_file("mine.npz", 16).dataset.x0, first.x0)
    capsys.readouterr()
    assert main(["data", "--save", "mine.npz"]) == 2 and "say which" in capsys.readouterr().err


def test_a_film_is_made_again_of_a_film_a_trace_and_json(film, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film.trace.save("first.safetensors")
    words = ["gif", "--size", "48", "--panels", "x_t", "--link"]
    assert main([*words, "first.safetensors", "--out", "second.gif"]) == 0
    (tmp_path / "third.json").write_text(json.dumps(recipe_in("second.gif")[0].to_dict()))
    for number, path in enumerate(("second.gif", "third.json")):
        assert main([*words, path, "--out", f"again{number}.gif"]) == 0
        with Image.open(f"again{number}.gif") as again, Image.open("second.gif") as first:
            again.seek(3)
            first.seek(3)
            assert np.array_equal(np.asarray(again.convert("RGB")), np.asarray(first.convert("RGB")))
        assert recipe_in(f"again{number}.gif")[0] == recipe_in("second.gif")[0]


@pytest.mark.parametrize("data, count", [("moons", 30), ("digits8", 20)])
def test_samples_come_back_as_data(data, count, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["sample", "--model", "exact", "--data", data, "--n", str(count), "--steps", "2", "--out", "made.npz"]
    assert main(words) == 0
    made = read_data("made.npz")
    with np.load("made.npz") as arrays:
        x0 = torch.from_numpy(arrays["x0"])
    assert torch.equal(torch.cat([made.x0, made.held_out]), x0) and made.kind == load(data).kind
    assert main(["train", "--data", "made.npz", "--steps", "2", "--set", "width=8", "--save", "m.safetensors"]) == 0


def test_a_trained_model_comes_back_with_its_card(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = ["train", "--data", "gaussians8", "--steps", "3", "--set", "width=8", "--save", "m.safetensors"]
    assert main(train) == 0
    assert main(["sample", "--model", "m.safetensors", "--n", "5", "--steps", "2", "--out", "a.npz"]) == 0
    with pytest.raises(ValueError, match="holds no recipe: it is no trace but weights. The page takes no models"):
        recipe_in("m.safetensors")
    with pytest.raises(ValueError, match="it holds no recipe but a model's card"):
        recipe_in("m.json")


def test_what_a_recipe_does_not_have_is_named_and_passed_over():
    about = RECIPE.to_dict() | {"steps": "many", "colour": "<b>red</b>", "seed": None, "command": "python -m core gif"}
    recipe, complaints = recipe_of(about)
    assert recipe == RECIPE.with_(steps=100, seed=0)
    assert [line.split()[0] for line in complaints] == ["steps", "seed", "colour"]
    assert not any("<" in line for line in complaints)
    recipe, (complaint,) = recipe_of({"data": "moons", "T": 100, "steps": 500})
    assert (recipe.T, recipe.steps) == (100, 100) and complaint.startswith("steps is 500; it can be 1…100")
    recipe, (complaint,) = recipe_of({"data": "moons", "T": 50, "steps": 500})
    assert (recipe.T, recipe.steps) == (50, 50) and complaint.startswith("steps is 500; it can be 1…50")
    recipe, (complaint,) = recipe_of({"schedule": "linear", "T": 3})
    assert (recipe.T, recipe.steps) == (1000, 100) and complaint.startswith("T is 3; it can be 21…4000")
    assert recipe_of({"data": "moons", "T": 50}) == (Recipe(data="moons", T=50, steps=50), [])


@pytest.mark.parametrize("text, says", [
    ("{}", "no recipe but JSON of something else"), ('{"a": ' * 100 + "1" + "}" * 100, "nested 100 deep"),
    ('{"x": "' + "y" * 2_000_001 + '"}', "more than 2,000,000 bytes"), ("{", "is not JSON"),
])  # fmt: skip
def test_json_that_is_no_recipe_is_refused_in_words(text, says, tmp_path):
    (tmp_path / "a.json").write_text(text)
    for read in (lambda: recipe_in(tmp_path / "a.json"), lambda: recipe_from_json(text), lambda: recipe_of_call(text)):
        with pytest.raises(ValueError, match=says):
            read()


def test_a_picture_of_somebody_else_is_points_on_its_ink_and_no_film(tmp_path):
    pixels = np.full((40, 40), 255, np.uint8)
    pixels[5:35, 10:20] = 0
    Image.fromarray(pixels).save(tmp_path / "a.gif")
    found = read_file(str(tmp_path / "a.gif"), 16)
    assert found.recipe is None and len(found.dataset) == 2000


@pytest.mark.parametrize("suffix", dict.fromkeys((*READABLE, *HANDED_OUT)))
def test_a_stranger_is_told_neither_where_a_file_lies_nor_what_went_wrong_inside(suffix, tmp_path):
    path = tmp_path / f"mine{suffix}"
    for held in (b"", b"{", b"[]", b"PK\3\4", b"PK\5\6" + b"\0" * 18, b"\x89PNG\r\n\x1a\n", b"GIF89a",
                 b"\2" + b"\0" * 7 + b"{}", b"\3" + b"\0" * 7 + b'{"a', b"\0\xff" * 99):
        path.write_bytes(held)
        with pytest.raises(ValueError) as refused:
            read_file(str(path), 16)
        said = str(refused.value)
        assert len(said) > 20 and str(tmp_path) not in said, said
        assert not re.search(r"Error|Errno|0x|NoneType|attribute|subscript", said), said


def test_a_picture_is_not_decoded_in_search_of_a_recipe(tmp_path, monkeypatch):
    for suffix in ("png", "webp"):
        Image.new("L", (32, 32)).save(tmp_path / f"a.{suffix}")
    monkeypatch.setattr(PngImageFile, "load", lambda *_: pytest.fail("a picture of any size was decoded"))
    monkeypatch.setattr(WebPImageFile, "load", lambda *_: pytest.fail("a picture of any size was decoded"))
    for suffix in ("png", "webp"):
        with pytest.raises(ValueError, match=f"'a.{suffix}' holds no recipe: there is none in it"):
            recipe_in(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("about, says", [
    ("[" * 500, "nested 500 deep"), ("{}", "no recipe but JSON of something else"), ("no", "is not JSON"),
])  # fmt: skip
def test_a_trace_about_nonsense_is_refused(about, says, tmp_path):
    save_file({"t": torch.zeros(1)}, tmp_path / "t.safetensors", metadata={"about": about})
    with pytest.raises(ValueError, match=says):
        recipe_in(tmp_path / "t.safetensors")


@pytest.mark.parametrize("arrays, says", [
    ({"x0": np.full((9, 2), np.nan, np.float32)}, "NaN or infinite"), ({"x0": np.zeros((9, 2))}, "float64"),
    ({"x0": np.zeros((9, 3), np.float32)}, "points are torch.float32 of shape"), ({}, "x0"),
    ({"x0": np.zeros((9, 2), np.complex64)}, "complex64"),
])  # fmt: skip
def test_samples_that_are_none_are_refused(arrays, says, tmp_path):
    np.savez(tmp_path / "a.npz", about=np.array("{}"), **arrays)
    with pytest.raises(ValueError, match=f"cannot read the data set .*{says}"):
        load_dataset(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", about=np.array("[" * 1000), x0=np.zeros((9, 2), np.float32))
    with pytest.raises(ValueError, match="nested 1,000 deep"):
        load_dataset(tmp_path / "a.npz")
