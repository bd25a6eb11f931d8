"""The models that are shipped: their cards tell the truth, and their samples are what they should be."""

import hashlib
import shlex

import pytest
import torch

from core.checkpoints import FOLDER, load_pretrained, pretrained
from core.datasets import load
from core.metrics import sample_quality
from core.recipes import TrainingConfig, make_denoiser

CARDS = pretrained()
POINTS = [name for name in CARDS if load(name).kind == "points"]
IMAGES = [name for name in CARDS if load(name).kind == "images"]


def test_points_digits_and_colour_are_there():
    assert {"trex", "digits8"} <= CARDS.keys()
    assert any(load(name).side == 16 for name in IMAGES) and any(load(name).channels == 3 for name in IMAGES)


def test_every_file_belongs_to_a_model():
    stems = {path.stem for path in FOLDER.iterdir() if path.suffix in (".json", ".safetensors")}
    assert stems == set(CARDS)


@pytest.mark.parametrize("name", CARDS)
def test_the_card_is_that_of_these_weights_and_of_these_data(name):
    card, path = CARDS[name], FOLDER / f"{name}.safetensors"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert path.stat().st_size <= 4_000_000
    assert (card["data"], card["data_hash"], card["licence"]) == (name, load(name).hash, load(name).licence)


@pytest.mark.parametrize("name", CARDS)
def test_the_settings_on_the_card_make_this_model(name):
    denoiser, card = load_pretrained(name)
    again = make_denoiser(TrainingConfig.from_dict(card["training"]), load(name))
    assert again.network.architecture == denoiser.network.architecture == card["architecture"]
    assert (again.target, again.sigma_data) == (denoiser.target, denoiser.sigma_data)
    assert (again.schedule.name, again.schedule.T) == (denoiser.schedule.name, denoiser.schedule.T)
    assert card["steps"] == card["training"]["steps"]


@pytest.mark.parametrize("name", CARDS)
def test_one_command_makes_it_again(name):
    words = shlex.split(CARDS[name]["command"])
    assert words[:4] == ["python", "-m", "core", "train"]
    assert words[words.index("--data") + 1] == name
    assert words[words.index("--save") + 1] == f"pretrained/{name}.safetensors"


def test_a_model_is_loaded_once_in_eval_mode():
    assert load_pretrained("trex")[0] is load_pretrained("trex")[0]
    assert not load_pretrained("trex")[0].training


@pytest.mark.parametrize("name", POINTS)
def test_samples_lie_on_the_shape_and_cover_it(name):
    denoiser, card = load_pretrained(name)
    found = sample_quality(denoiser, load(name), seed=1)
    assert found["nearest"] < 1.3 * found["real_nearest"]
    assert found["sliced_wasserstein"] < 0.06 and found["stray"] < 0.03
    assert found["nearest"] == pytest.approx(card["quality"]["nearest"], rel=0.15)


@pytest.mark.parametrize("name", IMAGES)
def test_noised_pictures_never_seen_are_cleaned(name):
    denoiser, _ = load_pretrained(name)
    unseen = load(name).held_out[:32]
    eps = torch.randn(unseen.shape, generator=torch.Generator().manual_seed(0))
    for t, share in ((0.2, 0.5), (0.5, 0.5)):
        alpha, sigma = denoiser.schedule(torch.tensor(t))
        x_t = alpha * unseen + sigma * eps
        error = (denoiser(x_t, torch.tensor(t)).x0 - unseen).square().mean()
        # The best a linear filter can do for pixels of that variance, each on its own.
        linear = 1 / (1 / unseen.var(0).mean() + alpha**2 / sigma**2)
        assert error < share * linear


@pytest.mark.parametrize("name", IMAGES)
def test_pictures_are_as_sharp_as_data_and_no_copies(name):
    quality = CARDS[name]["quality"]
    assert quality["nearest"] < 1.4 * quality["real_nearest"]
    assert quality["copies"] > 0.6
    assert quality["samples"] >= 100
