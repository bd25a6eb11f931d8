"""Trained models on disk: weights in a safetensors file, and beside it a card that says what they are.

    save_checkpoint("runs/trex.safetensors", trainer)
    denoiser, card = load_checkpoint("runs/trex.safetensors")
    denoiser, card = load_pretrained("trex")

The card is JSON for people and for programs: what the model was trained on, how, how well it did, and all that is
needed to build it again. Nothing in either file can run. Both are written under temporary names and renamed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..buffers import shapes_alone
from ..denoisers.base import Denoiser
from ..doors.jsons import entry, parse_json, read_json, sha256
from ..doors.tensors import check_numbers, check_shapes, read_tensors
from ..doors.words import one_line
from ..files import atomic_write
from ..former import named_now
from ..schedules import make_schedule
from ..training.presets import DENOISERS, TrainingConfig, make_network
from ..training.trainer import Trainer
from ..training.turns import from_json, to_json

FOLDER = Path(__file__).parents[2] / "pretrained"
MODEL, TRAINING = "noisescope-model-1", "noisescope-training-1"
SEEN = "seen."  #: begins the names of tensors that a training does not need to go on


def save_checkpoint(path: str | os.PathLike, source: Trainer | Denoiser, card: dict[str, Any] | None = None) -> Path:
    """Write weights to `path` (.safetensors) and their card beside it (.json); returns the path.

    source  a trainer: its averaged weights, and what it knows of its data and course goes into the card; or a denoiser
    card    further entries, such as the command that makes the file again

    Weights are stored in float16: half the size, and an error of at most 1/2048 of each weight.
    ValueError if the path does not end in .safetensors, or a weight is not finite or beyond float16.
    """
    denoiser = source.ema if isinstance(source, Trainer) else source
    about = {
        "schedule": denoiser.schedule.name,
        "T": denoiser.schedule.T,
        "prediction_type": denoiser.prediction_type,
        "sigma_data": denoiser.sigma_data,
        "labels": denoiser.labels,
    }
    about |= _course(source) if isinstance(source, Trainer) else {}
    return write_model(path, denoiser.network, about | (card or {}))


def write_model(path: str | os.PathLike, network: nn.Module, card: dict[str, Any]) -> Path:
    """Write the weights of a network, which has an `architecture`, and their card; returns the path.

    Raises as `save_checkpoint` does, and stores as it says.
    """
    path = _weights_path(path)
    weights = {name: weight.detach().to("cpu", torch.float16).contiguous()
               for name, weight in network.state_dict().items()}
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise ValueError(f"weights of {name!r} are not finite numbers below 65504; such a model cannot be saved")
    about = {"format": MODEL, "architecture": network.architecture,
             "parameters": sum(w.numel() for w in network.parameters())} | card

    with atomic_write(path) as part:
        save_file(weights, part)
        about["sha256"] = sha256(part)
    save_card(path.with_suffix(".json"), about)
    return path


def save_card(path: str | os.PathLike, card: dict[str, Any]) -> Path:
    """Write a card as JSON; returns the path."""
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return Path(path)


def load_checkpoint(path: str | os.PathLike) -> tuple[Denoiser, dict[str, Any]]:
    """The denoiser in eval mode, float32, and its card.

    FileNotFoundError if either file is missing; ValueError if they are no checkpoint, damaged, or of two models.
    """

    def build(card: dict[str, Any], network: nn.Module) -> Denoiser:
        labels, own = card.get("labels"), card["architecture"].get("labels", 0)
        if isinstance(labels, bool) or labels != own:
            raise ValueError(f"'labels' is {one_line(repr(labels))}, and its network's is {own}")
        schedule = make_schedule(entry(card, "schedule", str), entry(card, "T", int))
        return Denoiser(network, schedule, entry(card, "prediction_type", str),
                        entry(card, "sigma_data", float), labels)

    return read_model(path, build)


def read_model(path: str | os.PathLike, build: Callable[[dict[str, Any], nn.Module], nn.Module],
               kinds: Mapping[str, type[nn.Module]] = DENOISERS) -> tuple[Any, dict[str, Any]]:
    """The model that `build` makes of a card and its network, one of `kinds` with the weights of the file; the card.

    In eval mode, float32, without gradients. Raises as `load_checkpoint` does, before it has made anything large.
    """
    path = _weights_path(path)
    card = read_card(path.with_suffix(".json"))
    if not path.exists():
        raise FileNotFoundError(f"there is a card but no weights at {path}; both files belong together")
    if card.get("sha256") != sha256(path):
        raise ValueError(f"{path} is damaged or not the file its card was written for; train or copy it again")
    try:
        _, weights = read_tensors(path)
        check_numbers(weights)
        architecture = entry(card, "architecture", dict)
        with shapes_alone():  # a card may ask for more weights than there is memory; here they have only a shape
            check_shapes(weights, make_network(architecture, kinds=kinds).state_dict())
        network = make_network(architecture, kinds=kinds)
        network.load_state_dict({name: weight.float() for name, weight in weights.items()})
        model = build(card, network)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path} does not fit its card: {one_line(str(error), 200)}") from error
    return model.eval().requires_grad_(False), card


def read_card(path: str | os.PathLike) -> dict[str, Any]:
    """The card at `path` (.json). FileNotFoundError or ValueError as in `load_checkpoint`."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no card at {path}; a model is a .safetensors file and a card beside it")
    card = read_json(path, f"the card {path}")
    found = card.get("format") if isinstance(card, dict) else None
    if found != MODEL:
        raise ValueError(f"{path} is no card of a Noisescope model: its format is {one_line(repr(found))}, needed is "
                         f"{MODEL!r}")
    return named_now(card)


def pretrained() -> dict[str, dict[str, Any]]:
    """The cards of the models that are shipped, by name: <data>, or <data>-<role> for any but the plain diffusion."""
    return _cards(tuple((path, path.stat().st_mtime_ns) for path in sorted(FOLDER.glob("*.json"))))


@lru_cache(maxsize=1)
def _cards(files: tuple[tuple[Path, int], ...]) -> dict[str, dict[str, Any]]:
    """Read once, and again when one has changed: the page asks for them at every turn."""
    return {path.stem: read_card(path) for path, _ in files}


def role_of(card: dict[str, Any]) -> str:
    """What kind of model a card is of: "diffusion" unless it says otherwise, such as "flow" or "consistency"."""
    return card.get("role", "diffusion")


def pretrained_for(data: str) -> dict[str, str]:
    """The names of the models that are shipped for a data set, by role, the plain diffusion first; {} for none."""
    found = {role_of(card): name for name, card in pretrained().items() if card["data"] == data}
    return dict(sorted(found.items(), key=lambda item: item[0] != "diffusion"))


@cache
def load_pretrained(name: str) -> tuple[Denoiser, dict[str, Any]]:
    """A shipped model and its card, the same objects each time: use them, do not change them.

    ValueError lists the names that there are.
    """
    if name not in pretrained():
        raise ValueError(f"no pretrained model is called {name!r}; there are {', '.join(pretrained())}")
    return load_checkpoint(FOLDER / f"{name}.safetensors")


def save_training(path: str | os.PathLike, trainer: Trainer, about: Mapping[str, str] | None = None,
                  seen: Mapping[str, Tensor] | None = None) -> Path:
    """Write a paused training to one .safetensors file, from which `load_training` goes on exactly.

    about, seen   what else is to be known of it, and tensors that were seen of it on the way: `seen_of` reads both
    """
    path = _weights_path(path)
    header = {"format": TRAINING, "config": json.dumps(trainer.config.to_dict()), "data": trainer.dataset.hash}
    header |= {"turned": json.dumps(to_json(trainer.turns))} | dict(about or {})
    state = trainer.state_dict() | {f"{SEEN}{name}": value for name, value in (seen or {}).items()}
    tensors = {name: value.cpu().contiguous() for name, value in state.items()}
    with atomic_write(path) as part:
        save_file(tensors, part, metadata=header)
    return path


def load_training(path: str | os.PathLike, dataset, device: str | torch.device | None = None) -> Trainer:
    """The trainer that `save_training` wrote, on the same data.

    FileNotFoundError if there is no such file; ValueError if it is no training, or one of other data.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no training at {path}")
    try:
        header, state = read_tensors(path)
    except ValueError as error:
        raise ValueError(f"{path} is no training: it is not a whole safetensors file ({error})") from error
    if header.get("format") != TRAINING:
        found = header.get("format")
        raise ValueError(f"{path} is no Noisescope training: its format is {found!r}, needed is {TRAINING!r}")
    if header.get("data") != dataset.hash:
        raise ValueError(f"{path} was trained on data {header.get('data')}, and {dataset.name} is {dataset.hash}")
    try:
        config = TrainingConfig.from_dict(parse_json(header.get("config", ""), "its config"))
        state = {name: value for name, value in state.items() if not name.startswith(SEEN)}
        check_numbers({name: value for name, value in state.items() if name.startswith(("raw.", "ema.", "adam."))})
        trainer = Trainer(dataset, config, device)
        trainer.load_state_dict(state)
        trainer.turns = from_json(parse_json(header.get("turned", "[]"), "what was turned"))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is no training that can go on: {one_line(str(error), 200)}") from error
    return trainer


def seen_of(path: str | os.PathLike) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The `about` and the `seen` of a file of `save_training`. ValueError if it is no whole safetensors file."""
    header, tensors = read_tensors(path)
    seen = {name.removeprefix(SEEN): value for name, value in tensors.items() if name.startswith(SEEN)}
    check_numbers(seen)
    return header, seen


def _course(trainer: Trainer) -> dict[str, Any]:
    """What a trainer knows beyond the model itself."""
    data, losses = trainer.dataset, trainer.losses
    weighted = max((turn.step for turn in trainer.turns if "weighting" in turn.changes), default=0)
    last = losses.loss[max(weighted, trainer.step - 100):]  # under one weighting: others cannot be compared
    return {
        "data": data.name,
        "data_hash": data.hash,
        "shape": list(data.shape),
        "licence": data.licence,
        "training": trainer.config.to_dict(),
        **({"turned": to_json(trainer.turns)} if trainer.turns else {}),
        "steps": trainer.step,
        "seed": trainer.config.seed,
        "final_loss": round(float(last.mean()), 6) if len(last) else None,
        "eps_mse": [None if math.isnan(e) else round(e, 6) for e in losses.eps_mse.tolist()],
        "cpu_seconds": round(trainer.seconds, 2),
    }


def _weights_path(path: str | os.PathLike) -> Path:
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"the path is {str(path)!r}; it must end in .safetensors")
    return path
