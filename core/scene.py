"""What is shown, before it is drawn.

A `Scene` is a film: panels that move together under one playhead, the numbers of every frame, the equation they stand
in and the charts below. It is plain data. Two draw it, by one table of how marks look, and must agree: the renderer
(`core/drawing/renderer.py`, uint8 frames for GIF, MP4 and PNG) and the stage (`core/drawing/stage`, on canvas). Whoever
builds a scene decides what is true; whoever draws it decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .doors.words import one_line

MOST_MADE = 300  #: characters of what a film says that it is made from
Kind = Literal["images", "points", "paths", "field", "heat"]
Palette = Literal["data", "signed", "magnitude", "ink", "accent", "noise", "fourth"]


@dataclass(frozen=True)
class Panel:
    """One moving picture. F is the number of frames, or 1 for a picture that stands still.

    | kind   | data (float32)  | meaning of `range`                                           | palettes          |
    |--------|-----------------|--------------------------------------------------------------|-------------------|
    | images | (F, N, H, W, C) | the values drawn as the ends of the palette                  | data, signed      |
    | points | (F, N, 2)       | the view is the square [lo, hi]², y upwards                  | ink, accent, …    |
    | paths  | (F, N, 2)       | as points; every point draws the way it came                 | ink, accent, …    |
    | field  | (F, G, G, 2)    | as points; arrows at the cells' centres, row 0 at the bottom | ink, accent, …    |
    | heat   | (F, H, W)       | as images; row 0 at the top                                  | magnitude, signed |

    `data` images have C = 1 (grey) or 3 (RGB); `signed` ones have C = 1 and a range symmetric about 0, which is drawn
    in the colour of the panel's background, so that zero disappears. Values outside the range saturate.
    """

    key: str  #: names the panel in the address and in the chips, e.g. "x_t"
    title: str  #: short label with `_{}` for subscripts, e.g. "x_{t}"
    note: str  #: one line: what it is (the tooltip)
    kind: Kind
    data: np.ndarray
    range: tuple[float, float]
    palette: Palette = "data"
    caption: str = ""  #: what stands at the right above the panel; "" prints the range
    backdrop: np.ndarray | None = None  #: (M, 2) points drawn faintly behind points, paths and field
    scale: float | None = None  #: field only: the length that is drawn as long as one cell
    map: np.ndarray | None = None  #: (H, W) in [0, 1], of points, paths and field: drawn faintly behind the rest

    @property
    def frames(self) -> int:
        return len(self.data)

    def outside(self, k: int) -> str:
        """What is to be said of the points of frame k that lie outside the view, or are no numbers; "" if none does."""
        if self.kind not in ("points", "paths"):
            return ""
        low, high = self.range
        points = self.data[min(k, self.frames - 1)]
        inside = ((points >= low) & (points <= high)).all(-1)
        return outside_words(int((~inside).sum()), len(points))


def outside_words(count: int, total: int) -> str:
    """"37 of 500 points are outside the frame", as the stage says it too (`core/drawing/stage/view.js`)."""
    if not count:
        return ""
    return f"{count:,} of {total:,} points {'is' if count == 1 else 'are'} outside the frame"


@dataclass(frozen=True)
class Series:
    """One curve of a chart: x and y of shape (P,); style "band" fills from `low` to `y`."""

    label: str
    x: np.ndarray
    y: np.ndarray
    style: Literal["line", "dashed", "faint", "dots", "band"] = "line"
    palette: Literal["ink", "accent", "noise", "fourth", "wrong"] = "accent"
    low: np.ndarray | None = None


@dataclass(frozen=True)
class Chart:
    """A small chart whose cursor is the playhead: at frame k the cursor stands at x = cursor[k]."""

    title: str
    series: tuple[Series, ...]
    cursor: np.ndarray | None = None  #: (F,)
    log: bool = False  #: logarithmic y
    ends: tuple[str, str] = ("", "")  #: what the left and the right end of the x axis mean
    flip: bool = False  #: draw x from large to small (noise at the left, data at the right)
    marks: tuple[tuple[float, str], ...] = ()  #: (x, what happened there), the smallest x first
    guess: str = ""  #: the series that can be drawn before it is known: while it has one value alone


@dataclass(frozen=True)
class Scene:
    """Panels in step, with the numbers of each frame. Templates take the numbers by name: "t = {t:.3f}"."""

    panels: tuple[Panel, ...]
    numbers: dict[str, np.ndarray]  #: name → (F,), among them always "t"
    clock: str = "t = {t:.3f}"  #: template: what the transport shows
    sentence: str = ""  #: template: in words and figures, what is on the stage at this frame
    formula: str = ""  #: the equation, `_{}` and `^{}` for sub- and superscripts
    figures: tuple[str, ...] = ()  #: templates: the same equation with this frame's numbers in it
    source: str = ""  #: where in the code that equation stands
    charts: tuple[Chart, ...] = ()
    legend: tuple[tuple[Palette, str], ...] = ()  #: what is drawn in which colour, in words
    about: dict = field(default_factory=dict)  #: the recipe it can be made again from
    findings: dict | None = None  #: what is said beside the film, as plain JSON; see `core.debug.showing`
    finding_charts: tuple[Chart, ...] = ()  #: the charts that it refers to by their number

    @property
    def frames(self) -> int:
        return len(self.numbers["t"])

    @property
    def made(self) -> str:
        """What it is made from, in words, on one line; "" where nobody has said so."""
        return one_line(str(self.about.get("made", "")), MOST_MADE)

    def panel(self, key: str) -> Panel:
        """The panel of that name; KeyError naming those there are."""
        for panel in self.panels:
            if panel.key == key:
                return panel
        raise KeyError(f"no panel {key!r}; there are {', '.join(p.key for p in self.panels)}")

    def text(self, template: str, frame: int) -> str:
        """A template filled with the numbers of a frame."""
        return template.format(**{name: float(values[frame]) for name, values in self.numbers.items()})
