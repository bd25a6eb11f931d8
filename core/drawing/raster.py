"""Marks to coverage: dots, trails and arrows splatted onto a square of pixels, antialiased, in numpy alone.

Every function takes positions in pixels (x to the right, y downwards, the centre of the first pixel at 0.5) and returns
coverage as (side, side) float32 or the pixels it touched. A splat is one `bincount` over all marks at once, so the
cost is the marks' area and not the picture's.
"""

from __future__ import annotations

import numpy as np

from .marks import MARKS

PHASES = 4  #: a dot is drawn at one of 4 × 4 positions inside its pixel: moving dots glide


def to_pixels(points: np.ndarray, view: tuple[float, float], side: int) -> np.ndarray:
    """Data (..., 2) in the square [lo, hi]², y upwards → pixels (..., 2) in [0, side]², y downwards."""
    low, high = view
    scale = side / (high - low)
    out = np.empty(points.shape, np.float32)
    np.multiply(points[..., 0] - low, scale, out=out[..., 0])
    np.multiply(high - points[..., 1], scale, out=out[..., 1])
    return out


class Dots:
    """Round dots of one radius; where they overlap they darken: coverage 1 − Π(1 − opacity·cover).

    `radius` in pixels; `opacity` of a single dot in (0, 1]. Transmittances multiply, so a splat adds their logarithms.
    """

    STEPS = 64  #: the logarithms are added as whole numbers, this many to one dot at full cover

    def __init__(self, side: int, radius: float, opacity: float):
        self.side, self.pad = side, int(np.ceil(radius + 1))
        self.width = side + 2 * self.pad
        reach = np.arange(-self.pad, self.pad + 1)
        phase = np.arange(PHASES) / PHASES - 0.5  # of the dot's centre, from its pixel's centre
        dx = reach[None, None, None, :] - phase[None, :, None, None]  # (y phase, x phase, y, x)
        dy = reach[None, None, :, None] - phase[:, None, None, None]
        opaque = min(opacity, 0.98)
        cover = np.clip(radius + 0.5 - np.hypot(dx, dy), 0, 1).reshape(PHASES * PHASES, -1)
        used = cover.max(0) > 0.02
        darker = np.log1p(-opaque)
        weight = np.log1p(-opaque * cover[:, used]) / darker
        self.weights = np.rint(weight * self.STEPS)
        self.offsets = (reach[:, None] * self.width + reach[None, :]).ravel()[used]
        deepest = int(np.ceil(np.log(1 / 512) / darker * self.STEPS))
        #: summed logarithms → coverage; beyond the end it is 1 for every eye
        self.coverage = (1 - (1 - opaque) ** (np.arange(deepest + 1) / self.STEPS)).astype(np.float32)
        self.coverage[-1] = 1.0

    def splat(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 2) positions → (touched, depth): rows of the padded picture, `depth` indexing `self.coverage`.

        Points out of view and points that are no numbers draw nothing.
        """
        inside = ((pixels >= 0) & (pixels <= self.side)).all(-1)  # False for NaN
        fine = np.minimum(np.rint(pixels[inside] * PHASES), self.side * PHASES - 1).astype(np.int64)
        cell, phase = fine >> 2, fine & 3
        start = (cell[:, 1] + self.pad) * self.width + cell[:, 0] + self.pad
        touched = (start[:, None] + self.offsets).ravel()
        weights = self.weights[phase[:, 1] * PHASES + phase[:, 0]].ravel()
        total = np.bincount(touched, weights, minlength=self.width**2)
        return touched, np.minimum(total[touched], len(self.coverage) - 1).astype(np.intp)

    def draw(self, pixels: np.ndarray, levels: np.ndarray, out: np.ndarray) -> None:
        """Splat onto a padded (side + 2·pad)² uint8 picture: pixel = max(pixel, levels[depth])."""
        touched, depth = self.splat(pixels)
        flat = out.reshape(-1)
        flat[touched] = np.maximum(flat[touched], levels[depth])


def strokes(start: np.ndarray, end: np.ndarray, side: int, width: float = 1.2, steps: int | None = None) -> np.ndarray:
    """Straight strokes (M, 2) → (M, 2) of `width` pixels as coverage (side, side) in [0, 1], float32.

    Every stroke is a row of bilinear splats, dense enough (half a pixel) to be a line. Strokes that are no numbers or
    lie out of view draw nothing.
    """
    usable = np.isfinite(start).all(-1) & np.isfinite(end).all(-1)
    usable &= (np.maximum(start, end) > 0).all(-1) & (np.minimum(start, end) < side).all(-1)
    start, end = start[usable], end[usable]
    if not len(start):
        return np.zeros((side, side), np.float32)
    length = np.hypot(*(end - start).T)
    steps = steps or int(np.clip(np.ceil(2 * length.max()), 2, 4 * side))
    along = (np.arange(steps, dtype=np.float32) + 0.5) / steps
    # shifted by half a pixel so that whole numbers are pixel centres, and by one for a border that catches what leaves
    where = start[:, None] + (end - start)[:, None] * along[:, None] + 0.5
    where = np.clip(where, 0, side + 0.999).reshape(-1, 2)
    weight = np.repeat(length / steps * width, steps)
    cell = where.astype(np.int64)
    fx, fy = (where - cell).T
    row = side + 2
    corner = cell[:, 1] * row + cell[:, 0]
    index = np.concatenate([corner, corner + 1, corner + row, corner + row + 1])
    share = np.concatenate([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy]) * np.tile(weight, 4)
    total = np.bincount(index, share, minlength=row * row)[: row * row].reshape(row, row)
    return np.minimum(total[1:-1, 1:-1], 1).astype(np.float32)


def arrows(centre: np.ndarray, vector: np.ndarray, side: int, width: float = 1.2) -> np.ndarray:
    """Arrows of pixel vectors (M, 2), y downwards, with their middle at `centre`, as coverage (side, side).

    The head is a third of the arrow, at most 5 pixels; an arrow shorter than a pixel is a dot of a pixel's width.
    """
    rule = MARKS["arrow"]
    length = np.hypot(vector[:, 0], vector[:, 1])
    unit = vector / np.maximum(length, 1e-9)[:, None]
    shaft = np.maximum(length, rule["least"])[:, None] * np.where(length[:, None] > 1e-9, unit, np.array([1.0, 0.0]))
    tail, tip = centre - shaft / 2, centre + shaft / 2
    barb = np.clip(rule["head"]["share"] * length, 0, rule["head"]["most"])[:, None]
    cos, sin = -np.cos(rule["angle"]), np.sin(rule["angle"])
    left = np.stack([cos * unit[:, 0] - sin * unit[:, 1], sin * unit[:, 0] + cos * unit[:, 1]], -1)
    right = np.stack([cos * unit[:, 0] + sin * unit[:, 1], -sin * unit[:, 0] + cos * unit[:, 1]], -1)
    headed = length > rule["headed"]
    starts = np.concatenate([tail, tip[headed], tip[headed]])
    ends = np.concatenate([tip, (tip + barb * left)[headed], (tip + barb * right)[headed]])
    return strokes(starts, ends, side, width)
