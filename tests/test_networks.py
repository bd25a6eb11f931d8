"""Every network that is offered trains on its kind of data, whatever the preset, and draws samples of it."""

from itertools import cycle

import pytest
import torch

from core.checkpoints.models import load_checkpoint, save_checkpoint
from core.data.datasets import load
from core.denoisers import NETWORKS, networks_for
from core.recipe.recipe import FIELDS, SPECS, Recipe
from core.runs.brought import Brought
from core.runs.trainings import Training, config_of
from core.runs.walks import denoise
from core.training.presets import PRESETS, preset
from dashboard.sidebar.choices import WITH_CHOICES, choices_for, without_what_is_not_there
from tests.sweep import few

pytestmark = pytest.mark.usefixtures("short_previews")
DATA = {"points": "gaussians8", "images": "digits8"}


@pytest.mark.parametrize("pair", few([f"{name} {training}" for name in NETWORKS for training in PRESETS],
                                     *(f"{name} {training}" for name, training in zip(NETWORKS, cycle(PRESETS)))))
def test_it_trains_and_its_samples_come_out(pair, tmp_path):
    name, training = pair.split()
    labels = dict(zip(PRESETS, ("learn", "ignore", "learn"), strict=True))[training]
    data, brought = DATA[NETWORKS[name].kind], Brought()
    recipe = Recipe(data=data, network=name, preset=training, labels=labels, train_steps=1, batch=8, steps=2, samples=4)
    learned = Training(recipe, brought)
    for _ in learned.run():
        pass
    assert learned.config.network == name == brought.denoiser.network.architecture["network"]
    *_, film = denoise(recipe.with_(model="mine"), brought)
    assert film.trace.final.shape == (4, *load(data).shape) and film.trace.final.isfinite().all()
    path = save_checkpoint(tmp_path / "model.safetensors", learned.trainer)
    again, _ = load_checkpoint(path)
    x = torch.randn(4, *load(data).shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(again(x, torch.tensor(0.5)).x0, brought.denoiser(x, torch.tensor(0.5)).x0,
                               rtol=2e-2, atol=2e-2)  # weights are kept in half precision


@pytest.mark.parametrize("kind", DATA)
def test_what_is_offered_are_the_networks_for_the_data_by_their_titles_after_the_presets_own(kind):
    recipe = Recipe(data=DATA[kind], model="exact")
    update = choices_for(recipe, None)[WITH_CHOICES.index("network")]
    titles = [(NETWORKS[name].title, name) for name in networks_for(kind)]
    assert update["choices"] == [("as the preset", "auto"), *titles] and update["value"] == "auto"
    assert all(NETWORKS[name].kind == kind for _, name in titles)
    other = next(name for name in NETWORKS if NETWORKS[name].kind != kind)
    assert without_what_is_not_there(recipe.with_(network=other), None).network == "auto"
    mine = networks_for(kind)[-1]
    assert without_what_is_not_there(recipe.with_(network=mine), None).network == mine


def test_a_link_names_it_and_every_name_has_a_title():
    assert Recipe.from_query("network=unet") == (Recipe(network="unet"), [])
    assert SPECS["network"].choices == ("auto", *NETWORKS) and FIELDS["network"].words.keys() == {"auto", *NETWORKS}


def test_auto_is_what_the_preset_takes_and_one_of_another_kind_is_refused():
    for kind, data in DATA.items():
        for name in PRESETS:
            config = config_of(Recipe(data=data, preset=name, schedule=preset(name, load(data)).schedule), load(data))
            assert config.network == preset(name, load(data)).network in networks_for(kind)
    with pytest.raises(ValueError, match="gaussians8 holds points and the network is 'unet'; points need 'mlp'"):
        config_of(Recipe(data="gaussians8", network="unet"), load("gaussians8"))
