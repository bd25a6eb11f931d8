import hashlib
import json
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from core.checkpoints.models import (
    TRAINING, load_checkpoint, load_pretrained, load_training, pretrained, read_card, save_checkpoint, save_training,
)
from core.data.datasets import Dataset
from core.doors import jsons
from core.training.presets import TrainingConfig, make_denoiser
from core.training.trainer import Trainer

DATA = Dataset("two", "", "points", torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), bandwidth=0.1, licence="own")
PICTURES = Dataset("pictures", "", "images", torch.linspace(-1, 1, 5 * 192).reshape(5, 3, 8, 8),
                   torch.arange(5), tuple("abcde"))


def trained(steps=12, data=DATA, **changes):
    base = {"network": "mlp", "width": 16, "steps": 20, "batch": 2000}
    trainer = Trainer(data, TrainingConfig(**base | changes))
    for _ in trainer.run(until=steps):
        pass
    return trainer


@pytest.fixture(scope="module")
def model():
    """A little trained model. No test changes it."""
    return trained()


@pytest.fixture
def saved(tmp_path, model):
    return save_checkpoint(tmp_path / "two.safetensors", model)


@pytest.mark.parametrize("data, changes", [
    (DATA, {"prediction_type": "eps", "schedule": "linear", "T": 100, "fourier": False}),
    (DATA, {"schedule": "drawn:0,9;0.3,1.5;1,-8", "T": 200}),
    (PICTURES, {"network": "unet", "prediction_type": "v", "batch": 4, "labels": True, "patch": 2, "seed": 4}),
])
def test_a_model_comes_back_saying_what_it_said(tmp_path, data, changes):
    trainer = trained(3, data, **changes)
    denoiser, card = load_checkpoint(save_checkpoint(tmp_path / "m.safetensors", trainer, {"command": "train it"}))
    x, t = data.draw(4, torch.Generator().manual_seed(0))[0], torch.tensor(0.6)
    assert_close(denoiser(x, t).x0, trainer.ema(x, t).x0, atol=5e-3, rtol=5e-3)
    assert not denoiser.training and not any(w.requires_grad for w in denoiser.parameters())
    assert denoiser.labels == trainer.denoiser.labels and denoiser.schedule.T == trainer.config.T
    assert denoiser.schedule.name == trainer.config.schedule
    assert TrainingConfig.from_dict(card["training"]) == trainer.config
    assert (card["data"], card["data_hash"], card["steps"], card["command"]) == (data.name, data.hash, 3, "train it")
    assert card["parameters"] == sum(w.numel() for w in trainer.denoiser.parameters())


def test_the_weights_saved_are_the_averaged_ones_to_half_precision(saved, model):
    denoiser, _ = load_checkpoint(saved)
    average, raw = model.ema.network.enter.weight, model.denoiser.network.enter.weight
    assert torch.equal(denoiser.network.enter.weight, average.half().float())
    assert not torch.allclose(average, raw)


def test_a_bare_denoiser_can_be_saved_too(tmp_path):
    denoiser = make_denoiser(TrainingConfig("mlp", width=16), DATA)
    loaded, card = load_checkpoint(save_checkpoint(tmp_path / "bare.safetensors", denoiser, {"data": "unknown"}))
    assert loaded.prediction_type == "edm" and card["data"] == "unknown" and "steps" not in card


def test_nothing_is_left_behind_and_others_may_read_what_was_written(tmp_path, saved):
    assert sorted(os.listdir(tmp_path)) == ["two.json", "two.safetensors"]
    usual = tmp_path / "usual"
    usual.touch()
    assert saved.stat().st_mode == usual.stat().st_mode


def test_a_model_that_is_not_finite_is_not_saved_and_the_old_one_stays(tmp_path, saved):
    before = saved.read_bytes()
    denoiser = make_denoiser(TrainingConfig("mlp", width=16), DATA)
    with torch.no_grad():
        denoiser.network.leave.bias[0] = 1e6
    with pytest.raises(ValueError, match="'leave.bias'.*65504"):
        save_checkpoint(saved, denoiser)
    assert saved.read_bytes() == before and len(os.listdir(tmp_path)) == 2


def test_another_ending_is_refused(tmp_path, model):
    for name in ("model.pt", "model"):
        with pytest.raises(ValueError, match=f"{name}.*must end in .safetensors"):
            save_checkpoint(tmp_path / name, model)
        with pytest.raises(ValueError, match=f"{name}.*must end in .safetensors"):
            load_checkpoint(tmp_path / name)


def test_a_missing_file_is_named(saved):
    with pytest.raises(FileNotFoundError, match="no card at .*elsewhere.json"):
        load_checkpoint(saved.with_name("elsewhere.safetensors"))
    saved.unlink()
    with pytest.raises(FileNotFoundError, match="card but no weights at .*two.safetensors"):
        load_checkpoint(saved)


def test_a_truncated_file_and_one_of_another_model_are_refused(tmp_path, saved):
    whole = saved.read_bytes()
    saved.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="two.safetensors is damaged or not the file"):
        load_checkpoint(saved)
    other = save_checkpoint(tmp_path / "other.safetensors", trained(1, seed=1))
    saved.write_bytes(other.read_bytes())
    with pytest.raises(ValueError, match="damaged or not the file"):
        load_checkpoint(saved)


@pytest.mark.parametrize("text, says", [
    ("{", "not JSON"), ("[1]", "format is None"), ('{"format": "other-1"}', "format is 'other-1'"),
])  # fmt: skip
def test_a_file_that_is_no_card_is_refused(saved, text, says):
    saved.with_suffix(".json").write_text(text)
    with pytest.raises(ValueError, match=says):
        load_checkpoint(saved)


@pytest.mark.parametrize("change, says", [
    ({"architecture": {"network": "mlp", "width": 32}}, "its card: 'enter.weight' is 16×147, needed is 32×147"),
    ({"architecture": {"network": "gan"}}, "'gan'"), ({"schedule": "quadratic"}, "'quadratic'"),
    ({"prediction_type": "mu"}, "'mu'"), ({"T": None}, "does not fit its card: 'T' is None; it must be a whole number"),
    ({"schedule": None}, "'schedule' is None; it must be a text"), ({"T": 1e9}, "'T' is 1000000000.0"),
    ({"schedule": ["cosine"]}, r"'schedule' is \['cosine'\]; it must be a text"), ({"T": True}, "'T' is True"),
    ({"sigma_data": 0}, "sigma_data is 0; it must be a number above 0"),
    ({"sigma_data": float("nan")}, "'sigma_data' is nan; it must be a number"), ({"sigma_data": "1"}, "is '1'"),
    ({"sigma_data": 1e30}, r"sigma_data is 1e\+30"), ({"sigma_data": 1e-30}, "sigma_data is 1e-30"),
    ({"sigma_data": -1.5}, "sigma_data is -1.5"), ({"prediction_type": None}, "'prediction_type' is None"),
    ({"labels": 3}, "'labels' is 3, and its network's is 0"), ({"labels": "many"}, "'labels' is 'many'"),
    ({"labels": False}, "'labels' is False"), ({"labels": [2, 2]}, r"'labels' is \[2, 2\]"),
    ({"architecture": {"network": "mlp", "width": 16, "labels": -1}}, "'labels' is '-1'; a network's options"),
    ({"architecture": {"network": "mlp", "width": "wide"}}, "'width' is 'wide'; a network's options are whole numbers"),
    ({"architecture": {"network": "mlp", "depth": 10**9}}, "'depth' is '1000000000'; .* whole numbers up to 64"),
    ({"architecture": {"network": "mlp", "width": 8192, "depth": 64}}, "'enter.weight' is 16×147, needed is 8192×"),
    ({"architecture": {"network": "unet", "width": 12}}, "these options do not make a network of kind 'unet'"),
    ({"architecture": ["mlp"]}, "'architecture' is .'mlp'.; it must be an object"), ({"architecture": None}, "is None"),
])  # fmt: skip
def test_a_card_that_does_not_fit_the_weights_is_refused(saved, change, says):
    card = read_card(saved.with_suffix(".json"))
    saved.with_suffix(".json").write_text(json.dumps(card | change))
    with pytest.raises(ValueError, match=says):
        load_checkpoint(saved)


def test_a_card_without_a_field_names_it(saved):
    card = read_card(saved.with_suffix(".json"))
    for name in ("architecture", "schedule", "T", "prediction_type", "sigma_data"):
        rest = {key: value for key, value in card.items() if key != name}
        saved.with_suffix(".json").write_text(json.dumps(rest))
        with pytest.raises(ValueError, match=f"does not fit its card: there is no '{name}' in it"):
            load_checkpoint(saved)


def replaced(saved, **tensors) -> None:
    """Other weights under the card of a model, which is told of them."""
    path = saved.with_suffix(".json")
    save_file(load_file(saved) | tensors, saved)
    path.write_text(json.dumps(read_card(path) | {"sha256": hashlib.sha256(saved.read_bytes()).hexdigest()}))


@pytest.mark.parametrize("weight, says", [
    (torch.full((2,), torch.nan), "'leave.bias' holds NaN or infinity"),
    (torch.full((2,), torch.inf), "'leave.bias' holds NaN or infinity"),
    (torch.full((2,), 1e300, dtype=torch.float64), "'leave.bias' holds NaN or infinity in float32"),
    (torch.zeros(2, dtype=torch.int8), "'leave.bias' is int8; it must be one of float16, bfloat16, float32, float64"),
    (torch.zeros(2, dtype=torch.complex64), "'leave.bias' is complex64"),
    (torch.zeros(2, dtype=torch.bool), "'leave.bias' is bool"),
    (torch.zeros(3), "'leave.bias' is 3, needed is 2"), (torch.zeros(2, 1), "'leave.bias' is 2×1, needed is 2"),
    (torch.zeros(()), "'leave.bias' is one number, needed is 2"),
])  # fmt: skip
def test_weights_that_are_no_weights_are_refused_by_name(saved, weight, says):
    replaced(saved, **{"leave.bias": weight})
    with pytest.raises(ValueError, match=f"does not fit its card: {says}"):
        load_checkpoint(saved)


def test_weights_that_are_too_many_or_too_few_are_named(saved):
    replaced(saved, extra=torch.zeros(1))
    with pytest.raises(ValueError, match="'extra' is 1, needed is nothing of that name"):
        load_checkpoint(saved)


@pytest.mark.parametrize("text, says", [
    ("[" * 1_000_000 + "]" * 1_000_000, "nested 1,000,000 deep; at most 24 is allowed"),
    ('{"a":' * 300_000 + "1" + "}" * 300_000, "nested 300,000 deep"),
    ('{"format": "' + "x" * 3_000_000 + '"}', "more than 2,000,000 bytes"),
    ('{"T": ' + "9" * 100_000 + "}", "is not JSON"),
])  # fmt: skip
def test_a_card_is_looked_at_before_it_is_parsed(saved, text, says, monkeypatch):
    saved.with_suffix(".json").write_text(text)
    monkeypatch.setattr(jsons.json, "loads", json.loads if "9999" in text else lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(ValueError, match=says):
        load_checkpoint(saved)


def test_brackets_within_texts_are_no_nesting():
    assert jsons.parse_json(json.dumps({"note": '[[[[{{"\\' * 1000}), "it")["note"].startswith("[[")


@pytest.mark.parametrize("raw", [b'"' + b"\\" * 9, b'"' + b"\\" * 8, b'"\\' * 9, b'"a\\"b', b'"' * 9])
def test_a_text_that_never_ends_is_looked_through_once(raw):
    """Else a header of as many quotation marks as bytes takes hours: each of them begins a text anew."""
    assert jsons._STRING.sub(b"", raw) == b""


def test_an_unknown_pretrained_model_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="'t-rex'; there are .*trex"):
        load_pretrained("t-rex")
    assert "trex" in pretrained()


# Paused trainings


def test_a_training_goes_on_from_its_file_to_the_last_bit(tmp_path):
    unbroken = trained(20)
    path = save_training(tmp_path / "paused.safetensors", trained(9))
    resumed = load_training(path, DATA)
    assert resumed.step == 9
    for _ in resumed.run():
        pass
    for name, value in unbroken.state_dict().items():
        assert name == "seconds" or torch.equal(value, resumed.state_dict()[name]), name


def test_what_was_turned_goes_with_a_training_into_its_file_and_onto_the_card_of_its_model(tmp_path):
    turned = trained(9)
    turned.turn(lr=1e-4, weighting="min_snr", steps=15)
    resumed = load_training(save_training(tmp_path / "paused.safetensors", turned), DATA)
    assert (resumed.turns, resumed.config) == (turned.turns, turned.config)
    for trainer in (turned, resumed):
        for _ in trainer.run():
            pass
    assert turned.step == 15
    for name, value in turned.state_dict().items():
        assert name == "seconds" or torch.equal(value, resumed.state_dict()[name]), name
    _, card = load_checkpoint(save_checkpoint(tmp_path / "turned.safetensors", resumed))
    (change,) = card["turned"]
    assert change == {"step": 9, "lr": [1e-3, 1e-4], "weighting": ["target", "min_snr"], "steps": [20, 15]}
    assert card["training"]["lr"] == 1e-4 and card["steps"] == card["training"]["steps"] == 15
    assert card["final_loss"] == round(float(turned.losses.loss[9:].mean()), 6)


def test_a_training_is_not_resumed_on_other_data_or_from_another_file(tmp_path, saved, model):
    path = save_training(tmp_path / "paused.safetensors", model)
    with pytest.raises(ValueError, match=f"trained on data {DATA.hash}, and pictures is {PICTURES.hash}"):
        load_training(path, PICTURES)
    with pytest.raises(ValueError, match="no Noisescope training: its format is None"):
        load_training(saved, DATA)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_training(path, DATA)
    with pytest.raises(FileNotFoundError, match="no training at"):
        load_training(tmp_path / "none.safetensors", DATA)


@pytest.mark.parametrize("change, says", [
    ({"config": "[" * 50}, "nested 50 deep"), ({"config": "{}"}, "network"), ({"config": '{"width": 3}'}, "network"),
    ({"config": '{"network": "mlp", "width": null}'}, "width is None"), ({"data": None}, "trained on data None"),
])  # fmt: skip
def test_a_training_whose_header_says_nonsense_is_refused(tmp_path, model, change, says):
    path = save_training(tmp_path / "paused.safetensors", model)
    header = {"format": TRAINING, "config": json.dumps(model.config.to_dict()), "data": DATA.hash} | change
    save_file(load_file(path), path, metadata={name: value for name, value in header.items() if value is not None})
    with pytest.raises(ValueError, match=says):
        load_training(path, DATA)


@pytest.mark.parametrize("part", ["raw.", "ema.", "adam.exp_avg."])
def test_a_training_whose_weights_are_no_numbers_is_refused(tmp_path, model, part):
    path = save_training(tmp_path / "paused.safetensors", model)
    with safe_open(path, "pt") as file:
        header = file.metadata()
    state = load_file(path)
    name = next(name for name in state if name.startswith(part))
    save_file(state | {name: state[name].to(torch.int8)}, path, metadata=header)
    with pytest.raises(ValueError, match=f"'{name}' is int8"):
        load_training(path, DATA)


def test_a_training_file_is_no_model(tmp_path, model):
    path = save_training(tmp_path / "paused.safetensors", model)
    with pytest.raises(FileNotFoundError, match="no card"):
        load_checkpoint(path)
    save_file({"a": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(FileNotFoundError, match="no card"):
        load_checkpoint(tmp_path / "b.safetensors")
