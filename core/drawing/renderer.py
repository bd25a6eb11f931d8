"""Scene → uint8 frames: panels side by side with titles and ranges, a playhead below, one palette for the whole film.

    film = Film(scene, size=320, theme="light")
    for frame in film.frames():            # (height, width) uint8, indices into film.palette
        rgb = film.palette[frame]          # (height, width, 3) uint8

Frames are palette indices from the start: a splat or a table look-up writes them, a GIF takes them as they are, and
nothing is quantised afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from ..scene import Panel, Scene
from .lettering import font, lettering
from .marks import MARKS
from .painters import LETTERING, Box, Colours, grid, painter
from .palettes import Theme, theme_of

MARGIN, HEAD, BAR = 16, 26, 34  #: pixels around, above and below the panels
FOOT = 15  #: of a line that says what the film is made from
GAP = MARKS["panels"]["gap"]  #: and between them
TITLE, CAPTION = MARKS["panels"]["title"], MARKS["panels"]["caption"]  #: pixels of letters
SIZES = (16, 2048)
LARGEST = 8192  #: no film is wider or higher


@dataclass(frozen=True)
class Layout:
    """Where everything stands on a canvas of `width` × `height` pixels.

    Pictures are drawn in whole blocks of pixels, so their panels have the multiple that is nearest to `size`; the
    square panels beside them take their height.
    """

    width: int
    height: int
    boxes: tuple[Box, ...]  #: one a panel, the picture alone, in the order of the scene
    bar: int | None = None  #: the y of the progress line, None without captions
    foot: tuple[str, ...] = ()  #: what the film is made from, in lines that stand at the foot

    @classmethod
    def of(cls, scene: Scene, size: int = 320, scale: int | None = None, captions: bool = True,
           columns: int | None = None) -> Layout:  # fmt: skip
        """Panels row by row, all in one row unless `columns` says less. `scale` sets the pixels' blocks (1: native).

        Raises ValueError for a size out of 16..2048, a scale or columns below 1 or a film beyond 8192 pixels.
        """
        if not SIZES[0] <= size <= SIZES[1]:
            raise ValueError(f"size {size} is out of range; a panel's side is {SIZES[0]} to {SIZES[1]} pixels")
        for name, value in (("scale", scale), ("columns", columns)):
            if value is not None and value < 1:
                raise ValueError(f"{name} {value} is out of range; it is a whole number from 1 on, or None")
        sides = [_pixel_box(p, size, scale) for p in scene.panels if p.kind in ("images", "heat")]
        side = max((box.height for box in sides), default=size)
        boxes = [_pixel_box(p, size, scale) if p.kind in ("images", "heat") else Box(0, 0, side, side)
                 for p in scene.panels]  # fmt: skip
        columns = min(columns or len(boxes), len(boxes))
        margin, gap, head = (MARGIN, GAP, HEAD) if captions else (0, 4, 0)
        rows = [boxes[i : i + columns] for i in range(0, len(boxes), columns)]
        wide = [max(row[c].width for row in rows if c < len(row)) for c in range(columns)]
        placed, y = [], margin
        for row in rows:
            y += head
            for c, box in enumerate(row):
                placed.append(Box(margin + sum(wide[:c]) + gap * c, y, box.width, box.height, box.block))
            y += max(box.height for box in row) + gap
        width, height, bar, foot = 2 * margin + sum(wide) + gap * (columns - 1), y - gap + margin, None, ()
        if captions:
            bar = height - margin + BAR // 2
            foot = lines(scene.made, width - 2 * margin)
            height += BAR - 6 + FOOT * len(foot)
        if max(width, height) > LARGEST:
            raise ValueError(f"the film would be {width} × {height} pixels, at most {LARGEST} are drawn; "
                             f"choose a smaller size than {size}, fewer panels or more rows")  # fmt: skip
        return cls(width, height, tuple(placed), bar, foot)


def _pixel_box(panel: Panel, size: int, scale: int | None) -> Box:
    rows, columns, height, width = grid(panel)
    block = scale or max(1, round((size - (columns - 1)) / (columns * width)))
    return Box(0, 0, columns * width * block + columns - 1, rows * height * block + rows - 1, block)


def lines(made: str, width: int) -> tuple[str, ...]:
    """What a film is made from ("a · b · c") in lines of at most `width` pixels; a part that is wider has its own."""
    found: list[str] = []
    for part in made.split(" · ") if made else ():
        longer = f"{found[-1]} · {part}" if found else part
        if found and font("sans", CAPTION).getlength(longer) <= width:
            found[-1] = longer
        else:
            found.append(part)
    return tuple(found)


def range_text(panel: Panel) -> str:
    """What stands above a panel at the right: its caption, or its range: "±3", or "[0, 1]" where it is not even."""
    low, high = panel.range
    return panel.caption or (f"±{high:g}" if low == -high else f"[{low:g}, {high:g}]")


def _checked(scene: Scene) -> Scene:
    if not scene.panels or not scene.frames:
        raise ValueError(f"the scene is empty ({len(scene.panels)} panels, {scene.frames} frames); show a panel first")
    for panel in scene.panels:
        low, high = panel.range
        if panel.frames not in (1, scene.frames):
            raise ValueError(f"panel {panel.key!r} has {panel.frames} frames; the scene has {scene.frames}, so it "
                             f"needs {scene.frames}, or 1 to stand still")  # fmt: skip
        if not low < high:
            raise ValueError(f"panel {panel.key!r} has the range [{low:g}, {high:g}]; the first must be less")
        if 0 in panel.data.shape:
            raise ValueError(f"panel {panel.key!r} has data of shape {panel.data.shape}; there is nothing to draw")
    return scene


class Renderer:
    """A scene with a size and a theme, ready to be drawn.

    `size`: a panel's side in pixels (pictures: the nearest whole multiple); `scale`: instead, the side of each pixel's
    block (1 draws pictures pixel by pixel); `captions=False` leaves the bare panels; `columns`: panels in a row.
    Raises ValueError as `Layout.of`, for an empty scene, for panels of another length, for an unknown theme.
    """

    def __init__(self, scene: Scene, size: int | None = None, theme: str | Theme = "light", captions: bool = True,
                 columns: int | None = None, scale: int | None = None):
        self.scene, self.theme, self.captions = _checked(scene), theme_of(theme), captions
        self.layout = Layout.of(scene, 320 if size is None else size, scale, captions, columns)
        self.colours = Colours(scene, self.theme, captions)
        self.painters = [painter(p, box, self.colours) for p, box in zip(scene.panels, self.layout.boxes)]
        self.height, self.width = self.layout.height, self.layout.width
        self.ground = self._ground()

    @property
    def palette(self) -> np.ndarray:
        """(n, 3) uint8, n ≤ 256: the colours of all frames."""
        return self.colours.palette

    def frames(self, which: Iterable[int] | None = None) -> Iterator[np.ndarray]:
        """Frames as (height, width) uint8 indices into `palette`; `which` chooses them, in any order."""
        for k in range(self.scene.frames) if which is None else which:
            canvas = self.ground.copy()
            for panel, box, painter_ in zip(self.scene.panels, self.layout.boxes, self.painters):
                if panel.frames > 1:
                    self._draw_panel(canvas, panel, box, painter_, k)
            if self.captions:
                self._draw_bar(canvas, k)
            yield canvas

    def image(self, frame: np.ndarray) -> Image.Image:
        """A frame as a Pillow image that carries the palette."""
        image = Image.fromarray(frame)
        image.putpalette(self.palette.tobytes())
        return image

    def write(self, canvas: np.ndarray, text: str, x: float, middle: float, ink: str = "ink", face: str = "sans",
              size: float = 13, align: str = "left") -> None:  # fmt: skip
        """Letters on the ground of the panels' card, their x-height centred on the row `middle`; cut at the edges."""
        letters = lettering(text, face, size)
        left = round(x - {"left": 0, "centre": 0.5, "right": 1}[align] * letters.shape[1])
        top = round(middle + 0.28 * size) - round(1.5 * size)  # x-height of DejaVu: 0.55
        cut_y, cut_x = max(0, -top), max(0, -left)
        part = canvas[top + cut_y : top + letters.shape[0], left + cut_x : left + letters.shape[1]]
        letters = letters[cut_y : cut_y + part.shape[0], cut_x : cut_x + part.shape[1]]
        level = np.rint(letters * np.float32(LETTERING / 255)).astype(np.uint8)
        np.copyto(part, level + np.uint8(self.colours.index(f"text {ink}") - 1), where=level > 0)

    def _ground(self) -> np.ndarray:
        """The canvas with all that stands still."""
        canvas = np.full((self.height, self.width), self.colours.index("panel"), np.uint8)
        for panel, box, painter_ in zip(self.scene.panels, self.layout.boxes, self.painters):
            if self.captions:
                self.draw_frame(canvas, box)
                self._draw_head(canvas, panel, box)
            if panel.frames == 1:
                self._draw_panel(canvas, panel, box, painter_, 0)
        self.draw_foot(canvas, self.layout.foot)
        return canvas

    def draw_foot(self, canvas: np.ndarray, foot: Sequence[str]) -> None:
        """The lines that say what the film is made from, at the bottom."""
        for k, line in enumerate(reversed(foot)):
            self.write(canvas, line, MARGIN, len(canvas) - 11 - FOOT * k, "sub", "sans", CAPTION)

    def _draw_panel(self, canvas: np.ndarray, panel: Panel, box: Box, painter_, k: int) -> None:
        """Frame k of a panel, and at its foot how many of its points are outside."""
        painter_.draw(k, canvas[box.y : box.y + box.height, box.x : box.x + box.width])
        if self.captions and (said := panel.outside(k)):
            if (wide := font("mono", CAPTION).getlength(said)) > box.width - 8:
                said = f"{said.partition(' ')[0]} outside"
                wide = font("mono", CAPTION).getlength(said)
            foot = box.y + box.height  # no point shines through what is said
            plate = slice(box.x + 2, box.x + min(box.width - 1, int(wide) + 9))
            canvas[foot - 16 : foot - 1, plate] = self.colours.index("bg")
            self.write(canvas, said, box.x + 5, foot - 9, "sub", "mono", CAPTION)

    def draw_frame(self, canvas: np.ndarray, box: Box) -> None:
        """The one-pixel line around a panel, outside its picture."""
        around = canvas[box.y - 1 : box.y + box.height + 1, box.x - 1 : box.x + box.width + 1]
        around[[0, -1]] = around[:, [0, -1]] = self.colours.index("line")

    def _draw_head(self, canvas: np.ndarray, panel: Panel, box: Box) -> None:
        middle, caption = box.y - 13, range_text(panel)
        head = canvas[:, : box.x + box.width + GAP // 2]  # a long title ends before the next panel
        self.write(head, panel.title, box.x, middle, face="bold", size=TITLE)
        taken = lettering(panel.title, "bold", TITLE).shape[1] + lettering(caption, "mono", CAPTION).shape[1] + 8
        if taken <= box.width:
            self.write(canvas, caption, box.x + box.width, middle, "sub", "mono", CAPTION, "right")

    def _draw_bar(self, canvas: np.ndarray, k: int) -> None:
        """The progress line and the clock at its right."""
        y, right = self.layout.bar, self.width - MARGIN
        clock = self.short_clock(k, right - MARGIN)
        self.write(canvas, clock, right, y, "ink", "mono", 11, "right")
        length = right - MARGIN - 14 - self._clock_width
        if length >= 32:
            at = MARGIN + round((length - 3) * k / max(1, self.scene.frames - 1))
            canvas[y : y + 2, MARGIN : MARGIN + length] = self.colours.index("line")
            canvas[y : y + 2, MARGIN:at] = self.colours.index("accent")
            canvas[y - 4 : y + 6, at : at + 3] = self.colours.index("accent")

    def short_clock(self, k: int, width: int) -> str:
        """The clock of a frame, or its t alone where the clock is wider than `width` pixels."""
        clock = self.scene.text(self.scene.clock, k)
        return clock if font("mono", 11).getlength(clock) <= width else f"t = {float(self.scene.numbers['t'][k]):.2f}"

    @cached_property
    def _clock_width(self) -> int:
        """The widest the clock gets, so that the line keeps its length; every figure is equally wide."""
        longest = max((self.short_clock(k, self.width - 2 * MARGIN) for k in range(self.scene.frames)), key=len)
        return int(np.ceil(font("mono", 11).getlength(longest)))


def strip(film: Renderer, which: Sequence[int], drawn: Iterable[np.ndarray] | None = None) -> Image.Image:
    """Chosen frames side by side, their clocks below: a film on paper, as an indexed image.

    The film's panels stand in one column (`columns=1`), so that each has a row of the strip. `drawn` are the frames of
    `which` where they are drawn elsewhere. Raises ValueError where the strip would be too wide.
    """
    boxes, edge, gap = film.layout.boxes, int(film.captions), 8
    margin, wide = boxes[0].x, max(box.width for box in boxes)
    width = 2 * margin + len(which) * (wide + gap) - gap
    if width > LARGEST:
        raise ValueError(f"the strip would be {width} pixels wide, at most {LARGEST} are drawn; "
                         f"choose fewer frames than {len(which)} or smaller panels than {wide} pixels")  # fmt: skip
    foot = lines(film.scene.made, width - 2 * margin) if film.captions else ()
    height = boxes[-1].y + boxes[-1].height + (BAR + FOOT * len(foot) if film.captions else 0)
    canvas = np.full((height, width), film.colours.index("panel"), np.uint8)
    for c, frame in enumerate(film.frames(which) if drawn is None else drawn):
        x = margin + c * (wide + gap)
        for box in boxes:
            rows = slice(box.y - edge, box.y + box.height + edge)
            canvas[rows, x - edge : x + box.width + edge] = frame[rows, box.x - edge : box.x + box.width + edge]
    if film.captions:
        for c, k in enumerate(which):
            middle = margin + c * (wide + gap) + wide / 2
            y = height - FOOT * len(foot) - BAR // 2
            film.write(canvas, film.short_clock(k, wide), middle, y, "sub", "mono", 11, "centre")
        for panel, box in zip(film.scene.panels, boxes):
            film.write(canvas, panel.title, margin, box.y - 13, face="bold", size=TITLE)
            film.write(canvas, range_text(panel), width - margin, box.y - 13, "sub", "mono", CAPTION, "right")
        film.draw_foot(canvas, foot)
    return film.image(canvas)
