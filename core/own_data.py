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
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from core.datasets import Dataset, split, unit

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
SIZES = (8, 16, 28, 32)
COLOURS = ("auto", "grey", "rgb")
POINTS = (10, 20_000)  #: fewest and most points
PICTURES = (4, 5_000)  #: fewest and most pictures
MAX_LABELS = 50
MAX_PIXELS = 20_000_000  #: of one picture
MAX_ALL_PIXELS = 2_000_000_000  #: of all pictures of a set together: under a minute of decoding
MAX_BYTES = 200_000_000  #: of a zip, packed and unpacked
MAX_ENTRIES = 20_000  #: files in a folder or a zip, pictures or not
MAX_TEXT = 5_000_000  #: bytes of a table
_LICENCE = "your own"
_TABLE = "Give two columns of numbers, x and y, one point a line"


def points_from_csv(source: Path | str, name: str | None = None, bandwidth: float = 0.012) -> Dataset:
    """The points (x, y) of a table: a `Path` is a file to read, a `str` is the text itself.

    Columns are parted by semicolons, tabs, commas or blanks; with semicolons or tabs a decimal comma is understood. A
    header is optional; with one, the columns called x and y are taken, or the only two. Empty lines and lines that
    begin with # are skipped; rows with a missing, NaN or infinite value are left out and named in `warnings`.
    Scaled by the longer side of the bounding box to [-1, 1]; `bandwidth` is in these units.
    """
    title = name or (_words(source.stem) if isinstance(source, Path) else "Your points")
    text = _text(source)
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if isinstance(source, str) and len(lines) < 2:
        raise ValueError(f"the table has {len(lines)} lines: {text[:40]!r}. {_TABLE}; for a file give a pathlib.Path")
    if not lines:
        raise ValueError(f"{source.name!r} has no lines. {_TABLE}")
    mark = next((mark for mark in (";", "\t", ",") if mark in lines[0][1]), None)
    rows = [(number, [value.strip().strip("\"'") for value in line.split(mark)]) for number, line in lines]
    if mark != ",":
        rows = [(number, [value.replace(",", ".") for value in values]) for number, values in rows]
    has_header = any(_number(value) is None for value in rows[0][1])
    pick = _columns(*rows[0], has_header)
    rows = rows[has_header:]
    points, missing = [], []
    for number, values in rows:
        if len(values) <= max(pick):
            raise ValueError(f"line {number} has {len(values)} columns where {max(pick) + 1} are needed. {_TABLE}")
        pair = [_number(values[column]) for column in pick]
        if None in pair:
            bad = values[pick[pair.index(None)]]
            raise ValueError(f"line {number}: {bad[:40]!r} is no number. {_TABLE}")
        if all(map(math.isfinite, pair)):
            points.append(pair)
        else:
            missing.append(number)
    warnings = ()
    if missing:
        warnings = (f"{len(missing)} of {len(rows)} rows have a missing, NaN or infinite value and were left out: "
                    f"line {_some(missing)}",)
    if not POINTS[0] <= len(points) <= POINTS[1]:
        raise ValueError(f"the table has {len(points):,} points" + "".join(f" ({each})" for each in warnings)
                         + f"; {POINTS[0]} to {POINTS[1]:,} are allowed")
    centres = np.array(points)
    if np.abs(centres).max() > 1e30:
        raise ValueError(f"the table has a value of {np.abs(centres).max():g}; at most 1e30 is allowed, so rescale it")
    return _points(title, unit(centres)[0], bandwidth, f"{len(points):,} points of your own", warnings)


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
        picture = Image.fromarray(source[..., 0] if shape[2:] == (1,) else source).convert("RGBA")
        title = name or "Your drawing"
    else:
        path = Path(source)
        title = name or _words(path.stem)
        try:
            picture = _pixels(_open(path), 256)
        except Exception as error:  # decoders raise all sorts of things on broken bytes
            why = _words(str(error), 100)
            raise ValueError(f"cannot read {path.name!r}: {why}; give a {_list(FORMATS)} picture") from error
    picture.thumbnail((256, 256), Image.Resampling.BOX)  # finer than a cloud of 20,000 points can show
    ink = _ink(picture, "white")
    if ink is None:
        ink = _ink(picture, "black")  # white strokes on a transparent layer
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
    return _points(title, centres, bandwidth, f"{n:,} points on the ink of your own picture")


def images_from_folder(path: Path | str, size: int = 16, colour: str = "auto", name: str | None = None) -> Dataset:
    """All pictures in a folder and the folders in it; see `images_from_zip`. Links are not followed."""
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"{str(path)!r} is no folder; give a folder of pictures")

    def files() -> Iterator[tuple[PurePosixPath, Callable[[], Image.Image]]]:
        seen = 0
        for folder, _, names in os.walk(path):
            for file in sorted(Path(folder) / each for each in names):
                if file.is_symlink() or not file.is_file():
                    continue
                seen += 1
                if seen > MAX_ENTRIES:
                    raise ValueError(f"{path.name!r} holds more than {MAX_ENTRIES:,} files; give a smaller folder")
                yield PurePosixPath(file.relative_to(path).as_posix()), lambda file=file: _open(file)

    return _images(files(), name or _words(path.resolve().name), size, colour)


def images_from_zip(source: Path | str, size: int = 16, colour: str = "auto", name: str | None = None) -> Dataset:
    """All pictures in a zip, (N, C, size, size): cut to the middle square, reduced by area, over white.

    `size` is one of SIZES; `colour` is "grey", "rgb", or "auto": grey if no picture has a colour. The names of the
    innermost folders become labels if there are 2 to 50 of them. Rows stand in a fixed shuffled order; the last tenth
    is held out. Files that are no picture, broken or too large are left out and named in `warnings`. Nothing is
    unpacked to disk.
    """
    path = Path(source)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are allowed")
        with path.open("rb") as file:  # before zipfile makes an object of each of them
            entries = sum(chunk.count(b"PK\x01\x02") for chunk in iter(lambda: file.read(1 << 20), b""))
        if entries > MAX_ENTRIES:
            raise ValueError(f"it holds {entries:,} files; at most {MAX_ENTRIES:,} are allowed")
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ValueError(f"cannot use {path.name!r}: {_words(str(error), 100)}; give a .zip of pictures") from error
    with archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        unpacked = sum(member.file_size for member in members)
        if unpacked > MAX_BYTES:
            raise ValueError(f"{path.name!r} unpacks to {unpacked:,} bytes; at most {MAX_BYTES:,} are allowed, "
                             "so give fewer or smaller pictures")

        def read(member: zipfile.ZipInfo) -> Image.Image:
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("packed in another way than deflate")  # only deflate can be unpacked within bounds
            with archive.open(member) as file:
                return _open(io.BytesIO(file.read(member.file_size + 1)))

        files = ((PurePosixPath(member.filename.replace("\\", "/")), lambda member=member: read(member))
                 for member in members)
        return _images(files, name or _words(path.stem), size, colour)


def _images(
    files: Iterator[tuple[PurePosixPath, Callable[[], Image.Image]]], title: str, size: int, colour: str
) -> Dataset:
    """The data set of (path, opener) pairs; an opener gives a picture whose header is checked, or raises."""
    if size not in SIZES:
        raise ValueError(f"size is {size!r}; it must be one of {_list(SIZES)}")
    if colour not in COLOURS:
        raise ValueError(f"colour is {colour!r}; it must be one of {_list(COLOURS)}")
    images, folders, unread, pixels = [], [], [], 0
    for path, opened in files:
        if any(part.startswith((".", "__MACOSX")) and part != ".." for part in path.parts):
            continue  # what file managers leave behind
        try:
            picture = opened()
            pixels += picture.width * picture.height
            if pixels <= MAX_ALL_PIXELS:
                images.append(_square(picture, size))
        except Exception as error:  # decoders raise all sorts of things on broken bytes
            unread.append(f"{_words(path.name)} ({_words(str(error), 100)})")
            continue
        if pixels > MAX_ALL_PIXELS:
            raise ValueError(f"the pictures have more than {MAX_ALL_PIXELS:,} pixels in all; shrink them or give fewer")
        folders.append(_words(path.parent.name.strip(".")) or "(top)")
        if len(images) > PICTURES[1]:
            raise ValueError(f"there are more than {PICTURES[1]:,} pictures; give at most so many")
    warnings = (f"{len(unread)} files could not be used: {_some(unread)}",) if unread else ()
    if len(images) < PICTURES[0]:
        raise ValueError(f"there are {len(images)} usable pictures; {PICTURES[0]} to {PICTURES[1]:,} are needed, "
                         f"{_list(FORMATS)}" + "".join(f". {warning}" for warning in warnings))
    order = np.random.default_rng(0).permutation(len(images))  # so that the last tenth is of all folders
    rgb = np.stack(images)[order]
    if colour == "grey" or colour == "auto" and np.ptp(rgb, axis=-1).max() <= 8:  # JPEG's rounding is no colour
        rgb = np.rint(rgb @ np.array([0.299, 0.587, 0.114]))[..., None]  # luma, ITU-R BT.601
    values = torch.from_numpy(rgb.astype(np.float32)).permute(0, 3, 1, 2).contiguous() / 127.5 - 1
    label_names, labels = np.unique(folders, return_inverse=True)
    if not 2 <= len(label_names) <= MAX_LABELS:
        label_names, labels = (), None
    parts = split(values, None if labels is None else torch.from_numpy(labels[order].astype(np.int64)))
    return Dataset(_name(title), title, "images", label_names=tuple(map(str, label_names)), licence=_LICENCE,
                   description=f"{len(images):,} pictures of your own", warnings=warnings, **parts)


def _open(source: Path | io.BytesIO) -> Image.Image:
    """An opened picture of one of FORMATS, told by its first bytes; only its header has been read and checked."""
    try:
        picture = Image.open(source, formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(f"no {_list(FORMATS)} picture") from None
    if picture.width * picture.height > MAX_PIXELS:
        raise ValueError(f"{picture.width} × {picture.height} pixels; at most {MAX_PIXELS:,} are allowed")
    return picture


def _pixels(picture: Image.Image, needed: int) -> Image.Image:
    """An opened picture decoded to RGBA, upright; a JPEG at a fraction of its size, but `needed` pixels or more."""
    with picture:
        picture.draft(None, (needed, needed))
        if picture.mode.startswith("I"):  # 16 bits a pixel
            picture = Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
        return ImageOps.exif_transpose(picture).convert("RGBA")


def _square(picture: Image.Image, size: int) -> np.ndarray:
    """The middle square of a picture over white, reduced by area: uint8 (size, size, 3)."""
    picture = _pixels(picture, 4 * size)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = _over(picture.crop((left, top, left + side, top + side)), "white")
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX))


def _over(picture: Image.Image, ground: str) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", picture.size, ground), picture).convert("RGB")


def _ink(picture: Image.Image, ground: str) -> np.ndarray | None:
    """How much each pixel differs from the tone of the edge, (H, W) in [0, 1], 0 below a quarter; None if blank."""
    grey = np.asarray(_over(picture, ground).convert("L"), dtype=float) / 255
    tone = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    ink = np.maximum(tone - grey if tone >= 0.5 else grey - tone, 0)
    if ink.max() < 0.1:
        return None
    ink /= ink.max()
    return np.where(ink >= 0.25, ink, 0)


def _points(title: str, centres: np.ndarray, bandwidth: float, description: str, warnings=()) -> Dataset:
    x0 = torch.from_numpy(centres.astype(np.float32))
    return Dataset(_name(title), title, "points", x0, bandwidth=bandwidth, licence=_LICENCE, description=description,
                   warnings=warnings)


def _text(source: Path | str) -> str:
    if isinstance(source, str):
        size, read = len(source), lambda: source
    elif source.is_file():
        size, read = source.stat().st_size, lambda: source.read_text(encoding="utf-8-sig")
    else:
        raise ValueError(f"there is no file {str(source)!r}; give the path of a table")
    if size > MAX_TEXT:
        raise ValueError(f"the table has {size:,} bytes; at most {MAX_TEXT:,} are allowed")
    try:
        return read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{source.name!r} is no UTF-8 text ({error.reason}); save it as CSV in UTF-8") from error


def _columns(number: int, values: list[str], is_header: bool) -> tuple[int, int]:
    """Which columns hold x and y, told by the first line of a table."""
    header = [value.lower() for value in values]
    if is_header and "x" in header and "y" in header:
        return header.index("x"), header.index("y")
    if len(header) == 2:
        return 0, 1
    if is_header:
        raise ValueError(f"the columns are {', '.join(header)[:200]}; call two of them x and y")
    raise ValueError(f"line {number} has {len(header)} columns. {_TABLE}, or a header that names x and y")


def _number(value: str) -> float | None:
    """The number that is written; NaN for an empty cell; None if it is no number."""
    try:
        return float(value) if value and value.lower() not in ("na", "null", "none") else math.nan
    except ValueError:
        return None


def _words(text: str, most: int = 40) -> str:
    """A foreign name, or an error that may cite foreign bytes, as a short printable line."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()[:most]


def _name(title: str) -> str:
    return "own_" + (re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "data")


def _some(items: list) -> str:
    return ", ".join(map(str, items[:10])) + (f" and {len(items) - 10} more" if len(items) > 10 else "")


def _list(items: tuple) -> str:
    return ", ".join(map(str, items[:-1])) + f" or {items[-1]}"
