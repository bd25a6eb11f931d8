"""Colours: the tokens of both themes, and the tables that values are drawn with.

Every table has 256 rows of sRGB bytes, and the value v of a panel with the range [lo, hi] stands in row
`round(255 · (v − lo) / (hi − lo))`, saturating at both ends. The page's stage is handed these very tables, so that a
film on the page and the same film in a GIF agree.

The two maps are drawn in OKLCH (Ottosson 2020, https://bottosson.github.io/posts/oklab/), whose lightness is the one
people see: `signed` moves away from the panel's background at the same speed to both sides, `magnitude` moves in one
direction only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Theme:
    """The tokens of a theme as "#rrggbb". Ink is for what is there, accent for the guess of the data, noise for that of
    the noise; of runs side by side each has one of MARK_PALETTES."""

    name: str
    bg: str  #: the page, and the ground of panels with points, paths and arrows
    panel: str  #: cards, and the ground of panels with pixels: the colour of a signed zero
    ink: str
    sub: str  #: captions
    line: str  #: frames and rules
    accent: str
    accent_weak: str
    wrong: str  #: what is off
    noise: str
    fourth: str  #: one more, beside these three

    def rgb(self, token: str) -> np.ndarray:
        """A token's colour as (3,) uint8."""
        return np.frombuffer(bytes.fromhex(getattr(self, token)[1:]), np.uint8)


LIGHT = Theme("light", "#fbfbfa", "#ffffff", "#1c1f23", "#606773", "#e4e4e0", "#0f766e", "#ccece8", "#b42318",
              "#6d28d9", "#8f5200")
DARK = Theme("dark", "#0f1113", "#16191c", "#e7e9ea", "#8b949e", "#2a2f34", "#2dd4bf", "#123f3a", "#f97066",
             "#b197fc", "#f0b429")
THEMES = {theme.name: theme for theme in (LIGHT, DARK)}
#: What points, paths, arrows and curves are drawn in.
MARK_PALETTES = ("ink", "accent", "noise", "fourth")
PALETTES = ("data", "signed", "magnitude", *MARK_PALETTES)

_TO_LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                    [0.2119034982, 0.6806995451, 0.1073969566],
                    [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
_TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                    [1.9779984951, -2.4285922050, 0.4505937099],
                    [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def theme_of(theme: str | Theme) -> Theme:
    """A theme by its name ("light" or "dark"); a `Theme` passes through. ValueError for any other name."""
    if isinstance(theme, Theme):
        return theme
    if theme not in THEMES:
        raise ValueError(f"theme {theme!r} is unknown; choose one of {', '.join(THEMES)}")
    return THEMES[theme]


def oklab(rgb: np.ndarray) -> np.ndarray:
    """sRGB (..., 3) in 0..255 → OKLab (..., 3): lightness in [0, 1], green-red, blue-yellow."""
    c = np.asarray(rgb, np.float64) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T


def srgb(app: np.ndarray) -> np.ndarray:
    """OKLab (..., 3) → sRGB (..., 3) in 0..255 as floats; outside 0..255 where the screen has no such colour."""
    linear = (app @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_LMS).T
    root = np.cbrt(np.abs(linear)) ** (3 / 2.4) * np.sign(linear)
    return 255 * np.where(np.abs(linear) <= 0.0031308, linear * 12.92, 1.055 * root - 0.055 * np.sign(linear))


def _lch(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """OKLCH (hue in degrees) → (n, 3) uint8; colours the screen lacks keep lightness and hue and lose chroma."""
    angle = np.radians(hue)
    low, high = np.zeros_like(chroma), np.ones_like(chroma)
    for _ in range(20):  # bisect the share of the chroma that the screen can show
        share = (low + high) / 2
        c = chroma * share
        rgb = srgb(np.stack([lightness, c * np.cos(angle), c * np.sin(angle)], -1))
        fits = ((rgb > -0.5) & (rgb < 255.5)).all(-1)
        low, high = np.where(fits, share, low), np.where(fits, high, share)
    c = chroma * low
    rgb = srgb(np.stack([lightness, c * np.cos(angle), c * np.sin(angle)], -1))
    return rgb.round().clip(0, 255).astype(np.uint8)


def hues(n: int) -> np.ndarray:
    """n colours as (n, 3) uint8 for things without an order, such as labels: alike in lightness, evenly around in hue.

    They stand out from the ground of both themes alike.
    """
    return _lch(np.full(n, 0.63), np.full(n, 0.14), 30 + 360 * np.arange(n) / max(n, 1))


def ramp(start: np.ndarray, end: np.ndarray, n: int) -> np.ndarray:
    """n colours from `start` to `end` as (n, 3) uint8, mixed in sRGB as a canvas mixes them with alpha."""
    a = np.linspace(0, 1, n)[:, None]
    return (start * (1 - a) + end * a).round().astype(np.uint8)


def _signed(theme: Theme) -> np.ndarray:
    ground = oklab(theme.rgb("panel"))[0]
    far = np.linspace(0, 1, 128)
    lightness = ground + ((0.45 if ground > 0.5 else 0.70) - ground) * far
    sides = [_lch(lightness, 0.18 * far**0.9, np.full(128, hue)) for hue in (260.0, 26.0)]
    half_blue, half_red = sides
    half_blue[0] = half_red[0] = theme.rgb("panel")  # rows 127 and 128: whichever way 127.5 is rounded, zero vanishes
    return np.concatenate([half_blue[::-1], half_red])


def _magnitude(theme: Theme) -> np.ndarray:
    ground = oklab(theme.rgb("panel"))[0]
    far = np.linspace(0, 1, 256)
    if ground > 0.5:
        lightness, hue = ground + (0.24 - ground) * far, 150 + 130 * far
    else:
        lightness, hue = ground + (0.95 - ground) * far, 285 - 180 * far**0.9
    table = _lch(lightness, 0.115 * np.sin(0.85 * np.pi * far**0.8), hue)
    table[0] = theme.rgb("panel")
    return table


@lru_cache
def table(palette: str, theme: str | Theme = "light") -> np.ndarray:
    """(256, 3) uint8, read-only: the colours from the low to the high end of a panel's range.

    | palette   | row 0 → row 255 |
    |-----------|-----------------|
    | data      | black → white, in both themes: a picture is no part of the page |
    | signed    | blue → the panel's background (rows 127 and 128) → red, alike in lightness on both sides |
    | magnitude | the panel's background → away from it, lightness falling (light) or rising (dark) all the way |
    | ink       | the points' ground → ink, the ladder of coverage |
    | accent, noise, fourth | the points' ground → that token |

    Raises ValueError for another palette or theme.
    """
    theme = theme_of(theme)
    if palette == "data":
        colours = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    elif palette == "signed":
        colours = _signed(theme)
    elif palette == "magnitude":
        colours = _magnitude(theme)
    elif palette in MARK_PALETTES:
        colours = ramp(theme.rgb("bg"), theme.rgb(palette), 256)
    else:
        raise ValueError(f"palette {palette!r} is unknown; choose one of {', '.join(PALETTES)}")
    colours.flags.writeable = False
    return colours


def tables(theme: str | Theme = "light") -> dict[str, list]:
    """The pixel tables and the tokens of a theme as plain lists, for JSON: each table 256 × [r, g, b]."""
    theme = theme_of(theme)
    out: dict[str, list] = {palette: table(palette, theme).tolist() for palette in ("data", "signed", "magnitude")}
    out["tokens"] = [[f.name, getattr(theme, f.name)] for f in fields(theme) if f.name != "name"]
    return out
