"""An autoencoder: pictures ↔ latents of far fewer numbers, in which a diffusion is cheap, or can be seen.

    encoded = load_autoencoder("latent_digits")
    z = encoded.autoencoder.encode(pictures)      # (N, C, S, S) → (N, 2): a point for every picture
    pictures = encoded.autoencoder.decode(z)      # and back

Two shapes of latent: "plane", a point (2,) that can be drawn; "spatial", a picture (3, S/4, S/4) that still knows what
is where, as latent diffusion has it (Rombach et al. 2022, section 3.1).

A file of an autoencoder holds its weights and the latents of the data it was trained on, so that a data set of latents
is the same on every machine, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..buffers import shapes_alone
from ..doors.jsons import entry, read_json, sha256
from ..doors.tensors import check_numbers, check_shapes, read_tensors
from ..doors.words import one_line

FOLDER = Path(__file__).parents[2] / "pretrained" / "autoencoders"
FORMAT = "noisescope-autoencoder-1"
LATENTS = ("plane", "spatial")
LEVELS = 127  #: latents are stored as whole numbers from −127 to 127, far finer than any bandwidth
BATCH = 500  #: pictures that go through a network at once


class Autoencoder(nn.Module):
    """encode(x) → z, decode(z) → x, for pictures x (N, channels, side, side) in [−1, 1] and latents z in (−1, 1).

    The encoder ends in r/√(1 + r²), number by number, which bounds the plane. It is trained with normal noise of
    standard deviation `bandwidth` on z: what lies that near means the same picture, so that the latents are smooth, and
    a diffusion may miss by as much.

    latent    "plane": z is (N, 2), by fully connected layers; "spatial": z is (N, 3, side/4, side/4), by convolutions
    width     units of the layers beside the latent, or channels of the finest resolution

    ValueError for another latent, or for a side that is no multiple of 4 where the latent is spatial.
    """

    def __init__(self, latent: str, channels: int, side: int, width: int, bandwidth: float):
        super().__init__()
        if latent not in LATENTS:
            raise ValueError(f"latent is {latent!r}; it must be one of {', '.join(LATENTS)}")
        if latent == "spatial" and side % 4:
            raise ValueError(f"pictures are {side} pixels wide; for a spatial latent that must be a multiple of 4")
        self.architecture: dict[str, Any] = {"latent": latent, "channels": channels, "side": side, "width": width,
                             "bandwidth": bandwidth}
        self.bandwidth = bandwidth
        self.shape = (2,) if latent == "plane" else (3, side // 4, side // 4)  #: of one latent
        make = {"plane": _plane, "spatial": _spatial}[latent]
        self.encoder, self.decoder = make(channels, side, width)

    def squash(self, raw: Tensor) -> Tensor:
        """r/√(1 + r²): any number into (−1, 1)."""
        return raw * (1 + raw.square()).rsqrt()

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Pictures (N, C, S, S) → latents (N, *shape)."""
        return torch.cat([self.squash(self.encoder(part)) for part in x.split(BATCH)])

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Latents (N, *shape) → pictures (N, C, S, S) in [−1, 1]; any z at all is decoded, wherever it lies."""
        if z.shape[1:] != self.shape:
            needed = ", ".join(map(str, self.shape))
            raise ValueError(f"latents are {tuple(z.shape)}; this autoencoder decodes (N, {needed})")
        return torch.cat([self.decoder(part) for part in z.split(BATCH)])


def _plane(channels: int, side: int, width: int) -> tuple[nn.Module, nn.Module]:
    pixels = channels * side**2
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 2 * width), nn.SiLU(), nn.Linear(2 * width, width),
                            nn.SiLU(), nn.Linear(width, 2))
    decoder = nn.Sequential(nn.Linear(2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, pixels),
                            nn.Unflatten(1, (channels, side, side)), nn.Tanh())
    return encoder, decoder


def _spatial(channels: int, side: int, width: int) -> tuple[nn.Module, nn.Module]:
    def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
        return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)

    encoder = nn.Sequential(conv(channels, width, 2), nn.SiLU(), conv(width, 2 * width, 2), nn.SiLU(),
                            conv(2 * width, 2 * width), nn.SiLU(), conv(2 * width, 3))
    # A pixel shuffle unfolds four channels into 2 × 2 pixels: all layers work at the coarser resolution.
    decoder = nn.Sequential(conv(3, 2 * width), nn.SiLU(), conv(2 * width, 4 * width), nn.SiLU(), nn.PixelShuffle(2),
                            conv(width, width), nn.SiLU(), conv(width, 4 * channels), nn.PixelShuffle(2), nn.Tanh())
    return encoder, decoder


@dataclass(frozen=True, eq=False)
class Encoded:
    """An autoencoder and where it puts its data: latents of the rows it learned from and of those held out."""

    autoencoder: Autoencoder
    card: dict
    x0: Tensor = field(repr=False)  #: (N, *shape), float32
    held_out: Tensor = field(repr=False)

    @property
    def decode(self) -> Callable[[Tensor], Tensor]:
        return self.autoencoder.decode


def to_levels(z: Tensor) -> Tensor:
    """Latents as they are stored, int8."""
    return (z * LEVELS).round().clamp(-LEVELS, LEVELS).to(torch.int8)


@cache
def load_autoencoder(name: str) -> Encoded:
    """The shipped autoencoder of that name, always the same object. ValueError lists the names that there are."""
    there = sorted(path.stem for path in FOLDER.glob("*.json"))
    if name not in there:
        raise ValueError(f"no autoencoder is called {name!r}; there are {', '.join(there) or 'none'}")
    return read_autoencoder(FOLDER / f"{name}.safetensors")


def read_autoencoder(path: str | Path) -> Encoded:
    """What `core.latent.save_autoencoder` wrote, in eval mode, float32.

    FileNotFoundError if either file is missing; ValueError if they are no autoencoder, damaged, or of two of them.
    """
    path = Path(path)
    for part in (path, path.with_suffix(".json")):
        if not part.exists():
            raise FileNotFoundError(f"there is no {part}; an autoencoder is a .safetensors file and a card beside it")
    try:
        card = read_json(path.with_suffix(".json"), "its card")
        if not isinstance(card, dict) or card.get("format") != FORMAT:
            found = card.get("format") if isinstance(card, dict) else None
            raise ValueError(f"its format is {one_line(repr(found))}, needed is {FORMAT!r}")
        if card.get("sha256") != sha256(path):
            raise ValueError("it is damaged, or not the file its card was written for")
        _, tensors = read_tensors(path)
        rows = [tensors.pop(part).float() / LEVELS for part in ("x0", "held_out")]
        check_numbers(tensors)
        with shapes_alone():  # no weights are drawn only to be replaced
            autoencoder = Autoencoder(**entry(card, "architecture", dict))
        check_shapes(tensors, autoencoder.state_dict())
        autoencoder.load_state_dict({key: weight.float() for key, weight in tensors.items()}, assign=True)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path} is no autoencoder that can be read: {one_line(str(error), 200)}") from error
    return Encoded(autoencoder.eval().requires_grad_(False), card, *rows)
