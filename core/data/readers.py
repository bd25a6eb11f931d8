"""Data of one's own: points from a table, a drawing or a picture; images from a folder or a zip.

Whatever comes in is foreign: every reader is bounded in size, decides by content and not by file name, writes nothing
to disk and runs nothing it reads. What cannot be used raises ValueError with what was given, what is allowed and what
to do; single files that had to be left out are named in `Dataset.warnings`.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image

from ..doors.words import listed, one_line, some
from .datasets import Dataset, load_dataset, split, unit
from .pictures import (
    FORMATS, MAX_PIXELS, decoded, depth, frames, in_bytes, is_halved, open_picture, over, square, work,
)
from .tables import ADVICE, MAX_LABELS, Column, Table, read_table
from .zips import MAX_ENTRIES, opened_zip

SIZES = (8, 16, 28, 32)
COLOURS = ("auto", "grey", "rgb")
POINTS = (10, 20_000)  #: fewest and most points
PICTURES = (4, 5_000)  #: fewest and most pictures
MAX_ALL_PIXELS = 300_000_000  #: of all pictures of a set together, to be decoded: some seconds
FRAMES_PIXELS = 50_000_000  #: decoded in search of a frame that has something in it
INK_SIDE = 256  #: pixels; finer than a cloud of 20,000 points can show
_LICENCE = "your own"


#: Suffixes of what can be read, for whoever chooses a file: page, API and command line offer these and no others.
TABLES, ZIP, SAVED = (".csv", ".tsv", ".txt"), ".zip", ".npz"
PICTURE = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
READABLE = (*TABLES, *PICTURE, ZIP, SAVED)
ALLOWED = (f"points as {listed(TABLES)}, a picture whose ink becomes points as {listed(PICTURE)}, pictures in a {ZIP}, "
           f"or a data set saved as {SAVED}")


def read_data(
    path: Path | str, columns: Sequence[str] | None = None, pixels: int | None = None, colour: str | None = None
) -> Dataset:
    """A file of one's own, or a folder of pictures, as a data set; what it is, is told by its first bytes.

    columns          of a table, as in `points_from_csv`
    pixels, colour   of a set of pictures: `size` and `colour` of `images_from_zip`

    FileNotFoundError if there is none; ValueError if it cannot be used, or if it has no such setting.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}; give a folder of pictures, or {ALLOWED}")
    kind = kind_of(path)
    if columns and kind != "table":
        raise ValueError(f"{path.name!r} is no table, which alone has columns to choose")
    if kind in ("folder", "zip"):
        reader = images_from_folder if kind == "folder" else images_from_zip
        return reader(path, 16 if pixels is None else pixels, colour or "auto")
    if pixels is not None or colour is not None:
        raise ValueError(f"{path.name!r} is no folder or .zip of pictures: nothing to reduce or to colour")
    if kind == "picture":
        return points_from_picture(path)
    if kind == "saved":
        return load_dataset(path)
    return points_from_csv(path, columns=columns)


def kind_of(path: Path) -> str:
    """What a file of one's own is: "folder", "zip", "saved", "picture" or "table". ValueError for anything else."""
    if path.is_dir():
        return "folder"
    with path.open("rb") as file:
        begins = file.read(16)
    if begins.startswith((b"PK\3\4", b"PK\5\6")):
        return "saved" if path.suffix.lower() == SAVED else "zip"
    if begins.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")) or begins[8:12] == b"WEBP":
        return "picture"
    # The suffix is asked last: it says what is to be found fault with.
    kinds = {ZIP: "zip", SAVED: "saved", **dict.fromkeys(TABLES, "table"), **dict.fromkeys(PICTURE, "picture")}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path.name!r} is nothing that can be read; give {ALLOWED}")
    return kind


def points_from_csv(
    source: Path | str, name: str | None = None, bandwidth: float = 0.012, columns: Sequence[str] | None = None
) -> Dataset:
    """The points of a table: a `Path` is a file to read, a `str` is the text itself; see `core.tables.read_table`.

    columns   two of the table's, x and y, by name or by number counted from 1, and a third that holds labels; None for
              those whose names say so
    """
    title = name or (one_line(source.stem) if isinstance(source, Path) else "Your points")
    return points_from_table(read_table(source), title, bandwidth, columns)


def points_from_table(
    table: Table, title: str, bandwidth: float = 0.012, columns: Sequence[str] | None = None
) -> Dataset:
    """The points of a table that was read; `columns` as in `points_from_csv`.

    Rows with a missing, NaN or infinite value are left out and named in `warnings`. Scaled by the longer side of the
    bounding box to [-1, 1]; `bandwidth` is in these units. `reading` says which columns were taken, and how.
    """
    chosen = list(columns or ())
    x, y = table.pick(chosen[:2] or None)
    kinds = table.column(chosen[2]) if len(chosen) > 2 else None if chosen else table.kinds(but=(x, y))
    for column in (x, y):
        if column.read.wrong.any():
            row = int(column.read.wrong.argmax())
            raise ValueError(f"line {table.lines[row]}: {one_line(column.cells[row])!r} is no number. {ADVICE}")
        short = [cell is None for cell in column.cells]
        if any(short):
            raise ValueError(f"line {table.lines[short.index(True)]} has no cell for {column.title!r}. {ADVICE}")
    points = np.stack([x.numbers, y.numbers], axis=-1)
    whole = np.isfinite(points).all(axis=1)
    warnings = table.warnings
    if not whole.all():
        warnings += (f"{(~whole).sum()} of {len(whole)} rows have a missing, NaN or infinite value and were left out: "
                     f"line {some(table.lines[~whole].tolist())}",)
    points = points[whole]
    if not POINTS[0] <= len(points) <= POINTS[1]:
        raise ValueError(f"the table has {len(points):,} points" + "".join(f" ({each})" for each in warnings)
                         + f"; {POINTS[0]} to {POINTS[1]:,} are allowed")
    if np.abs(points).max() > 1e30:
        raise ValueError(f"the table has a value of {np.abs(points).max():g}; at most 1e30 is allowed, so rescale it")
    labels, names = _labels(kinds, whole) if kinds else (None, ())
    reading = (("x", f"{x.title}, {x.span}"), ("y", f"{y.title}, {y.span}"))
    reading += (("labels", f"{kinds.title}: {some(names)}"),) if kinds else ()
    other = [column for column in table.columns if column not in (x, y, kinds)]
    reading += (("not used", some([column.title for column in other])),) if other else ()
    x0 = torch.from_numpy(unit(points)[0].astype(np.float32))
    return Dataset(_name(title), title, "points", x0, labels, names, bandwidth, _LICENCE,
                   f"{len(points):,} points of your own", warnings=warnings, reading=reading + table.reading)


def _labels(column: Column, whole: np.ndarray) -> tuple[torch.Tensor, tuple[str, ...]]:
    """(labels of the rows that are whole, their names) from a column's cells. ValueError for too few or too many."""
    names, labels = np.unique([one_line(cell or "") or "none" for cell in column.cells[whole]], return_inverse=True)
    if not 2 <= len(names) <= MAX_LABELS:
        raise ValueError(f"{column.title!r} holds {len(names)} different labels; 2 to {MAX_LABELS} are allowed")
    return torch.from_numpy(labels.astype(np.int64)), tuple(map(str, names))


def points_from_picture(
    source: np.ndarray | Path | str, n: int = 2000, seed: int = 0, name: str | None = None
) -> Dataset:
    """n points where a picture or a drawing has ink: dark on a light ground, or light on a dark one.

    `source` is a file or uint8 pixels, (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); transparent is no ink. The ground is
    the tone of the picture's edge, ink the difference from it; a quarter of the strongest is where it begins. Pixels
    are taken in proportion to their ink by systematic sampling, each point at a random place in its pixel. The
    bandwidth is half a pixel, or half the distance between neighbours where ink is wide and points are few.
    """
    if not POINTS[0] <= n <= POINTS[1]:
        raise ValueError(f"n is {n}; {POINTS[0]} to {POINTS[1]:,} points are allowed")
    if isinstance(source, np.ndarray):
        shape = source.shape
        if source.dtype != np.uint8 or not (len(shape) == 2 or len(shape) == 3 and shape[2] in (1, 3, 4)) or 0 in shape:
            raise ValueError(f"the picture is {source.dtype} of shape {shape}; "
                             "give uint8 of (height, width), or (height, width, 1, 3 or 4)")
        if shape[0] * shape[1] > MAX_PIXELS:
            raise ValueError(f"the picture has {shape[0] * shape[1]:,} pixels; at most {MAX_PIXELS:,}, so shrink it")
        ink, reading = _ink(decoded(Image.fromarray(source[..., 0] if shape[2:] == (1,) else source))), ()
        title = name or "Your drawing"
    else:
        path = Path(source)
        title = name or one_line(path.stem)
        try:
            ink, reading = _first_ink(path)
        except Exception as error:  # decoders raise all sorts of things on broken bytes
            why = one_line(str(error), 100)
            raise ValueError(f"cannot read {path.name!r}: {why}; give a {listed(FORMATS)} picture") from error
    if ink is None:
        raise ValueError("the picture is blank: it has one tone all over; draw dark on light or light on dark")
    rng = np.random.default_rng(seed)
    total = np.cumsum(ink.ravel())
    pixels = np.searchsorted(total, (np.arange(n) + rng.random()) / n * total[-1], side="right")
    row, column = np.divmod(np.minimum(pixels, total.size - 1), ink.shape[1])
    centres = np.stack([column, -row - 1.0], axis=-1) + rng.random((n, 2))
    centres, half = unit(centres[rng.permutation(n)])
    if half < 2:
        raise ValueError("the picture has only a speck of ink, less than 4 of 256 pixels wide; draw it larger")
    bandwidth = 0.5 * max(1.0, math.sqrt(np.count_nonzero(ink) / n)) / half
    return Dataset(_name(title), title, "points", torch.from_numpy(centres.astype(np.float32)), bandwidth=bandwidth,
                   licence=_LICENCE, description=f"{n:,} points on the ink of your own picture", reading=reading)


def _first_ink(path: Path) -> tuple[np.ndarray | None, tuple[tuple[str, str], ...]]:
    """The ink of a file's first frame that has any, None if none has; and how the file was read."""
    opened, count = open_picture(path)
    with opened as picture:
        reading = (("picture", f"{picture.width} × {picture.height} pixels"),)
        most = min(count, max(1, FRAMES_PIXELS // work(picture, 1, 256)))
        for number, frame in enumerate(frames(picture, most), 1):
            ink = _ink(frame)
            if ink is not None and count > 1:
                reading += (("frame", f"{number} of {count:,}, the first that has something in it"),)
            if ink is not None:
                break
    return ink, reading


def images_from_folder(path: Path | str, size: int = 16, colour: str = "auto", name: str | None = None) -> Dataset:
    """All pictures in a folder and the folders in it; see `images_from_zip`. Links are not followed."""
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"{str(path)!r} is no folder; give a folder of pictures")
    files = []
    for folder, _, names in os.walk(path):
        for file in sorted(Path(folder) / each for each in names):
            if file.is_symlink() or not file.is_file():
                continue
            if len(files) == MAX_ENTRIES:
                raise ValueError(f"{path.name!r} holds more than {MAX_ENTRIES:,} files; give a smaller folder")
            files.append((PurePosixPath(file.relative_to(path).as_posix()), lambda file=file: file))
    return _images(files, name or one_line(path.resolve().name), size, colour)


def images_from_zip(source: Path | str, size: int = 16, colour: str = "auto", name: str | None = None) -> Dataset:
    """All pictures in a zip, (N, C, size, size): cut to the middle square, reduced by area, over white.

    `size` is one of SIZES; `colour` is "grey", "rgb", or "auto": grey if no picture has a colour. An animated picture
    gives all its frames. The names of the innermost folders become labels if there are 2 to 50 of them. Rows stand in a
    fixed shuffled order; the last tenth is held out. 16 bits a pixel are scaled by the brightest pixel of the set.
    `reading` says how they were taken and what was cut; files that are no picture, broken or too large are left out and
    named in `warnings`. Nothing is unpacked to disk. ValueError if in all pictures there is nothing to see.
    """
    path = Path(source)
    with opened_zip(path) as (files, coding):
        return _images(files, name or one_line(path.stem), size, colour, (("names", coding),) if coding else ())


@dataclass
class _Set:
    """Pictures of a set as they come in."""

    size: int
    squares: list[np.ndarray] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    cut: list[tuple[float, str]] = field(default_factory=list)  #: (share of the pixels, which file)
    small: list[str] = field(default_factory=list)
    animated: list[str] = field(default_factory=list)
    halved: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def take(self, path: PurePosixPath, picture: Image.Image, count: int) -> None:
        """All frames of a picture that was opened; what it cannot give raises, whatever decoders raise."""
        name, width, height = one_line(path.name), picture.width, picture.height
        if count > 1:
            self.animated.append(name)
        if is_halved(picture):
            self.halved.append(name)
        for frame in frames(picture, count):
            self.squares.append(square(frame, self.size))
            self.folders.append(one_line(path.parent.name.strip(".")) or "(top)")
        shown = f"{name}, {width} × {height}"
        if width != height:
            self.cut.append((1 - min(width, height) / max(width, height), shown))
        if min(width, height) < self.size:
            self.small.append(shown)

    def reading(self, deep: str) -> Iterator[tuple[str, str]]:
        """How the pictures were taken."""
        files = f"{len(self.squares):,}" + (f", with every frame of {some(self.animated, 3)}" if self.animated else "")
        yield "pictures", f"{files}, reduced to {self.size} × {self.size}"
        if deep:
            yield "depth", deep
        if self.cut:
            share, worst = max(self.cut)
            yield "cut", f"{len(self.cut):,} to their middle square; {worst}, loses {share:.0%}"
        if self.halved:
            yield "depth", f"of 16 bits a colour the upper 8, in {len(self.halved):,}: {some(self.halved, 3)}"
        if self.small:
            yield "enlarged", f"{len(self.small):,}: {some(self.small, 3)}"


def _images(
    files: list[tuple[PurePosixPath, Callable[[], Path | io.BytesIO]]], title: str, size: int, colour: str,
    told: tuple[tuple[str, str], ...] = (),
) -> Dataset:
    """The data set of (name, what gives the file to open)."""
    if size not in SIZES:
        raise ValueError(f"size is {size!r}; it must be one of {listed(SIZES)}")
    if colour not in COLOURS:
        raise ValueError(f"colour is {colour!r}; it must be one of {listed(COLOURS)}")
    pictures, found = [], _Set(size)
    # What file managers leave behind is no picture.
    files = [(path, source) for path, source in files
             if not any(part.startswith((".", "__MACOSX")) and part != ".." for part in path.parts)]
    pixels = number = 0
    for path, source in files:  # all headers first: too much is refused before the first is decoded
        try:
            opened, count = open_picture(source())
            with opened as picture:
                pixels += work(picture, count, 4 * size)
            number += count
            pictures.append((path, source))
        except Exception as error:  # decoders raise all sorts of things on broken bytes
            found.unread.append(f"{one_line(path.name)} ({one_line(str(error), 100)})")
        if pixels > MAX_ALL_PIXELS:
            raise ValueError(f"the pictures take as long to decode as {MAX_ALL_PIXELS:,} pixels and more; shrink them "
                             "or give fewer")
        if number > PICTURES[1]:
            raise ValueError(f"there are more than {PICTURES[1]:,} pictures; give at most so many")
    for path, source in pictures:
        try:
            opened, count = open_picture(source())
            with opened as picture:
                work(picture, count, 4 * size)
                found.take(path, picture, count)
        except Exception as error:
            found.unread.append(f"{one_line(path.name)} ({one_line(str(error), 100)})")
    count = len(found.squares)
    warnings = (f"{len(found.unread)} files could not be used: {some(found.unread)}",) if found.unread else ()
    if count < PICTURES[0]:
        raise ValueError(f"there are {count} usable pictures; {PICTURES[0]} to {PICTURES[1]:,} are needed, "
                         f"{listed(FORMATS)}" + "".join(f". {warning}" for warning in warnings))
    squares, deep = in_bytes(found.squares)
    order = np.random.default_rng(0).permutation(count)  # so that the last tenth is of all folders
    rgb = np.stack(squares)[order]
    if np.ptp(rgb) < 1:
        raise ValueError(f"there is nothing to see: all {count:,} pictures, cut to their middle square and reduced to "
                         f"{size} × {size}, are of one and the same tone")
    if colour == "grey" or colour == "auto" and np.ptp(rgb, axis=-1).max() <= 8:  # JPEG's rounding is no colour
        rgb = (rgb @ np.array([0.299, 0.587, 0.114]))[..., None]  # luma, ITU-R BT.601
        rgb = rgb if deep else np.rint(rgb)
    blank = int((np.ptp(rgb.reshape(count, -1), axis=1) < 1).sum())
    values = torch.from_numpy(rgb.astype(np.float32)).permute(0, 3, 1, 2).contiguous() / 127.5 - 1
    label_names, labels = np.unique(found.folders, return_inverse=True)
    if not 2 <= len(label_names) <= MAX_LABELS:
        label_names, labels = (), None
    reading = (*found.reading(deep), ("colour", "grey" if values.shape[1] == 1 else "red, green and blue"), *told)
    if blank:
        reading += (("blank", f"{blank:,} are of one tone all over"),)
    if labels is not None:
        reading += (("labels", "folders " + some([str(name) for name in label_names])),)
    parts = split(values, None if labels is None else torch.from_numpy(labels[order].astype(np.int64)))
    return Dataset(_name(title), title, "images", label_names=tuple(map(str, label_names)), licence=_LICENCE,
                   description=f"{count:,} pictures of your own", reading=reading, warnings=warnings, **parts)


def _ink(picture: Image.Image) -> np.ndarray | None:
    """How much each pixel of a decoded picture, reduced to INK_SIDE at most, differs from the tone of the edge: (H, W)
    in [0, 1], 0 below a quarter. None if the picture is blank."""
    share = min(1, INK_SIDE / max(picture.size))
    small = picture.resize([max(1, round(side * share)) for side in picture.size], Image.Resampling.BOX)
    for ground in ("white", "black"):  # over black there are white strokes on a transparent layer to be seen
        shown = over(small, ground)
        grey = np.asarray(shown.convert("L") if shown.mode != "F" else shown, dtype=float)
        grey /= 2 ** depth(grey.max()) - 1
        tone = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
        ink = np.maximum(tone - grey if tone >= 0.5 else grey - tone, 0)
        if ink.max() >= 0.1:
            ink /= ink.max()
            return np.where(ink >= 0.25, ink, 0)
    return None


def _name(title: str) -> str:
    return "own_" + (re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "data")
