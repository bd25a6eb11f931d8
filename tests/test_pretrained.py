"""The models that are shipped: their cards tell the truth, and their samples are what they should be."""

from functools import partial

import pytest
import torch

from core.checkpoints.models import load_pretrained, pretrained, pretrained_for, role_of
from core.cli.parser import make_parser
from core.data.datasets import load
from core.metrics.distances import sample_quality
from core.training.consistency import jump
from core.training.reflow import few_steps, straightness
from core.zoo import Entry, check, strangers
from tests.sweep import few

CARDS = pretrained()
ROLES = {role: [name for name in CARDS if role_of(CARDS[name]) == role] for role in map(role_of, CARDS.values())}


def of_kind(kind: str, *roles: str) -> list[str]:
    return [name for role in roles for name in ROLES.get(role, ()) if load(CARDS[name]["data"]).kind == kind]


def data_of(name: str):
    data = load(CARDS[name]["data"])
    return data.first(CARDS[name].get("train_size", len(data)))


def test_points_digits_and_colour_are_there():
    assert {"trex", "digits8"} <= CARDS.keys()
    images = [data_of(name) for name in of_kind("images", "diffusion")]
    assert any(data.side == 16 for data in images) and any(data.channels == 3 for data in images)


def test_a_model_is_called_by_its_data_and_its_role():
    for name, card in CARDS.items():
        role = role_of(card)
        assert name == (card["data"] if role == "diffusion" else f"{card['data']}-{role}")
        assert pretrained_for(card["data"])[role] == name
    assert list(pretrained_for("trex"))[0] == "diffusion" and "consistency" in pretrained_for("trex")
    assert pretrained_for("nothing") == {}


def test_flows_come_with_what_is_made_of_them_so_that_few_steps_can_be_compared():
    for name in ROLES["flow"]:
        assert {"diffusion", "flow", "reflow", "consistency"} <= pretrained_for(CARDS[name]["data"]).keys()


@pytest.mark.parametrize("name", CARDS)
def test_the_card_is_true(name):
    assert check(Entry(name), make_parser().parse_args) == []


def test_every_file_belongs_to_a_model():
    assert strangers() == []


def test_a_model_is_loaded_once_in_eval_mode():
    assert load_pretrained("trex")[0] is load_pretrained("trex")[0]
    assert not load_pretrained("trex")[0].training


# The weights are those that the card was written for, of every model: here it is seen whether they still sample so.
@pytest.mark.parametrize("name", few(of_kind("points", "diffusion", "flow"), "trex", "moons-flow"))
def test_samples_lie_on_the_shape_and_cover_it(name):
    found = sample_quality(load_pretrained(name)[0], data_of(name), seed=1)
    assert found["nearest"] < 1.3 * found["real_nearest"]
    assert found["sliced_wasserstein"] < 0.06 and found["outlier_rate"] < 0.03
    assert found["nearest"] == pytest.approx(CARDS[name]["quality"]["nearest"], rel=0.15)


@pytest.mark.parametrize("name", few(ROLES["reflow"], "trex-reflow"))
def test_a_reflow_goes_straighter_than_its_flow_and_few_steps_of_it_land_far_nearer_to_the_data(name):
    data = data_of(name)
    flow, again = (load_pretrained(each)[0] for each in (CARDS[name]["teacher"]["name"], name))
    assert straightness(again, data.shape, 500, 40) < 0.01 * straightness(flow, data.shape, 500, 40)
    for steps, blur in ((1, 5), (2, 3)):
        before, after = (sample_quality(each, data, seed=1, draw=partial(few_steps, steps=steps))
                         for each in (flow, again))
        assert after["sliced_wasserstein"] < 0.2 * before["sliced_wasserstein"]
        assert after["nearest"] < blur * after["real_nearest"] and after["sliced_wasserstein"] < 0.06


@pytest.mark.parametrize("name", few(ROLES["consistency"], "trex-consistency"))
def test_one_jump_of_a_consistency_model_lands_near_the_data_where_one_of_its_teachers_does_not(name):
    found, teachers = (sample_quality(load_pretrained(each)[0], data_of(name), seed=1, draw=jump)
                       for each in (name, CARDS[name]["teacher"]["name"]))
    assert found["nearest"] < 2.5 * found["real_nearest"] and found["sliced_wasserstein"] < 0.06
    assert teachers["sliced_wasserstein"] > 4 * found["sliced_wasserstein"]
    assert found["outlier_rate"] < 0.2 < 0.5 < teachers["outlier_rate"]


@pytest.mark.parametrize("name", of_kind("images", "diffusion"))
def test_noised_pictures_never_seen_are_cleaned(name):
    denoiser, _ = load_pretrained(name)
    unseen = data_of(name).held_out[:32]
    eps = torch.randn(unseen.shape, generator=torch.Generator().manual_seed(0))
    # The numbers of a latent tell less of each other than pixels do: in much noise there is less to gain.
    for t, share in ((0.2, 0.5), (0.5, 0.5 if data_of(name).decode is None else 0.7)):
        alpha, sigma = denoiser.schedule(torch.tensor(t))
        x_t = alpha * unseen + sigma * eps
        error = (denoiser(x_t, torch.tensor(t)).x0 - unseen).square().mean()
        # The best a linear filter can do for pixels of that variance, each on its own.
        linear = 1 / (1 / unseen.var(0).mean() + alpha**2 / sigma**2)
        assert error < share * linear


def test_faces_of_a_kind_and_a_hair_that_were_never_seen_together_are_composed():
    found = CARDS["faces16"]["composed"]
    assert found["pair"] == CARDS["faces16"]["training"]["without"] == ["long hair", "blue"]
    assert found["agreement"] > 0.5 > 10 * found["by_chance"]


@pytest.mark.parametrize("name", of_kind("images", "diffusion"))
def test_pictures_are_as_sharp_as_data_and_no_copies(name):
    quality = CARDS[name]["quality"]
    assert not CARDS[name]["labels"] or quality["agreement"] > 0.7 * quality["real_agreement"]
    assert quality["nearest"] < 1.4 * quality["real_nearest"]
    assert quality["nearest_ratio"] > 0.6
    assert quality["samples"] >= 100
