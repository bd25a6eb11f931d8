"""One painter for each kind of panel: it draws frame k of its panel as palette indices onto its part of the canvas.

`painter(panel, box, colours)` chooses it. Painters own what does not change from frame to frame (where each pixel comes
from, the shape of a dot, the backdrop), so that a frame costs little more than the marks in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..scene import Panel, Scene
from .marks import MARKS, dot, trail_strength, trail_width, within
from .palettes import Theme, oklab, ramp, table
from .raster import Dots, arrows, strokes, to_pixels

LETTERING = 6  #: steps between ground and ink of a letter's edge
COVERAGE = 16  #: steps of a mark's coverage
BACKDROP = 6
MAP = 12


@dataclass(frozen=True)
class Box:
    """Where a panel's picture stands on the canvas, in pixels; `block` is the side of one of its pixels."""

    x: int
    y: int
    width: int
    height: int
    block: int = 1


class Colours:
    """The one palette (≤ 256 colours) of a film, shared out among what its panels need.

    `palette` (n, 3) uint8. `at[name]` is the (first index, count) of a ramp or table. The tokens take what they need,
    the tables of values share the rest evenly (pictures in colour get three shares). `cube`
    takes RGB in 5 bits a channel to the nearest index.
    """

    def __init__(self, scene: Scene, theme: Theme, captions: bool):
        self.palette = np.zeros((0, 3), np.uint8)
        self.at: dict[str, tuple[int, int]] = {}
        for token in ("panel", "bg", "line", "accent"):
            self._add(token, theme.rgb(token)[None])
        marked = [p for p in scene.panels if p.kind in ("points", "paths", "field")]
        if any(p.map is not None for p in marked):
            faint = ramp(theme.rgb("bg"), theme.rgb("sub"), 101)[round(100 * MARKS["ink"]["map"])]
            self._add("map", ramp(theme.rgb("bg"), faint, MAP + 1)[1:])
        if any(p.backdrop is not None for p in marked):
            faint = ramp(theme.rgb("bg"), theme.rgb("sub"), 101)[round(100 * MARKS["ink"]["backdrop"])]
            self._add("backdrop", ramp(theme.rgb("bg"), faint, BACKDROP + 1)[1:])
        for palette in sorted({p.palette for p in marked}):
            self._add(f"marks {palette}", _pick(table(palette, theme), COVERAGE + 1)[1:])
        if captions:
            for token in ("ink", "sub"):
                self._add(f"text {token}", ramp(theme.rgb("panel"), theme.rgb(token), LETTERING + 1)[1:])
        coloured = [p for p in scene.panels if p.kind == "images" and p.data.shape[-1] == 3]
        tables = sorted({p.palette for p in scene.panels if p not in marked and p not in coloured})
        share = (256 - len(self.palette)) // max(1, len(tables) + 3 * bool(coloured))
        for palette in tables:
            count = share - (palette == "signed" and share % 2 == 0)  # odd: zero has a level of its own
            self._add(palette, _pick(table(palette, theme), count))
        if coloured:
            self._add("colour", _common_colours(coloured, 3 * share))
            self.cube = self._nearest()

    def _add(self, name: str, colours: np.ndarray) -> None:
        self.at[name] = (len(self.palette), len(colours))
        self.palette = np.concatenate([self.palette, colours])

    def index(self, name: str) -> int:
        return self.at[name][0]

    def levels(self, name: str, coverage: np.ndarray) -> np.ndarray:
        """Coverage in [0, 1] → uint8 indices of that ramp, 0 (the least index) where nothing is covered."""
        first, count = self.at[name]
        level = np.rint(coverage * count).astype(np.int16)
        return np.where(level > 0, first + level - 1, 0).astype(np.uint8)

    def _nearest(self) -> np.ndarray:
        first, count = self.at["colour"]
        channel = np.arange(32) * 8 + 4
        cube = oklab(np.stack(np.meshgrid(channel, channel, channel, indexing="ij"), -1).reshape(-1, 3))
        ours = oklab(self.palette[first : first + count])
        distance = (ours**2).sum(-1) - 2 * cube @ ours.T
        return (first + distance.argmin(-1)).astype(np.uint8)


def _pick(colours: np.ndarray, count: int) -> np.ndarray:
    """`count` rows of a table, evenly spread, both ends among them."""
    return colours[np.linspace(0, len(colours) - 1, count).round().astype(int)]


def _to_bytes(data: np.ndarray, view: tuple[float, float], levels: int) -> np.ndarray:
    """Values → uint8 levels 0..levels−1, rounded to the nearest and saturating."""
    low, high = view
    scaled = np.multiply(data, (levels - 1) / (high - low), dtype=np.float32)
    scaled += 0.5 - low * (levels - 1) / (high - low)
    return np.clip(scaled, 0, levels - 1, out=scaled).astype(np.uint8)


def _common_colours(panels: list[Panel], count: int) -> np.ndarray:
    """(≤ count, 3) colours that serve all frames of all these panels; half the vote has the last frame."""
    votes = []
    for panel in panels:
        sample = np.linspace(0, panel.frames - 1, min(panel.frames, 12)).round().astype(int)
        for k in [*sample, *[panel.frames - 1] * (len(sample) - 1)]:
            pixels = _to_bytes(np.nan_to_num(panel.data[k]), panel.range, 256).reshape(-1, 3)
            votes.append(pixels[:: max(1, len(pixels) // 4096)])
    image = Image.fromarray(np.concatenate(votes)[None])
    chosen = image.quantize(count, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return np.array(chosen.getpalette()[: 3 * count], np.uint8).reshape(-1, 3)


def grid(panel: Panel) -> tuple[int, int, int, int]:
    """(rows, columns, H, W) of an images or heat panel: N pictures stand in ⌈√N⌉ columns, row by row."""
    if panel.kind == "heat":
        return 1, 1, *panel.data.shape[1:3]
    count, height, width = panel.data.shape[1:4]
    columns = int(np.ceil(np.sqrt(count)))
    return -(-count // columns), columns, height, width


class PixelPainter:
    """images and heat: every value a block of block × block pixels, pictures a pixel apart."""

    def __init__(self, panel: Panel, box: Box, colours: Colours):
        self.panel, self.ground = panel, colours.index("panel")
        self.cube = colours.cube if panel.kind == "images" and panel.data.shape[-1] == 3 else None
        self.first, self.levels = colours.at["colour" if self.cube is not None else panel.palette]
        self.whole = not np.isnan(panel.data).any()
        rows, columns, height, width = grid(panel)
        count = panel.data.shape[1] if panel.kind == "images" else 1

        def along(pictures: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
            place = np.arange(pictures * (pixels * box.block + 1) - 1)
            picture, offset = np.divmod(place, pixels * box.block + 1)
            return picture, offset // box.block  # the gutter comes out as pixel number `pixels`

        row, y = (v[:, None] for v in along(rows, height))
        column, x = (v[None, :] for v in along(columns, width))
        picture = row * columns + column
        empty = (y == height) | (x == width) | (picture >= count)
        source = (picture * height + y) * width + x
        self.source = np.where(empty, count * height * width, source)  # one past the end: the ground

    def draw(self, k: int, out: np.ndarray) -> None:
        data = self.panel.data[min(k, self.panel.frames - 1)]
        if self.cube is not None:
            five = _to_bytes(np.nan_to_num(data), self.panel.range, 256).reshape(-1, 3).astype(np.int32) >> 3
            index = self.cube[(five[:, 0] << 10) | (five[:, 1] << 5) | five[:, 2]]
            lost = None if self.whole else np.isnan(data).reshape(-1, 3).any(-1)
        else:
            lost = None if self.whole else np.isnan(data).ravel()
            values = data if self.whole else np.nan_to_num(data, posinf=np.inf, neginf=-np.inf)
            index = _to_bytes(values, self.panel.range, self.levels).ravel() + np.uint8(self.first)
        if lost is not None and lost.any():
            index = np.where(lost, np.uint8(self.ground), index)  # a value that is no number is a hole
        np.take(np.append(index, np.uint8(self.ground)), self.source, out=out, mode="clip")


class MarkPainter:
    """What points, paths and field have in common: a square view with a faint map and backdrop, drawn once."""

    def __init__(self, panel: Panel, box: Box, colours: Colours):
        self.panel, self.colours, self.side = panel, colours, box.width
        self.ramp = f"marks {panel.palette}"
        self.ground = np.full((self.side, self.side), colours.index("bg"), np.uint8)
        if panel.map is not None:
            cover = Image.fromarray(np.asarray(panel.map, np.float32)).resize((self.side, self.side), Image.BILINEAR)
            self.ground = np.maximum(self.ground, colours.levels("map", np.clip(np.asarray(cover), 0, 1)))
        if panel.backdrop is not None:
            dots = Dots(self.side, *dot("backdrop", len(panel.backdrop), self.side))
            padded = np.pad(self.ground, dots.pad)
            levels = colours.levels("backdrop", dots.coverage)
            dots.draw(to_pixels(panel.backdrop, panel.range, self.side), levels, padded)
            self.ground = np.maximum(self.ground, padded[dots.pad : -dots.pad, dots.pad : -dots.pad])

    def pixels(self, k: int) -> np.ndarray:
        return to_pixels(self.panel.data[min(k, self.panel.frames - 1)], self.panel.range, self.side)


class PointPainter(MarkPainter):
    """points: small round dots; a thousand nearly opaque, more of them smaller and clearer, so that density shows."""

    def __init__(self, panel: Panel, box: Box, colours: Colours):
        super().__init__(panel, box, colours)
        self.dots = Dots(self.side, *dot("points", panel.data.shape[1], self.side))
        self.levels = colours.levels(self.ramp, self.dots.coverage)
        self.padded = np.pad(self.ground, self.dots.pad)

    def draw(self, k: int, out: np.ndarray) -> None:
        picture, pad = self.padded.copy(), self.dots.pad
        self.dots.draw(self.pixels(k), self.levels, picture)
        out[:] = picture[pad:-pad, pad:-pad]


class PathPainter(MarkPainter):
    """paths: the way each point came, fading to a faint trace, and the point at its head.

    A pixel fades from the frame in which a point first came by. Frames follow one another: going back draws the ways
    again from the first frame.
    """

    def __init__(self, panel: Panel, box: Box, colours: Colours):
        super().__init__(panel, box, colours)
        self.dots = Dots(self.side, *dot("paths", panel.data.shape[1], self.side))
        self.levels = colours.levels(self.ramp, self.dots.coverage)
        self.width = trail_width(panel.data.shape[1], self.side)
        self.strength = trail_strength(np.arange(panel.frames), panel.frames).astype(np.float32)
        self._restart()

    def _restart(self) -> None:
        self.at = 0
        self.cover = np.zeros((self.side, self.side), np.float32)
        self.birth = np.full((self.side, self.side), -1, np.int32)

    def draw(self, k: int, out: np.ndarray) -> None:
        k = min(k, self.panel.frames - 1)
        if k < self.at:
            self._restart()
        while self.at < k:
            cover = strokes(self.pixels(self.at), self.pixels(self.at + 1), self.side, self.width)
            self.at += 1
            self.birth[(self.birth < 0) & (cover > 0)] = self.at
            np.maximum(self.cover, cover, out=self.cover)
        trail = self.cover * self.strength[k - self.birth.clip(0)]
        drawn = np.maximum(self.ground, self.colours.levels(self.ramp, trail))
        picture, pad = np.pad(drawn, self.dots.pad), self.dots.pad
        self.dots.draw(self.pixels(k), self.levels, picture)
        out[:] = picture[pad:-pad, pad:-pad]


class FieldPainter(MarkPainter):
    """field: arrows with their middle at the cell centres; `scale` is drawn one cell long and longer ones saturate."""

    def __init__(self, panel: Panel, box: Box, colours: Colours):
        super().__init__(panel, box, colours)
        cells = panel.data.shape[1]
        self.cell = self.side / cells
        place = (np.arange(cells) + 0.5) * self.cell
        x, y = np.meshgrid(place, self.side - place)  # row 0 at the bottom
        self.centre = np.stack([x, y], -1).reshape(-1, 2)
        length = np.hypot(*np.moveaxis(panel.data, -1, 0))
        self.scale = panel.scale or float(np.percentile(length[np.isfinite(length)], 95)) or 1.0
        self.width = within(MARKS["arrow"]["width"], self.cell)

    def draw(self, k: int, out: np.ndarray) -> None:
        vector = self.panel.data[min(k, self.panel.frames - 1)].reshape(-1, 2) * (self.cell / self.scale)
        vector = vector * np.array([1, -1])
        length = np.hypot(vector[:, 0], vector[:, 1])
        vector = vector * np.minimum(1, self.cell / np.maximum(length, 1e-9))[:, None]
        cover = arrows(self.centre, vector, self.side, self.width)
        np.maximum(self.ground, self.colours.levels(self.ramp, cover), out=out)


PAINTERS = {"images": PixelPainter, "heat": PixelPainter, "points": PointPainter, "paths": PathPainter,
            "field": FieldPainter}  # fmt: skip


def painter(panel: Panel, box: Box, colours: Colours) -> PixelPainter | PointPainter | PathPainter | FieldPainter:
    """The painter of a panel's kind."""
    return PAINTERS[panel.kind](panel, box, colours)
