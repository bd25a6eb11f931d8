"""Autoencoders in files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors.torch import save_file

from ..buffers import shapes_alone
from ..data.datasets import Dataset
from ..data.latents import FORMAT, Autoencoder, to_levels
from ..files import atomic_write
from ..training.autoencoder import report
from .models import save_card

def save_autoencoder(path: str | Path, autoencoder: Autoencoder, dataset: Dataset, card: dict | None = None) -> Path:
    """Write weights (float16) and the latents of the data (int8) to `path`, and the card beside it; returns the path.

    card: further entries, such as the command that makes the file again. The latents are those of the weights as they
    are stored. ValueError if the path does not end in .safetensors.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"the path is {str(path)!r}; it must end in .safetensors")
    stored = {name: weight.detach().half().contiguous() for name, weight in autoencoder.state_dict().items()}
    with shapes_alone():
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
