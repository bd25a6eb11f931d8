"""The zoo: a card that is not true of its files is found out, and what is renewed is true."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from core.checkpoints import models as checkpoints
from core.checkpoints.models import FOLDER, load_checkpoint, pretrained, save_checkpoint
from core.cli import parser as cli, zoo as command
from core.data.datasets import load
from core.zoo import ROLES, Entry, check, checks, draw_sheet, read_sheet, role_for, save_sheet, strangers
from core.zoo.gallery import BEGIN, END, write_gallery
from core.zoo.parts import check_part, parts
from core.zoo.roles import composed

MODELS = ("trex", "trex-consistency")  # a model and one that was made of it


@pytest.fixture
def copy(tmp_path):
    """The two models, in a folder where they can be tampered with."""
    (tmp_path / "sheets").mkdir()
    for name in MODELS:
        for file in (f"{name}.json", f"{name}.safetensors", f"sheets/{name}.png"):
            shutil.copy(FOLDER / file, tmp_path / file)
    return tmp_path


def edit(folder, name: str, **changes) -> None:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def problems(folder, name: str = "trex", full: bool = False) -> str:
    return "\n".join(check(Entry(name, folder), cli.make_parser().parse_args, full))


def test_an_untouched_copy_is_true(copy):
    assert all(problems(copy, name) == "" for name in MODELS) and strangers(copy) == []


def test_every_command_begins_the_training_that_its_card_tells_of():
    parse = cli.make_parser().parse_args
    trained = [name for name in pretrained() if Entry(name).role.command == "train"]
    assert len(trained) > 20 and [command.other_training(Entry(name), parse) for name in trained] == [[]] * len(trained)


def test_a_command_that_trains_another_network_is_found(copy):
    told = Entry("trex", copy).card["command"]
    edit(copy, "trex", command=told + " --set width=32")
    assert "its command trains with width 32, and the card says 128" in command.other_training(
        Entry("trex", copy), cli.make_parser().parse_args)


def test_other_weights_than_the_cards_are_found(copy):
    denoiser, card = load_checkpoint(copy / "trex.safetensors")
    with torch.no_grad():
        next(denoiser.network.parameters())[0, 0] += 0.1
    save_checkpoint(copy / "other.safetensors", denoiser)
    (copy / "other.safetensors").replace(copy / "trex.safetensors")
    assert "not those that the card was written for" in problems(copy)


def test_a_damaged_and_a_missing_file_are_found(copy):
    (copy / "trex-consistency.safetensors").write_bytes(b"half")
    (copy / "trex.safetensors").unlink()
    assert "no weights at trex.safetensors" in problems(copy) and "sha256" in problems(copy, "trex-consistency")


TAMPERED = [
    ({"data": "cat"}, "data and role make it 'cat'"),
    ({"data": "dragon"}, "no data set is called 'dragon'"),
    ({"data_hash": "0" * 12}, "data_hash is '000000000000' on the card"),
    ({"licence": "mine"}, "licence is 'mine' on the card"),
    ({"steps": 7}, "its settings make the steps 6000, and it has 7"),
    ({"prediction_type": "v"}, "its settings make the prediction_type edm, and it has v"),
    ({"T": 500}, "its settings make the schedule"),
    ({"role": "dream"}, "role 'dream' is unknown; there are diffusion, flow"),
    ({"role": "flow"}, "data and role make it 'trex-flow'"),
    ({"command": "make trex"}, "begins with python -m core"),
    ({"command": "python -m core train --data trex"}, "its command is refused: error: the following arguments"),
    ({"command": "python -m core train --data cat --save pretrained/trex.safetensors"}, "says data 'cat'"),
    ({"command": "python -m core distil --model trex --save pretrained/trex.safetensors"}, "says command 'distil'"),
    ({"command": "python -m core train --data trex --save runs/trex.safetensors"}, "says save 'runs/trex.safetensors'"),
    ({"quality": {"nearest": 0.1}}, "does not hold nearest beside that of real data"),
    ({"notes": ""}, "does not say where it is weak"),
    ({"sha256": "0" * 64}, "its sample sheet was drawn from other weights"),
]


@pytest.mark.parametrize("change, found", TAMPERED, ids=lambda value: str(value)[:40])
def test_a_card_that_says_something_else_is_found(copy, change, found):
    edit(copy, "trex", **change)
    assert found in problems(copy)


def test_a_card_that_leaves_something_out_is_found(copy):
    path = copy / "trex.json"
    card = json.loads(path.read_text())
    del card["command"]
    path.write_text(json.dumps(card))
    assert problems(copy) == "its card does not say 'command'"


def test_settings_of_another_network_are_found(copy):
    card = json.loads((copy / "trex.json").read_text())
    edit(copy, "trex", training=card["training"] | {"width": 64})
    assert "its settings make the network" in problems(copy)
    edit(copy, "trex", training=card["training"] | {"colour": "red"})
    assert "'colour'" in problems(copy)


def test_another_teacher_is_found(copy):
    edit(copy, "trex-consistency", teacher={"name": "trex", "sha256": "0" * 64})
    assert "made of another trex than the one that is here" in problems(copy, "trex-consistency")
    edit(copy, "trex-consistency", teacher={"name": "cat", "sha256": "0" * 64})
    assert "no card at" in problems(copy, "trex-consistency")


def test_too_large_a_file_is_found(copy, monkeypatch):
    monkeypatch.setattr(checks, "MAX_BYTES", 1000)
    monkeypatch.setattr(checks, "MAX_SHEET_BYTES", 100)
    assert "below 1,000" in problems(copy) and "below 100" in problems(copy)


def test_a_missing_sheet_and_one_of_another_model_are_found(copy):
    shutil.copy(copy / "sheets/trex-consistency.png", copy / "sheets/trex.png")
    assert problems(copy) == "its sample sheet was drawn from other weights"
    (copy / "sheets/trex.png").unlink()
    assert problems(copy) == "it has no sample sheet"


def test_strangers_in_the_folder_are_found(copy):
    (copy / "stray.safetensors").write_bytes(b"")
    (copy / "sheets/stray.png").write_bytes(b"")
    assert strangers(copy) == [f"{name} belongs to no card" for name in ("sheets/stray.png", "stray.safetensors")]


@pytest.fixture
def part(tmp_path):
    path = tmp_path / "autoencoders" / "latent_digits.safetensors"
    shutil.copytree(FOLDER / "autoencoders", path.parent)
    return path


def test_what_stands_beside_the_models_is_held_against_its_card_too(part):
    def found():
        return "\n".join(check_part(part, cli.make_parser().parse_args))

    assert part in parts(part.parents[1]) and found() == ""
    card = part.with_suffix(".json")
    true = json.loads(card.read_text())
    for change, told in (({"data_hash": "0" * 12}, "not the mnist16 that are here"), ({"sha256": "0"}, "damaged"),
                         ({"quality": {"error": 0.1}}, "does not say 'pca_error'"),
                         ({"command": true["command"].replace("mnist16", "digits8")}, "makes something else"),
                         ({"command": "python -m core dream"}, "its command is refused: error: argument COMMAND")):
        card.write_text(json.dumps(true | change))
        assert told in found()
    card.unlink()
    assert "autoencoders/latent_digits.safetensors belongs to no card" in strangers(part.parents[1])


def test_all_parts_that_are_shipped_are_true():
    parse = cli.make_parser().parse_args
    assert len(parts()) >= 3 and not [found for path in parts() for found in check_part(path, parse)]


def test_sampled_again_sheets_and_figures_come_out_as_they_are_and_false_ones_are_found(copy):
    assert problems(copy, "trex-consistency", full=True) == ""
    quality = json.loads((copy / "trex-consistency.json").read_text())["quality"]
    edit(copy, "trex-consistency", quality=quality | {"sliced_wasserstein": 0.9 * quality["real_sliced_wasserstein"],
                                                      "nearest": 0.1})
    pixels, sha256 = read_sheet(copy / "sheets/trex-consistency.png")
    save_sheet(Image.fromarray(pixels[:, ::-1]), copy / "sheets/trex-consistency.png", sha256)
    found = problems(copy, "trex-consistency", full=True)
    assert "quality.nearest is 0.1 on the card" in found and "drawn again, its sample sheet is another" in found


def test_the_command_prints_a_table_and_its_exit_status_tells(copy, capsys, monkeypatch):
    monkeypatch.setattr(command, "Entry", lambda name: Entry(name, copy))
    monkeypatch.setattr(command, "strangers", lambda: strangers(copy))
    monkeypatch.setattr(command, "parts", lambda: parts(copy))
    monkeypatch.setattr(command, "pretrained", lambda: {name: pretrained()[name] for name in MODELS})
    assert cli.main(["zoo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("name") and [line.split()[0] for line in lines[1:]] == list(MODELS)
    assert all(line.endswith("true") for line in lines[1:])
    edit(copy, "trex", notes="")
    assert cli.main(["zoo"]) == 1
    told = capsys.readouterr().out
    assert "trex: its card does not say where it is weak" in told and told.count("true") == 1
    assert cli.main(["zoo", "trex-consistency"]) == 0
    assert cli.main(["zoo", "dino"]) == 2


def test_renewing_makes_a_card_true_again_and_writes_the_gallery(copy, monkeypatch):
    (copy / "sheets/trex-consistency.png").unlink()
    edit(copy, "trex-consistency", quality={}, notes="dusty")
    (copy / "README.md").write_text(f"# Ours\n\n{BEGIN}\nold\n{END}\nthe end\n")
    monkeypatch.setattr(command, "Entry", lambda name: Entry(name, copy))
    monkeypatch.setattr(command, "pretrained", lambda: dict.fromkeys(MODELS))
    monkeypatch.setattr(command, "write_gallery", lambda: write_gallery(copy))
    assert cli.main(["zoo", "--renew", "trex-consistency"]) == 0
    told = (copy / "README.md").read_text()
    assert told.startswith("# Ours") and told.endswith("the end\n") and "old" not in told
    assert told.index("sheets/trex.png") < told.index("sheets/trex-consistency.png") and "*Weak:* dusty" in told
    assert "`python -m core distil --model trex" in told
    (copy / "README.md").write_text("no place")
    with pytest.raises(ValueError, match="no place for the gallery"):
        write_gallery(copy)


def test_the_gallery_in_the_folder_shows_every_model():
    told = (FOLDER / "README.md").read_text()
    assert all(f"(sheets/{name}.png)" in told and card["command"] in told for name, card in pretrained().items())


def test_a_sheet_of_a_model_with_labels_has_a_row_for_each_and_frames_what_was_held_out():
    data = load("faces16")

    class Painter:
        """Draws each face as the mean of those that are called so."""

        labels = data.classes

    asked = []

    def draw(model, shape, n, seed, cond):
        asked.append(cond)
        return torch.stack([data.x0[(data.cond == row).all(1)].mean(0) for row in cond])

    role = ROLES["diffusion"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ROLES, "diffusion", type(role)("painted", "by mean", draw=draw))
        plain, framed = (np.asarray(draw_sheet(Painter(), {"data": "faces16", "training": {"without": held}}, data))
                         for held in ([], ["hat", "green"]))
    assert asked[0].reshape(5, 12, 2)[:, ::2].tolist() == [[[kind, hair] for hair in range(6)] for kind in range(5)]
    changed = (plain != framed).any(-1).nonzero()
    row = len(plain) // 5
    assert 2 * row <= changed[0].min() and changed[0].max() < 3 * row and len(changed[0])


def test_a_combination_that_was_held_out_is_asked_for_and_compared_with_the_datas_own():
    data, asked = load("faces16"), []

    def obey(model, shape, n, seed, cond):
        asked.append(cond)
        return data.x0[data.rows_of("hat", "green")][:n]

    found = composed(None, data, ["hat", "green"], obey, n=50)
    assert asked[0].tolist() == [[2, 5]] * 50 and found["agreement"] == 1 and 0.2 < found["real_agreement"] < 1
    assert found["by_chance"] == pytest.approx(1 / 30, rel=0.1) and found["pair"] == ["hat", "green"]
    assert composed(None, data, ["hat", "red"], obey, n=50)["agreement"] == 0


def test_a_series_has_one_role_and_an_unknown_one_is_refused():
    assert role_for({"role": "rows64"}) is ROLES["rows"] and role_for({}) is ROLES["diffusion"]
    with pytest.raises(ValueError, match="'gan' is unknown; there are diffusion, flow"):
        role_for({"role": "gan"})


def test_cards_are_read_from_where_they_lie():
    assert Entry("trex").card == checkpoints.pretrained()["trex"]
