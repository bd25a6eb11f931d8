"""Training an autoencoder, and the data sets that its latents make.

    autoencoder = make_autoencoder(load("mnist16"), "plane")
    for loss in train_autoencoder(autoencoder, load("mnist16").x0, AUTOENCODERS["plane"]):
        ...
    save_autoencoder("runs/plane.safetensors", autoencoder, load("mnist16"))

What a diffusion learns of are the latents, rows of a data set like any other (`core.datasets.load("latent_digits")`),
with the autoencoder's bandwidth around each and its decoder at hand.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from core.autoencoder import FORMAT, LATENTS, Autoencoder, to_levels
from core.checkpoints import save_card
from core.datasets import Dataset
from core.files import atomic_write


@dataclass(frozen=True)
class AutoencoderConfig:
    """How an autoencoder is made. Loss: mean |x − decode(z + bandwidth·n)|² + pull·mean r², n ~ N(0, I), z = squash(r).

    The noise keeps what lies near alike, and drives what differs apart; `pull` keeps it from driving all of it to the
    rim, where numbers saturate. With a bandwidth of 0 it is a plain autoencoder.
    """

    latent: str
    width: int
    bandwidth: float
    pull: float
    steps: int
    batch: int = 128
    lr: float = 3e-3
    seed: int = 0

    def __post_init__(self):
        if self.latent not in LATENTS:
            raise ValueError(f"latent is {self.latent!r}; it must be one of {', '.join(LATENTS)}")
        for name in ("width", "steps", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        for name, high in (("bandwidth", 1.0), ("pull", 1.0), ("lr", 1.0)):
            if not 0 <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a number from 0 to {high:g}")


#: latent → the settings that were found to serve it
AUTOENCODERS = {
    "plane": AutoencoderConfig("plane", width=256, bandwidth=0.02, pull=1e-3, steps=4000),
    "spatial": AutoencoderConfig("spatial", width=32, bandwidth=0.06, pull=1e-3, steps=2500, batch=64),
}


def make_autoencoder(dataset: Dataset, config: AutoencoderConfig) -> Autoencoder:
    """An untrained autoencoder for these pictures, its weights decided by the seed alone. ValueError for points."""
    if dataset.kind != "images":
        raise ValueError(f"{dataset.name} holds {dataset.kind}; an autoencoder is of images")
    with torch.device("meta"):
        autoencoder = Autoencoder(config.latent, dataset.channels, dataset.side, config.width, config.bandwidth)
    autoencoder.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(config.seed)
    for layer in autoencoder.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
    return autoencoder


@torch.enable_grad()  # on the function, not around a yield: the mode belongs to the thread that resumes it
def train_autoencoder(autoencoder: Autoencoder, x0: Tensor, config: AutoencoderConfig) -> Iterator[float]:
    """Train on pictures x0 (N, C, S, S); yields the loss of every step. The same seed trains the same weights."""
    generator = torch.Generator().manual_seed(config.seed)
    weights = list(autoencoder.parameters())
    optimizer = torch.optim.AdamW(weights, lr=config.lr, fused=True)
    for step in range(config.steps):
        warm, along = min(1, (step + 1) / 100), step / config.steps
        optimizer.param_groups[0]["lr"] = config.lr * warm * 0.5 * (1 + math.cos(math.pi * along))
        x = x0[torch.randint(len(x0), (config.batch,), generator=generator)]
        raw = autoencoder.encoder(x)
        noise = torch.randn(raw.shape, generator=generator)
        back = autoencoder.decoder(autoencoder.squash(raw) + config.bandwidth * noise)
        loss = (back - x).square().mean() + config.pull * raw.square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield loss.item()


def pca_error(x0: Tensor, unseen: Tensor, numbers: int) -> float:
    """Mean squared error, per value, of unseen pictures rebuilt from as many principal components of x0.

    The best that straight lines can do; with 0 numbers, the error of the mean picture.
    """
    flat, mean = x0.flatten(1).double(), x0.flatten(1).double().mean(0)
    axes = torch.linalg.eigh((flat - mean).T @ (flat - mean))[1].flip(1)[:, :numbers]
    rest = unseen.flatten(1).double() - mean
    return float((rest - rest @ axes @ axes.T).square().mean())


def report(autoencoder: Autoencoder, dataset: Dataset) -> dict[str, float]:
    """How well pictures that were held out come back: mean squared error per value, in the data's units.

    error          of decode(encode(x))
    noisy_error    of decode(encode(x) + bandwidth·n), what a diffusion's samples can hope for
    pca_error      by principal components, as many as the latent has numbers
    mean_error     of the mean picture, always
    train_error    of decode(encode(x)) for pictures it was trained on
    """
    unseen, seen = dataset.held_out, dataset.x0[: len(dataset.held_out)]
    z = autoencoder.encode(unseen)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    backs = {"error": z, "noisy_error": z + autoencoder.bandwidth * noise}
    figures = {name: float((autoencoder.decode(there) - unseen).square().mean()) for name, there in backs.items()}
    figures |= {
        "pca_error": pca_error(dataset.x0, unseen, math.prod(autoencoder.shape)),
        "mean_error": pca_error(dataset.x0, unseen, 0),
        "train_error": float((autoencoder.decode(autoencoder.encode(seen)) - seen).square().mean()),
    }
    return {name: round(value, 5) for name, value in figures.items()}


def save_autoencoder(path: str | Path, autoencoder: Autoencoder, dataset: Dataset, card: dict | None = None) -> Path:
    """Write weights (float16) and the latents of the data (int8) to `path`, and the card beside it; returns the path.

    card: further entries, such as the command that makes the file again. The latents are those of the weights as they
    are stored. ValueError if the path does not end in .safetensors.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"the path is {str(path)!r}; it must end in .safetensors")
    stored = {name: weight.detach().half().contiguous() for name, weight in autoencoder.state_dict().items()}
    with torch.device("meta"):
        rounded = Autoencoder(**autoencoder.architecture)
    rounded.load_state_dict({name: weight.float() for name, weight in stored.items()}, assign=True)
    stored |= {"x0": to_levels(rounded.encode(dataset.x0)), "held_out": to_levels(rounded.encode(dataset.held_out))}
    about = {
        "format": FORMAT, "architecture": autoencoder.architecture, "data": dataset.name, "data_hash": dataset.hash,
        "shape": list(dataset.shape), "latent_shape": list(autoencoder.shape),
        "parameters": sum(weight.numel() for weight in autoencoder.parameters()), "licence": dataset.licence,
        "quality": report(rounded, dataset),
    } | (card or {})  # fmt: skip

    with atomic_write(path) as part:
        save_file(stored, part)
        about["sha256"] = hashlib.sha256(part.read_bytes()).hexdigest()
    save_card(path.with_suffix(".json"), about)
    return path


def autoencoder_config(latent: str, **changes) -> AutoencoderConfig:
    """The settings of that latent, with some changed. ValueError for a latent or a setting that there is not."""
    if latent not in AUTOENCODERS:
        raise ValueError(f"latent is {latent!r}; it must be one of {', '.join(AUTOENCODERS)}")
    known = AutoencoderConfig.__dataclass_fields__
    for name in changes:
        if name not in known or name == "latent":
            raise ValueError(f"an autoencoder has no setting {name!r}; there are {', '.join(known)}")
    return replace(AUTOENCODERS[latent], **changes)
