"""A Scene as bytes that the browser reads without copying.

A chunk is `uint32 length, JSON header, raw arrays`, little-endian. The header carries every text and refers to the
arrays by `{"dtype", "shape", "offset"}`; offsets count from the end of the header, rounded up to 8 bytes. Chunks of
one film may arrive in any order and may differ in a panel's range: each says how its own codes are to be read.

| kind                 | code                                                              | not a number |
|----------------------|-------------------------------------------------------------------|--------------|
| images, heat (uint8) | 1 + 254·(v − lo)/(hi − lo), so 0 is exactly 128 in a range ±hi    | 0            |
| points, paths (int16)| 8192·(2·(v − lo)/(hi − lo) − 1): the view is ±8192, the rest lies outside | −32768 |
| field (int16)        | 4096·v/scale; longer arrows than 7.9 cells keep their direction   | −32768       |
| a map (uint8)        | 255·v                                                             |              |

Codes may be written as `"coding": "delta"`, where the file is to be compressed: each frame less the one before, as
0, −1, 1, −2, … → 0, 1, 2, 3, … (zigzag, modulo the type's size), all low bytes before all high bytes. Neighbours in a
film are alike, so that deflate finds more in it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...scene import Chart, Panel, Scene
from ..palettes import MARK_PALETTES

NAN16 = -32768
VIEW = 8192
CELL = 4096

_DIMENSIONS = {"images": 5, "points": 3, "paths": 3, "field": 4, "heat": 3}
_PALETTES = {
    "images": ("data", "signed"),
    "points": MARK_PALETTES,
    "paths": MARK_PALETTES,
    "field": MARK_PALETTES,
    "heat": ("magnitude", "signed"),
}


def pack(scene: Scene, first: int = 0, total: int | None = None, keys: Sequence[str] | None = None,
         delta: bool = False) -> bytes:  # fmt: skip
    """The frames of `scene` as one chunk: they become frames `first, first + 1, …` of the film.

    `total` is the number of frames the film will have (default: as many as known so far). `keys` chooses panels; all
    by default. Panels of one frame stand still: they hold for the whole film and go with its first frames, as a panel's
    map does. Charts and texts of a later chunk replace those of an earlier one; a chart's cursor is that of the frames
    of this chunk. `delta` writes codes so that they compress better.

    Raises ValueError where a panel contradicts its kind, its range or the number of frames, KeyError for unknown keys.
    """
    if first < 0 or (total is not None and first + scene.frames > total):
        raise ValueError(f"frames {first} to {first + scene.frames} do not fit a film of {total} frames")
    for name, values in scene.numbers.items():
        if len(values) != scene.frames:
            raise ValueError(f"number {name!r} has {len(values)} values for {scene.frames} frames; give one a frame")
    if keys is None:
        panels = [p for p in scene.panels if first == 0 or p.frames == scene.frames]
    else:
        panels = [scene.panel(key) for key in keys]
    arrays = _Arrays(delta)
    header = {
        "first": first,
        "count": scene.frames,
        "total": total,
        "panels": [_panel(panel, first, scene.frames, arrays) for panel in panels],
        "numbers": {name: arrays.add(np.asarray(values, "<f8")) for name, values in scene.numbers.items()},
        "clock": scene.clock,
        "sentence": scene.sentence,
        "formula": scene.formula,
        "figures": list(scene.figures),
        "source": scene.source,
        "made": scene.made,
        "legend": [list(entry) for entry in scene.legend],
        "charts": [_chart(chart, arrays) for chart in scene.charts],
    }
    return arrays.behind(header)


def pack_findings(findings: dict, charts: Sequence[Chart]) -> bytes:
    """What is said beside a film, as plain JSON, with the charts that it refers to by their number."""
    arrays = _Arrays()
    return arrays.behind({"findings": findings, "charts": [_chart(chart, arrays) for chart in charts]})


def frames(scene: Scene, first: int, stop: int | None = None) -> Scene:
    """Frames [first, stop) of a scene, for `pack(frames(scene, first, stop), first)`; curves stay whole."""
    part = slice(first, stop)
    return replace(
        scene,
        panels=tuple(p if p.frames == 1 else replace(p, data=p.data[part]) for p in scene.panels),
        numbers={name: values[part] for name, values in scene.numbers.items()},
        charts=tuple(c if c.cursor is None else replace(c, cursor=c.cursor[part]) for c in scene.charts),
    )


def quantise(values: np.ndarray, lo: float, hi: float) -> np.ndarray:
    """Values as uint8 codes: lo → 1, hi → 255, outside saturates, not a number → 0.

    Undone by `lo + (c − 1)·(hi − lo)/254`, to half a code.
    """
    unit = np.multiply(values, 254 / (hi - lo), dtype=np.float32)
    unit += 1.5 - lo * 254 / (hi - lo)  # the half makes the cut below a rounding
    np.clip(unit, 1, 255, out=unit)
    lost = np.isnan(unit)
    if lost.any():
        unit[lost] = 0
    return unit.astype(np.uint8)


def differences(codes: np.ndarray) -> np.ndarray:
    """Codes (F, …) as the bytes of their differences from frame to frame, (bytes a code, F·…) uint8."""
    bits = 8 * codes.itemsize
    step = np.diff(codes.view(f"<u{codes.itemsize}"), axis=0, prepend=np.zeros_like(codes[:1].view(f"<u{bits // 8}")))
    signed = step.view(f"<i{codes.itemsize}")
    zigzag = (signed << 1) ^ (signed >> (bits - 1))
    return np.frombuffer(zigzag.tobytes(), np.uint8).reshape(-1, codes.itemsize).T


def _points(values: np.ndarray, lo: float, hi: float) -> np.ndarray:
    unit = (2 * (np.asarray(values, np.float64) - lo) / (hi - lo) - 1) * VIEW
    return np.nan_to_num(np.clip(np.rint(unit), NAN16 + 1, -NAN16 - 1), nan=NAN16).astype("<i2")


def _arrows(values: np.ndarray, scale: float) -> np.ndarray:
    unit = np.asarray(values, np.float64) / scale * CELL
    longest = np.abs(unit).max(-1, keepdims=True)
    unit = unit * np.minimum(1, (-NAN16 - 1) / np.maximum(longest, 1))
    return np.nan_to_num(np.rint(unit), nan=NAN16).astype("<i2")


def _panel(panel: Panel, first: int, count: int, arrays: _Arrays) -> dict:
    data, (lo, hi) = np.asarray(panel.data), panel.range
    name = f"panel {panel.key!r}"
    if panel.kind not in _DIMENSIONS:
        raise ValueError(f"{name} is of kind {panel.kind!r}; there are {', '.join(_DIMENSIONS)}")
    if data.ndim != _DIMENSIONS[panel.kind]:
        raise ValueError(f"{name}: {panel.kind} have {_DIMENSIONS[panel.kind]} dimensions, not shape {data.shape}")
    if len(data) not in (1, count):
        raise ValueError(f"{name} has {len(data)} frames in a scene of {count}; give {count}, or 1 to stand still")
    if panel.palette not in _PALETTES[panel.kind]:
        allowed = " or ".join(_PALETTES[panel.kind])
        raise ValueError(f"{name}: {panel.kind} are drawn in {allowed}, not in {panel.palette!r}")
    if not (np.isfinite([lo, hi]).all() and lo < hi):
        raise ValueError(f"{name} has the range [{lo}, {hi}]; give two finite values, the smaller one first")
    if panel.palette == "signed" and lo != -hi:
        raise ValueError(f"{name} is signed, so its range must be symmetric about 0, not [{lo}, {hi}]")
    if panel.kind == "images" and data.shape[-1] not in (1, 3):
        raise ValueError(f"{name} has {data.shape[-1]} channels; images have 1 (grey) or 3 (RGB)")

    scale = None
    if panel.kind in ("images", "heat"):
        codes = quantise(data, lo, hi)
    elif panel.kind == "field":
        lengths = np.linalg.norm(data, axis=-1)
        lengths = lengths[np.isfinite(lengths)]
        scale = float(panel.scale or (np.percentile(lengths, 95) if lengths.size else 0) or 1.0)
        codes = _arrows(data, scale)
    else:
        codes = _points(data, lo, hi)
    header = {"key": panel.key, "title": panel.title, "note": panel.note, "kind": panel.kind, "palette": panel.palette}
    header |= {"caption": panel.caption, "range": [float(lo), float(hi)], "scale": scale}
    header["codes"] = arrays.add_codes(codes)
    if panel.backdrop is not None:
        header["backdrop"] = arrays.add(_points(panel.backdrop, lo, hi))
    if panel.map is not None and first == 0:
        picture = np.asarray(panel.map)
        if panel.kind in ("images", "heat") or picture.ndim != 2:
            raise ValueError(f"{name}: a map of shape {picture.shape} behind {panel.kind}; points, paths and fields "
                             "have one, of shape (H, W)")
        header["map"] = arrays.add(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return header


def _chart(chart: Chart, arrays: _Arrays) -> dict:
    def curve(values) -> dict:
        return arrays.add(np.asarray(values, "<f4"))

    return {
        "title": chart.title,
        "series": [
            {"label": s.label, "style": s.style, "palette": s.palette, "x": curve(s.x), "y": curve(s.y)}
            | ({} if s.low is None else {"low": curve(s.low)})
            for s in chart.series
        ],
        "cursor": None if chart.cursor is None else arrays.add(np.asarray(chart.cursor, "<f8")),
        "log": chart.log,
        "ends": list(chart.ends),
        "flip": chart.flip,
        "guess": chart.guess,
        "marks": [{"x": float(x), "label": label} for x, label in chart.marks],
    }


class _Arrays:
    """Raw arrays in the order they were added, each at a multiple of 8 bytes (typed arrays must be aligned)."""

    def __init__(self, delta: bool = False) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.delta = delta

    def add_codes(self, codes: np.ndarray) -> dict:
        """Codes of frames, as they are or, where that is smaller once compressed, as differences."""
        coded = differences(codes) if self.delta else codes
        if self.delta and len(zlib.compress(coded.tobytes(), 1)) < len(zlib.compress(codes.tobytes(), 1)):
            return self.add(coded) | {"dtype": codes.dtype.str[1:], "shape": list(codes.shape), "coding": "delta"}
        return self.add(codes)

    def add(self, array: np.ndarray) -> dict:
        reference = {"dtype": array.dtype.str[1:], "shape": list(array.shape), "offset": self.size}
        raw = array.tobytes()
        raw += bytes(-len(raw) % 8)
        self.parts.append(raw)
        self.size += len(raw)
        return reference

    def behind(self, header: dict) -> bytes:
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        text += b" " * (-(4 + len(text)) % 8)
        return b"".join([struct.pack("<I", len(text)), text, *self.parts])
