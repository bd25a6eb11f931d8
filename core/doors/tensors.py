"""Tensors from outside: their header is looked at before it is parsed, their types, numbers and shapes are checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .jsons import look
from .words import one_line

MAX_HEADER, MAX_TENSORS = 10_000_000, 20_000  #: bytes of a safetensors header, and what it may name
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_metadata(path: str | os.PathLike) -> dict[str, str]:
    """What a safetensors file says of itself; its tensors are not read. Raises as `read_tensors`."""
    return _read(Path(path), tensors=False)[0]


def read_tensors(path: str | os.PathLike) -> tuple[dict[str, str], dict[str, Tensor]]:
    """(metadata, tensors) of a safetensors file. ValueError if it is none, is cut short, or names too much."""
    return _read(Path(path), tensors=True)


def _read(path: Path, tensors: bool) -> tuple[dict[str, str], dict[str, Tensor]]:
    with path.open("rb") as file:
        size, length = path.stat().st_size, int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            raise ValueError("its header is no safetensors header")
        look(file.read(min(length, MAX_HEADER + 1)), "its header", MAX_HEADER)
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            if len(names) > MAX_TENSORS:
                raise ValueError(f"it names {len(names):,} tensors; at most {MAX_TENSORS:,} are allowed")
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names if tensors}
    except SafetensorError as error:
        why = str(error).removeprefix("Error while deserializing header: ")
        raise ValueError(one_line(why, 100)) from error


def check_numbers(tensors: Mapping[str, Tensor], finite: bool = True) -> None:
    """ValueError naming the first tensor that holds something else than real fractions, or NaN or infinity."""
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            found, *kinds = (str(kind).removeprefix("torch.") for kind in (tensor.dtype, *FLOATS))
            raise ValueError(f"{one_line(name)!r} is {found}; it must be one of {', '.join(kinds)}")
        if finite and not tensor.float().isfinite().all():
            raise ValueError(f"{one_line(name)!r} holds NaN or infinity in float32")


def check_shapes(tensors: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> None:
    """ValueError naming what is missing, too much, or of another shape than needed."""
    for name in {**needed, **tensors}:
        there, wanted = ("missing" if name not in each else "×".join(map(str, each[name].shape)) or "one number"
                         for each in (tensors, needed))
        if there != wanted:
            wanted = "nothing of that name" if wanted == "missing" else wanted
            raise ValueError(f"{one_line(name)!r} is {there}, needed is {wanted}")
