"""Pictures that somebody else made: opened within bounds, upright, every frame, and no bit lost before it is time.

A picture is told by its first bytes and not by its name. What is decoded stays in the numbers of the file: 16 bits a
pixel become 8 only by who knows all of a set (`depth`), for 12 bits in 16 would come out black.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .words import listed

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
MAX_PIXELS = 20_000_000  #: of one picture
MAX_SIDE = 20_000  #: its longer side
DEPTHS = (8, 10, 12, 14, 16)  #: bits a pixel that cameras and instruments have


def open_picture(source: Path | io.BytesIO) -> Image.Image:
    """An opened picture of one of FORMATS, told by its first bytes; only its header has been read and checked."""
    try:
        picture = Image.open(source, formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(f"no {listed(FORMATS)} picture") from None
    if picture.width * picture.height > MAX_PIXELS or max(picture.size) > MAX_SIDE:
        raise ValueError(f"{picture.width} × {picture.height} pixels; at most {MAX_PIXELS:,} are allowed, and "
                         f"{MAX_SIDE:,} a side")
    return picture


def work(picture: Image.Image, needed: int) -> int:
    """Pixels that have to be decoded of an opened picture, a frame; a JPEG is reduced by up to 8 on the way."""
    picture.draft(None, (needed, needed))
    return picture.width * picture.height


def is_animated(picture: Image.Image) -> bool:
    """Whether an opened picture has several frames; the maps that phones add to a JPEG are none."""
    return picture.format in ("GIF", "PNG", "WEBP") and picture.is_animated


def is_halved(picture: Image.Image) -> bool:
    """Whether an opened picture has 16 bits a colour, of which Pillow keeps the upper 8."""
    return picture.mode in ("RGB", "RGBA", "LA") and any("16" in str(tile.args) for tile in picture.tile)


def frames(picture: Image.Image, most: int) -> Iterator[Image.Image]:
    """Every frame of an opened picture, decoded and upright, at most so many: in 16 bits a pixel as mode "F", else in 8
    bits as "RGB", or "RGBA" where something is transparent."""
    for k in range(most):
        try:
            picture.seek(k)
        except EOFError:
            return
        yield decoded(picture)


def decoded(picture: Image.Image) -> Image.Image:
    """The frame at which an opened picture stands, as `frames` gives it."""
    if picture.mode.startswith("I"):  # 16 bits a pixel
        return ImageOps.exif_transpose(Image.fromarray(np.asarray(picture).astype(np.float32)))
    clear = picture.has_transparency_data
    return ImageOps.exif_transpose(picture).convert("RGBA" if clear else "RGB")


def over(picture: Image.Image, ground: str) -> Image.Image:
    """A decoded picture in RGB, what is transparent over a colour."""
    if picture.mode != "RGBA":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, ground), picture).convert("RGB")


def square(picture: Image.Image, size: int) -> np.ndarray:
    """The middle square of a decoded picture over white, reduced by area: (size, size) of 16 bits a pixel, in float32,
    or uint8 (size, size, 3)."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = over(picture.crop((left, top, left + side, top + side)), "white")
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX))


def depth(most: float) -> int:
    """Bits a pixel that hold numbers up to `most`: the fewest of DEPTHS."""
    return next((bits for bits in DEPTHS if most < 2**bits), DEPTHS[-1])


def in_bytes(pictures: Sequence[np.ndarray]) -> tuple[list[np.ndarray], str]:
    """Pictures as `square` gives them, all in [0, 255] and of three channels; and how 16 bits were taken, "" for none.

    The depth is that of the brightest pixel of all, so that a dark picture stays darker than a bright one.
    """
    deep = [picture for picture in pictures if picture.ndim == 2]
    if not deep:
        return list(pictures), ""
    low, high = min(float(p.min()) for p in deep), max(float(p.max()) for p in deep)
    bits = depth(high)
    scaled = [np.repeat(p[..., None] * np.float32(255 / (2**bits - 1)), 3, -1) if p.ndim == 2 else p for p in pictures]
    return scaled, f"16 bits a pixel, {low:.0f} to {high:.0f} in all, taken as {bits} bits"
