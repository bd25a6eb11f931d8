"""The command line: it teaches, it does what it says, and bad input gets one clear line."""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from core.checkpoints import models as checkpoints
from core.checkpoints.models import load_checkpoint, save_training
from core.cli import parser as cli
from core.cli.commands import Keeper
from core.cli.progress import Bar
from core.data.datasets import load, names
from core.denoisers.wrappers import THRESHOLDINGS
from core.drawing.export import FORMATS, PACINGS, read_recipe
from core.prediction import PREDICTION_TYPES
from core.samplers import SAMPLERS, ddim
from core.schedules import SCHEDULES, SPACINGS, make_schedule
from core.trace import Trace
from core.training.consistency import BOUND
from core.training.presets import PRESETS, preset
from core.training.trainer import Trainer, TrainingDiverged
from core.views import TraceView

pytestmark = pytest.mark.usefixtures("cards_of_few_samples")
ROOT = Path(__file__).parents[1]


def run(*words) -> int:
    """A command in this process; its exit status."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


@pytest.fixture(scope="module")
def model(cards_of_few_samples, tmp_path_factory) -> Path:
    """A little model of eight Gaussians, trained by the command line itself."""
    path = tmp_path_factory.mktemp("model") / "runs" / "little.safetensors"
    settings = ["--set", "width=16", "--set", "depth=1", "--labels"]
    assert run("train", "--data", "gaussians8", "--steps", 30, "--seed", 3, "--save", path, *settings) == 0
    return path


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


COMMANDS = ("data", "models", "zoo", "train", "reflow", "distil", "linear", "classifier", "autoencoder", "sample",
            "gif", "recipe")


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_teaches(command, capsys):
    assert run(*([command] if command else []), "--help") == 0
    text = capsys.readouterr().out
    if command not in ("data", "models"):
        assert "python -m core" in text.split("usage:")[1].split("\n", 1)[1]  # an example, besides the usage
    if command is None:
        assert all(name in text for name in COMMANDS)
    assert max(map(len, text.splitlines())) <= 120


def test_help_names_what_core_has(capsys):
    told = {}
    for command in ("train", "distil", "sample", "gif"):
        run(command, "--help")
        told[command] = capsys.readouterr().out
    assert all(name in told["train"] for name in (*PRESETS, *PREDICTION_TYPES, *SCHEDULES))
    assert all(name in told["distil"] for name in BOUND)
    assert all(name in told["sample"] for name in (*SAMPLERS, *SPACINGS, *THRESHOLDINGS))
    assert all(name in told["gif"] for name in (*PACINGS, *(f".{suffix}" for suffix in FORMATS)))
    for kind, data in (("points", "moons"), ("images", "digits8")):
        schedule = make_schedule("cosine")
        film = TraceView(Trace(), schedule.times(5), load(data), schedule, None, ddim(schedule))
        line = next(line for line in told["gif"].splitlines() if line.strip().startswith(kind + "  "))
        assert line.split(maxsplit=1)[1].split(", ") == list(film.offers)


def test_every_example_of_the_help_is_one_that_the_parser_takes():
    parser = cli.make_parser()
    texts = [value for name, value in vars(cli).items() if name.endswith("_EXAMPLES")]
    examples = [line.strip() for text in texts for line in text.splitlines() if line.strip().startswith("python")]
    assert len(examples) > 8
    for example in examples:
        parser.parse_args(shlex.split(example)[3:])


def test_a_command_is_parsed_without_torch():
    script = "import sys; from core.cli.parser import make_parser; make_parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


def test_data_lists_every_data_set(capsys):
    assert run("data") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(names())
    digits = next(line for line in lines if line.startswith("digits8"))
    assert "1×8×8" in digits and "1,618" in digits and "BSD-3-Clause" in digits


def test_models_lists_what_the_cards_say(model, capsys, monkeypatch):
    monkeypatch.setattr(checkpoints, "FOLDER", model.parent)
    assert run("models") == 0
    head, line = capsys.readouterr().out.splitlines()
    card = json.loads(model.with_suffix(".json").read_text())
    assert line.split()[:5] == ["little", "edm", "cosine", f"{card['parameters']:,}", "30"]
    assert str(card["final_loss"]) in line


def test_without_models_it_says_how_to_get_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    assert run("models") == 0
    assert "python -m core train" in capsys.readouterr().out


def test_training_saves_a_model_and_a_card_with_the_command(model):
    denoiser, card = load_checkpoint(model)
    assert denoiser.labels == 8 and card["data"] == "gaussians8" and card["steps"] == 30 and card["seed"] == 3
    assert card["training"]["width"] == 16 and card["training"]["depth"] == 1
    assert card["command"].startswith("python -m core train --data gaussians8 --steps 30")
    assert sorted(os.listdir(model.parent)) == ["little.json", "little.safetensors"]


def test_the_same_command_trains_the_same_model(tmp_path, capsys):
    words = ["train", "--data", "gaussians8", "--steps", 5, "--set", "width=8", "--save"]
    files = [tmp_path / f"{name}.safetensors" for name in "abc"]
    assert run(*words, files[0]) == run(*words, files[1]) == run(*words, files[2], "--seed", 1) == 0
    first, second, other = (load_checkpoint(path)[0].network.state_dict() for path in files)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    assert "5 steps" in capsys.readouterr().out


def test_the_recipe_the_target_and_the_schedule_can_be_chosen(tmp_path):
    path = tmp_path / "m.safetensors"
    words = ["--preset", "textbook", "--prediction-type", "v", "--schedule", "flow", "--set", "batch=32"]
    words += ["--set", "fourier=true"]
    assert run("train", "--data", "moons", "--steps", 3, "--save", path, *words) == 0
    training = load_checkpoint(path)[1]["training"]
    assert training["prediction_type"] == "v" and training["schedule"] == "flow" and training["batch"] == 32
    assert training["time_sampling"] == "uniform" and training["fourier"] is True


def test_a_flow_is_straightened_and_a_model_distilled_and_their_cards_name_the_teacher(tmp_path):
    little = ["--steps", 3, "--set", "width=8", "--set", "depth=1"]
    assert run("train", "--data", "moons", "--preset", "flow", *little, "--save", "flow.safetensors") == 0
    made = {"reflow": ["--pairs", 50, "--save", "straight.safetensors"], "distil": ["--save", "jump.safetensors"]}
    for command, more in made.items():
        assert run(command, "--model", "flow.safetensors", "--steps", 2, "--set", "batch=8", *more) == 0
    flow, straight, jump = (load_checkpoint(f"{name}.safetensors")[1] for name in ("flow", "straight", "jump"))
    assert (flow["role"], straight["role"], jump["role"]) == ("flow", "reflow", "consistency")
    assert straight["teacher"] == jump["teacher"] == {"name": "flow", "sha256": flow["sha256"]}
    assert straight["pairs"] == 50 and straight["steps"] == jump["steps"] == 2 and straight["training"]["width"] == 8
    assert straight["euler"].keys() == {"1", "2", "4"} and straight["straightness"] > 0 and jump["quality"]["samples"]


def test_data_of_your_own_can_be_trained_on_and_filmed(tmp_path):
    points = np.random.default_rng(0).normal(size=(40, 2))
    (tmp_path / "mine.csv").write_text("\n".join(f"{x},{y}" for x, y in points))
    assert run("train", "--data", "mine.csv", "--steps", 3, "--set", "width=8", "--save", "m.safetensors") == 0
    assert run("sample", "--model", "m.safetensors", "--n", 5, "--steps", 3, "--out", "x.npz") == 0
    film = ["gif", "--model", "m.safetensors", "--n", 5, "--steps", 3, "--size", 64, "--out", "x.gif"]
    assert run(*film) == 2
    assert run(*film, "--data", "mine.csv") == 0


def test_samples_are_written_as_arrays_with_what_made_them(model, tmp_path):
    words = ["sample", "--model", model, "--n", 7, "--steps", 6, "--sampler", "ddpm", "--seed", 5, "--out"]
    assert run(*words, "a.npz") == run(*words, "deep/er/b.npz") == 0
    with np.load("a.npz") as a, np.load("deep/er/b.npz") as b:
        assert a["x0"].shape == (7, 2) and a["x0"].dtype == np.float32 and np.isfinite(a["x0"]).all()
        assert (a["x0"] == b["x0"]).all()
        about = json.loads(str(a["about"]))
    assert about["sampler"] == "ddpm" and about["seed"] == 5 and about["steps"] == 6 and about["samples"] == 7
    assert sorted(os.listdir(tmp_path)) == ["a.npz", "deep"]


def test_a_trace_is_written_whole(model):
    words = ["sample", "--model", model, "--n", 4, "--steps", 6, "--seed", 5, "--out"]
    assert run(*words, "walk.safetensors") == run(*words, "x.npz") == 0
    trace = Trace.load("walk.safetensors")
    assert len(trace) == 6 and trace["x_t"].shape == (6, 4, 2) and trace.about["seed"] == 5
    with np.load("x.npz") as arrays:
        assert (arrays["x0"] == trace.final.numpy()).all()


def test_samples_are_written_as_a_picture():
    assert run("sample", "--model", "exact", "--data", "digits8", "--n", 4, "--steps", 4, "--out", "d.png") == 0
    with Image.open("d.png") as picture:
        assert min(picture.size) >= 500 and len(np.unique(picture.convert("L"))) > 5


def test_the_exact_denoiser_samples_its_data():
    assert run("sample", "--model", "exact", "--data", "gaussians8", "--n", 64, "--steps", 50, "--out", "x.npz") == 0
    data = load("gaussians8")
    with np.load("x.npz") as arrays:
        nearest = torch.cdist(torch.from_numpy(arrays["x0"]), data.x0).min(1)
    assert float(nearest.values.max()) < 5 * data.bandwidth and len(set(nearest.indices.tolist())) > 5


def test_one_label_can_be_asked_for_by_number_and_by_name(model):
    words = ["sample", "--model", model, "--n", 5, "--steps", 4, "--out"]
    name = load("gaussians8").label_names[2]
    assert run(*words, "a.npz", "--label", name) == run(*words, "b.npz", "--label", 2) == run(*words, "c.npz") == 0
    a, b, c = (np.load(f"{x}.npz")["x0"] for x in "abc")
    assert (a == b).all() and not (a == c).all()


def gif(*more) -> list:
    return ["gif", "--n", 6, "--steps", 5, "--size", 48, "--fps", 10, *more]


@pytest.mark.parametrize("suffix, mark", [(".csv", ","), (".tsv", "\t"), (".txt", ";")])
def test_how_a_table_is_read_is_said_and_its_columns_can_be_chosen(suffix, mark, capsys):
    rows = "".join(f"{k}{mark}{k % 5}{mark}{k % 7}\n" for k in range(30))
    Path(f"mine{suffix}").write_text(f"a{mark}b{mark}c\n(mm){mark}(mm){mark}(mm)\n{rows}")
    assert run("data", f"mine{suffix}", "--columns", "c,b") == 0
    out, told = capsys.readouterr()
    assert out == "mine: 30 points\n"
    assert [line.removeprefix(f"mine{suffix}: ") for line in told.splitlines()] == [
        "x: c, 0 to 6", "y: b, 0 to 4", "not used: a",
        "cells: parted by " + {",": "commas", "\t": "tabs", ";": "semicolons"}[mark], "header: line 1",
        "note: left out, as it stands above the numbers: line 2 ((mm), (mm), (mm))"]  # fmt: skip
    assert run("train", "--data", f"mine{suffix}", "--steps", 3, "--set", "width=8", "--save", "m.safetensors") == 2
    assert "the columns of numbers are 1 a, 2 b, 3 c: which are x and y?" in capsys.readouterr().err
    train = ["train", "--data", f"mine{suffix}", "--columns", "2,3,1", "--steps", 3, "--set", "width=8", "--labels"]
    assert run(*train, "--save", "m.safetensors") == 0
    assert json.loads(Path("m.json").read_text())["labels"] == 30


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_film_is_made_and_carries_its_recipe(model, suffix, capsys):
    assert run(*gif("--model", model, "--panels", "x_t,x0,eps", "--out", f"film.{suffix}", "--seed", 9)) == 0
    recipe = read_recipe(f"film.{suffix}")
    assert recipe["data"] == "gaussians8" and recipe["seed"] == 9 and recipe["steps"] == 5 and recipe["samples"] == 6
    capsys.readouterr()
    assert run("recipe", f"film.{suffix}") == 0
    assert json.loads(capsys.readouterr().out) == recipe
    assert os.listdir() == [f"film.{suffix}"]


def test_the_command_in_a_film_makes_it_again(model):
    assert run(*gif("--model", model, "--sampler", "ddim", "--eta", 0.5, "--theme", "dark", "--out", "film.gif")) == 0
    os.rename("film.gif", "kept.gif")
    assert run(*shlex.split(read_recipe("kept.gif")["command"])[3:]) == 0
    assert Path("film.gif").read_bytes() == Path("kept.gif").read_bytes()


@pytest.mark.parametrize("every, frames", [(1, 6), (2, 4), (5, 2)])
def test_every_kth_step_is_shown_and_the_end(model, every, frames):
    assert run(*gif("--model", model, "--every", every, "--panels", "x_t", "--out", "film.gif")) == 0
    with Image.open("film.gif") as film:
        assert film.n_frames == frames


BAD = [
    ([], ("COMMAND",)),
    (["dream"], ("'dream'", "gif")),
    (["train", "--data", "trex"], ("--save",)),
    (["train", "--data", "trxe", "--save", "m.safetensors"], ("'trxe'", "did you mean 'trex'")),
    (["train", "--data", "trex", "--save", "m.pt"], ("m.pt", ".safetensors")),
    (["train", "--data", "trex", "--save", "m.safetensors", "--steps", "0"], ("--steps", "'0'", "from 1")),
    (["train", "--data", "trex", "--save", "m.safetensors", "--steps", "many"], ("'many'", "whole number")),
    (["train", "--data", "trex", "--save", "m.safetensors", "--preset", "slow"], ("'slow'", "fast", "textbook")),
    (["train", "--data", "trex", "--save", "m.safetensors", "--prediction-type", "noise"],
     ("'noise'", "eps", "velocity")),
    (["train", "--data", "trex", "--save", "m.safetensors", "--schedule", "square"], ("'square'", "cosine")),
    (["train", "--data", "trex", "--save", "m.safetensors", "--labels"], ("trex", "no labels")),
    (["train", "--data", "trex", "--save", "m.safetensors", "--set", "lr"], ("'lr'", "NAME=VALUE")),
    (["train", "--data", "trex", "--save", "m.safetensors", "--set", "size=3"], ("'size'", "width")),
    (["train", "--data", "trex", "--save", "m.safetensors", "--set", "lr=fast"], ("lr", "'fast'")),
    (["train", "--data", "trex", "--save", "m.safetensors", "--seed", "-1"], ("'-1'",)),
    (["train", "--data", "trex", "--save", "m.safetensors", "--device", "abacus"], ("'abacus'", "cpu")),
    (["train", "--data", "trex", "--save", "a_file/m.safetensors"], ("a_file", "no folder")),
    (["data", "not.csv", "--columns", "1"], ("'1' is no X,Y", "longitude,latitude")),
    (["data", "moons", "--columns", "1,2"], ("--columns", "moons", ".tsv")),
    (["data", "not.csv", "--pixels", "16"], ("not.csv", "no folder or .zip of pictures")),
    (["linear", "--data", "nothing.csv", "--save", "m.safetensors"], ("nothing.csv", "There are: trex")),
    (["train", "--data", "a_file", "--save", "m.safetensors"], ("a_file", ".csv")),
    (["train", "--data", "not.csv", "--save", "m.safetensors"], ("not.csv", "no two columns", "'no, points'")),
    (["sample", "--model", "dino", "--out", "x.npz"], ("'dino'", ".safetensors", "exact")),
    (["sample", "--model", "none.safetensors", "--out", "x.npz"], ("none",)),
    (["sample", "--model", "exact", "--out", "x.npz"], ("--data",)),
    (["sample", "--model", "exact", "--data", "trex", "--out", "x.txt"], ("x.txt", ".npz", ".png")),
    (["sample", "--model", "exact", "--data", "trex", "--out", "a_folder.npz"], ("a_folder.npz", "is a folder")),
    (["sample", "--model", "exact", "--data", "trex", "--out", "x.npz", "--steps", "2000"], ("2000", "1…1000")),
    (["sample", "--model", "exact", "--data", "trex", "--out", "x.npz", "--sampler", "euler"], ("euler", "heun")),
    (["sample", "--model", "exact", "--data", "trex", "--out", "x.npz", "--eta", "2"], ("2", "eta")),
    (["sample", "--model", "exact", "--data", "trex", "--out", "x.npz", "--eta", "x"], ("'x'", "no number")),
    (["sample", "--model", "exact", "--data", "trex", "--out", "x.npz", "--spacing", "even"], ("even", "log_snr")),
    (["sample", "--model", "exact", "--data", "trex", "--out", "x.npz", "--thresholding", "hard"], ("hard", "dynamic")),
    (["sample", "--model", "exact", "--data", "trex", "--out", "x.npz", "--n", "0"], ("'0'", "from 1")),
    (["sample", "--model", "exact", "--data", "trex", "--out", "x.npz", "--label", "1"], ("knows no labels",)),
    (["sample", "--model", "exact", "--data", "trex", "--out", "x.npz", "--ste", "3"], ("--ste",)),
    (["gif", "--model", "exact", "--data", "trex", "--out", "x.avi"], ("x.avi", ".gif", ".mp4")),
    (["gif", "--model", "exact", "--data", "trex", "--out", "x.gif", "--panels", "x_t,dream"], ("'dream'", "paths")),
    (["gif", "--model", "exact", "--data", "trex", "--out", "x.gif", "--fps", "60"], ("60", "50")),
    (["gif", "--model", "exact", "--data", "trex", "--out", "x.gif", "--theme", "sepia"], ("sepia", "dark")),
    (["gif", "--model", "exact", "--data", "trex", "--out", "x.gif", "--pacing", "slow"], ("'slow'", "log_snr")),
    (["gif", "--model", "exact", "--data", "trex", "--out", "x.gif", "--size", "9999"], ("'9999'", "2048")),
    (["reflow", "--model", "trex", "--save", "m.safetensors"], ("'cosine'", "'flow'")),
    (["reflow", "--model", "trex-flow"], ("--save",)),
    (["distil", "--model", "exact", "--data", "trex", "--save", "m.safetensors"], ("exact", "train one first")),
    (["distil", "--model", "trex", "--save", "m.safetensors", "--set", "levels=1"], ("levels", "from 2")),
    (["recipe", "nowhere.gif"], ("nowhere.gif",)),
    (["recipe", "a_file"], ("a_file", "no recipe")),
]


@pytest.mark.parametrize("words, expected", BAD, ids=lambda value: " ".join(value)[-40:])
def test_bad_input_gets_one_clear_line_exit_status_2_and_leaves_nothing(words, expected, capsys):
    Path("a_file").write_text("plain")
    Path("not.csv").write_text("no, points\nhere, at all\n")
    Path("a_folder.npz").mkdir()
    before = sorted(os.listdir())
    assert run(*words) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ") and len(said.err.splitlines()) == 1, said.err
    assert all(word in said.err for word in expected), said.err
    assert sorted(os.listdir()) == before


def test_a_wrong_label_is_refused_naming_those_there_are(model, capsys):
    assert run("sample", "--model", model, "--out", "x.npz", "--label", "twelve") == 2
    assert "twelve is none of" in capsys.readouterr().err


def test_a_model_of_other_data_is_refused(model, capsys):
    assert run(*gif("--model", model, "--data", "digits8", "--out", "x.gif")) == 2
    assert "(2,)" in (said := capsys.readouterr().err) and "(1, 8, 8)" in said


def test_wrong_looks_are_found_before_the_walk(capsys, monkeypatch):
    taken = []
    monkeypatch.setattr(Trace, "add", lambda self, step, add=Trace.add: (taken.append(step.index), add(self, step)))
    assert run("gif", "--model", "exact", "--data", "trex", "--steps", 500, "--theme", "sepia", "--out", "x.gif") == 2
    assert taken == [0]


def test_a_training_that_diverges_says_where_and_saves_nothing(capsys, monkeypatch):
    def diverge(self, until=None):
        raise TrainingDiverged("training diverged at step 7:\nlook at the data")
        yield

    monkeypatch.setattr(Trainer, "run", diverge)
    assert run("train", "--data", "trex", "--save", "m.safetensors") == 1
    assert capsys.readouterr().err == "error: training diverged at step 7: look at the data\n"
    assert os.listdir() == []


def test_ctrl_c_leaves_nothing(capsys, monkeypatch):
    def interrupted(self, step):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trace, "add", interrupted)
    assert run("sample", "--model", "exact", "--data", "trex", "--out", "x.npz") == 130
    assert "nothing was written" in capsys.readouterr().err and os.listdir() == []


def test_an_existing_file_is_replaced_only_by_a_whole_one(model, monkeypatch):
    words = ["sample", "--model", model, "--n", 3, "--steps", 2, "--out", "x.npz"]
    Path("x.npz").write_text("old")

    def full_disk(path, **arrays):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "savez_compressed", full_disk)
        assert run(*words) == 1
    assert Path("x.npz").read_text() == "old" and os.listdir() == ["x.npz"]
    assert run(*words) == 0
    with np.load("x.npz") as arrays:
        assert arrays["x0"].shape == (3, 2)
    assert stat.S_IMODE(os.stat("x.npz").st_mode) & 0o044


#: A command that says more than a pipe holds, without what takes long to load.
TALKS = """
import sys
from types import ModuleType
from core.cli.parser import main
sys.modules["core.cli.commands"] = commands = ModuleType("commands")
sys.modules["core.training.trainer"] = trainer = ModuleType("trainer")
commands.run, trainer.TrainingDiverged = lambda *_: [print("name") for _ in range(99_999)], ArithmeticError
sys.exit(main(["data"]))
"""


def test_a_reader_that_leaves_early_is_no_error():
    line = f"{shlex.join([sys.executable, '-c', TALKS])} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "name\n", "")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_says_how_far_it_is_and_the_loss():
    with Bar(1000, "train trex", stream=(terminal := Terminal())) as bar:
        bar(250, "loss 0.1234")
        bar.refresh()
    said = terminal.getvalue().split("\r")
    assert any("train trex:  25%" in line and "250/1000" in line and "loss 0.1234" in line for line in said)


def test_the_bar_is_silent_where_nobody_looks(capsys):
    with Bar(3, "x") as bar:
        for k in range(3):
            bar(k + 1)
    assert capsys.readouterr() == ("", "")


def until_closed(leader: int):
    """What comes out of a terminal until nobody holds its other end."""
    with open(leader, "rb", buffering=0) as terminal, suppress(OSError):  # Linux reports the end as an error
        while piece := terminal.read(4096):
            yield piece


def test_the_bar_is_one_line_on_a_terminal(capsys, monkeypatch):
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 120))
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(lambda: b"".join(until_closed(leader)).decode())
        with open(follower, "w") as terminal:
            monkeypatch.setattr(sys, "stderr", terminal)
            words = ["--data", "gaussians8", "--steps", 40, "--set", "width=8", "--save", "m.safetensors"]
            assert run("train", *words) == 0 and "40 steps" in capsys.readouterr().out
        drawn = reading.result()
    assert "\n" not in drawn and "/40 [" in drawn and "steps" in drawn
    assert not drawn.rpartition("\r")[2].strip(), "the line is left empty"


def test_a_link_of_the_page_is_walked_as_the_page_walks_it_and_options_change_it(tmp_path):
    from core.recipe.recipe import Recipe
    from core.runs.walks import denoise

    link = "data=moons&model=exact&sampler=ddpm&steps=8&samples=30&drop_noise=0.5-0&seed=3"
    *_, film = denoise(Recipe.from_query(link)[0])
    for words, steps in (((), 8), (("--steps", "4"), 4)):
        out = tmp_path / "x.safetensors"
        assert run("sample", "--link", f"http://127.0.0.1:7860/?{link}", *words, "--out", out) == 0
        trace = Trace.load(out)
        assert len(trace) == steps and Recipe.from_dict(trace.about).with_(steps=8) == Recipe.from_query(link)[0]
        assert torch.equal(trace.final, film.trace.final) == (steps == 8)


def test_interventions_and_comparisons_are_had_as_on_the_page(tmp_path):
    exact = ("--model", "exact", "--data", "gaussians8", "--n", "20", "--steps", "6", "--size", "32")
    for name, words, panels in (
        ("edits.gif", ("--sampler", "ddpm", "--drop-noise", "on", "--nudge", "0.5", "--time-shift", "0.05"),
         "x_t,added"),
        ("variants.gif", ("--variants", "sampler:ddpm", "--variants", "steps:3"), ""),
        ("lens.gif", ("--film", "lens"), ""), ("forward.gif", ("--film", "forward"), ""),
    ):
        assert run("gif", *exact, *words, *(("--panels", panels) if panels else ()), "--out", tmp_path / name) == 0
    about = read_recipe(tmp_path / "edits.gif")
    assert (about["drop_noise"], about["nudge"], about["time_shift"]) == ([1.0, 0.0], 0.5, 0.05)
    assert read_recipe(tmp_path / "variants.gif")["variants"] == ["sampler:ddpm", "steps:3"]
    assert [read_recipe(tmp_path / f"{tab}.gif")["tab"] for tab in ("lens", "forward")] == ["lens", "forward"]


def test_a_training_that_was_killed_goes_on_bit_for_bit(capsys, monkeypatch):
    """What a kill leaves is the folder as it stands at that moment: here in the fifth step."""
    def look(self, trainer, look=Keeper.look):
        look(self, trainer)
        if trainer.step == 5:
            shutil.copytree(".", "../killed")

    words = ["train", "--data", "gaussians8", "--set", "width=16", "--steps", "16", "--keep-every", "0"]
    Path("whole").mkdir()
    monkeypatch.chdir("whole")
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "look", look)
        assert run(*words, "--save", "it.safetensors") == 0
    whole = load_file("it.safetensors")
    monkeypatch.chdir("../killed")
    assert os.listdir() == ["it.training.safetensors"]
    assert run(*words, "--set", "width=17", "--save", "it.safetensors", "--resume") == 2
    assert "width 16, here 17" in capsys.readouterr().err
    assert run(*words, "--save", "it.safetensors", "--resume") == 0
    torn = load_file("it.safetensors")
    assert whole.keys() == torn.keys() and all(torch.equal(whole[name], torn[name]) for name in whole)
    assert sorted(os.listdir()) == ["it.json", "it.safetensors"]
    assert "--resume" not in json.loads(Path("it.json").read_text())["command"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_stopped_keeps_what_it_learned_and_says_how_to_go_on(how, capsys, monkeypatch):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts its background jobs without one
    steps = []

    def stopped(self, trainer):
        steps.append(trainer.step)
        if len(steps) == 5:
            os.kill(os.getpid(), how)

    words = ["train", "--data", "gaussians8", "--set", "width=8", "--steps", "50", "--save", "m.safetensors"]
    with monkeypatch.context() as patch:
        patch.setattr("core.cli.commands.Keeper.look", stopped)
        assert run(*words) == 130
    said = capsys.readouterr().err
    assert "what was learned in 5 of 50 steps" in said and "--resume goes on" in said
    assert Path("m.training.safetensors").exists() and run(*words, "--resume") == 0


def test_a_training_that_is_resumed_with_another_rate_and_end_goes_on_with_these_and_its_card_says_so(capsys):
    begun = Trainer(load("gaussians8"), preset("fast", load("gaussians8"), width=8, steps=9))
    for _ in begun.run(until=4):
        pass
    save_training("m.training.safetensors", begun)
    words = ["train", "--data", "gaussians8", "--set", "width=8", "--save", "m.safetensors", "--resume"]
    assert run(*words, "--steps", "3") == 2
    assert "steps is 3, and 4 are taken already" in capsys.readouterr().err
    assert run(*words, "--set", "lr=0.001", "--steps", "6", "--set", "weighting=min_snr") == 0
    said = capsys.readouterr().err
    assert "from step 4 on: rate 0.01 → 0.001 · weighting by target → min-SNR · steps 9 → 6" in said
    card = json.loads(Path("m.json").read_text())
    assert card["turned"] == [{"step": 4, "lr": [0.01, 0.001], "weighting": ["target", "min_snr"], "steps": [9, 6]}]
    assert (card["steps"], card["training"]["lr"]) == (6, 0.001) and "--resume" in card["command"]
    begun.turn(lr=0.001, steps=6, weighting="min_snr")
    for _ in begun.run():
        pass
    saved = load_file("m.safetensors")
    assert all(torch.equal(saved[name], w.half()) for name, w in begun.ema.network.state_dict().items())


def test_there_is_nothing_to_resume_where_nothing_was_kept(capsys):
    assert run("train", "--data", "gaussians8", "--save", "m.safetensors", "--resume") == 2
    assert "there is no training at m.training.safetensors" in capsys.readouterr().err
