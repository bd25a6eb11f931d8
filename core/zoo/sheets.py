"""Sample sheets: a small picture of what a model makes, in its own way of sampling, that knows whose it is.

Points: the data in ink, the model's samples in accent; with labels a column for each. Images: a row for each label, or
for two conditions a row for each of the first and columns for the second; combinations that were held out of training
are framed. Latents are shown as the pictures that they decode to. The PNG carries the sha256 of the weights that it was
drawn from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ..data.datasets import Dataset
from ..drawing.lettering import font
from ..drawing.palettes import LIGHT
from ..drawing.raster import Dots, to_pixels
from ..files import atomic_write
from .roles import Card, role_for

SEED = 1
SIDE, VIEW, POINTS = 150, (-1.15, 1.15), 1500  #: of a panel of points: pixels, what it shows, about how many
COLUMNS, ROWS, COUNT = 12, 8, 120  #: samples a row of images, rows without labels, and how many at most in all
GREYS, COLOURS = 16, 128  #: that a sheet is stored in
PICTURE = 28  #: an image is shown in whole pixels, with about this side


def draw_sheet(model: Any, card: Card, dataset: Dataset) -> Image.Image:
    """The sheet of a model: the same each time, up to rounding."""
    pictures = dataset.kind == "images" or dataset.decode is not None
    return (_images if pictures else _points)(model, card, dataset)


def _sampled(model: Any, card: Card, dataset: Dataset, n: int, cond: Tensor | None) -> Tensor:
    told = {} if cond is None else {"cond": cond}
    return role_for(card).draw(model, dataset.shape, n, seed=SEED, **told)


def _points(model: Any, card: Card, dataset: Dataset) -> Image.Image:
    n = POINTS * dataset.classes if model.labels else POINTS
    data, cond = dataset.draw(n, torch.Generator().manual_seed(SEED))
    samples = _sampled(model, card, dataset, n, cond if model.labels else None)
    if not model.labels:
        return Image.fromarray(np.concatenate([_scatter(data, "ink"), _scatter(samples, "accent")], 1))
    rows = [np.concatenate([_scatter(x[cond == label], colour) for label in range(dataset.classes)], 1)
            for x, colour in ((data, "ink"), (samples, "accent"))]
    return Image.fromarray(np.concatenate(rows))


def _scatter(points: Tensor, colour: str) -> np.ndarray:
    dots = Dots(SIDE, 0.9, 0.7)
    touched, depth = dots.splat(to_pixels(points.numpy(), VIEW, SIDE))
    cover = np.zeros(dots.width**2)
    cover[touched] = dots.coverage[depth]
    inside = slice(dots.pad, dots.pad + SIDE)
    cover = cover.reshape(dots.width, -1)[inside, inside, None]
    return (LIGHT.rgb("panel") * (1 - cover) + LIGHT.rgb(colour) * cover).round().astype(np.uint8)


def _images(model: Any, card: Card, dataset: Dataset) -> Image.Image:
    cond, names, width, frames = None, [""] * ROWS, COLUMNS, []
    if model.labels:
        first, *second = dataset.conditions
        names = list(first[1])
        width = min(COLUMNS, COUNT // len(names))
        columns = torch.arange(width).repeat(len(names))
        rows = torch.arange(len(names)).repeat_interleave(width)
        cond = rows
        if second:
            of_column = columns * len(second[0][1]) // width
            cond = torch.stack([rows, of_column], 1)
            held = card["training"].get("without")
            if held:
                frames = (cond == dataset.cond_of(*held)).all(1).nonzero().flatten().tolist()
    samples = _sampled(model, card, dataset, len(names) * width, cond)
    samples = samples if dataset.decode is None else dataset.decode(samples)
    shown = ((samples.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return _grid(shown, names, frames, round(PICTURE / samples.shape[-1]))


def _grid(pictures: np.ndarray, names: list[str], frames: list[int], scale: int) -> Image.Image:
    """uint8 (rows · columns, H, W, C) in rows with their names on the left; `frames` are framed."""
    type_ = font("sans", 11)
    left = max(int(type_.getlength(name)) for name in names) + 8 if any(names) else 0
    side = pictures.shape[1] * scale
    cell = side + 2
    columns = len(pictures) // len(names)
    sheet = Image.new("RGB", (left + columns * cell, len(names) * cell), LIGHT.panel)
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        draw.text((2, row * cell + cell // 2), name, "black", type_, anchor="lm")
    for k, picture in enumerate(pictures):
        x, y = left + k % columns * cell, k // columns * cell
        shown = Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture)
        sheet.paste(shown.convert("RGB").resize((side, side), Image.Resampling.NEAREST), (x + 1, y + 1))
        if k in frames:
            draw.rectangle((x, y, x + cell - 1, y + cell - 1), outline=LIGHT.accent)
    return sheet


def in_few_colours(sheet: Image.Image) -> Image.Image:
    """A sheet as it is stored: with GREYS levels if it has no colour but grey, or else COLOURS colours."""
    grey = not np.ptp(np.asarray(sheet.convert("RGB")), axis=-1).any()
    return sheet.quantize(GREYS if grey else COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def save_sheet(sheet: Image.Image, path: Path, sha256: str) -> None:
    """Write a sheet as a PNG in few colours that says from which weights it was drawn; by a rename."""
    about = PngInfo()
    about.add_text("sha256", sha256)
    with atomic_write(path) as part:
        in_few_colours(sheet).save(part, "PNG", optimize=True, pnginfo=about)


def read_sheet(path: Path) -> tuple[np.ndarray, str | None]:
    """A sheet's pixels (H, W, 3) uint8, and the sha256 of the weights it was drawn from, None if it does not say."""
    with Image.open(path) as sheet:
        return np.asarray(sheet.convert("RGB")), sheet.info.get("sha256")
