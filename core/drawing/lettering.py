"""Short texts as coverage: titles with subscripts and hats, captions, the clock.

The typefaces are DejaVu, cut down to Latin, Greek, arrows and mathematics (`core/fonts`), so that a film looks the same
on every machine and ε, σ and x̂ are never an empty box.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = {"sans": "DejaVuSans.ttf", "bold": "DejaVuSans-Bold.ttf", "mono": "DejaVuSansMono.ttf"}
#: combining mark → the spacing glyph that is set above its letter
MARKS = {"\u0302": "\u02c6", "\u0303": "\u02dc", "\u0304": "\u02c9", "\u0305": "\u02c9"}
_SCRIPT = re.compile(r"([_^])\{([^{}]*)\}")


@lru_cache
def font(face: str, size: float) -> ImageFont.FreeTypeFont:
    """A face ("sans", "bold", "mono") at a size in pixels."""
    path = Path(__file__).parent / "fonts" / FONTS[face]
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def runs(text: str) -> list[tuple[str, int]]:
    """"x_{t}" → [("x", 0), ("t", -1)]: pieces with -1 for a subscript and +1 for a superscript."""
    pieces, at = [], 0
    for match in _SCRIPT.finditer(text):
        pieces += [(text[at : match.start()], 0), (match[2], -1 if match[1] == "_" else 1)]
        at = match.end()
    pieces.append((text[at:], 0))
    return [piece for piece in pieces if piece[0]]


def _letters(text: str) -> list[tuple[str, str]]:
    """Letters with the mark above each: "x̂_t" → [("x", "ˆ"), ("_", ""), ("t", "")]."""
    letters: list[tuple[str, str]] = []
    for character in text:
        if character in MARKS and letters:
            letters[-1] = (letters[-1][0], MARKS[character])
        else:
            letters.append((character, ""))
    return letters


def _ink(letter: str, type_: ImageFont.FreeTypeFont) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of a letter's ink from the pen on the baseline; Pillow's box reaches down to it."""
    left, top, _, _ = type_.getbbox(letter, anchor="ls")
    ink = type_.getmask(letter).getbbox() or (0, 0, 0, 0)
    return left + ink[0], top + ink[1], left + ink[2], top + ink[3]


@lru_cache(maxsize=4096)
def lettering(text: str, face: str = "sans", size: float = 13) -> np.ndarray:
    """A line of text as coverage (height, width) uint8; the baseline stands at 3/4 of the height, 2·size.

    `_{}` and `^{}` set smaller and lower or higher; a combining hat, tilde or bar is centred above its letter.
    """
    baseline, pen = round(1.5 * size), 0.0
    marks: list[tuple[float, float, str, ImageFont.FreeTypeFont]] = []
    for piece, script in runs(text):
        type_ = font(face, size if script == 0 else round(0.74 * size, 1))
        y = baseline + (0, -0.38 * size, 0.22 * size)[script]
        if not any(mark in piece for mark in MARKS):
            marks.append((pen, y, piece, type_))
            pen += type_.getlength(piece)
            continue
        for letter, mark in _letters(piece):
            marks.append((pen, y, letter, type_))
            if mark:
                left, top, right, _ = _ink(letter, type_)
                mark_left, _, mark_right, mark_bottom = _ink(mark, type_)
                x = pen + (left + right - mark_left - mark_right) / 2
                marks.append((x, y + top - mark_bottom - 1, mark, type_))
            pen += type_.getlength(letter)
    image = Image.new("L", (int(np.ceil(pen)) + 2, round(2 * size)))
    draw = ImageDraw.Draw(image)
    for x, y, piece, type_ in marks:
        draw.text((x, y), piece, fill=255, font=type_, anchor="ls")
    out = np.asarray(image)
    out.flags.writeable = False
    return out
