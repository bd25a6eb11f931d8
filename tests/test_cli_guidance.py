"""Labels, guidance and classifiers on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from core.checkpoints.classifiers import load_classifier
from core.cli import parser as cli
from core.data.datasets import Dataset, load, save_dataset
from core.metrics.distances import agreement


def run(*words) -> int:
    """A command in this process; its exit status."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


def drawn(out: str, *words) -> torch.Tensor:
    """What `sample` writes."""
    assert run("sample", "--out", out, *words) == 0
    with np.load(out) as arrays:
        return torch.from_numpy(arrays["x0"])


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def corners(tmp_path_factory) -> Path:
    """Data with two conditions: four clouds, one for each pair of sides."""
    side, height = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    data = Dataset("corners", "", "points", torch.stack([side, height], 1) * 2.0 - 1, side, ("left", "right"), 0.1,
                   label_title="side", extra={"height": (height, ("low", "high"))})
    return save_dataset(data, tmp_path_factory.mktemp("data") / "corners.npz")


EXACT = ("--model", "exact", "--data", "gaussians8", "--n", 40, "--steps", 30)


@pytest.mark.parametrize("more", [(), ("--classifier", "exact")], ids=["itself", "classifier"])
@pytest.mark.parametrize("scale", [1, 4])
def test_samples_keep_to_the_label_by_either_kind_of_guidance(more, scale):
    x0 = drawn("x.npz", *EXACT, "--label", "90°", "--guidance-scale", scale, *more)
    assert agreement(x0, torch.full((40,), 2), load("gaussians8")) == 1


def test_a_scale_of_0_forgets_the_label_and_of_1_changes_nothing_about_it():
    one, same, none, free = (drawn(f"{i}.npz", *EXACT, *more) for i, more in enumerate((
        ("--label", "2"), ("--label", "2", "--guidance-scale", "1"), ("--label", "2", "--guidance-scale", "0"), ())))
    assert torch.equal(one, same) and torch.equal(none, free) and not torch.equal(one, none)


def test_outside_the_interval_the_model_is_only_told_the_label():
    told, never, always = (drawn(f"{i}.npz", *EXACT, "--label", "2", *more) for i, more in enumerate((
        (), *(("--guidance-scale", "5", "--guidance-interval", when) for when in ("0,0", "1,0")))))
    assert torch.equal(told, never) and not torch.equal(told, always)


def test_each_label_in_turn_is_that_label_for_the_sample_whose_turn_it_is(corners):
    each = drawn("each.npz", *EXACT, "--label", "each")
    for k in (1, 6):
        torch.testing.assert_close(each[k::8], drawn(f"{k}.npz", *EXACT, "--label", k)[k::8])
    exact = ("--model", "exact", "--data", corners, "--n", 8, "--steps", 30)
    high = drawn("high.npz", *exact, "--label", "each,high")
    assert ((high[:, 1] - 1).abs() < 0.6).all() and (high[:, 0] > 0).tolist() == [False, True] * 4


def test_two_conditions_are_asked_for_together_or_one_alone(corners):
    exact = ("--model", "exact", "--data", corners, "--n", 60, "--steps", 30)
    both = drawn("both.npz", *exact, "--label", "right,high")
    assert ((both - 1).abs() < 0.6).all()
    high = drawn("high.npz", *exact, "--label", "any,high")
    assert ((high[:, 1] - 1).abs() < 0.6).all() and 10 < int((high[:, 0] > 0).sum()) < 50


def test_a_pair_held_out_of_training_is_on_the_card_and_can_be_asked_for(corners):
    words = ["--data", corners, "--labels", "--without", "right,high", "--steps", 20, "--set", "width=16"]
    assert run("train", *words, "--save", "m.safetensors") == 0
    card = json.loads(Path("m.json").read_text())
    assert card["training"]["without"] == ["right", "high"] and card["labels"] == [2, 2]
    ask = ("--model", "m.safetensors", "--n", 5, "--steps", 3)
    by_name = drawn("a.npz", *ask, "--data", corners, "--label", "right,high", "--guidance-scale", "2")
    assert torch.equal(by_name, drawn("b.npz", *ask, "--label", "1,1", "--guidance-scale", "2"))


def test_a_classifier_is_trained_saved_and_guided_with():
    words = ["--data", "gaussians8", "--steps", 150, "--set", "width=64"]
    assert run("classifier", *words, "--save", "c.safetensors") == 0
    classifier, card = load_classifier("c.safetensors")
    assert card["steps"] == 150 and card["command"].startswith("python -m core classifier --data gaussians8")
    assert card["quality"]["accuracy"][0] == 1
    x0 = drawn("x.npz", *EXACT, "--label", "90°", "--guidance-scale", "3", "--classifier", "c.safetensors")
    assert agreement(x0, torch.full((40,), 2), load("gaussians8")) > 0.7


@pytest.mark.parametrize("words, expected", [
    ((*EXACT, "--guidance-scale", "2"), "say with --label which"),
    ((*EXACT, "--label", "2", "--guidance-scale", "nan"), "guidance_scale is nan; it can be"),
    ((*EXACT, "--label", "2", "--guidance-scale", "2", "--guidance-interval", "0.2,0.8"), "1 ≥ begin ≥ end ≥ 0"),
    ((*EXACT, "--label", "2", "--guidance-interval", "0.5"), "no FROM,TO"),
    ((*EXACT, "--label", "1,2"), "2 labels 1, 2; gaussians8 has 1"),
    ((*EXACT, "--label", "2", "--classifier", "mnist"), "no classifier is shipped for 'mnist'"),
    ((*EXACT, "--label", "any", "--classifier", "exact"), "asks for any label"),
    (("--model", "exact", "--data", "trex", "--label", "1", "--classifier", "exact"), "has no labels"),
])  # fmt: skip
def test_guidance_that_cannot_be_gets_one_clear_line(words, expected, capsys):
    assert run("sample", "--out", "x.npz", *words) == 2
    said = capsys.readouterr().err
    assert expected in said and len(said.splitlines()) == 1 and not Path("x.npz").exists()


@pytest.mark.parametrize("words, expected", [
    (("train", "--data", "faces16", "--labels", "--without", "hat"), "2: kind, hair"),
    (("classifier", "--data", "trex"), "trex has 0"),
    (("classifier", "--data", "moons", "--set", "heads=2"), "no setting 'heads'"),
])  # fmt: skip
def test_training_that_cannot_be_gets_one_clear_line(words, expected, capsys):
    assert run(*words, "--save", "m.safetensors") == 2
    assert expected in capsys.readouterr().err and not Path("m.safetensors").exists()


@pytest.mark.parametrize("more", [(), ("--classifier", "exact")], ids=["itself", "classifier"])
def test_a_film_of_a_guided_walk_shows_what_guidance_does(more):
    words = ["--model", "exact", "--data", "moons", "--label", "upper", "--guidance-scale", 3, "--n", 20, "--steps", 2,
             *more]
    keys = ("eps_c", "eps_u", "guidance_delta", "field_c", "field_u", "guidance_field", "tilted_density")
    assert run("gif", *words, "--panels", ",".join(keys), "--size", 64, "--out", "g.gif") == 0
    assert Path("g.gif").stat().st_size > 1000
    assert run("gif", *words[:4], "--panels", "tilted_density", "--size", 64, "--out", "h.gif") == 2
