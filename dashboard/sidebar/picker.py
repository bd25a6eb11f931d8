"""The data picker: one small picture for each data set, by kind, and its name."""

from __future__ import annotations

import base64
import io

import gradio as gr
import numpy as np
import torch
from PIL import Image

from core.data.datasets import Dataset
from core.drawing.palettes import hues
from core.recipe.recipe import OWN
from dashboard.ready import pictures

SIDE = 48
KINDS = {"points": "points in the plane", "images": "pictures"}


def picture_of(dataset: Dataset, side: int = SIDE, across: int = 1) -> str:
    """A data set as a PNG data URI: `across` × `across` of its pictures; of points, a colour for each label."""
    if dataset.kind == "points":
        x, labels = dataset.draw(1500, torch.Generator().manual_seed(0))
        colours = hues(dataset.classes) if dataset.classes else np.full((1, 3), 128)
        at = ((x.numpy() * [1, -1] / 1.15 + 1) / 2 * side).astype(int).clip(0, side - 1)
        counts, sums = np.zeros((side, side)), np.zeros((side, side, 3))
        np.add.at(counts, (at[:, 1], at[:, 0]), 1)
        np.add.at(sums, (at[:, 1], at[:, 0]), colours[labels.numpy() if dataset.classes else 0])
        alpha = 255 * np.minimum(1, counts / 2)
        image = Image.fromarray(np.dstack([sums / np.maximum(counts, 1)[..., None], alpha]).astype(np.uint8))
    else:
        image = Image.new("RGBA", (across * dataset.side, across * dataset.side))
        for k, pixels in enumerate(dataset.to_uint8(dataset.x0[: across**2])):
            row, column = divmod(k, across)
            tile = Image.fromarray(pixels.squeeze() if pixels.shape[-1] == 1 else pixels)
            image.paste(tile, (column * dataset.side, row * dataset.side))
        image = image.resize((side, side), Image.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def items_with(own: Dataset | None) -> list[dict]:
    """What can be picked: a visitor's own data first, if there are any."""
    mine = [{"name": OWN, "title": "your own data", "kind": "your own", "image": picture_of(own)}] if own else []
    return [*mine, *pictures()]


class Picker(gr.HTML):
    """Value: the name of the data set. The event `pick` carries {"name": …}; the value changes at once, in the page."""

    def __init__(self, value: str = "", items: list[dict] | None = None, **kwargs):
        super().__init__(
            value,
            items=items if items is not None else items_with(None),
            html_template='<div class="ns-picker" role="radiogroup" aria-label="data set"></div>',
            js_on_load="Noisescope.picker(element, { props, watch, trigger: name => trigger('pick', { name }) });",
            apply_default_css=False,
            **kwargs,
        )

    def postprocess(self, value: str | None) -> str | None:
        return value

    def api_info(self):
        return {"type": "string"}
