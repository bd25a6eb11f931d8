"""Latents: pictures come back from them, what lies near looks alike, and a walk through them can be watched."""

import hashlib
import shutil

import numpy as np
import pytest
import torch

from core.checkpoints.autoencoders import save_autoencoder
from core.cli.parser import main
from core.data.datasets import Dataset, load
from core.data.latents import FOLDER, LEVELS, Autoencoder, load_autoencoder, read_autoencoder
from core.denoisers.exact import Exact
from core.reverse import start_noise, walk
from core.samplers import make_sampler
from core.schedules import make_schedule
from core.trace import Trace
from core.training import trainer
from core.training.autoencoder import autoencoder_config, make_autoencoder, pca_error, report, train_autoencoder
from core.training.presets import preset
from core.views import ForwardView, TraceView, TrainingView
from core.views.base import View
from core.views.decoded import DECODED, TILES, offer_decoded, plane_map
from core.views.training import Floor, Preview

OF = {"latent_digits": "mnist16", "latent_mnist28": "mnist28"}
EACH = pytest.mark.parametrize("name", OF)
SMALL = {"width": 8, "steps": 30, "batch": 16}


@pytest.fixture(scope="module")
def few() -> Dataset:
    """80 digits of 8×8 to train on and 20 held out."""
    digits = load("digits8")
    return Dataset("few", "Few", "images", digits.x0[:80], digits.labels[:80], digits.label_names,
                   held_out=digits.x0[80:100], held_out_labels=digits.labels[80:100])


def trained(data: Dataset, latent: str = "plane", **changes) -> Autoencoder:
    config = autoencoder_config(latent, **SMALL | changes)
    autoencoder = make_autoencoder(data, config)
    for _ in train_autoencoder(autoencoder, data.x0, config):
        pass
    return autoencoder


def test_a_batch_seen_in_parts_teaches_what_the_whole_does(few, monkeypatch):
    config, losses = autoencoder_config("spatial", **SMALL | {"batch": 20, "steps": 8}), []
    for part in (trainer.PART, 64 * 7):  # seven pictures, and six in the last part
        monkeypatch.setattr(trainer, "PART", part)
        losses.append(list(train_autoencoder(make_autoencoder(few, config), few.x0, config)))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4) and losses[0][0] != losses[0][-1]


def walked(name: str, count: int, steps: int = 12) -> TraceView:
    """A walk by the exact denoiser, as a film with all that is decoded of it."""
    data, schedule = load(name), make_schedule("cosine")
    exact, times, generator = Exact(data.x0, schedule, data.bandwidth), schedule.times(steps), torch.Generator()
    trace = Trace()
    film = TraceView(trace, times, data, schedule, exact, make_sampler("ddim", schedule))
    x = start_noise(schedule, (count, *data.shape), times[0], generator.manual_seed(1))
    for step in walk(exact, make_sampler("ddim", schedule, 0.0, generator), x, times, generator):
        trace.add(step)
    film.finish()
    offer_decoded(film)
    return film


# What is shipped


@EACH
def test_unseen_digits_come_back_better_than_from_as_many_principal_components(name):
    quality = load_autoencoder(name).card["quality"]
    assert quality["error"] < 0.75 * quality["pca_error"] < 0.75 * quality["mean_error"]
    unseen, encoded = load(OF[name]).held_out[:200], load_autoencoder(name).autoencoder
    error = (encoded.decode(encoded.encode(unseen)) - unseen).square().mean()
    assert float(error) == pytest.approx(quality["error"], rel=0.1)


def test_seven_by_seven_pixels_in_three_channels_keep_what_a_digit_of_28_pixels_looks_like():
    quality = load_autoencoder("latent_mnist28").card["quality"]
    assert quality["noisy_error"] < 0.05 * quality["mean_error"]


@EACH
def test_what_lies_within_the_bandwidth_is_the_same_picture(name):
    quality = load_autoencoder(name).card["quality"]
    assert quality["noisy_error"] < 1.4 * quality["error"]


@pytest.mark.parametrize("name, share", [("latent_digits", 0.66), ("latent_mnist28", 0.9)])
def test_neighbours_are_mostly_the_same_digit(name, share):
    data = load(name)
    near = torch.cdist(data.held_out.flatten(1), data.x0.flatten(1)).topk(15, largest=False)[1]
    guess = data.labels[near].mode(1)[0]
    assert (guess == data.held_out_labels).float().mean() > share


@EACH
def test_the_latents_are_those_of_the_pictures_in_the_same_order(name):
    data, pictures, encoded = load(name), load(OF[name]), load_autoencoder(name)
    for z, x in ((data.x0[:100], pictures.x0[:100]), (data.held_out[:100], pictures.held_out[:100])):
        torch.testing.assert_close(z, encoded.autoencoder.encode(x), atol=0.5 / LEVELS + 1e-4, rtol=0)
    assert torch.equal(data.labels, pictures.labels) and torch.equal(data.held_out_labels, pictures.held_out_labels)
    assert data.decode(data.x0[:3]).shape == pictures.x0[:3].shape
    assert (len(data), data.bandwidth) == (len(pictures), encoded.autoencoder.bandwidth)
    assert data.licence == pictures.licence and data.x0.abs().max() <= 1
    assert 0.3 < data.std < 0.6  # the plane is made use of


@EACH
def test_the_card_is_that_of_the_file_and_of_the_data(name):
    card, path = load_autoencoder(name).card, FOLDER / f"{name}.safetensors"
    assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and path.stat().st_size < 2_000_000
    assert (card["data"], card["data_hash"]) == (OF[name], load(OF[name]).hash)
    latent, config = card["training"]["latent"], card["training"]
    assert config == vars(autoencoder_config(latent))
    assert card["command"] == (f"python -m core autoencoder --data {OF[name]} --latent {latent} "
                               f"--save pretrained/autoencoders/{name}.safetensors")


# Training


@pytest.mark.parametrize("latent", ["plane", "spatial"])
def test_the_same_seed_trains_the_same_weights_and_leaves_the_global_generator_alone(few, latent):
    before = torch.get_rng_state()
    first, again, other = (trained(few, latent, seed=seed, steps=8).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_training_lowers_the_loss_and_beats_the_mean_picture(few):
    config = autoencoder_config("spatial", **SMALL | {"steps": 100, "width": 16})
    autoencoder = make_autoencoder(few, config)
    losses = list(train_autoencoder(autoencoder, few.x0, config))
    assert len(losses) == 100 and sum(losses[-20:]) < 0.6 * sum(losses[:20])
    quality = report(autoencoder, few)
    assert quality["error"] < quality["mean_error"]


def test_latents_stay_within_one_of_zero(few):
    autoencoder = trained(few)
    assert autoencoder.encode(100 * few.x0).abs().max() <= 1
    r = torch.tensor([-3.0, 0.0, 4 / 3])
    torch.testing.assert_close(autoencoder.squash(r), torch.tensor([-3 / 10**0.5, 0.0, 0.8]))


def test_more_components_rebuild_more_and_all_of_them_everything(few):
    errors = [pca_error(few.x0, few.x0, numbers) for numbers in (0, 2, 20, 64)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-12
    assert errors[0] == pytest.approx(float((few.x0 - few.x0.mean(0)).square().mean()), rel=1e-5)


def test_an_autoencoder_is_read_as_it_was_written(few, tmp_path):
    autoencoder = trained(few, "spatial")
    path = save_autoencoder(tmp_path / "mine.safetensors", autoencoder, few, {"command": "by hand"})
    read = read_autoencoder(path)
    z = autoencoder.encode(few.x0)
    torch.testing.assert_close(read.x0, z, atol=0.005, rtol=0)
    torch.testing.assert_close(read.decode(z), autoencoder.decode(z), atol=0.01, rtol=0)
    assert read.held_out.shape == (20, 3, 2, 2) and read.card["command"] == "by hand"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.json", "mine.safetensors"]


def test_damaged_missing_and_foreign_files_are_refused(few, tmp_path):
    path = save_autoencoder(tmp_path / "mine.safetensors", trained(few), few)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match="damaged"):
        read_autoencoder(path)
    with pytest.raises(FileNotFoundError, match="a card beside it"):
        read_autoencoder(tmp_path / "other.safetensors")
    shutil.copy(FOLDER.parent / "trex.json", path.with_suffix(".json"))
    with pytest.raises(ValueError, match="noisescope-model-1"):
        read_autoencoder(path)


@pytest.mark.parametrize("make, words", [
    (lambda few: autoencoder_config("cube"), "'cube'.*plane, spatial"),
    (lambda few: autoencoder_config("plane", depth=3), "'depth'"),
    (lambda few: autoencoder_config("plane", bandwidth=-1.0), "bandwidth is -1.0"),
    (lambda few: autoencoder_config("plane", steps=0), "steps is 0"),
    (lambda few: make_autoencoder(load("trex"), autoencoder_config("plane")), "trex holds points"),
    (lambda few: Autoencoder("spatial", 1, 10, 8, 0.1), "10 pixels wide"),
    (lambda few: load_autoencoder("nobody"), "latent_digits, latent_mnist28"),
    (lambda few: load("latent_digits").decode(torch.zeros(2, 3)), r"decodes \(N, 2\)"),
    (lambda few: save_autoencoder("mine.npz", trained(few), few), "safetensors"),
])
def test_what_cannot_be_is_refused_in_words(few, make, words):
    with pytest.raises(ValueError, match=words):
        make(few)


# What is seen


def test_a_walk_of_the_exact_denoiser_ends_where_the_decoder_draws_training_digits():
    film = walked("latent_digits", 40)
    data = film.dataset
    assert torch.cdist(film.trace.final, data.x0).amin(1).max() < 4.5 * data.bandwidth
    shown = torch.from_numpy(film.scene(("decoded_x0",)).panel("decoded_x0").data)
    torch.testing.assert_close(shown[-1, :, :, :, 0], data.decode(film.trace["x0"][-1][:DECODED])[:, 0])


def test_the_walkers_are_the_points_that_are_decoded():
    film = walked("latent_digits", 40)
    scene = film.scene(("walkers", "x_t", "decoded_x_t"))
    walkers, states, drawn = (scene.panel(key).data for key in ("walkers", "x_t", "decoded_x_t"))
    assert walkers.shape == (13, DECODED, 2) and (walkers == states[:, :DECODED]).all()
    again = film.dataset.decode(torch.from_numpy(walkers[4]))
    torch.testing.assert_close(torch.from_numpy(drawn[4, ..., 0]), again[:, 0])


def test_latents_that_are_pictures_are_decoded_to_larger_ones():
    film = walked("latent_mnist28", 3, steps=4)
    assert film.default == ("x_t", "x0", "decoded_x_t", "decoded_x0") and "walkers" not in film.offers
    scene = film.scene()
    assert scene.panel("x_t").data.shape == (5, 3, 7, 7, 3)
    assert scene.panel("decoded_x0").data.shape == (5, 3, 28, 28, 1)


def test_the_map_stands_behind_every_panel_of_places_and_nowhere_else():
    film = walked("latent_digits", 4, steps=3)
    for key in ("walkers", "x_t", "x0", "field", "field_exact", "paths", "eps", "removed", "decoded_x0", "density"):
        panel = film.offers[key].make(0, 1)
        assert (panel.map is not None) == (key not in {"eps", "removed", "decoded_x0", "density"}), key
    assert film.scene(("x_t",)).panel("x_t").map is film.scene(("paths",)).panel("paths").map  # made once a view


def test_each_picture_of_the_map_is_that_of_its_own_place_and_where_no_data_are_it_is_clear():
    data, view, side = load("latent_digits"), 1.4, 16
    picture = plane_map(data.decode, data.x0, view)
    assert picture.shape == (TILES * side, TILES * side)
    row, column = 4, 6  # from the top and from the left
    place = torch.tensor([[(column + 0.5) / TILES * 2 - 1, 1 - (row + 0.5) / TILES * 2]]) * view
    tile = picture[row * side : (row + 1) * side, column * side : (column + 1) * side]
    torch.testing.assert_close(tile, (data.decode(place)[0, 0] + 1) / 2, atol=1e-5, rtol=0)
    assert (picture[:side] == 0).all() and (picture[-side:] == 0).all()  # beyond ±1 by more than a tile


def test_latents_dissolve_before_the_eye_too():
    film = ForwardView(load("latent_digits"), make_schedule("cosine"), 20, seed=0, frames=5)
    offer_decoded(film)
    panel = film.scene(("decoded_x_t",)).panel("decoded_x_t")
    torch.testing.assert_close(torch.from_numpy(panel.data[0, ..., 0]), film.dataset.decode(film.x0[:DECODED])[:, 0])
    assert film.scene(("x_t",)).panel("x_t").map is not None and film.default[:2] == ("walkers", "decoded_x_t")


def test_a_training_in_latents_shows_its_samples_decoded():
    data = load("latent_digits")
    film = TrainingView(data, preset("fast", data), [1], Floor(torch.tensor([0.5]), torch.tensor([0.1]), 0.1))
    film.add(Preview(0, data.x0[:30], data.x0[30:60], torch.zeros(18, 18, 2)))
    offer_decoded(film)
    samples, decoded = (film.offers[key].make(0, 1) for key in ("samples", "decoded_samples"))
    assert film.default == ("samples", "guess", "decoded_samples", "decoded_guess")
    assert decoded.data.shape == (1, DECODED, 16, 16, 1) and samples.map is not None


# A capital stands for a panel of samples; what a panel is called says nothing.
@pytest.mark.parametrize("default, others, then", [
    ("ABc", "d", ("A", "B", "decoded_A", "decoded_B")), ("AbcdE", "", tuple("AbcdE")),
    ("ABCD", "", ("decoded_A", "decoded_B", "decoded_C", "decoded_D")),
    ("AB", "c", ("A", "B", "decoded_A", "decoded_B")),
])
def test_what_is_seen_first_are_latents_and_their_pictures_unless_the_film_is_about_noise(default, others, then):
    film = View()
    film.dataset, film.offers, film.default = load("latent_digits"), {}, tuple(default)
    for key in default + others:
        film.offer(key, key, "", lambda a, b: np.zeros((b - a, 20, 2)), kind="points", range=(-1.0, 1.0), palette="ink",
                   holds="samples" if key.isupper() else "")
    offer_decoded(film)
    assert film.default == then == tuple(film.offers)[: len(then)]
    assert {key for key in film.offers if film.offers[key].make(0, 1).kind == "images"} == {
        f"decoded_{key}" for key in default if key.isupper()}


def test_what_is_no_latent_cannot_be_decoded():
    film = ForwardView(load("moons"), make_schedule("cosine"), 20, seed=0, frames=5)
    with pytest.raises(ValueError, match="moons holds points and no latents"):
        offer_decoded(film)


# The command line


def test_one_command_trains_an_autoencoder_and_its_card_says_how(tmp_path, capsys):
    command = ["autoencoder", "--data", "digits8", "--latent", "plane", "--steps", "5", "--set", "width=8",
               "--note", "weak", "--save", str(tmp_path / "plane.safetensors")]
    assert main(command) == 0 and "5 steps" in capsys.readouterr().out
    card = read_autoencoder(tmp_path / "plane.safetensors").card
    assert (card["training"]["steps"], card["training"]["width"], card["notes"]) == (5, 8, "weak")
    assert card["command"].split() == ["python", "-m", "core", *command]
    assert main([*command[:4], "cube", *command[5:]]) == 2
    assert "plane, spatial" in capsys.readouterr().err


def test_samples_of_latents_are_written_decoded_too(tmp_path):
    walk_of = ["sample", "--model", "latent_digits", "--n", "20", "--steps", "3", "--out"]
    assert main([*walk_of, str(tmp_path / "x.npz")]) == main([*walk_of, str(tmp_path / "x.png")]) == 0
    with np.load(tmp_path / "x.npz") as arrays:
        x0, decoded = arrays["x0"], arrays["decoded"]
    assert x0.shape == (20, 2) and decoded.shape == (20, 1, 16, 16)
    again = load("latent_digits").decode(torch.from_numpy(x0)).numpy()
    np.testing.assert_allclose(decoded, again, rtol=1e-4, atol=1e-5)
