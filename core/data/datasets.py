"""Data: point sets and small images, all scaled to [-1, 1].

A data set is a finite Gaussian mixture: rows x0, and normal noise of standard deviation `bandwidth` around each (0 for
images). Training draws from exactly that mixture, so what an ideal denoiser would say is known in closed form
(`core.denoisers.exact`) and nothing between data and model is left to guess.

    data = load("trex")
    x0, labels = data.draw(256, torch.Generator().manual_seed(0))
"""

from __future__ import annotations

import difflib
import hashlib
import json
import weakref
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..doors.jsons import parse_json
from ..doors.words import one_line, some
from ..files import atomic_write
from .latents import load_autoencoder
from .shapes import SHAPES

FOLDER = Path(__file__).parent
MAX_BYTES = 200_000_000  #: of a saved data set, unpacked


@dataclass(frozen=True, eq=False)
class Centred:
    """Rows less their mean, float64: `mean` (D,), `rows` (N, D)."""

    mean: Tensor
    rows: Tensor

    @classmethod
    def of(cls, x0: Tensor) -> Centred:
        """Those of rows x0 (N, ...)."""
        flat = x0.reshape(len(x0), -1).to(torch.float64)
        return cls(flat.mean(0), flat - flat.mean(0))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of data with what is to be known about them.

    The tensors are shared by everyone who loads the same name: use them, `draw` copies of them, never write into them.
    Raises ValueError if the parts do not fit together.
    """

    name: str
    title: str
    kind: Literal["points", "images"]
    x0: Tensor = field(repr=False)  #: float32, points (N, 2) with y upwards, or images (N, C, H, W), C = 1 or 3
    labels: Tensor | None = field(default=None, repr=False)  #: int64 (N,)
    label_names: tuple[str, ...] = ()
    bandwidth: float = 0.0  #: standard deviation of the normal noise around every row
    licence: str = ""
    description: str = ""
    #: rows (M, ...) kept out of x0, none unless given; for points `draw` afresh
    held_out: Tensor = field(default=None, repr=False)  # type: ignore[assignment]
    held_out_labels: Tensor | None = field(default=None, repr=False)  #: int64 (M,)
    extra: dict[str, tuple[Tensor, tuple[str, ...]]] = field(default_factory=dict, repr=False)  #: further labels of x0
    label_title: str = "label"  #: what `labels` name, as the keys of `extra` do for those
    reading: tuple[tuple[str, str], ...] = ()  #: how a file of one's own was read: (what, as what)
    warnings: tuple[str, ...] = ()  #: what was left out when it was read, one line each
    decode: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)  #: of latents: rows → pictures

    def __post_init__(self):
        shape = tuple(self.x0.shape)
        fits = {
            "points": len(shape) == 2 and shape[1] == 2,
            "images": len(shape) == 4 and shape[1] in (1, 3) and shape[2] == shape[3],
        }
        if self.kind not in fits:
            raise ValueError(f"kind is {self.kind!r}; it must be one of {', '.join(fits)}")
        if not fits[self.kind] or not shape[0] or self.x0.dtype != torch.float32:
            raise ValueError(f"x0 is {self.x0.dtype} {shape}; {self.kind} are torch.float32 of shape "
                             + {"points": "(N, 2)", "images": "(N, 1 or 3, S, S)"}[self.kind] + " with N of 1 or more")
        if not torch.isfinite(self.x0).all():
            raise ValueError("x0 has values that are NaN or infinite; leave those rows out")
        if not 0 <= self.bandwidth < float("inf"):
            raise ValueError(f"bandwidth is {self.bandwidth}; it must be 0 or more")
        if self.held_out is None:
            object.__setattr__(self, "held_out", self.x0[:0])
        if self.held_out.shape[1:] != self.x0.shape[1:]:
            raise ValueError(f"held_out has rows of {tuple(self.held_out.shape[1:])}; those of x0 are {shape[1:]}")
        groups = [("labels", self.labels, self.label_names, len(self.x0)),
                  ("held_out_labels", self.held_out_labels, self.label_names, len(self.held_out))]
        groups += [(f"extra {key!r}", labels, names, len(self.x0)) for key, (labels, names) in self.extra.items()]
        for what, labels, names, rows in groups:
            if labels is None:
                continue
            if labels.dtype != torch.int64 or labels.shape != (rows,):
                raise ValueError(f"{what}: {labels.dtype} {tuple(labels.shape)}; needed is torch.int64 of ({rows},)")
            if rows and not (0 <= labels.min() and labels.max() < len(names)):
                raise ValueError(f"{what} run from {labels.min()} to {labels.max()}; "
                                 f"{len(names)} names allow 0 to {len(names) - 1}")

    def __len__(self) -> int:
        return len(self.x0)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row: (2,) or (C, H, W)."""
        return tuple(self.x0.shape[1:])

    @property
    def channels(self) -> int:
        """2 for points, 1 for grey and 3 for coloured images."""
        return self.shape[0]

    @property
    def side(self) -> int:
        """Height and width of an image in pixels; 1 for points."""
        return self.shape[-1] if self.kind == "images" else 1

    @property
    def conditions(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What can be asked for: (title, names) of the labels, and of each of `extra`. () without labels."""
        own = () if self.labels is None else ((self.label_title, self.label_names),)
        return own + tuple((title, names) for title, (_, names) in self.extra.items())

    @property
    def classes(self) -> int | tuple[int, ...]:
        """How many names each condition has: 0 without any, a number for one, a tuple for several."""
        counts = tuple(len(names) for _, names in self.conditions)
        return counts if len(counts) > 1 else sum(counts)

    @cached_property
    def cond(self) -> Tensor | None:
        """What every row is called, as a denoiser is told: int64 (N,), or (N, K) for K conditions; None without any."""
        columns = ([] if self.labels is None else [self.labels]) + [labels for labels, _ in self.extra.values()]
        return torch.stack(columns, 1) if len(columns) > 1 else columns[0] if columns else None

    def cond_of(self, *asked: str | None) -> Tensor:
        """What a denoiser is told to make rows called that: int64 (1,), or (1, K) for K conditions.

        asked   a name for each condition, or its number as text; None for any, which is the null label, after all names

        ValueError naming what there is.
        """
        if not self.conditions:
            raise ValueError(f"{self.name} has no labels; ask for none")
        if len(asked) != len(self.conditions):
            titles = ", ".join(title for title, _ in self.conditions)
            raise ValueError(f"{len(asked)} labels {', '.join(map(str, asked))}; {self.name} has "
                             f"{len(self.conditions)}: {titles}")
        numbers = []
        for name, (title, names) in zip(asked, self.conditions):
            known = name is None or name in names or name.isdecimal() and int(name) < len(names)
            if not known:
                raise ValueError(f"{title} {name} is none of {', '.join(names)}")
            numbers.append(len(names) if name is None else names.index(name) if name in names else int(name))
        return torch.tensor(numbers if len(numbers) == 1 else [numbers])

    def rows_of(self, *asked: str | None) -> Tensor:
        """Which rows are called that, bool (N,); None is any name. ValueError as in `cond_of`."""
        cond = self.cond_of(*asked)
        null = torch.tensor(self.classes).reshape(-1)
        return ((self.cond == cond) | (cond == null)).reshape(len(self), -1).all(1)

    def without(self, *asked: str | None) -> Dataset:
        """The same data but for the rows called that. ValueError as in `cond_of`, or if no row is left."""
        keep = ~self.rows_of(*asked)
        if not keep.any():
            raise ValueError(f"all {len(self)} rows of {self.name} are {', '.join(map(str, asked))}; leave out less")
        return replace(self, x0=self.x0[keep], labels=None if self.labels is None else self.labels[keep],
                       extra={title: (labels[keep], names) for title, (labels, names) in self.extra.items()})

    @property
    def centred(self) -> Centred:
        """The rows less their mean: the same for all who measure distances to every row, gone with the last of them."""
        kept = self.__dict__.get("_centred", lambda: None)()
        if kept is None:
            kept = Centred.of(self.x0)
            self.__dict__["_centred"] = weakref.ref(kept)
        return kept

    @cached_property
    def mean(self) -> float:
        """The mean of all values of x0."""
        return float(self.x0.mean(dtype=torch.float64))

    @cached_property
    def std(self) -> float:
        """The standard deviation of all values of the mixture: √(E[(x0 − mean)²] + bandwidth²). EDM's sigma_data."""
        return float(((self.x0.double() - self.mean).square().mean() + self.bandwidth**2).sqrt())

    @cached_property
    def hash(self) -> str:
        """12 hexadecimal digits that change with the mixture: rows, labels and bandwidth."""
        digest = hashlib.sha256(repr((tuple(self.x0.shape), float(self.bandwidth))).encode())
        digest.update(self.x0.contiguous().numpy().tobytes())
        if self.labels is not None:
            digest.update(self.labels.contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]

    def first(self, n: int) -> Dataset:
        """The same data with only its first n rows to train on; what was held out stays. The data set itself if n is N.

        Its name is the same, its title says how many rows there are, and its hash and its spread are those of its rows.
        ValueError if n is not one of 1 … N.
        """
        if not 1 <= n <= len(self):
            raise ValueError(f"the first {n} rows of {self.name} were asked for; take 1 to {len(self)}, all it has")
        if n == len(self):
            return self
        extra = {key: (labels[:n], names) for key, (labels, names) in self.extra.items()}
        return replace(self, title=f"{self.title}, {n:,} of {len(self):,}", x0=self.x0[:n], extra=extra,
                       labels=None if self.labels is None else self.labels[:n])

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """n rows with replacement plus bandwidth · N(0, I): independent samples of the mixture, and their `cond`."""
        if n < 1:
            raise ValueError(f"cannot draw {n} rows; ask for 1 or more")
        rows = torch.randint(len(self.x0), (n,), generator=generator)
        x0 = self.x0[rows]
        if self.bandwidth:
            x0 += self.bandwidth * torch.randn(x0.shape, generator=generator)
        return x0, None if self.cond is None else self.cond[rows]

    def to_uint8(self, x: Tensor) -> np.ndarray:
        """Images (N, C, H, W) in [-1, 1] → bytes (N, H, W, C), −1 to 0 and 1 to 255; what lies outside saturates."""
        if self.kind != "images" or x.ndim != 4:
            raise ValueError(f"{self.name} holds {self.kind} and x has shape {tuple(x.shape)}; "
                             "only images (N, C, H, W) can be turned into bytes")
        return ((x.detach().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def unit(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre the bounding box of points (N, 2) and divide by half its longer side; returns that half side too.

    The longer side then is exactly [-1, 1] and the aspect is kept. ValueError if all points are in one place.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    half = float((high - low).max()) / 2
    if half == 0:
        raise ValueError(f"all {len(points)} points are at {tuple(low.tolist())}; at least two places are needed")
    return (points - (low + high) / 2) / half, half


def split(images: Tensor, labels: Tensor | None) -> dict[str, Any]:
    """The last tenth of the rows as held_out, the others as x0, with their labels: fields for a `Dataset`."""
    kept = len(images) - len(images) // 10
    return {
        "x0": images[:kept], "held_out": images[kept:],
        "labels": None if labels is None else labels[:kept],
        "held_out_labels": None if labels is None else labels[kept:],
    }  # fmt: skip


_DINO = "MIT: Datasaurus by Alberto Cairo, coordinates from data-morph (c) 2017 jmatejka, (c) 2023 Stefanie Molin"
_DOZEN = "MIT: Datasaurus Dozen by Matejka and Fitzmaurice (CHI 2017), (c) 2022 datasauRus authors"
_MORPH = "MIT: data-morph, (c) 2023 Stefanie Molin"
_OWN = "the project's own: drawn by a formula in core/data/shapes.py"
_MNIST = "CC BY-SA 3.0: MNIST, (c) Yann LeCun and Corinna Cortes"

#: name → (title, file in core/data, array in it, licence, one line about it)
_DRAWN = {
    "trex": ("T-Rex", "datasaurus", "dino", _DINO, "the Datasaurus: 142 points that statistics alone cannot see"),
    "star": ("Star", "datasaurus", "star", _DOZEN, "a five-pointed star of 142 points"),
    "bullseye": ("Bullseye", "datasaurus", "bullseye", _DOZEN, "two rings of 142 points"),
    "circle": ("Circle", "datasaurus", "circle", _DOZEN, "a ring of 142 points"),
    "x_shape": ("Cross", "datasaurus", "x_shape", _DOZEN, "two crossing strokes of 142 points"),
    "dots": ("Dots", "datasaurus", "dots", _DOZEN, "nine clumps of 142 points"),
    "h_lines": ("Lines", "datasaurus", "h_lines", _DOZEN, "level lines of 142 points"),
    "slant_up": ("Slanted lines", "datasaurus", "slant_up", _DOZEN, "rising lines of 142 points"),
    "bunny": ("Bunny", "datamorph", "bunny", _MORPH, "a bunny of 517 points"),
    "cat": ("Cat", "datamorph", "cat", _MORPH, "a cat of 263 points"),
    "dog": ("Dog", "datamorph", "dog", _MORPH, "a dog of 542 points"),
    "gorilla": ("Gorilla", "datamorph", "gorilla", _MORPH, "a gorilla of 1,511 points"),
    "panda": ("Panda", "datamorph", "panda", _MORPH, "a panda of 689 points"),
    "sheep": ("Sheep", "datamorph", "sheep", _MORPH, "a sheep of 452 points"),
    "music": ("Music", "datamorph", "music", _MORPH, "notes, 1,137 points"),
    "pi": ("Pi", "datamorph", "pi", _MORPH, "the letter π, 304 points"),
    "soccer_ball": ("Soccer ball", "datamorph", "soccer_ball", _MORPH, "a soccer ball of 2,219 points"),
}
_DRAWN_BANDWIDTH = 0.012  #: thinner than the gaps between a drawing's strokes, wide enough to join its points

#: name → (title, the drawings that are its classes, one line about it)
_CLASSES = {
    "creatures": ("Creatures", ("trex", "cat", "bunny", "sheep"),
                  "a T-Rex, a cat, a bunny and a sheep in one plane, each as likely as another"),
}  # fmt: skip

#: name → (title, the stored value that means white, licence, one line about it)
_PICTURES = {
    "digits8": ("Digits 8×8", 16, "BSD-3-Clause: Alpaydin and Kaynak (UCI 1998), as distributed with scikit-learn",
                "1,797 handwritten digits in 17 levels of grey"),
    "mnist16": ("MNIST 16×16", 255, _MNIST + ", averaged to 16×16", "5,000 handwritten digits"),
    "mnist28": ("MNIST 28×28", 255, _MNIST, "10,000 handwritten digits"),
    "faces16": ("Faces 16×16", 255, "CC0 1.0: pixel-art style by DiceBear",
                "5,040 pixel-art faces in colour, labelled by kind and by hair"),
    "emoji16": ("Emoji 16×16", 255, "CC BY 4.0, Apache-2.0 and MIT: Twemoji (c) Twitter, Inc and other contributors, "
                "Noto Emoji (c) Google LLC, Fluent Emoji (c) Microsoft Corporation, reduced to 16×16",
                "4,651 emoji of 14 kinds from three sets, none of those held out drawn in another"),
}  # fmt: skip

#: name, also that of the autoencoder → (title, the pictures whose latents they are, one line about it)
_LATENTS = {
    "latent_digits": ("Digits in a plane", "mnist16",
                      "5,000 handwritten digits as points, each where a small autoencoder puts it"),
    "latent_mnist28": ("MNIST 28×28, latent", "mnist28",
                       "10,000 handwritten digits of 28×28 as 7×7 pixels in three channels, by an autoencoder"),
}  # fmt: skip


def names(kind: Literal["points", "images"] | None = None) -> tuple[str, ...]:
    """The names that `load` knows: of points, of images, or all of them, points first."""
    points = ("trex", *SHAPES, *_CLASSES, "latent_digits", *(name for name in _DRAWN if name != "trex"))
    of = {"points": points, "images": (*_PICTURES, "latent_mnist28")}
    if kind is None:
        return of["points"] + of["images"]
    if kind not in of:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(of)}, or None for all")
    return of[kind]


@cache
def load(name: str) -> Dataset:
    """The shipped data set of that name, always the same object. ValueError lists the names that there are."""
    if name in SHAPES:
        return _shape(name)
    if name in _DRAWN:
        return _drawn(name)
    if name in _CLASSES:
        return _classes(name)
    if name in _PICTURES:
        return _pictures(name)
    if name in _LATENTS:
        return _latents(name)
    near = difflib.get_close_matches(str(name), names(), n=1)
    raise ValueError(f"no data set is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else ";")
                     + f" There are: {', '.join(names())}")


def _shape(name: str) -> Dataset:
    title, make, bandwidth, description = SHAPES[name]
    shape = make()
    # Steps of the golden section through the curve: the first rows then are a fair sample of all of it.
    order = np.arange(len(shape.centres)) * 1237 % len(shape.centres)
    labels = None if shape.labels is None else torch.from_numpy(shape.labels[order].astype(np.int64))
    x0 = torch.from_numpy(unit(shape.centres)[0][order].astype(np.float32))
    return Dataset(name, title, "points", x0, labels, shape.label_names, bandwidth, _OWN, description)


def _drawn(name: str) -> Dataset:
    title, file, array, licence, description = _DRAWN[name]
    with np.load(FOLDER / f"{file}.npz") as arrays:
        x0 = torch.from_numpy(unit(arrays[array].astype(np.float64))[0].astype(np.float32))
    return Dataset(name, title, "points", x0, None, (), _DRAWN_BANDWIDTH, licence, description)


def _classes(name: str) -> Dataset:
    """Drawings laid over each other as the classes of one set, with as many rows of each, in turn."""
    title, drawings, description = _CLASSES[name]
    parts = [load(drawing) for drawing in drawings]
    count = max(map(len, parts))
    # Rows of a smaller drawing come more than once; steps of a large prime make the first rows a fair sample.
    rows = [part.x0[torch.arange(count) * 7919 % count * len(part) // count] for part in parts]
    labels = torch.arange(len(parts)).repeat(count)
    return Dataset(name, title, "points", torch.stack(rows, 1).flatten(0, 1), labels,
                   tuple(part.title.lower() for part in parts), _DRAWN_BANDWIDTH,
                   "; ".join(dict.fromkeys(part.licence for part in parts)), description, label_title="creature")


def _pictures(name: str) -> Dataset:
    title, white, licence, description = _PICTURES[name]
    with np.load(FOLDER / f"{name}.npz") as arrays:
        stored = {key: arrays[key] for key in arrays.files}
    images = torch.from_numpy(stored["images"].astype(np.float32)) * (2 / white) - 1
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
    parts = split(images, torch.from_numpy(stored["labels"].astype(np.int64)))
    extra, title_of_labels = {}, "kind" if name in ("faces16", "emoji16") else "label"
    if "hair" in stored:
        hair = torch.from_numpy(stored["hair"].astype(np.int64))[: len(parts["x0"])]
        extra["hair"] = hair, tuple(stored["hair_names"].tolist())
    return Dataset(name, title, "images", label_names=tuple(stored["names"].tolist()), licence=licence,
                   description=description, extra=extra, label_title=title_of_labels, **parts)


def _latents(name: str) -> Dataset:
    title, of, description = _LATENTS[name]
    pictures, encoded = load(of), load_autoencoder(name)
    return replace(pictures, name=name, title=title, kind="points" if encoded.x0.ndim == 2 else "images",
                   x0=encoded.x0, held_out=encoded.held_out, bandwidth=encoded.autoencoder.bandwidth,
                   description=description, decode=encoded.decode)


def save_dataset(dataset: Dataset, path: str | Path) -> Path:
    """Write a data set to one .npz file (numpy arrays and a line of JSON, no pickle); returns the path."""
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"the path is {str(path)!r}; a data set is saved as a .npz file, so let it end in .npz")
    plain = ("name", "title", "kind", "label_names", "label_title", "bandwidth", "licence", "description", "reading",
             "warnings")
    about = {key: getattr(dataset, key) for key in plain}
    about["extra"] = {key: label_names for key, (_, label_names) in dataset.extra.items()}
    arrays = {key: getattr(dataset, key) for key in ("x0", "labels", "held_out", "held_out_labels")}
    arrays |= {f"extra_{key}": labels for key, (labels, _) in dataset.extra.items()}
    with atomic_write(path) as part:
        np.savez_compressed(part, about=np.array(json.dumps(about)),
                            **{key: value.numpy() for key, value in arrays.items() if value is not None})
    return path


def load_dataset(path: str | Path) -> Dataset:
    """Read what `save_dataset` wrote, or samples that the command line wrote: an x0, and what it is about.

    ValueError if it is no such file, or larger than MAX_BYTES unpacked.
    """
    path, advice = Path(path), "give a .npz file that `data --save` or `sample --out` wrote"
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            held = archive.namelist()
        if size > MAX_BYTES:
            raise ValueError(f"it unpacks to {size:,} bytes; at most {MAX_BYTES:,} are allowed")
        if not {"about.npy", "x0.npy"} <= {*held}:
            names = some([one_line(name) for name in held], 5)
            raise ValueError(f"it holds {names or 'nothing'}, and not about and x0")
        with np.load(path, allow_pickle=False) as arrays:
            about = parse_json(str(arrays["about"]), "what it is about")
            tensors: dict[str, Any] = {key: torch.from_numpy(arrays[key]) for key in arrays.files if key != "about"}
        if "kind" not in about:
            return _samples(about, tensors["x0"])
        extra = {key: (tensors.pop(f"extra_{key}"), tuple(names)) for key, names in about.pop("extra").items()}
        about |= {key: tuple(map(str, about[key])) for key in ("label_names", "warnings")}
        about["reading"] = tuple((str(what), str(how)) for what, how in about.get("reading", ()))
        about |= {key: str(about[key]) for key in ("name", "title", "kind", "licence", "description")}
        return Dataset(**about, **tensors, extra=extra)
    except Exception as error:  # numpy, zipfile and json raise all sorts of things on foreign bytes
        raise ValueError(f"cannot read the data set {path.name!r}: {one_line(str(error), 200)}; {advice}") from error


def _samples(about: dict, x0: Tensor) -> Dataset:
    """Samples of a model as a data set: their last tenth is held out, if they are pictures."""
    model, points = one_line(str(about.get("model", "a model"))), x0.ndim == 2
    parts = {"x0": x0} if points else split(x0, None)
    return Dataset("own_samples", f"Samples of {model}", "points" if points else "images", licence="your own",
                   bandwidth=_DRAWN_BANDWIDTH if points else 0.0, description=f"{len(x0):,} samples of {model}",
                   reading=(("samples", f"{len(x0):,} that {model} made"),), **parts)
