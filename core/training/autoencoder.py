"""Training an autoencoder, and the data sets that its latents make.

    autoencoder = make_autoencoder(load("mnist16"), "plane")
    for loss in train_autoencoder(autoencoder, load("mnist16").x0, AUTOENCODERS["plane"]):
        ...
    save_autoencoder("runs/plane.safetensors", autoencoder, load("mnist16"))

What a diffusion learns of are the latents, rows of a data set like any other (`core.datasets.load("latent_digits")`),
with the autoencoder's bandwidth around each and its decoder at hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..buffers import shapes_alone
from ..data.datasets import Dataset
from ..data.latents import LATENTS, Autoencoder
from .adamw import AdamW
from .trainer import in_parts


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
    with shapes_alone():
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
    optimizer = AdamW(autoencoder.parameters())
    for step in range(config.steps):
        warm, along = min(1, (step + 1) / 100), step / config.steps
        x = x0[torch.randint(len(x0), (config.batch,), generator=generator)]
        noise, loss = torch.randn((len(x), *autoencoder.shape), generator=generator), 0.0
        for rows in in_parts(x):  # gradients add up; what is kept for the way back grows with the rows
            raw = autoencoder.encoder(x[rows])
            back = autoencoder.decoder(autoencoder.squash(raw) + config.bandwidth * noise[rows])
            error = (back - x[rows]).square().mean() + config.pull * raw.square().mean()
            share = len(raw) / len(x) * error
            share.backward()
            loss += share.item()
        optimizer.step(config.lr * warm * 0.5 * (1 + math.cos(math.pi * along)))
        optimizer.forget()
        yield loss


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


def autoencoder_config(latent: str, **changes) -> AutoencoderConfig:
    """The settings of that latent, with some changed. ValueError for a latent or a setting that there is not."""
    if latent not in AUTOENCODERS:
        raise ValueError(f"latent is {latent!r}; it must be one of {', '.join(AUTOENCODERS)}")
    known = AutoencoderConfig.__dataclass_fields__
    for name in changes:
        if name not in known or name == "latent":
            raise ValueError(f"an autoencoder has no setting {name!r}; there are {', '.join(known)}")
    return replace(AUTOENCODERS[latent], **changes)
