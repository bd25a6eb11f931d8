"""Pictures that somebody else made: opened within bounds, upright, every frame, and no bit lost before it is time.

A picture is told by its first bytes and not by its name. What is decoded stays in the numbers of the file: 16 bits a
pixel become 8 only by who knows all of a set (`depth`), for 12 bits in 16 would come out black.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ..doors.words import listed
from ..drawing.gif import contents

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
MAX_PIXELS = 20_000_000  #: of one picture
MAX_SIDE = 20_000  #: its longer side
MAX_FRAMES, MAX_COMMENT = 5_000, 100_000  #: of an animated picture; bytes of a GIF's comments
DEPTHS = (8, 10, 12, 14, 16)  #: bits a pixel that cameras and instruments have

#: How a picture whose camera was turned is put upright, by Exif's orientation.
_TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
          5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
          8: Image.Transpose.ROTATE_90}  # fmt: skip


def open_picture(source: Path | io.BytesIO) -> tuple[Image.Image, int]:
    """(an opened picture of one of FORMATS, told by its first bytes; how many frames it has). Nothing is decoded.

    ValueError for anything else, and for one that is larger than allowed.
    """
    count = _frames_of_gif(source)
    try:
        picture = Image.open(source, formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(f"no {listed(FORMATS)} picture") from None
    except Image.DecompressionBombError:  # Pillow's own bound, far beyond ours
        raise ValueError(f"a picture of far more than {MAX_PIXELS:,} pixels, which are the most") from None
    if picture.width * picture.height > MAX_PIXELS or max(picture.size) > MAX_SIDE:
        raise ValueError(f"{picture.width} × {picture.height} pixels; at most {MAX_PIXELS:,} are allowed, and "
                         f"{MAX_SIDE:,} a side")
    # The maps that phones add to a JPEG are no frames.
    return picture, count or (picture.n_frames if picture.format in ("PNG", "WEBP") else 1)


def _frames_of_gif(source: Path | io.BytesIO) -> int:
    """Frames of a GIF, at most one more than MAX_FRAMES; 0 for another file. ValueError for a comment beyond reason."""
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        found = contents(file, MAX_FRAMES, MAX_COMMENT)
        file.seek(0)
    if len(found.comment) > MAX_COMMENT:
        raise ValueError(f"a GIF with more than {MAX_COMMENT:,} bytes of comments")
    return found.frames


def work(picture: Image.Image, count: int, needed: int) -> int:
    """What it costs to decode so many frames of an opened picture to `needed` pixels a side, in pixels of a PNG.

    A JPEG is reduced by up to 8 on its way; a frame of an animation is laid over those before it.
    """
    whole = picture.width * picture.height
    if picture.draft(None, (needed, needed)):
        return picture.width * picture.height + whole // 4
    return whole * (count if count == 1 else 4 * count)


def is_halved(picture: Image.Image) -> bool:
    """Whether an opened picture has 16 bits a colour, of which Pillow keeps the upper 8."""
    return picture.mode in ("RGB", "RGBA", "LA") and any("16" in str(tile.args) for tile in picture.tile)


def frames(picture: Image.Image, count: int) -> Iterator[Image.Image]:
    """So many frames of an opened picture, decoded and upright: in 16 bits a pixel as mode "F", else in 8 bits as
    "RGB", or "RGBA" where something is transparent. Each is to be used before the next is asked for."""
    for k in range(count):
        picture.seek(k)
        yield decoded(picture)


def decoded(picture: Image.Image) -> Image.Image:
    """The frame at which an opened picture stands, as `frames` gives it."""
    if picture.mode.startswith("I"):  # 16 bits a pixel
        shown = Image.fromarray(np.asarray(picture).astype(np.float32))
    else:
        mode = "RGBA" if picture.has_transparency_data else "RGB"
        shown = picture if picture.mode == mode else picture.convert(mode)
    turn = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return shown if turn == 1 or turn not in _TURNS else shown.transpose(_TURNS[turn])


def over(picture: Image.Image, ground: str) -> Image.Image:
    """A decoded picture, what is transparent over a colour."""
    if picture.mode != "RGBA":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, ground), picture).convert("RGB")


def square(picture: Image.Image, size: int) -> np.ndarray:
    """The middle square of a decoded picture over white, reduced by area: (size, size) of 16 bits a pixel, in float32,
    or uint8 (size, size, 3)."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    # Reduced first, by its share of colour: what is large is never copied.
    small = picture.resize((size, size), Image.Resampling.BOX, box=(left, top, left + side, top + side))
    return np.asarray(over(small, "white"))


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
